"""R1.1: POST /pull over HTTP: one object, or lines of progress; joined, abandoned, loaded; errors as they are told."""
import hashlib
import json
import os

import pytest

from hub_jobs import wanted
from served import CHAT, refused, served  # noqa: F401
from waiting import until

WEIGHTS = "model.safetensors"


def cdn(content):
    """The place of a model's weights at the hub's CDN, for its faults."""
    return hashlib.sha256(content[WEIGHTS]).hexdigest()


def test_r1_1_a_pull_answers_one_object(served):  # noqa: F811
    content = served.commit()
    served.boot()
    answer = served.pull()
    assert answer.status == 200 and answer.header("Content-Type") == "application/json"
    told = answer.json
    path = told["backend"].pop("local_path")
    assert os.path.isfile(os.path.join(path, "config.json")) and path.startswith(served.folder())
    assert told == {"status": "ok", "model": "org/model", "cached": True,
                    "backend": {"preferred_quantized": False, "size_bytes": sum(map(len, wanted(content).values()))}}
    asked = len(served.hub.asked("/resolve/"))
    assert served.pull(quantize="auto", init=False).json["cached"] is True
    assert len(served.hub.asked("/resolve/")) == asked, "what is there is not downloaded again"


def test_a_pull_may_stream(served):  # noqa: F811
    served.commit()
    served.boot()
    status, lines = served.pull_lines()
    assert status == 200 and lines[0] == {"status": "pulling manifest"}
    assert any(line["status"] == f"pulling {WEIGHTS}" and line["total"] == 40_000 and line["digest"].startswith("sha256:") for line in lines)
    assert lines[-1]["status"] == "success" and lines[-1]["model"] == "org/model" and lines[-1]["cached"] is True
    assert set(lines[-1]["backend"]) == {"local_path", "preferred_quantized", "size_bytes"}
    assert [line["status"] for line in lines].count("success") == 1


def test_q4_is_remembered_as_preferred(served):  # noqa: F811
    served.commit()
    served.boot()
    assert served.pull(quantize="q4").json["backend"]["preferred_quantized"] is True
    assert served.pull(quantize="no").json["backend"]["preferred_quantized"] is False


def test_r1_1_init_also_loads_it(served):  # noqa: F811
    served.commit()
    served.boot()
    answer = served.pull(init=True)
    assert answer.status == 200 and answer.json["loaded"] is True and answer.json["status"] == "ok", answer.body
    assert served.models()["org/model"]["loaded"] is True
    status, lines = served.pull_lines(init=True)
    assert status == 200 and {"status": "loading"} in lines and lines[-1]["loaded"] is True
    assert len(served.engines.starts()) == 1


def test_init_is_told_of_its_load_while_others_want_its_place(served):  # noqa: F811
    served.commit()
    for name in ("other", *range(300)):  # a list takes its time
        served.engines.cache.model(f"org/{name}")
    served.engines.script(load_s=1.2)  # the list of the cache is no fresh one behind that
    served.sidecar.configure("models", max_cache_models="1")
    served.boot()
    served.pull()
    pull = served.sidecar.background("POST", "/pull", {"model": "org/model", "init": True}, timeout=60)
    served.engines.wait("started", timeout=20, model="org/model")
    others = []
    while pull.is_alive() and len(others) < 200:
        others.append(served.sidecar.background("POST", "/chat", {"model": "org/other", **CHAT}, timeout=60))
        others[-1].join(0.02)  # one after the other, and none is waited for
    assert pull.result(60).json["loaded"] is True
    assert [other.result(60).status for other in others] == [200] * len(others)
    assert len(served.engines.journal("started", model="org/model")) == 1


def test_init_that_fails_is_told_and_the_model_is_there(served):  # noqa: F811
    served.commit()
    served.engines.script(exit_while_loading={"code": 1, "says": ["RuntimeError: no room"]})
    served.boot()
    answer = served.pull(init=True)
    text = refused(answer, 503, "load_failed")
    assert text.startswith("it was pulled, but could not be loaded: ") and "no room" in text and int(answer.header("Retry-After")) > 0
    assert served.models()["org/model"]["loaded"] is False


def test_two_who_ask_for_the_same_share_one_job_and_one_who_leaves_ends_nothing(served):  # noqa: F811
    content = served.commit()
    served.hub.fault(cdn(content), host="cdn", hold_after=1000)
    served.boot()
    with served.sidecar.connect(timeout=30) as leaves, served.sidecar.connect(timeout=30) as stays:
        leaves.send("POST", "/pull", {"model": "org/model"})
        assert served.hub.reached.wait(20)
        stays.send("POST", "/pull", {"model": "org/model", "stream": True})
        until(lambda: served.ask("GET", "/health").status == 200, 5, "the proxy goes on")
        leaves.close()
        served.hub.release()
        answer = stays.receive()
        assert answer.status == 200 and list(answer.objects())[-1][1]["status"] == "success"
    assert len(served.hub.asked(cdn(content), host="cdn")) == 1


