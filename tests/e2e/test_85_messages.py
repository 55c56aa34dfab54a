"""/v1/messages and /v1/responses: passed on to a backend that has them, with ends that are honest; 501 in words where it has not."""
import json
import threading

import pytest

from played_backend import CLOSE, END, HANG, RESET, Held, chunk, head, single
from waiting import SLACK, until

ASK = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}], "input": "x"}
STREAM = {**ASK, "stream": True}
FAST = {"heartbeat_after": "200ms", "heartbeat_interval": "100ms"}
SSE = "text/event-stream"
MESSAGES, RESPONSES = "/v1/messages", "/v1/responses"
EACH = pytest.mark.parametrize("path", [MESSAGES, RESPONSES])


def event(kind: str, **more) -> bytes:
    """One event, framed as both APIs frame it."""
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **more}, separators=(',', ':'))}\n\n".encode()


USAGE = {"input_tokens": 25, "output_tokens": 1}
MESSAGE = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": None, "usage": USAGE}
RESPONSE = {"id": "resp_1", "object": "response", "created_at": 1, "model": "m", "output": [], "status": "in_progress", "parallel_tool_calls": True,
            "tool_choice": "auto", "tools": []}
SAID = {"id": "i", "type": "message", "role": "assistant", "status": "completed", "content": [{"type": "output_text", "text": "token" * 1000,
                                                                                              "annotations": []}]}
BEGIN = {
    MESSAGES: [event("message_start", message=MESSAGE), event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
               event("content_block_delta", index=0, delta={"type": "text_delta", "text": "token"})],
    RESPONSES: [event("response.created", response=RESPONSE, sequence_number=0),
                event("response.output_text.delta", item_id="i", output_index=0, content_index=0, delta="token", logprobs=[], sequence_number=1)],
}
FINISH = {
    MESSAGES: [event("content_block_stop", index=0), event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 5}),
               event("message_stop")],
    RESPONSES: [event("response.completed", sequence_number=2, response={**RESPONSE, "status": "completed", "output": [SAID], "usage": {
        **USAGE, "output_tokens": 5, "total_tokens": 30, "input_tokens_details": {}, "output_tokens_details": {}}})],
}
ENDS = {MESSAGES: "end_turn", RESPONSES: ""}


def steps(*events: bytes, end=END) -> list:
    """A stream of these events, a chunk each."""
    return [head(SSE), *[chunk(data) for data in events], end]


def ask(sidecar, path, body=None, headers=(), method="POST"):
    """An answer, read to its end."""
    with sidecar.connect() as connection:
        answer = connection.request(method, path, (ASK if body is None else body) if method == "POST" else None, headers)
        answer.body  # pylint: disable=pointless-statement
        return answer


def logged(sidecar):
    """The last line of the access log."""
    return json.loads(until(lambda: list(sidecar.process.logged(r'"event":"access"'))[-1:], 5, "the access log")[0])


@EACH
def test_a_stream_passes_byte_by_byte_and_its_usage_is_known(sidecar, before, path):
    backend = before(*steps(*BEGIN[path], *FINISH[path]))
    answer = ask(sidecar, path + "?beta=true", STREAM, [("anthropic-version", "2023-06-01"), ("anthropic-beta", "a-1,b-2"), ("Content-Type", "application/json")])
    assert answer.status == 200 and answer.clean and answer.body == b"".join(BEGIN[path] + FINISH[path])
    asked, sent = backend.requests[0]
    assert asked.startswith(b"POST " + path.encode() + b"?beta=true HTTP/1.1") and json.loads(sent) == STREAM
    assert b"anthropic-version: 2023-06-01" in asked and b"anthropic-beta: a-1,b-2" in asked
    line = logged(sidecar)
    assert (line["prompt_tokens"], line["generated_tokens"], line["ended"], line["model"]) == (25, 5, "done", "m")


@EACH
def test_heartbeats_stand_between_events_only_proxy_scenarios_25_29(sidecar, before, path):
    first, second = BEGIN[path][0], b"".join(BEGIN[path][1:] + FINISH[path])
    beat = b'event: ping\ndata: {"type": "ping"}\n\n' if path == MESSAGES else b": ping\n"
    more, last = threading.Event(), threading.Event()

    def play(request):
        if b"/api/generate" in request[0]:
            last.wait(30 * SLACK)
            return
        yield head(SSE)
        for part, go in ((first, more), (second[:20], last), (second[20:], None)):
            yield chunk(part)
            if go and not go.wait(30 * SLACK):
                return
        yield END

    before(play=play, **FAST)
    with sidecar.connect() as connection, sidecar.connect() as clock:
        pieces = connection.request("POST", path, STREAM).pieces()
        got = b""
        while got.count(beat) < 3:
            got += next(pieces)[1]
        more.set()
        while not got.endswith(second[:20]):
            got += next(pieces)[1]
        beats = got.count(beat)
        assert got == first + beat * beats + second[:20]
        others = clock.request("POST", "/api/generate", STREAM).pieces()  # whose heartbeats are the time that passes
        assert b"".join(next(others)[1] for _ in range(4)).strip() == b""
        last.set()
        assert got + b"".join(data for _, data in pieces) == first + beat * beats + second


