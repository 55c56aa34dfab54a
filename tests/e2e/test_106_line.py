"""The line before several Ollamas: who is next, whose model stays, and that options do not make a model load again."""
import json
from contextlib import contextmanager

import pytest

from client import Background
from fleet import Fleet


@pytest.fixture
def fleet(sidecar):
    """Nobody yet."""
    return Fleet(sidecar)


def prompts(fleet, name="one"):
    """In the order in which they were asked."""
    return [json.loads(entry["body"])["prompt"] for entry in fleet.asked(name)]


@contextmanager
def occupied(sidecar, fleet, model="m", **script):
    """The only slot is taken meanwhile; the script is for those behind it."""
    backend = fleet.backends["one"]
    backend.script(tokens=2, token_delay_ms=1, hang_after_tokens=1)
    with sidecar.connect(timeout=60) as connection:
        connection.send("POST", "/api/generate", {"model": model, "prompt": "first"})
        backend.wait("first_token")
        backend.script(**script)
        yield


def line_up(sidecar, *requests):
    """Each stands in line before the next one comes: nobody is served meanwhile."""
    calls, before = [], sidecar.health()["requests"]["in_flight"]
    for number, (body, *headers) in enumerate(requests):
        calls.append(Background(sidecar.ask, "POST", "/api/generate", {"model": "m", "stream": False, **body}, headers, 60))
        sidecar.wait_health(lambda health, wanted=before + number + 1: health["requests"]["in_flight"] == wanted, what="one more under way")
    return calls


def test_one_of_high_priority_goes_before_ten_of_low_proxy_scenario_34(sidecar, fleet):
    fleet.add("one")
    fleet.open()
    with occupied(sidecar, fleet, tokens=1):
        calls = line_up(sidecar, *[({"prompt": f"low{number}", "priority": 1},) for number in range(10)], ({"prompt": "high", "priority": 9},))
    assert [call.result(30).status for call in calls] == [200] * 11
    assert prompts(fleet) == ["first", "high"] + [f"low{number}" for number in range(10)]


def test_one_of_low_priority_does_not_starve_proxy_scenario_34(sidecar, fleet):
    """While others of a higher one keep coming, it is served when it has waited for as long as it is behind by ageing."""
    fleet.add("one", tokens=1, first_token_delay_ms=100)
    sidecar.configure("balancer", ageing="500ms")
    fleet.open()
    for _ in range(20):
        sidecar.generate(prompt="how long it takes is learnt")

    def keep_coming(name):
        number = 0
        while "low" not in prompts(fleet) and number < 60:
            assert sidecar.generate(prompt=f"{name}{number}").status == 200
            number += 1
    others = [Background(keep_coming, name) for name in ("a", "b", "c")]
    fleet.wait_asked("one", 23)
    low = sidecar.generate(prompt="low", priority=3)
    for other in others:
        other.result(60)
    assert low.status == 200 and 500 < int(low.header("X-Sidecar-Queue-Ms")) < 6000
    assert prompts(fleet).index("low") > 26, "others went first"


def test_priorities_count_before_anything_is_learnt(sidecar, fleet):
    """Ten of the same client, of a model of which nobody knows how long its answers are, go before one of a lower priority that came first."""
    fleet.add("one")
    fleet.open()
    with occupied(sidecar, fleet, tokens=1):
        calls = line_up(sidecar, ({"prompt": "low", "priority": 3},), *[({"prompt": f"usual{number}"},) for number in range(9)])
    assert [call.result(30).status for call in calls] == [200] * 10
    assert prompts(fleet) == ["first"] + [f"usual{number}" for number in range(9)] + ["low"]


def test_who_floods_does_not_delay_another_key(sidecar, fleet):
    """Two keys of the same priority take turns, however many requests one of them has in line."""
    fleet.add("one", tokens=1)
    for name in ("greedy", "modest"):
        sidecar.configure(f"key:{name}", secret=f"sk-{name}-0123456789abcdef")
    fleet.open()
    greedy, modest = (("Authorization", f"Bearer sk-{name}-0123456789abcdef") for name in ("greedy", "modest"))
    with occupied(sidecar, fleet, tokens=1):
        calls = line_up(sidecar, *[({"prompt": f"greedy{number}"}, greedy) for number in range(8)], ({"prompt": "modest"}, modest))
    assert [call.result(60).status for call in calls] == [200] * 9
    assert prompts(fleet).index("modest") <= 3


def test_two_models_in_turn_of_which_one_fits_proxy_scenario_35(sidecar, fleet):
    """Requests for them alternate; they are answered model by model: the other one takes its place once in a residency at the most."""
    backend = fleet.add("one", "a,b", loaded_at_most=1)
    sidecar.configure("balancer", min_residency="2s")
    fleet.open()
    with occupied(sidecar, fleet, "a", tokens=1, first_token_delay_ms=50, load_s=0.3, loaded_at_most=1):
        calls = line_up(sidecar, *[({"model": "ab"[number % 2], "prompt": f"p{number}"},) for number in range(16)])
    assert [call.result(60).status for call in calls] == [200] * 16
    loads = [entry["model"] for entry in backend.journal("loaded")]
    assert loads == ["a:latest", "b:latest"]


def test_other_options_load_the_model_once_proxy_scenario_36(sidecar, fleet):
    backend = fleet.add("one", tokens=1)
    fleet.open()
    for options in ({"num_ctx": 8192}, {}, {"num_ctx": 8192}, {"num_ctx": 4096}):
        assert sidecar.generate(options=options).status == 200
    assert len(backend.journal("loaded")) == 1
