"""Four proxies on one Redis before three stand-ins, clients of all kinds, and mishaps: the journal, the stand-ins and the clients have to agree on what
was promised. BALANCER_SOAK_S=600 for ten minutes, SOAK_SEED for other mishaps."""
import os
import random
import re
import time

import pytest

from checker import Checker
from clients import Clients
from installation import SLOTS

SOAK_S = float(os.environ.get("BALANCER_SOAK_S") or 45)
SEED = int(os.environ.get("SOAK_SEED") or 1)
ID = re.compile(r"request-\d+-")


def mishaps(installation, chance):
    """One after the other, until time is up."""
    end = time.monotonic() + SOAK_S
    while time.monotonic() < end:
        installation.pause(chance.uniform(0.5, 2))
        what = chance.choice(("kill", "kill", "stop", "stop", "redis", "redis anew"))
        proxy = chance.choice(installation.proxies)
        if what == "kill":
            proxy.kill()
        elif what == "stop":
            installation.stand_still(proxy)
        else:
            installation.restart_redis(is_kept=what == "redis")


def whole_of(journal) -> list:
    """The requests of whose answers the last byte was written."""
    done = {(entry["pid"], entry["id"]) for entry in journal if entry["event"] == "done"}
    return [ID.search(entry["body"]).group() for entry in journal
            if entry["event"] == "request" and (entry["pid"], entry["id"]) in done and ID.search(entry.get("body", ""))]


def ends_of(journal, left: dict) -> list:
    """[(when, +1 or -1)]: answers as they begin and end. Who left has ended when he did: the stand-in may notice a moment later."""
    begun, changes = {}, []
    for entry in journal:
        if entry["event"] == "request" and ID.search(entry.get("body", "")):
            begun[entry["pid"], entry["id"]] = ID.search(entry["body"]).group()
            changes.append((entry["t"], 1))
        elif entry["event"] in ("done", "cancelled") and (entry["pid"], entry.get("id")) in begun:
            one = begun.pop((entry["pid"], entry["id"]))
            changes.append((min(entry["t"], left.get(one, entry["t"])), -1))
    return sorted(changes)


@pytest.mark.limit(SOAK_S + 180)
def test_what_is_promised_is_kept_proxy_scenario_37(installation):
    chance = random.Random(SEED)
    clients = Clients(installation.proxies, 14, SEED)
    mishaps(installation, chance)
    clients.stop()
    installation.wait_idle()

    checker = Checker(installation.deaths)
    assert checker.check(installation.journal.rows, is_ended=True) == []

    results = clients.results
    answered = {result.id for result in results if result.outcome == "answered"}
    lost = [result for result in results if result.outcome not in ("answered", "left")
            and not installation.proxies[result.proxy].died_within(result.began, result.ended)]
    assert lost == [], "requests of proxies that lived"
    assert len(answered) > SOAK_S, results

    done = {}
    left = {result.id: result.ended for result in results if result.outcome == "left"}
    for name, backend in installation.backends.items():
        journal = backend.journal()
        for one in whole_of(journal):
            done.setdefault(one, []).append(name)
        used = 0
        for when, change in ends_of(journal, left):
            used += change
            assert used <= SLOTS[name] or installation.is_disturbed(when), f"{used} at once of {name} at {when}"
    assert {one: names for one, names in done.items() if len(names) > 1} == {}, "answered twice"
    assert answered <= set(done)
    print(f"\n{len(results)} requests, {len(answered)} answered, {checker.granted_n} grants, {len(installation.deaths)} kills, "
          f"{len(installation.disturbed)} stops and restarts of Redis")