BREAKS = {"a reset": RESET, "a close": CLOSE, "no end": END}


@EACH
@pytest.mark.parametrize("name", BREAKS)
def test_a_stream_that_breaks_off_says_so_as_its_api_does_proxy_scenarios_27_28(sidecar, before, path, name):
    before(*steps(*BEGIN[path], end=BREAKS[name]))
    answer = ask(sidecar, path, STREAM)
    sent = b"".join(BEGIN[path])
    assert answer.status == 200 and not answer.clean and answer.body.startswith(sent + b"event: error\ndata: ") and answer.body.endswith(b"\n\n")
    value = json.loads(answer.body[len(sent) + len(b"event: error\ndata: "):])
    assert value["type"] == "error" and "the backend" in value["error"]["message"] and value["error"]["type"] == "api_error"
    if path == RESPONSES:
        assert value["message"] == value["error"]["message"] and value["param"] is None and value["sequence_number"] == 0
    assert logged(sidecar)["ended"] in ("backend_broken", "backend_unfinished")


@EACH
def test_an_error_of_the_backend_s_own_in_a_stream_passes_and_is_no_clean_end_proxy_scenario_28(sidecar, before, path):
    last = event("error", error={"type": "api_error", "message": "boom"}) if path == MESSAGES else event(
        "response.failed", response={**RESPONSE, "status": "failed", "error": {"code": "server_error", "message": "boom"}})
    before(*steps(*BEGIN[path], last))
    answer = ask(sidecar, path, STREAM)
    assert answer.body == b"".join(BEGIN[path]) + last and not answer.clean
    assert logged(sidecar)["ended"] == "backend_error"


NONE = {
    "gin": [head("text/plain", framing="Content-Length: 18", status="404 Not Found"), b"404 page not found"],
    "FastAPI": single({"detail": "Not Found"}, "404 Not Found"),
    "llama-server": single({"error": {"code": 404, "message": "File Not Found", "type": "not_found_error"}}, "404 Not Found"),
    "OpenAI": single({"error": {"message": "Invalid URL (POST /v1/messages)", "type": "invalid_request_error"}}, "404 Not Found"),
    "a method": single({"detail": "Method Not Allowed"}, "405 Method Not Allowed"),
    "nothing": [head("text/plain", framing="Content-Length: 0", status="404 Not Found")],
}


@pytest.mark.parametrize("name", NONE)
def test_a_backend_that_has_it_not_is_501_in_words(sidecar, before, name):
    backend = before(*NONE[name])
    for path in (MESSAGES, RESPONSES, "/v1/messages/count_tokens"):
        answer = ask(sidecar, path, STREAM if path != "/v1/messages/count_tokens" else ASK)
        text = answer.json["error"]["message"]
        assert answer.status == 501 and answer.clean and answer.header("x-should-retry") == "false"
        assert f"the backend at 127.0.0.1:{backend.port} does not have {path}: " in text
        if path == RESPONSES:
            assert answer.json["error"]["code"] == "not_implemented" and "/v1/chat/completions" in text
        else:
            assert answer.json["type"] == "error" and answer.json["error"]["type"] == "api_error"
        assert logged(sidecar)["code"] == "not_implemented"


@EACH
def test_a_backend_beside_ollama_has_it_and_its_tokens_count(sidecar, before, openai_backend, path):
    other = openai_backend(models=["theirs"], key="sk-theirs", ini={"key": "sk-theirs"})
    ollama = before(*NONE["gin"], tokens_per_minute=60)
    other.answers[path + "?beta=true"] = steps(*BEGIN[path], *FINISH[path])
    other.answers["/v1/messages/count_tokens"] = single({"input_tokens": 7})
    headers = [("x-api-key", "sk-of-the-client"), ("anthropic-version", "2023-06-01"), ("anthropic-beta", "a-1")]
    answer = ask(sidecar, path + "?beta=true", {**STREAM, "model": "theirs"}, headers)
    assert answer.status == 200 and answer.clean and answer.body == b"".join(BEGIN[path] + FINISH[path])
    (asked,) = other.journal
    assert asked.headers["authorization"] == "Bearer sk-theirs" and "x-api-key" not in asked.headers
    assert (asked.headers["anthropic-version"], asked.headers["anthropic-beta"]) == ("2023-06-01", "a-1")
    line = logged(sidecar)
    assert (line["backend"], line["prompt_tokens"], line["generated_tokens"]) == ("other", 25, 5)
    count = ask(sidecar, "/v1/messages/count_tokens", {**ASK, "model": "theirs"})
    assert count.json == {"input_tokens": 7} and count.header("x-ratelimit-remaining-tokens") in ("30", "31")
    assert not [head for head, _ in ollama.requests if b"/v1/me" in head or b"/v1/resp" in head]
    other.answers.clear()
    answer = ask(sidecar, path, {**STREAM, "model": "theirs"})
    assert answer.status == 501 and f"the backend other at 127.0.0.1:{other.port} does not have {path}" in answer.json["error"]["message"]


