"""[backend:NAME] with api = openai, by http: who is chosen, what goes there, what comes back, and that Ollama has nothing to do with it."""
import json

import pytest

from played_backend import CLOSE, END, HANG, RESET, Held, PlayedBackend, head, single
from played_openai import error, event, part
from waiting import until

CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
KEY = "sk-test-0123456789abcdef"


def ask(sidecar, path, body, method="POST", **headers):
    """An answer, read to its end."""
    with sidecar.connect() as connection:
        answer = connection.request(method, path, body, [(name.replace("_", "-"), value) for name, value in headers.items()])
        answer.body  # pylint: disable=pointless-statement
        return answer


@pytest.fixture
def ollama(sidecar):
    """What stands for Ollama: it has the model `local`, and a list of what it was asked."""
    names = ["local:latest"]

    def play(request):
        line = request[0].split(b"\r\n")[0]
        if b"/api/tags" in line:
            return single({"models": [{"name": name, "model": name, "modified_at": "1970-01-01T00:00:05Z"} for name in names]})
        if b"/api/chat" in line:
            return single({"model": "local", "message": {"role": "assistant", "content": "from ollama"}, "done": True, "done_reason": "stop"})
        return single({"error": "model not found"}, status="404 Not Found")
    backend = PlayedBackend(play)
    backend.names = names
    sidecar.configure("proxy", backend=f"http://127.0.0.1:{backend.port}", access_log="json")
    yield backend
    backend.close()


def start(sidecar):
    """A proxy alone, that listens."""
    sidecar.start("ollama-proxy")
    sidecar.process.wait_log(" listening ")


def inferences(ollama):
    """What Ollama was asked for but lists."""
    return [request for request, _ in ollama.requests if b"/api/tags" not in request] + ollama.loads


def test_a_stream_passes_byte_by_byte(sidecar, ollama, openai_backend):
    other = openai_backend(key=KEY, ini={"key": KEY})
    start(sidecar)
    body = {**CHAT, "stream": True, "stream_options": {"include_usage": True}, "unknown": [1e400]}
    text = json.dumps(body).replace("Infinity", "1e400")
    answer = ask(sidecar, "/v1/chat/completions", text.encode(), Authorization="Bearer sk-of-the-client", x_api_key="sk-of-the-client",
                 Cookie="a=b", OpenAI_Organization="org-of-the-client", Content_Type="application/x-www-form-urlencoded")
    assert answer.status == 200 and answer.clean and answer.header("X-Sidecar-Backend") == "other"
    (asked,) = other.journal
    assert asked.body == text.encode() and asked.path == "/v1/chat/completions"
    assert asked.headers["authorization"] == f"Bearer {KEY}" and asked.headers["host"] == f"127.0.0.1:{other.port}"
    assert asked.headers["content-type"] == "application/json" and asked.headers["accept-encoding"] == "identity"
    assert asked.headers["x-request-id"] and "via" in asked.headers
    assert not {"cookie", "openai-organization", "x-api-key"} & set(asked.headers)
    assert b"sk-of-the-client" not in b"".join(raw[0] for raw in other.requests)
    expected = b"".join(step.split(b"\r\n", 1)[1][:-2] for step in other.stream(asked)[1:-1])
    assert answer.body == expected and expected.endswith(b"data: [DONE]\n\n") and b'"total_tokens":5' in expected
    assert sidecar.process.wait_log('"model":"m".*"backend":"other"|"backend":"other".*"model":"m"')
    assert KEY not in sidecar.process.tail(10**6)
    assert not inferences(ollama)


@pytest.mark.parametrize("path, body", [("/v1/chat/completions", CHAT), ("/v1/completions", {"model": "m", "prompt": "hi"}),
                                        ("/v1/embeddings", {"model": "m", "input": ["a", "b"]})])
def test_one_object_passes(sidecar, ollama, openai_backend, path, body):
    other = openai_backend(prefix="/api")
    start(sidecar)
    answer = ask(sidecar, path, body)
    assert answer.status == 200 and answer.clean and answer.json["model"] == "m"
    assert [asked.path for asked in other.journal] == [f"/api{path}"] and other.listed[0].path == "/api/v1/models"
    assert "authorization" not in other.journal[0].headers and not inferences(ollama)


def test_a_url_that_ends_with_v1_is_not_doubled(sidecar, ollama, openai_backend):
    other = openai_backend(prefix="/deep")
    sidecar.configure("backend:other", url=other.url + "/v1/")
    start(sidecar)
    assert ask(sidecar, "/v1/chat/completions", CHAT).status == 200
    assert other.journal[0].path == "/deep/v1/chat/completions"


