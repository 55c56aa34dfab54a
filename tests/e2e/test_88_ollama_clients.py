"""Ollama's clients at a backend that speaks OpenAI's API: requests and answers translated, lists merged, errors told."""
import base64
import json
import struct
import threading

import pytest

from client import ask as direct
from played_backend import CLOSE, END, HANG, RESET, PlayedBackend, chunk, head, single
from played_openai import error, event, part
from waiting import until

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\6\0\0\0").decode()
HI = [{"role": "user", "content": "hi"}]
CHAT = {"model": "m", "messages": HI}


@pytest.fixture
def ollama(sidecar):
    """What stands for Ollama: it has the model `local`."""
    entry = {"name": "local:latest", "model": "local:latest", "modified_at": "2025-07-01T12:00:00Z", "size": 5, "digest": "d" * 64, "details": {}}

    def play(request):
        first = request[0].split(b"\r\n")[0]
        if b"/v1/models" in first:
            return single({"object": "list", "data": [{"id": "local:latest", "object": "model", "created": 5, "owned_by": "library"}]})
        if b"/api/tags" in first:
            return single({"models": [entry], "more": 12345678901234567890})
        if b"/api/show" in first:
            return single({"template": "of ollama"})
        if b"/api/ps" in first:
            return single({"models": []})
        if b"/api/version" in first:
            return single({"version": "0.9.5"})
        return single({"error": "model not found"}, status="404 Not Found")
    backend = PlayedBackend(play)
    sidecar.configure("proxy", backend=f"http://127.0.0.1:{backend.port}", access_log="json")
    yield backend
    backend.close()


@pytest.fixture
def other(sidecar, ollama, openai_backend):
    """A backend that has the model m, and a proxy before both."""
    backend = openai_backend()
    sidecar.start("ollama-proxy")
    sidecar.process.wait_log(" listening ")
    yield backend
    assert not [head for head, _ in ollama.requests if b" /api/chat" in head or b" /api/generate" in head or b" /api/embed" in head] + ollama.loads


def ask(sidecar, path, body=None, method="POST"):
    """An answer, read to its end."""
    with sidecar.connect() as connection:
        answer = connection.request(method, path, body)
        answer.body  # pylint: disable=pointless-statement
        return answer


def lines(answer):
    """The objects of a stream."""
    assert answer.header("content-type") == "application/x-ndjson" and answer.body.endswith(b"\n")
    return [json.loads(line) for line in answer.body.splitlines()]


def test_a_chat_streams(sidecar, other):
    answer = ask(sidecar, "/api/chat", {**CHAT, "options": {"temperature": 0, "num_predict": 9, "num_ctx": 4096}, "keep_alive": "5m"})
    assert answer.status == 200 and answer.clean and answer.header("x-sidecar-backend") == "other"
    (asked,) = other.journal
    assert asked.path == "/v1/chat/completions"
    assert asked.json == {"model": "m", "stream": True, "stream_options": {"include_usage": True}, "temperature": 0, "max_tokens": 9, "messages": HI}
    *said, last = lines(answer)
    assert [line["message"] for line in said] == [{"role": "assistant", "content": text} for text in ("to", "ken")]
    assert all(line["model"] == "m" and line["created_at"].endswith("Z") and line["done"] is False for line in said)
    assert last["done"] is True and last["done_reason"] == "stop" and last["message"] == {"role": "assistant", "content": ""}
    assert (last["prompt_eval_count"], last["eval_count"]) == (3, 2)
    assert last["total_duration"] >= last["eval_duration"] >= 0 and last["load_duration"] == 0
    assert sidecar.process.wait_log('"model":"m".*"prompt_tokens":3,"generated_tokens":2')


def test_one_object(sidecar, other):
    answer = ask(sidecar, "/api/chat", {**CHAT, "stream": False})
    assert answer.status == 200 and answer.header("content-type") == "application/json" and "stream_options" not in other.journal[0].json
    assert answer.json["message"] == {"role": "assistant", "content": "token"} and answer.json["done"] is True
    assert (answer.json["prompt_eval_count"], answer.json["eval_count"]) == (3, 2)


