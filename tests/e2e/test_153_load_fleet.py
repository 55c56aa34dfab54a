"""POST /sidecar/models/load and unload before several Ollamas: loaded where it is best, unloaded wherever it is. (R5.3)"""
import os
import signal

import pytest

from client import Background
from fleet import Fleet
from waiting import until

LOAD, UNLOAD = "/sidecar/models/load", "/sidecar/models/unload"


@pytest.fixture
def backends(sidecar):
    """Two that have the model, and one that has another; no proxy."""
    all_of_them = Fleet(sidecar)
    all_of_them.add("one", models="m,only")
    all_of_them.add("two", models="m")
    all_of_them.add("three", models="other")
    return all_of_them


@pytest.fixture
def fleet(backends):
    """… with a proxy before them."""
    backends.open()
    return backends


def post(sidecar, path, model="m", name=None):
    """One request, as the page sends it; at this backend."""
    headers = [("Content-Type", "application/json")] + ([("X-Sidecar-Backend", name)] if name else [])
    return sidecar.ask("POST", path, {"model": model}, headers, timeout=30)


def loaded(fleet) -> set:
    """Which of them have loaded a model, by what they did, not by what the proxy knows."""
    now = set()
    for name, backend in fleet.backends.items():
        last = [entry["event"] for entry in backend.journal() if entry["event"] in ("loaded", "unloaded")][-1:]
        now |= {name} if last == ["loaded"] else set()
    return now


def told(sidecar) -> dict:
    """{backend: what GET /status says that it has loaded}."""
    return {row["name"]: row["loaded"] for row in sidecar.ask("GET", "/status").json["backends"]}


def test_load_goes_where_the_model_is_and_where_it_is_told_to(sidecar, fleet):
    answer = post(sidecar, LOAD, "only")
    assert answer.status == 200 and answer.json["status"] == "success" and answer.header("X-Sidecar-Backend") == "one", answer.body
    assert loaded(fleet) == {"one"}
    answer = post(sidecar, LOAD, "m", "two")
    assert answer.status == 200 and answer.header("X-Sidecar-Backend") == "two" and loaded(fleet) == {"one", "two"}
    answer = post(sidecar, LOAD, "other", "two")
    assert answer.status == 404 and "two" in answer.json["error"]
    assert post(sidecar, LOAD, "none").status == 404


def test_unload_goes_to_each_that_has_it(sidecar, fleet):
    for name in ("one", "two"):
        assert post(sidecar, LOAD, "m", name).status == 200
    until(lambda: told(sidecar) == {"one": ["m:latest"], "two": ["m:latest"], "three": []}, 10, "what is loaded", lambda: told(sidecar))
    answer = post(sidecar, UNLOAD)
    assert (answer.status, answer.json) == (200, {"status": "success"}) and answer.header("Cache-Control") == "no-store"
    assert loaded(fleet) == set()
    until(lambda: told(sidecar) == {"one": [], "two": [], "three": []}, 10, "that nothing is loaded", lambda: told(sidecar))
    assert not fleet.backends["three"].requests("/api/generate")
    assert post(sidecar, UNLOAD).status == 200  # as with one Ollama
    assert sidecar.generate(model="m").status == 200 and loaded(fleet)


def test_unload_goes_to_that_which_is_named_alone(sidecar, fleet):
    for name in ("one", "two"):
        assert post(sidecar, LOAD, "m", name).status == 200
    assert post(sidecar, UNLOAD, "m", "two").status == 200
    assert loaded(fleet) == {"one"}
    refused = post(sidecar, UNLOAD, "m", "four")
    assert refused.status == 400 and "one, two, three" in refused.json["error"]
    for model, name in (("none", None), ("m", "three")):
        refused = post(sidecar, UNLOAD, model, name)
        assert refused.status == 404 and model in refused.json["error"], refused.body


def test_a_drained_one_is_unloaded_too_and_one_that_is_down_is_passed_over(sidecar, fleet):
    for name in ("one", "two"):
        assert post(sidecar, LOAD, "m", name).status == 200
    assert sidecar.ask("POST", "/sidecar/backends/one/drain").status == 200
    fleet.kill("two")
    until(lambda: [row["state"] for row in sidecar.ask("GET", "/status").json["backends"]][1] == "down", 20, "one that is down")
    assert post(sidecar, UNLOAD).status == 200 and "one" not in loaded(fleet)
    refused = post(sidecar, UNLOAD, "m", "two")
    assert refused.status == 503 and refused.header("Retry-After") and "GET /status" in refused.json["error"]


def test_who_does_not_unload_it_is_named(sidecar, backends):
    sidecar.configure("balancer", probe_interval="60s")  # the request is who finds out
    backends.open()
    os.kill(backends.running["two"].pid, signal.SIGSTOP)  # its kept connections stay, or the proxy would see its end at once
    asked = Background(post, sidecar, UNLOAD)
    backends.backends["one"].wait("request", path="/api/generate")
    backends.kill("two")
    refused = asked.result()
    assert refused.status == 502 and refused.json["error"].startswith("the backend two has not unloaded it: "), refused.body
    assert len(backends.backends["one"].requests("/api/generate")) == 1


def test_who_leaves_ends_it(sidecar, fleet):
    fleet.backends["two"].script(hang_everything=True)
    with sidecar.connect() as connection:
        connection.send("POST", UNLOAD, {"model": "m"}, headers=[("Content-Type", "application/json")])
        until(lambda: len(fleet.backends["one"].requests("/api/generate")) == 1, 10, "the other one to be asked")
        assert sidecar.health()["requests"]["in_flight"] == 1
    until(lambda: sidecar.health()["requests"]["in_flight"] == 0, 10, "nobody")
    assert post(sidecar, UNLOAD, "m", "one").status == 200
