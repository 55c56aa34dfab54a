"""The model server's routes: bad input, and who asks where nobody serves models."""
import os

import pytest

from served import CHAT, refused, served  # noqa: F401
from waiting import until

ROUTES = [("POST", "/pull", {"model": "org/name"}), ("POST", "/chat", {"model": "org/name", "messages": []}), ("GET", "/models", None),
          ("DELETE", "/models/org/name", None), ("DELETE", "/models/org%2Fname", None)]


@pytest.mark.parametrize("method, path, body", ROUTES)
def test_where_nobody_serves_models_it_is_said_what_would(sidecar, method, path, body):
    sidecar.boot(tokens=1)
    assert "[models] serve" in refused(sidecar.ask(method, path, body), 501, "not_served")
    assert sidecar.ask("GET", "/status").json["queue"]["waiting"] == 0
    assert sidecar.backend.requests(path) == []


@pytest.mark.parametrize("path, method, allow", [
    ("/pull", "GET", "POST, OPTIONS"), ("/chat", "GET", "POST, OPTIONS"), ("/models", "POST", "GET, HEAD, OPTIONS"), ("/models/a/b", "GET", "DELETE, OPTIONS")])
def test_a_wrong_method_is_told_the_right_ones(sidecar, path, method, allow):
    sidecar.boot(tokens=1)
    answer = sidecar.ask(method, path)
    assert refused(answer, 405, "wrong_method") and answer.header("Allow") == allow


@pytest.mark.parametrize("path", ["/models/", "/models/a%2f", "/models/%2e%2e/x", "/chat/", "/chat/completions"])
def test_what_is_no_path_is_refused_in_the_same_words_as_all_else_here(sidecar, path):
    sidecar.boot(tokens=1)
    answer = sidecar.ask("DELETE", path)
    assert answer.status in (400, 404) and answer.json["error"] == answer.json["detail"]


def test_a_proxy_that_runs_alone_says_why_it_serves_none(sidecar, before):
    sidecar.configure("models", serve="yes")
    before()
    for method, path, body in ROUTES:
        assert "this proxy runs alone" in refused(sidecar.ask(method, path, body), 501, "not_served")


PULLS = [
    ({}, "model: missing"), ({"model": None}, "model: missing"), ({"model": 7}, "model: must be a string, not a number"), ({"model": ""}, "model: "),
    ({"model": "--trust-remote-code"}, "model: "), ({"model": "org/--x"}, "model: "), ({"model": "../../etc/passwd"}, "model: "),
    ({"model": "org/.."}, "model: "), ({"model": "/etc"}, "model: "), ({"model": "org/na me"}, "model: "), ({"model": "a/b/c"}, "model: "),
    ({"model": "https://huggingface.co/org/name"}, "model: "), ({"model": "hf.co/org/name"}, "model: "), ({"model": "org/name:q4"}, "model: "),
    ({"model": "org/na\0me"}, "model: "), ({"model": "org/n\u00e4me"}, "model: "), ({"model": "o" * 97 + "/x"}, "model: "), ({"model": "x" * 5000}, "model: "),
    ({"model": "a/b", "quantize": "int8"}, 'quantize: must be "auto"'), ({"model": "a/b", "quantize": 4}, "quantize: "),
    ({"model": "a/b", "init": "false"}, "init: must be true or false, not a string"), ({"model": "a/b", "stream": 1}, "stream: "),
    ({"model": "a/b", "revision": "../x"}, "revision: "), ({"model": "a/b", "revision": ["main"]}, "revision: "),
    (b"", "the body is no JSON object"), (b"[]", "the body is no JSON object"), (b"\xff\xfe{\0}\0", "the body is no JSON object"),
    (b'{"model":"a/b"} {}', "the body is no JSON object: what stands at byte 16"), (b'{"model":"a/b"', "the body is no JSON object"),
    (b'{"model":' + b"[" * 100_000 + b"]" * 100_000 + b"}", None), (b'{"model":"a/b","pad":"' + b"x" * 70_000 + b'"}', None),
]
CHATS = [
    ({"messages": [{"role": "user", "content": "x"}]}, 400), ({"model": 7, **CHAT}, 400), ({"model": "", **CHAT}, 400), (b"", 400), (b"[]", 400), (b"{", 400),
    ({"model": "org/model"}, 400), ({"model": "org/model", "messages": []}, 400), ({"model": "org/model", "messages": None}, 400),
    ({"model": "org/model", "messages": "hi"}, 400), ({"model": "org/model", "messages": ["hi"]}, 400),
    ({"model": "org/model", "messages": [{"content": "x"}]}, 400), ({"model": "org/model", "messages": [{"role": "user", "content": 7}]}, 400),
    ({"model": "org/model", **CHAT, "max_tokens": 0}, 400), ({"model": "org/model", **CHAT, "max_tokens": -1}, 400),
    ({"model": "org/model", **CHAT, "temperature": "hot"}, 400), ({"model": "org/model", **CHAT, "stream": "false"}, 400),
    ({"model": "org/model", **CHAT, "stop": {}}, 400), ({"model": "org/other", **CHAT}, 404), ({"model": "--help", **CHAT}, 404),
    ({"model": "../model", **CHAT}, 404), ({"model": "ORG/MODEL/x", **CHAT}, 404), ({"model": "x" * 5000, **CHAT}, 400),
]
NAMES = ["--help", "a/b/c", "org/na%22me", "org/name:q4", "a" * 97, "a" * 5000, "org/.name", "org/name.", "a--b"]