def test_a_prompt(sidecar, other):
    *said, last = lines(ask(sidecar, "/api/generate", {"model": "m", "prompt": "p", "system": "s", "images": [PNG]}))
    assert [line["response"] for line in said] == ["to", "ken"] and last["response"] == "" and last["done"]
    assert other.journal[0].path == "/v1/chat/completions" and other.journal[0].json["messages"] == [
        {"role": "system", "content": "s"},
        {"role": "user", "content": [{"type": "text", "text": "p"}, {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}]}]
    *said, last = lines(ask(sidecar, "/api/generate", {"model": "m", "prompt": "p", "raw": True}))
    assert [line["response"] for line in said] == ["to", "ken"] and last["done"]
    assert other.journal[1].path == "/v1/completions" and other.journal[1].json["prompt"] == "p"
    answer = ask(sidecar, "/generate", {"model": "m", "prompt": "p", "stream": False})
    assert answer.json["response"] == "token"


def test_tools_both_ways(sidecar, other):
    def call(index, **more):
        return event(part(True, None, tool_calls=[{"index": index, **more}]))
    other.answers["/v1/chat/completions"] = [
        head("text/event-stream"), event(part(True, "", reasoning_content="hm")),
        call(0, id="a", type="function", function={"name": "f", "arguments": ""}), call(0, function={"arguments": '{"n": 12345678901234567890'}),
        call(0, function={"arguments": "}"}), call(1, id="b", function={"name": "g", "arguments": ""}),
        event(part(True, None, "tool_calls")), event(b"[DONE]"), END]
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
    thought, called, last = lines(ask(sidecar, "/api/chat", {**CHAT, "tools": tools}))
    assert thought["message"] == {"role": "assistant", "content": "", "thinking": "hm"}
    calls = called["message"]["tool_calls"]
    assert [call["function"]["name"] for call in calls] == ["f", "g"]
    assert calls[0]["function"]["arguments"] == {"n": 12345678901234567890} and calls[1]["function"]["arguments"] == {}
    assert last["done_reason"] == "stop" and other.journal[0].json["tools"] == tools
    ask(sidecar, "/api/chat", {"model": "m", "messages": [*HI, {"role": "assistant", "content": "", "tool_calls": [
        {"function": {"name": "f", "arguments": {"n": 1}}}]}, {"role": "tool", "tool_name": "f", "content": "2"}]})
    _, calling, answering = other.journal[1].json["messages"]
    assert calling["tool_calls"] == [{"id": "call00000", "type": "function", "function": {"name": "f", "arguments": '{"n": 1}'}}]
    assert answering == {"role": "tool", "content": "2", "tool_call_id": "call00000"}


def test_embeddings(sidecar, other):
    answer = ask(sidecar, "/api/embed", {"model": "m", "input": ["a", "b"]})
    assert answer.json["embeddings"] == [[0.5, -0.25]] * 2 and answer.json["model"] == "m" and answer.json["prompt_eval_count"] == 3
    assert ask(sidecar, "/api/embeddings", {"model": "m", "prompt": "a"}).json == {"embedding": [0.5, -0.25]}
    packed = base64.b64encode(struct.pack("<2f", 1.5, -2)).decode()
    other.answers["/v1/embeddings"] = single({"data": [{"index": 0, "embedding": packed}]})
    assert ask(sidecar, "/api/embed", {"model": "m", "input": "a"}).json["embeddings"] == [[1.5, -2]]


def test_what_only_loads_asks_nobody(sidecar, other):
    for path, body, reason in (("/api/generate", {}, "load"), ("/api/chat", {"messages": []}, "load"), ("/api/generate", {"keep_alive": 0}, "unload")):
        answer = ask(sidecar, path, {"model": "m", **body})
        assert answer.status == 200 and answer.json["done"] is True and answer.json["done_reason"] == reason
    assert not other.journal


