"""POST /sidecar/models/load and unload: a model is there when load answers, and gone when unload does; whose it is, and who may. (R5.3)"""
import pytest

from test_52_asleep import starts, wait_asleep
from waiting import SLACK, until

LOAD, UNLOAD = "/sidecar/models/load", "/sidecar/models/unload"
JSON = ("Content-Type", "application/json")


def post(sidecar, path, model="m", headers=(JSON,), timeout=20):
    """One request, as the page sends it."""
    return sidecar.ask("POST", path, {"model": model}, headers=headers, timeout=timeout)


def loaded(sidecar) -> list:
    """The models that are loaded."""
    return [model["name"] for model in sidecar.ask("GET", "/api/ps").json["models"]]


def test_a_model_is_loaded_when_load_answers_and_gone_when_unload_does(sidecar):
    sidecar.boot(load_s=0.3)
    answer = post(sidecar, LOAD)
    assert answer.status == 200 and answer.json["status"] == "success" and answer.json["load_ms"] >= 300, answer.body
    assert answer.header("Cache-Control") == "no-store" and answer.header("X-Content-Type-Options") == "nosniff"
    assert loaded(sidecar) == ["m:latest"]
    assert post(sidecar, LOAD).json["status"] == "success" and len(sidecar.backend.journal("loaded")) == 1
    answer = post(sidecar, UNLOAD)
    assert (answer.status, answer.json) == (200, {"status": "success"})
    until(lambda: not loaded(sidecar), 5, "an unloaded model")
    assert post(sidecar, UNLOAD).status == 200


def test_who_waits_for_a_load_gets_heartbeats(sidecar):
    sidecar.configure("proxy", heartbeat_after="200ms", heartbeat_interval="200ms")
    sidecar.boot(load_s=1.5 * SLACK)
    answer = post(sidecar, LOAD, timeout=30)
    assert answer.status == 200 and answer.body.startswith(b" ") and answer.json["status"] == "success", answer.body


def test_what_is_pinned_is_loaded_so_and_unloaded_all_the_same(sidecar):
    sidecar.configure("pin:m", num_ctx="512", keep_alive="1h")
    sidecar.boot()
    assert post(sidecar, LOAD).status == 200
    assert sidecar.backend.journal("loaded")[-1]["options"]["num_ctx"] == 512
    assert post(sidecar, UNLOAD).status == 200
    until(lambda: not loaded(sidecar), 5, "an unloaded model")


def test_mistakes_say_what_to_do(sidecar):
    sidecar.boot()
    answer = post(sidecar, LOAD, "none")
    assert answer.status == 404 and "none" in answer.json["error"], answer.body
    for body in ({}, {"model": 7}, {"model": ""}, []):
        answer = sidecar.ask("POST", LOAD, body, headers=[JSON])
        assert answer.status == 400 and '{"model": "NAME"}' in answer.json["error"], answer.body
    for kind in ("application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x"):
        answer = post(sidecar, LOAD, headers=[("Content-Type", kind)])
        assert answer.status == 415 and "Content-Type: application/json" in answer.json["error"], answer.body
    assert post(sidecar, LOAD, headers=[("Content-Type", "application/json; charset=utf-8")]).status == 200
    assert sidecar.ask("GET", LOAD).status == 405


@pytest.mark.parametrize("path", [LOAD, UNLOAD])
def test_it_takes_the_right_to_manage(sidecar, path):
    sidecar.configure("proxy", trusted_proxies="127.0.0.1")
    sidecar.configure("key:user", secret="sesame-user-0123456789", rights="inference, observe")
    sidecar.configure("key:owner", secret="sesame-owner-0123456789", rights="manage", models="m")
    sidecar.boot(models="m,other")
    stranger = ("X-Forwarded-For", "8.8.8.8")
    assert post(sidecar, path, headers=[JSON, stranger]).status == 401
    assert post(sidecar, path, headers=[JSON, ("Authorization", "Bearer sesame-user-0123456789")]).status == 403
    assert post(sidecar, path, headers=[JSON, ("Origin", "https://evil.example")]).status == 403
    owner = ("Authorization", "Bearer sesame-owner-0123456789")
    assert post(sidecar, path, "other", headers=[JSON, stranger, owner]).status == 404
    assert post(sidecar, path, headers=[JSON, stranger, owner]).status == 200


def test_unload_wakes_nobody_and_load_does(sidecar):
    sidecar.configure("supervisor", idle_action="stop", idle_timeout="300ms")
    sidecar.boot()
    wait_asleep(sidecar)
    assert post(sidecar, UNLOAD).json == {"status": "success"} and starts(sidecar) == 1
    assert post(sidecar, LOAD, timeout=60).status == 200 and starts(sidecar) == 2


def test_a_model_of_the_hub_is_loaded_by_its_engine_and_its_engine_is_stopped(sidecar, engines):
    engines.cache.model("org/name")
    engines.add("one")
    engines.script(load_s=0.3)
    sidecar.boot()
    answer = post(sidecar, LOAD, "org/name", timeout=60)
    assert answer.status == 200 and answer.json["load_ms"] >= 300, answer.body
    assert [i["state"] for i in sidecar.health()["instances"]] == ["ready"]
    assert post(sidecar, UNLOAD, "org/name").json == {"status": "success"}
    until(lambda: not sidecar.health()["instances"], 10, "a stopped engine")
    assert post(sidecar, UNLOAD, "org/name").json == {"status": "success"}


def test_an_engine_that_answers_is_not_stopped(sidecar, engines):
    engines.cache.model("org/name")
    engines.add("one")
    engines.script(tokens=["x"] * 200, token_delay_ms=100)
    sidecar.boot()
    body = {"model": "org/name", "prompt": "x", "stream": True}
    with sidecar.connect() as connection:
        connection.send("POST", "/api/generate", body)
        until(lambda: any(i["in_use"] for i in sidecar.health()["instances"]), 20, "an answer")
        refused = post(sidecar, UNLOAD, "org/name")
    assert refused.status == 409 and "in use" in refused.json["error"]


def test_a_backend_elsewhere_loads_its_models_itself(sidecar, openai_backend):
    openai_backend("cloud", models=["far"])
    sidecar.boot()
    for path in (LOAD, UNLOAD):
        answer = post(sidecar, path, "far")
        assert answer.status == 501 and "cloud" in answer.json["error"], answer.body
