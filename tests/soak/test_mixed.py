"""Mixed load on one sidecar, for hours where it is wanted: memory and descriptors stay what they were, and the first byte comes as soon as at the beginning.

MIXED_SOAK_S=3600 for an hour (20 s by default), SOAK_SEED for other chances, SOAK_SAVE=1 to keep bench/results/soak.*.
"""
import json
import os
import sys

import pytest

from mixed import Mixed
from sidecar import BUILD, ROOT
from waiting import until

sys.path.append(os.path.join(ROOT, "bench", "lib"))
import kept as keeping  # noqa: E402
import soak  # noqa: E402

SOAK_S = float(os.environ.get("MIXED_SOAK_S") or 20)
SEED = int(os.environ.get("SOAK_SEED") or 1)
WINDOW_S = max(1.0, min(60.0, SOAK_S / 60))
LONG_S = 1800           # figures are judged from here on: in less time what is made once is still being made
SHORT_GROWTH_KB = 4000  # … and of memory no more than this is asked
IS_SANITIZED = "san" in os.environ.get("BUILD_DIR", "")


def at_rest(sidecar, pids):
    """The descriptors of each, when nothing is under way; connections to the backend that are kept are closed by then, or counted at both times."""
    def look():
        requests = sidecar.health().get("requests")
        return requests and requests["in_flight"] == requests["held"] == 0
    until(look, 20, "rest", lambda: f"{sidecar.health()}")
    return {name: own_descriptors(pid, sidecar.backend.port) for name, pid in pids.items()}


def own_descriptors(pid, backend_port):
    """How many it has, but connections to the backend, which are kept for a while."""
    inodes = set()
    with open("/proc/net/tcp", encoding="ascii") as file:
        for line in file:
            words = line.split()
            if words[2] == f"0100007F:{backend_port:04X}":
                inodes.add(f"socket:[{words[9]}]")
    found = 0
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            found += os.readlink(f"/proc/{pid}/fd/{name}") not in inodes
        except FileNotFoundError:
            continue
    return found


def at_rest_again(sidecar, pids, before):
    """The same later: it is waited for that nobody has more than before."""
    found = {}

    def look():
        found.clear()
        found.update(at_rest(sidecar, pids))
        return all(found[name] <= before[name] for name in pids)
    until(look, 20, "as few descriptors as before", lambda: f"{found}, {before} before")
    return found


def save(kept):
    text = "\n".join(["# Soak: mixed load on one sidecar", "", "![](soak.svg)", "", *soak.lines(kept)]).rstrip("\n") + "\n"
    keeping.save("soak", kept, text, soak.plot(kept))


@pytest.mark.limit(SOAK_S * 1.2 + 150)
def test_after_a_long_mixed_load_all_is_as_it_was_proxy_scenario_40(sidecar):
    sidecar.configure("environment", OLLAMA_NUM_PARALLEL="16")
    sidecar.boot("m,probe", tokens=20, token_delay_ms=3)
    facts = {**keeping.facts(seconds=SOAK_S, window_s=WINDOW_S, seed=SEED), "command": f"make soak-mixed MIXED_SOAK_S={SOAK_S:g} SOAK_SEED={SEED}"}
    load = Mixed(sidecar, SEED)
    load.run(SOAK_S / 10, WINDOW_S)  # whatever is made once is made now
    before = at_rest(sidecar, load.pids)
    load.run(SOAK_S * 9 / 10, WINDOW_S)
    after = at_rest_again(sidecar, load.pids, before)
    keeping.ended(facts)
    kept = {"facts": facts, "counts": load.counts, "results": load.windows, "descriptors": {name: (before[name], after[name]) for name in before}}
    print("\n" + "\n".join(soak.lines(kept)))
    if os.environ.get("SOAK_SAVE"):
        save(kept)

    for name, pid in load.pids.items():
        assert os.path.realpath(f"/proc/{pid}/exe") == os.path.realpath(os.path.join(BUILD, f"ollama-{name}")), f"the {name} is another process"
    answered = {kind: sum(n for what, n in load.counts.items() if what.startswith(kind) and what.endswith("status 200"))
                for kind in ("chat", "generate", "v1 chat", "v1 completion", "embed", "v1 embeddings")}
    assert min(answered.values()) > 0 and load.counts["kills of the backend"] > 0 and load.counts["reloads"] > 0, load.counts
    assert all(load.counts.get(f"left {when}") for when in ("at once", "at the first byte", "in the answer")), load.counts
    assert sum(window["probes"] for window in load.windows) > SOAK_S, "first bytes were measured"
    if SOAK_S >= LONG_S:
        assert not soak.missed(kept), json.dumps(kept["results"][-5:])
    elif not IS_SANITIZED:
        for name in load.pids:
            first, last = soak.ends(load.windows, f"{name}_kb")
            assert last < first + SHORT_GROWTH_KB, f"memory of the {name}"
    assert sidecar.generate().status == 200
    assert sidecar.stop() == 0