def test_mistakes_are_told_at_once(sidecar, other):
    answer = ask(sidecar, "/api/chat", {"model": "m", "messages": [{"role": 1}], "think": 7})
    assert answer.status == 400 and "messages[0].role" in answer.json["error"] and "think" in answer.json["error"]
    answer = ask(sidecar, "/api/generate", {"model": "m", "prompt": "p", "context": [1]})
    assert answer.status == 400 and "/api/chat" in answer.json["error"]
    assert not other.journal


@pytest.mark.parametrize("piece", [1, 7, 50])
def test_events_cut_anywhere_proxy_scenario_29(sidecar, other, piece):
    raw = b"".join(event(part(True, text)).split(b"\r\n", 1)[1][:-2] for text in ("tö", "ken")).replace(b"\n\n", b"\r\n\r\n")
    raw += b": ping\n\n" + event(part(True, None, "stop")).split(b"\r\n", 1)[1][:-2] + b"data: [DONE]\n\n"
    other.answers["/v1/chat/completions"] = [head("text/event-stream"), *(chunk(raw[i:i + piece]) for i in range(0, len(raw), piece)), END]
    answer = ask(sidecar, "/api/chat", CHAT)
    *said, last = lines(answer)
    assert answer.clean and [line["message"]["content"] for line in said] == ["tö", "ken"] and last["done_reason"] == "stop"


def test_one_object_where_a_stream_was_asked_for(sidecar, other):
    other.answers["/v1/chat/completions"] = other.whole
    said, last = lines(ask(sidecar, "/api/chat", CHAT))
    assert said["message"]["content"] == "token" and last["done"] and last["eval_count"] == 2


def test_each_piece_comes_when_it_is_there(sidecar, other):
    steps = other.stream(type("Request", (), {"path": "/v1/chat/completions", "json": {"model": "m"}}))
    other.answers["/v1/chat/completions"] = [*steps[:3], HANG]
    with sidecar.connect() as connection:
        answer = connection.request("POST", "/api/chat", CHAT)
        _, first = next(answer.lines())
        assert json.loads(first)["message"]["content"] == "to"
    until(lambda: other.cuts == 1, 5, "the backend's connection to be closed, as its client has left")


@pytest.mark.parametrize("end, told", [
    (END, "ended its answer without saying that it is done"), (CLOSE, "broke off in the middle"), (RESET, "broke off in the middle"),
    (chunk(b'data: {"error":{"message":"no memory","code":500}}\n\n') + END, "no memory"),
    (chunk(b'error: {"message":"no memory","code":500}\n\n') + END, "no memory"),
    (chunk(b'event: error\ndata: {"message":"no memory","code":500}\n\ndata: [DONE]\n\n') + END, "no memory"),
    (chunk(b"data: [1]\n\n") + END, "an object that is none of OpenAI's")])
def test_ends_are_honest_proxy_scenarios_27_28(sidecar, other, end, told):
    is_seen = threading.Event()
    other.answers["/v1/chat/completions"] = [head("text/event-stream"), event(part(True, "to")), is_seen, end]
    with sidecar.connect() as connection:
        answer = connection.request("POST", "/api/chat", CHAT)
        told_lines = answer.lines()
        assert answer.status == 200 and json.loads(next(told_lines)[1])["message"]["content"] == "to"
        is_seen.set()
        (last,) = [json.loads(line) for _, line in told_lines]
        assert told in last["error"] and not answer.clean


def test_errors_keep_their_status_proxy_scenario_26(sidecar, other):
    other.answers["/v1/chat/completions"] = error("429 Too Many Requests", "slow down")
    answer = ask(sidecar, "/api/chat", CHAT)
    assert answer.status == 429 and answer.json == {"error": "slow down"}
    other.answers["/v1/chat/completions"] = error("429 Too Many Requests", "slow down", "rate_limit", None, "Retry-After: 7")
    answer = ask(sidecar, "/api/chat", CHAT)
    assert answer.status == 429 and answer.header("Retry-After") == "7"
    for body in ({"object": "error", "message": "too long", "code": 400}, {"detail": "too long"}):
        other.answers["/v1/chat/completions"] = single(body, status="400 Bad Request")
        answer = ask(sidecar, "/api/chat", {**CHAT, "stream": False})
        assert answer.status == 400 and answer.json == {"error": "too long"}


