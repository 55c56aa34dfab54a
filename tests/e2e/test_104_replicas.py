"""Two proxies before the same Ollamas, with a Redis between them: one line, and no slot given twice."""
import json

import pytest

from client import Background, ask
from fleet import Fleet
from waiting import until


@pytest.fixture
def two(sidecar, second, redis):
    """Two proxies; add backends to the first, then open_with(keys of [redis])."""
    fleet = Fleet(sidecar)
    fleet.second = second

    def open_with(**keys):
        sidecar.configure("redis", url=f"redis://127.0.0.1:{redis.port}", **keys)
        fleet.open_both(second)
        for each in (sidecar, second):
            until(lambda of=each: of.ask("GET", "/status").json["redis"]["replicas"] == 2, 10, "each to know of the other", each.process.tail)
    fleet.open_with = open_with
    return fleet


def most_at_once(backend) -> int:
    """How many requests the backend was answering at the same time, at the most."""
    most, now = 0, set()
    for entry in backend.journal():
        if entry["event"] == "request" and entry["path"] == "/api/generate" and '"prompt"' in entry["body"]:
            now.add(entry["id"])
        elif entry["event"] in ("done", "cancelled"):
            now.discard(entry["id"])
        most = max(most, len(now))
    return most


def ask_of(sidecar, prompt, **more):
    """A request in the background."""
    return Background(ask, sidecar.port, "POST", "/api/generate", {"model": "m", "prompt": prompt, "stream": False, **more}, (), 30)


def test_no_slot_is_given_twice(sidecar, two):
    for name in ("one", "two"):
        two.add(name, tokens=3, token_delay_ms=30)
    two.open_with()
    calls = [ask_of(each, f"p{number}") for number in range(10) for each in (sidecar, two.second)]
    answers = [call.result(30) for call in calls]
    assert [answer.status for answer in answers] == [200] * 20
    assert {most_at_once(backend) for backend in two.backends.values()} == {1}
    assert all(count >= 5 for count in two.counts().values())


def test_a_higher_priority_overtakes_those_of_the_other_proxy(sidecar, two):
    backend = two.add("one", tokens=2, token_delay_ms=150)
    two.open_with()
    first = ask_of(sidecar, "first")
    two.wait_asked("one")
    low = [ask_of(sidecar, f"low{number}", priority=1) for number in range(3)]
    until(lambda: len(json.loads(ask(sidecar.port, "GET", "/health").body)["requests"]) and True, 5, "health")
    sidecar.wait_health(lambda health: health["requests"]["in_flight"] == 4, what="four under way")
    high = ask_of(two.second, "high", priority=9)
    for call in [first, *low, high]:
        assert call.result(30).status == 200
    order = [json.loads(entry["body"])["prompt"] for entry in two.asked("one")]
    assert order[0] == "first" and order.index("high") < 3, order
    assert most_at_once(backend) == 1


def test_without_redis_each_goes_on_and_comes_back(sidecar, two, redis):
    two.add("one", slots=2, tokens=2, token_delay_ms=50)
    two.open_with(timeout="300ms")
    assert ask_of(sidecar, "before").result().status == 200
    redis.kill()
    for each in (sidecar, two.second):
        each.process.wait_log(" redis_away ", timeout=10)
    calls = [ask_of(each, f"p{number}") for number in range(4) for each in (sidecar, two.second)]
    assert [call.result(30).status for call in calls] == [200] * 8
    assert most_at_once(two.backends["one"]) <= 2
    redis.start()
    sidecar.process.wait_log(" redis_up ", timeout=15, since=len(sidecar.process.logged(" redis_away ")))
    assert ask_of(two.second, "after").result().status == 200