def test_who_has_a_model(sidecar, ollama, openai_backend):
    first = openai_backend("first", models=["both", "a", "local"])
    second = openai_backend("second", models=["both", "b"])
    third = openai_backend("third", models=["unseen"], ini={"models": "said-*, a"})
    start(sidecar)

    def answered(model):
        return ask(sidecar, "/v1/chat/completions", {**CHAT, "model": model}).header("X-Sidecar-Backend")
    assert [answered(name) for name in ("both", "b", "a", "said-x", "local", "nobodys", "unseen")] == \
        ["first", "second", "third", "third", None, None, None]
    assert [asked.json["model"] for asked in third.journal] == ["a", "said-x"]
    assert len(first.journal) == 1 and len(second.journal) == 1


def test_a_new_model_is_found_when_it_is_asked_for(sidecar, ollama, openai_backend):
    other = openai_backend(models=["m"])
    start(sidecar)
    assert ask(sidecar, "/v1/chat/completions", CHAT).header("X-Sidecar-Backend") == "other"
    other.models.append("new")
    until(lambda: ask(sidecar, "/v1/chat/completions", {**CHAT, "model": "new"}).header("X-Sidecar-Backend") == "other", 10, "the new model")
    before = len(other.listed)
    for _ in range(20):
        ask(sidecar, "/v1/chat/completions", {**CHAT, "model": "nobodys"})
    assert len(other.listed) - before <= 3


def test_a_list_that_does_not_come_holds_nobody_who_does_not_need_it(sidecar, ollama, openai_backend):
    slow = openai_backend("slow", models=["x"], ini={"models": "x"})
    slow.answers["/v1/models"] = [HANG]
    openai_backend("good")
    start(sidecar)
    for model, name in (("x", "slow"), ("m", "good"), ("local", None), ("nobodys", None)):
        answer = sidecar.ask("POST", "/v1/chat/completions", {**CHAT, "model": model}, timeout=2)
        assert answer.header("X-Sidecar-Backend") == name
    listed = ask(sidecar, "/v1/models", None, "GET")  # 3 s
    assert sorted(m["id"] for m in listed.json["data"]) == ["local:latest", "m", "x"]


def test_lists_are_merged(sidecar, ollama, openai_backend):
    openai_backend("first", models=["a/b", "local:latest"])
    openai_backend("second", models=["c", "a/b"])
    openai_backend("third", models=["hidden", "seen-1"], ini={"models": "seen-*, named"})
    start(sidecar)
    listed = ask(sidecar, "/v1/models", None, "GET")
    assert listed.json["object"] == "list" and [(m["id"], m["owned_by"]) for m in listed.json["data"]] == \
        [("local:latest", "library"), ("a/b", "played"), ("c", "played"), ("named", "third"), ("seen-1", "played")]
    one = ask(sidecar, "/v1/models/a%2Fb", None, "GET")
    assert one.json == {"id": "a/b", "object": "model", "created": 1700000000, "owned_by": "played"}
    assert ask(sidecar, "/v1/models/a/b", None, "GET").json == one.json
    assert ask(sidecar, "/v1/models/local", None, "GET").json == {"id": "local", "object": "model", "created": 5, "owned_by": "library"}
    missing = ask(sidecar, "/v1/models/nobodys", None, "GET")
    assert missing.status == 404 and missing.json["error"]["code"] == "model_not_found"


def test_a_key_sees_its_models_only(sidecar, ollama, openai_backend):
    openai_backend(models=["a/b", "seen"])
    sidecar.configure("key:x", secret=KEY, rights="inference, observe", models="seen, local")
    start(sidecar)
    own = {"Authorization": f"Bearer {KEY}"}
    assert [m["id"] for m in ask(sidecar, "/v1/models", None, "GET", **own).json["data"]] == ["local:latest", "seen"]
    assert ask(sidecar, "/v1/models/seen", None, "GET", **own).status == 200
    assert ask(sidecar, "/v1/models/a/b", None, "GET", **own).status == 404
    assert ask(sidecar, "/v1/chat/completions", {**CHAT, "model": "seen"}, **own).header("X-Sidecar-Backend") == "other"
    assert ask(sidecar, "/v1/chat/completions", {**CHAT, "model": "a/b"}, **own).status == 404


def test_errors_of_a_backend_proxy_scenario_27(sidecar, ollama, openai_backend):
    other = openai_backend(key=KEY, ini={"key": KEY})
    start(sidecar)
    path = "/v1/chat/completions"
    for status, more in (("400 Bad Request", ()), ("404 Not Found", ()), ("429 Too Many Requests", ("Retry-After: 7",)), ("500 Oops", ())):
        other.answers[path] = error(status, "just so", "some_kind", "some_code", *more)
        answer = ask(sidecar, path, CHAT)
        assert answer.status == int(status[:3]) and answer.header("Retry-After") == ("7" if more else None)
        assert answer.json == {"error": {"message": "just so", "type": "some_kind", "param": None, "code": "some_code"}}
    other.key = "another"  # ours is not right any more: that is not the client's fault
    answer = ask(sidecar, path, CHAT)
    assert answer.status == 502 and "other" in answer.json["error"]["message"] and "key" in answer.json["error"]["message"]
    assert KEY not in answer.body.decode()