def test_what_a_backend_does_not_know_is_left_out(sidecar, other):
    def strict(request):
        odd = [name for name in ("reasoning_effort", "top_k", "repetition_penalty") if name in request.json]
        return error("400 Bad Request", f"Unrecognized request argument supplied: {odd[0]}") if odd else other.stream(request)
    other.answers["/v1/chat/completions"] = strict
    *_, last = lines(ask(sidecar, "/api/chat", {**CHAT, "think": True, "options": {"top_k": 4, "repeat_penalty": 1.1, "top_p": 0.5}}))
    assert last["done"] and len(other.journal) == 3 and other.journal[-1].json["top_p"] == 0.5
    other.journal.clear()
    *_, last = lines(ask(sidecar, "/api/chat", {**CHAT, "options": {"top_k": 4}}))  # one step is enough
    assert last["done"] and len(other.journal) == 2
    other.answers["/v1/chat/completions"] = error("400 Bad Request", "too long")
    other.journal.clear()
    assert ask(sidecar, "/api/chat", {**CHAT, "think": "high"}).json == {"error": "too long"} and len(other.journal) == 2


@pytest.mark.parametrize("heartbeat, beat", [("comment", b" "), ("chunk", b"{")])
def test_heartbeats_proxy_scenario_25(sidecar, ollama, openai_backend, heartbeat, beat):
    backend = openai_backend()
    sidecar.configure("proxy", heartbeat=heartbeat, heartbeat_after="100ms", heartbeat_interval="100ms")
    sidecar.start("ollama-proxy")
    sidecar.process.wait_log(" listening ")
    backend.answers["/v1/chat/completions"] = [HANG]
    with sidecar.connect() as connection:
        answer = connection.request("POST", "/api/chat", CHAT)
        _, first = next(answer.pieces())
        assert answer.status == 200 and first.startswith(beat)
        if heartbeat == "chunk":
            assert json.loads(first)["message"]["content"] == ""
    until(lambda: backend.cuts == 1, 5, "the backend's connection to be closed")


@pytest.mark.parametrize("piece", [{"tool_calls": [{"index": 0, "function": {"arguments": " "}}]}, None])
def test_heartbeats_while_a_call_is_gathered_proxy_scenario_25(sidecar, ollama, openai_backend, piece):
    """A backend that says something all the time, of which its client hears nothing."""
    backend = openai_backend()
    sidecar.configure("proxy", heartbeat="comment", heartbeat_after="100ms", heartbeat_interval="100ms")
    sidecar.start("ollama-proxy")
    sidecar.process.wait_log(" listening ")
    is_heard = threading.Event()

    def steps(request):
        yield from backend.stream(request)[:2]
        while not is_heard.wait(0.02):
            yield chunk(b": working\n\n") if piece is None else event(part(True, **piece))
        yield from backend.stream(request)[2:]
    backend.answers["/v1/chat/completions"] = steps
    with sidecar.connect() as connection:
        pieces = connection.request("POST", "/api/chat", CHAT).pieces()
        assert not next(pieces)[1].strip()
        is_heard.set()
        assert json.loads(b"".join(data for _, data in pieces).splitlines()[-1])["done"]


@pytest.mark.parametrize("path", ["/api/embed", "/v1/embeddings"])
def test_a_large_answer_comes_whole(sidecar, ollama, openai_backend, path):
    """Of an order of its own, and more than a socket takes at once."""
    backend = openai_backend()
    count, vector = 1000, [0.0123456789] * 767
    backend.answers["/v1/embeddings"] = lambda request: single({
        "data": [{"index": i, "embedding": [i, *vector]} for i in reversed(range(count))], "usage": {"prompt_tokens": 3}})
    sidecar.start("ollama-proxy")
    sidecar.process.wait_log(" listening ")
    answer = ask(sidecar, path, {"model": "m", "input": ["x"] * count})
    assert answer.status == 200 and answer.clean and len(answer.body) > 9 << 20
    if path == "/api/embed":
        assert [vector[0] for vector in answer.json["embeddings"]] == list(range(count))