@pytest.fixture(name="input_server")
def fixture_input_server(served):  # noqa: F811
    served.engines.cache.model("org/model")
    return served.boot()


def test_what_is_no_pull_is_refused_with_its_place(input_server):
    for body, text in PULLS:
        answer = input_server.ask("POST", "/pull", body)
        if text:
            assert refused(answer, 400, "invalid_request").startswith(text), (body, answer.body)
        else:
            assert answer.status in (400, 413) and answer.json["error"] == answer.json["detail"]
    assert not input_server.hub.requests and os.listdir(input_server.engines.cache.path) == ["models--org--model"]


def test_what_is_no_chat_is_refused_before_anything_is_started(input_server):
    for body, status in CHATS:
        answer = input_server.ask("POST", "/chat", body)
        assert answer.status == status and answer.json["error"] == answer.json["detail"], (body, answer.body)
    assert not input_server.engines.starts()


def test_what_is_no_models_name_is_not_removed(input_server):
    for name in NAMES:
        answer = input_server.ask("DELETE", "/models/" + name)
        assert answer.status in (400, 404) and answer.json["error"] == answer.json["detail"], (name, answer.body)
    assert "org/model" in input_server.models()


def test_every_mistake_is_told_at_once(input_server):
    text = refused(input_server.ask("POST", "/pull", {"model": 7, "quantize": 7, "init": 7, "stream": 7, "revision": 7}), 400, "invalid_request")
    assert [word for word in ("model:", "quantize:", "init:", "stream:", "revision:") if word not in text] == []


def test_too_many_pulls_at_once_are_told_when_to_come_again(input_server):
    hub = input_server.hub
    for number in range(4):
        input_server.commit(f"org/m{number}", seed=number + 1)
    hub.fault("/api/models/", times=3, hold_after=1)
    calls = [input_server.sidecar.background("POST", "/pull", {"model": f"org/m{number}"}, timeout=60) for number in range(3)]
    until(lambda: len(hub.asked("/api/models/")) >= 3, 20, "three pulls are under way")
    answer = input_server.pull("org/m3")
    assert "too many" in refused(answer, 503, "busy") and answer.header("Retry-After") == "5"
    hub.release()
    assert [call.result().status for call in calls] == [200] * 3
    assert input_server.pull("org/m3").status == 200