@pytest.mark.parametrize("step, words", [(RESET, "broke off in the middle"), (CLOSE, "broke off in the middle"), (END, "without saying that it is done")])
def test_a_stream_that_breaks_is_told(sidecar, ollama, openai_backend, step, words):
    other = openai_backend()
    other.answers["/v1/chat/completions"] = [head("text/event-stream"), event(part(True, "to")), step]
    start(sidecar)
    answer = ask(sidecar, "/v1/chat/completions", {**CHAT, "stream": True})
    assert not answer.clean and words in answer.body.decode()
    assert answer.body.startswith(event(part(True, "to")).split(b"\r\n", 1)[1][:-2])


def test_one_that_is_not_there(sidecar, ollama, openai_backend):
    other = openai_backend(ini={"models": "m"})
    other.close()
    start(sidecar)
    answer = ask(sidecar, "/v1/chat/completions", CHAT)
    assert answer.status == 502 and "takes no connection" in answer.json["error"]["message"] and "other" in answer.json["error"]["message"]
    (row,) = ask(sidecar, "/health", None, "GET").json["backends"]
    assert row["name"] == "other" and row["state"] == "failed" and row["models_n"] == 1 and "refused" in row["error"]
    assert sidecar.process.tail(10**6).count("backend_failed") == 1
    assert ask(sidecar, "/v1/chat/completions", {**CHAT, "model": "local"}).header("X-Sidecar-Backend") is None


def test_a_lost_answer_is_asked_for_once_more(sidecar, ollama, openai_backend):
    other = openai_backend()
    other.answers["/v1/chat/completions"] = lambda request: [CLOSE] if len(other.journal) == 1 else other.whole(request)
    start(sidecar)
    assert ask(sidecar, "/v1/chat/completions", CHAT).status == 200 and len(other.journal) == 2


def test_heartbeats_and_slots(sidecar, ollama, openai_backend):
    other = openai_backend(ini={"slots": 1})
    sidecar.configure("proxy", heartbeat_after="100ms", heartbeat_interval="100ms")
    held = Held(head("text/event-stream"), event(part(True, "token")), event(part(True, None, "stop")), event(b"[DONE]"), END)
    other.answers["/v1/chat/completions"] = held
    start(sidecar)
    with sidecar.connect() as first, sidecar.connect() as second:
        first.send("POST", "/v1/chat/completions", {**CHAT, "stream": True})
        until(lambda: len(other.journal) == 1, 10, "the first request")
        second.send("POST", "/v1/chat/completions", {**CHAT, "stream": True})
        answers = [first.receive(), second.receive()]
        assert len(other.journal) == 1
        held.go.set()
        for answer in answers:
            assert answer.body.startswith(b": ping\n") and answer.body.endswith(b"data: [DONE]\n\n") and answer.clean


def test_a_client_that_leaves(sidecar, ollama, openai_backend):
    other = openai_backend()
    other.answers["/v1/chat/completions"] = [head("text/event-stream"), event(part(True, "to")), HANG]
    start(sidecar)
    with sidecar.connect() as connection:
        next(connection.request("POST", "/v1/chat/completions", {**CHAT, "stream": True}).pieces())
    until(lambda: other.cuts == 1, 10, "its connection closed")


def test_an_ollama_client_of_such_a_model_is_not_lost(sidecar, ollama, openai_backend):
    openai_backend()
    start(sidecar)
    assert ask(sidecar, "/api/chat", {**CHAT, "model": "local", "stream": False}).json["message"]["content"] == "from ollama"


def test_without_any_ollama(sidecar, openai_backend):
    other = openai_backend()
    sidecar.configure("program:ollama", autostart="no")
    sidecar.start()
    sidecar.process.wait_log(" listening ")
    assert ask(sidecar, "/v1/chat/completions", CHAT).status == 200
    assert [m["id"] for m in ask(sidecar, "/v1/models", None, "GET").json["data"]] == ["m"]
    health = ask(sidecar, "/health", None, "GET")
    assert health.status == 200 and health.json["backends"][0]["state"] == "good"
    assert other.journal and not sidecar.backend.journal("listening")


def test_a_sleeping_ollama_sleeps_on(sidecar, openai_backend):
    openai_backend()
    sidecar.installed = "local"
    sidecar.configure("supervisor", idle_timeout="1s", idle_action="stop")
    sidecar.start()
    sidecar.process.wait_log(" asleep ")
    assert ask(sidecar, "/v1/chat/completions", CHAT).header("X-Sidecar-Backend") == "other"
    listed = [m["id"] for m in ask(sidecar, "/v1/models", None, "GET").json["data"]]
    assert listed[-1] == "m" and listed[0].startswith("local")
    assert "waking" not in sidecar.process.tail(10**6)