def test_a_pull_goes_on_when_its_client_leaves(served):  # noqa: F811
    content = served.commit()
    served.hub.fault(cdn(content), host="cdn", hold_after=1000)
    served.boot()
    with served.sidecar.connect(timeout=30) as leaves:
        leaves.send("POST", "/pull", {"model": "org/model"})
        assert served.hub.reached.wait(20)
    served.hub.release()
    until(lambda: "org/model" in served.models(), 20, "the model is there")
    assert served.models()["org/model"]["size_bytes"] > 40_000


def test_heartbeats_keep_who_waits(served):  # noqa: F811
    content = served.commit()
    served.hub.fault(cdn(content), host="cdn", hold_after=1000)
    served.sidecar.configure("proxy", heartbeat_after="100ms", heartbeat_interval="100ms")
    served.boot()
    with served.sidecar.connect(timeout=30) as connection:
        connection.send("POST", "/pull", {"model": "org/model"})
        answer = connection.receive()
        pieces = answer.pieces()
        assert next(pieces)[1] == b" " and next(pieces)[1] == b" "
        served.hub.release()
        whole = b"".join(piece for _, piece in pieces)
        assert answer.status == 200 and json.loads(whole)["status"] == "ok" and answer.clean


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize("case, status, code, word", [
    ("missing", 404, "not_found", "org/model"),
    ("gated", 403, "gated", "org/model"),
    ("limited", 429, "rate_limited", "fewer requests"),
    ("offline", 502, "network", "HF_HUB_OFFLINE"),
    ("unknown token", 401, "unauthorized", "HF_TOKEN"),
])
def test_why_it_can_not_be_pulled(served, case, status, code, word, is_stream):  # noqa: F811
    if case != "missing":
        served.commit()
    if case == "gated":
        served.hub.repositories["org/model"].is_gated = True
    if case == "limited":
        served.hub.fault("/api/models/", times=None, status=429, headers={"Retry-After": "7200"})
    if case == "offline":
        served.sidecar.env["HF_HUB_OFFLINE"] = "1"
    if case == "unknown token":
        served.sidecar.env["HF_TOKEN"] = "hf_nobody"
    served.boot()
    answer = served.pull(stream=is_stream, timeout=120)
    assert word in refused(answer, status, code)
    if case == "limited":
        assert answer.header("Retry-After") == "7200"
    assert served.models() == {}


@pytest.mark.parametrize("where", ["/api/models/.*/tree/", "/resolve/"])
def test_a_hub_that_wants_to_be_asked_later_is_told_at_once_and_not_behind_heartbeats(served, where):  # noqa: F811
    served.commit()
    served.hub.fault(where, times=None, status=429, headers={"RateLimit": '"api";r=0;t=29'})
    served.boot()
    answer = served.pull()
    refused(answer, 429, "rate_limited")
    assert answer.header("Retry-After") == "30"


def test_a_hub_that_wants_a_pause_amid_files_is_waited_for(served):  # noqa: F811
    content = served.commit(weights_n=200_000)
    served.hub.fault(cdn(content), host="cdn", cut_after=70_000)
    pause = served.hub.fault("/resolve/", status=429, headers={"Retry-After": "19"}, when=lambda request: request.range)
    served.boot()
    assert served.pull(timeout=60).json["status"] == "ok" and pause.taken_n == 1


def test_a_key_may_pull_its_models_only(served):  # noqa: F811
    served.sidecar.configure("key:team", secret="sesame-team-0123456789", rights="inference, observe, manage", models="org/model")
    key = [("Authorization", "Bearer sesame-team-0123456789")]
    served.commit()
    served.commit("org/other")
    served.boot()
    assert served.ask("POST", "/pull", {"model": "org/model"}, key).status == 200
    assert "team" in refused(served.ask("POST", "/pull", {"model": "org/other"}, key), 404, "model_not_found")
    assert not served.has("org/other")
    assert served.pull("org/other").status == 200
    assert [row["model"] for row in served.ask("GET", "/models", headers=key).json["models"]] == ["org/model"]
    assert set(served.models()) == {"org/model", "org/other"}
    refused(served.ask("DELETE", "/models/org/other", headers=key), 404, "model_not_found")
    assert served.ask("DELETE", "/models/org/model", headers=key).status == 200


def test_who_may_pull(served):  # noqa: F811
    served.sidecar.configure("key:reader", secret="sesame-read-0123456789", rights="inference, observe")
    served.boot()
    key = [("Authorization", "Bearer sesame-read-0123456789")]
    refused(served.ask("POST", "/pull", {"model": "org/model"}, key), 403, "not_permitted")
    refused(served.ask("POST", "/pull", {"model": "org/model"}, [("Origin", "https://elsewhere.example")]), 403, "foreign_origin")
    answer = served.ask("OPTIONS", "/pull", headers=[("Origin", "http://localhost:3"), ("Access-Control-Request-Method", "POST")])
    assert answer.status == 204 and answer.header("Access-Control-Allow-Methods") == "POST, OPTIONS"