def test_lists_are_merged(sidecar, other, ollama):
    answer = ask(sidecar, "/api/tags", method="GET")
    local, remote = answer.json["models"]
    assert answer.status == 200 and answer.json["more"] == 12345678901234567890 and b"12345678901234567890" in answer.body
    assert local["name"] == "local:latest" and local["digest"] == "d" * 64
    assert remote["name"] == remote["model"] == "m" and len(remote["digest"]) == 64 and remote["modified_at"].startswith("2023-11-14T")
    assert ask(sidecar, "/api/tags", method="GET").body == answer.body
    assert ask(sidecar, "/api/tags", method="HEAD").status == 200
    other.models.append("n")
    until(lambda: "n" in [model["name"] for model in ask(sidecar, "/api/tags", method="GET").json["models"]], 5, "a model that is new there")
    for body in ({"model": "m"}, {"model": "", "system": "", "template": "", "options": None, "name": "m"}):
        shown = ask(sidecar, "/api/show", body).json
        assert shown["capabilities"] == ["completion", "tools"] and shown["details"]["family"] == "played"
    assert ask(sidecar, "/api/show", {"model": "local"}).body == direct(ollama.port, "POST", "/api/show", {"model": "local"}).body
    assert ask(sidecar, "/api/ps", method="GET").json == {"models": []} and ask(sidecar, "/api/version", method="GET").json == {"version": "0.9.5"}


def test_an_ollama_that_is_not_there_keeps_nobody_waiting(sidecar, ollama, other):
    names = lambda: [model["name"] for model in ask(sidecar, "/api/tags", method="GET").json["models"]]  # noqa: E731
    assert names() == ["local:latest", "m"]
    ollama.close()
    for _ in range(3):
        assert names() == ["local:latest", "m"]  # as it said last
    assert lines(ask(sidecar, "/api/chat", CHAT))[-1]["done"]


def test_without_any_ollama(sidecar, openai_backend):
    openai_backend()
    sidecar.configure("program:ollama", command="/nonexistent/ollama", autostart="no", required="no")
    sidecar.start()
    sidecar.process.wait_log(" listening ")
    assert [model["name"] for model in ask(sidecar, "/api/tags", method="GET").json["models"]] == ["m"]
    assert ask(sidecar, "/", method="HEAD").status == 200 and ask(sidecar, "/", method="GET").body == b"Ollama is running"
    assert ask(sidecar, "/api/ps", method="GET").json == {"models": []} and ask(sidecar, "/api/version", method="GET").json["version"]
    assert ask(sidecar, "/api/show", {"model": "m"}).json["capabilities"]
    assert lines(ask(sidecar, "/api/chat", CHAT))[-1]["done"]
    assert not [line for line in sidecar.process.tail(10**6).splitlines() if " wanted " in line]


def test_names_are_as_loose_as_at_ollama(sidecar, ollama, openai_backend):
    other = openai_backend(models=("far:latest", "plain"))
    sidecar.start("ollama-proxy")
    sidecar.process.wait_log(" listening ")
    for name in ("far", "far:latest", "plain:latest"):
        assert lines(ask(sidecar, "/api/chat", {**CHAT, "model": name}))[-1]["model"] == name
    assert [request.json["model"] for request in other.journal] == ["far", "far:latest", "plain:latest"]


def test_lists_are_as_long_as_a_key_may_see(sidecar, ollama, openai_backend):
    openai_backend(models=("m", "secret"))
    sidecar.configure("key:narrow", secret="sk-0123456789abcdef0123456789", models="m", rights="inference, observe")
    sidecar.start("ollama-proxy")
    sidecar.process.wait_log(" listening ")
    headers = [("Authorization", "Bearer sk-0123456789abcdef0123456789")]
    for path, member, name in (("/api/tags", "models", "name"), ("/v1/models", "data", "id")):
        with sidecar.connect() as connection:
            answer = connection.request("GET", path, None, headers)
            assert [model[name] for model in answer.json[member]] == ["m"]
    with sidecar.connect() as connection:
        assert connection.request("POST", "/api/show", {"model": "secret"}, headers).status == 404