def test_a_key_for_some_models_counts_tokens_of_those(sidecar, before):
    sidecar.configure("key:alice", secret="alice-s-own-key-16", models="mine")
    backend = before(*single({"input_tokens": 7}))
    for model, status in (("mine", 200), ("m", 404), ("mine:latest", 200)):
        for path in (MESSAGES, RESPONSES, "/v1/messages/count_tokens"):
            assert ask(sidecar, path, {**ASK, "model": model}, [("x-api-key", "alice-s-own-key-16")]).status == status, path
    assert all(json.loads(body)["model"].startswith("mine") for _, body in backend.requests) and len(backend.requests) == 6


def test_what_is_not_there_of_a_backend_that_has_it_stays_a_404(sidecar, before):
    for message in ("model 'm' not found", "Response with id 'x' not found."):
        before(*single({"error": {"message": message, "type": "not_found_error"}}, "404 Not Found"))
        openai_s, anthropic_s = ask(sidecar, RESPONSES), ask(sidecar, MESSAGES)
        assert openai_s.status == anthropic_s.status == 404
        assert openai_s.json["error"]["message"] == anthropic_s.json["error"]["message"] == message
        assert anthropic_s.json["type"] == "error" and anthropic_s.json["error"]["type"] == "not_found_error"
        sidecar.stop()


def test_501_behind_a_heartbeat_is_told_in_the_stream_proxy_scenario_26(sidecar, before):
    play = Held(*NONE["gin"])
    before(play=play, **FAST)
    with sidecar.connect() as connection:
        answer = connection.request("POST", MESSAGES, STREAM)
        pieces = answer.pieces()
        assert next(pieces)[1].startswith(b"event: ping\n")
        play.go.set()
        got = b"".join(data for _, data in pieces)
    value = json.loads(got[got.index(b"event: error\ndata: ") + 19:])
    assert value["type"] == "error" and "does not have /v1/messages" in value["error"]["message"] and not answer.clean


def test_anthropic_s_types_of_errors(sidecar, before):
    before(HANG, max_body="1K", max_queue=0, slots=1, requests_per_minute=3)
    for status, kind, body, method in ((413, "request_too_large", b"x" * 2000, "POST"), (405, "invalid_request_error", None, "GET")):
        answer = ask(sidecar, MESSAGES, body, method=method)
        assert (answer.status, answer.json["type"], answer.json["error"]["type"]) == (status, "error", kind)
    with sidecar.connect() as first:
        first.send("POST", MESSAGES, ASK)
        sidecar.wait_health(lambda health: health["requests"]["in_flight"] == 1)
        for status, kind in ((503, "overloaded_error"), (503, "overloaded_error"), (429, "rate_limit_error")):
            answer = ask(sidecar, MESSAGES)
            assert (answer.status, answer.json["type"], answer.json["error"]["type"]) == (status, "error", kind)
            assert answer.header("Retry-After")
    answer = ask(sidecar, "/v1/responses/resp_1", method="GET")
    assert answer.status == 404 and "responses are not kept" in answer.json["error"]["message"]
    answer = ask(sidecar, "/v1/messages/batches")
    assert (answer.status, answer.json["error"]["type"]) == (404, "not_found_error")


def test_openai_s_client_reads_a_response_through_heartbeats_proxy_scenario_25(sidecar, openai, before):
    play = Held(*steps(*BEGIN[RESPONSES], *FINISH[RESPONSES]))
    before(play=play, **FAST)
    with openai.OpenAI(base_url=f"http://127.0.0.1:{sidecar.port}/v1", api_key="none", max_retries=0, timeout=30 * SLACK) as client:
        stream = client.responses.create(model="m", input="x", stream=True)
        play.go.set()
        got = list(stream)
    assert [value.type for value in got] == ["response.created", "response.output_text.delta", "response.completed"]
    assert got[-1].response.output_text == "token" * 1000 and got[-1].response.usage.input_tokens == 25


def test_openai_s_client_raises_what_breaks_off_proxy_scenario_27(sidecar, openai, before):
    before(*steps(*BEGIN[RESPONSES], end=RESET))
    with openai.OpenAI(base_url=f"http://127.0.0.1:{sidecar.port}/v1", api_key="none", max_retries=0, timeout=30 * SLACK) as client:
        with pytest.raises(openai.APIError) as caught:
            list(client.responses.create(model="m", input="x", stream=True))
    assert "broke off" in caught.value.message


def test_openai_s_client_tries_no_501_again(sidecar, openai, before):
    backend = before(*NONE["gin"])
    with openai.OpenAI(base_url=f"http://127.0.0.1:{sidecar.port}/v1", api_key="none", max_retries=2, timeout=30 * SLACK) as client:
        with pytest.raises(openai.APIStatusError) as caught:
            client.responses.create(model="m", input="x")
    assert caught.value.status_code == 501 and caught.value.code == "not_implemented" and len(backend.requests) == 1
