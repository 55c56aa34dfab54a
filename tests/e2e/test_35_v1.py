"""/v1 is translated onto Ollama's own API: what is asked of it, what comes back, and how each failure looks."""
import json

import pytest

from played_backend import BROKEN, CLOSE, END, HANG, RESET, Held, chunk, head, single
from waiting import until

CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
TEXT = {"model": "m", "prompt": "hi"}
EMBED = {"model": "m", "input": ["a", "b"]}
BOTH = pytest.mark.parametrize("path, body", [("/v1/chat/completions", CHAT), ("/v1/completions", TEXT)])


def line(text, done=False, **more):
    """A line of Ollama's that is both of /api/chat and /api/generate."""
    return json.dumps({"model": "m", "created_at": "2026-01-01T00:00:00Z", "message": {"role": "assistant", "content": text},
                       "response": text, **more, "done": done}, separators=(",", ":")).encode() + b"\n"


LAST = line("", True, done_reason="stop", total_duration=9, prompt_eval_count=3, eval_count=2)
GOOD = [head(), chunk(line("to")), chunk(line("ken")), chunk(LAST), END]


def ask(sidecar, path, body):
    """An answer, read to its end."""
    with sidecar.connect() as connection:
        answer = connection.request("POST", path, body)
        answer.body  # pylint: disable=pointless-statement
        return answer


def events(answer):
    """The objects of a stream of events, which ends with [DONE]."""
    assert answer.header("Content-Type") == "text/event-stream"
    pieces = answer.body.decode().split("\n\n")
    assert pieces[-1] == "" and pieces[-2] == "data: [DONE]"
    assert all(piece.startswith("data: ") for piece in pieces[:-1])
    return [json.loads(piece[6:]) for piece in pieces[:-2]]


def said(objects):
    """The text of a stream."""
    choices = [choice for value in objects for choice in value["choices"]]
    return "".join(choice.get("text") or choice.get("delta", {}).get("content") or "" for choice in choices)


@BOTH
def test_a_stream(sidecar, before, path, body):
    backend = before(*GOOD)
    answer = ask(sidecar, path, {**body, "stream": True, "stream_options": {"include_usage": True}})
    assert answer.status == 200 and answer.clean and answer.header("X-Accel-Buffering") == "no"
    objects = events(answer)
    assert said(objects) == "token"
    assert len({value["id"] for value in objects}) == 1 and objects[0]["id"].startswith("c")
    assert len({value["created"] for value in objects}) == 1 and {value["model"] for value in objects} == {"m"}
    reasons = [value["choices"][0]["finish_reason"] for value in objects if value["choices"]]
    assert reasons[-1] == "stop" and not any(reasons[:-1])
    assert objects[-1]["choices"] == [] and objects[-1]["usage"] == {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    (asked, sent), = backend.requests
    assert asked.startswith(b"POST /api/chat HTTP/1.1" if path.endswith("chat/completions") else b"POST /api/generate HTTP/1.1")
    assert json.loads(sent)["stream"] is True


@BOTH
def test_one_object(sidecar, before, path, body):
    backend = before(*single(json.loads(line("token", True, done_reason="length", prompt_eval_count=3, eval_count=2))))
    answer = ask(sidecar, path, body)
    assert answer.status == 200 and answer.clean and answer.header("Content-Length")
    (choice,) = answer.json["choices"]
    assert (choice.get("text") or choice["message"]["content"]) == "token" and choice["finish_reason"] == "length"
    assert answer.json["usage"]["total_tokens"] == 5
    assert json.loads(backend.requests[0][1])["stream"] is False


def test_embeddings(sidecar, before):
    backend = before(*single({"model": "m", "embeddings": [[0.5, -1e-7], [1, 2]], "prompt_eval_count": 4}))
    answer = ask(sidecar, "/v1/embeddings", EMBED)
    assert [item["embedding"] for item in answer.json["data"]] == [[0.5, -1e-7], [1, 2]]
    assert [item["index"] for item in answer.json["data"]] == [0, 1] and answer.json["usage"]["prompt_tokens"] == 4
    assert backend.requests[0][0].startswith(b"POST /api/embed HTTP/1.1")


def test_tokens_leave_as_they_come(sidecar):
    sidecar.boot(tokens=3, token_delay_ms=200)
    with sidecar.connect() as connection:
        answer = connection.request("POST", "/v1/chat/completions", {**CHAT, "stream": True})
        times = [when for when, data in answer.pieces() if b'"content":' in data]
        assert times[-1] - times[0] > 0.25


def test_pins_hold_here_too(sidecar):
    sidecar.configure("pin:m", num_ctx="4096")
    sidecar.boot(tokens=1)
    for path, asked, body in (("/v1/chat/completions", "/api/chat", CHAT), ("/v1/completions", "/api/generate", TEXT),
                              ("/v1/embeddings", "/api/embed", EMBED)):
        before_n = len(sidecar.backend.requests(asked))
        assert ask(sidecar, path, body).status == 200
        seen = json.loads(sidecar.backend.requests(asked)[-1]["body"])
        assert len(sidecar.backend.requests(asked)) > before_n
        assert seen["options"]["num_ctx"] == 4096 and seen["options"]["use_mmap"] is True


def test_steps_of_thinking_are_a_hint(sidecar, before):
    def play(request):
        return single({"error": "invalid think value"}, "400 Bad Request") if b'"think"' in request[1] else GOOD
    backend = before(play=play)
    for effort in ("high", "none"):
        answer = ask(sidecar, "/v1/chat/completions", {**CHAT, "stream": True, "reasoning_effort": effort})
        if effort == "high":
            assert said(events(answer)) == "token"
        else:  # said by who wants none of it
            assert answer.status == 400
    assert [json.loads(body).get("think") for _, body in backend.requests] == ["high", None, False]
    assert "think" not in backend.requests[1][1].decode()


# failures

def error_of(answer):
    """The text of a whole error object."""
    assert answer.clean and set(answer.json) == {"error"} and {"message", "type", "param", "code"} <= set(answer.json["error"])
    return answer.json["error"]["message"]


@pytest.mark.parametrize("path, body", [("/v1/chat/completions", {"model": "m", "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}, {}]}),
                                        ("/v1/completions", {"model": "m", "prompt": [1, 2]}), ("/v1/embeddings", {"model": "m", "input": 3}),
                                        ("/v1/chat/completions", b"no json"), ("/v1/completions", b"")])
def test_a_request_that_is_wrong_never_reaches_the_backend(sidecar, before, path, body):
    backend = before(*GOOD)
    answer = ask(sidecar, path, body)
    assert answer.status == 400 and error_of(answer) and answer.json["error"]["type"] == "invalid_request_error"
    assert not backend.requests


@pytest.mark.parametrize("stream", [True, False])
@BOTH
def test_an_error_keeps_its_status_and_gets_this_api_s_shape(sidecar, before, path, body, stream):
    before(*single({"error": "model 'm' not found"}, "404 Not Found"))
    answer = ask(sidecar, path, {**body, "stream": stream})
    assert answer.status == 404 and error_of(answer) == "model 'm' not found"
    assert answer.json["error"]["type"] == "not_found_error"


@BOTH
def test_an_error_in_the_first_line_gets_a_status(sidecar, before, path, body):
    before(head(), chunk(b'{"error":"out of memory"}\n'), END)
    answer = ask(sidecar, path, {**body, "stream": True})
    assert answer.status == 500 and error_of(answer) == "out of memory"


@pytest.mark.parametrize("name", BROKEN)
@BOTH
def test_a_failure_among_tokens_is_an_error_and_no_clean_end_proxy_scenario_28(sidecar, before, name, path, body):
    steps, words, ended = BROKEN[name]
    play = Held(*steps)
    play.steps = [head(), chunk(line("to")), *play.steps]
    before(play=play)
    with sidecar.connect() as connection:
        answer = connection.request("POST", path, {**body, "stream": True})
        pieces = answer.pieces()
        assert answer.status == 200 and b'"to"' in next(pieces)[1]
        play.go.set()
        tail = b"".join(data for _, data in pieces)
        assert not answer.clean and tail.startswith(b"data: ") and tail.endswith(b"\n\n")
    error = json.loads(tail[6:])["error"]
    assert error["message"].startswith(words) and error["type"] == "api_error"

    def entry():
        return [json.loads(text) for text in sidecar.process.log if '"event":"access"' in text]
    assert until(entry, 5, "an access line", sidecar.process.tail)[0]["ended"] == ended


@BOTH
def test_one_object_that_breaks_off(sidecar, before, path, body):
    before(head("application/json", framing="Content-Length: 500"), line("to"), CLOSE)
    answer = ask(sidecar, path, body)
    assert answer.status == 502 and "broke off" in error_of(answer)


@pytest.mark.parametrize("status", ["201 Created", "204 No Content", "304 Not Modified", "307 Temporary Redirect"])
@pytest.mark.parametrize("path, body", [("/v1/chat/completions", CHAT), ("/v1/completions", TEXT), ("/v1/embeddings", EMBED)])
def test_a_status_that_is_no_error_is_none_to_tell_one_with(sidecar, before, status, path, body):
    code = status.split()[0]
    before(head("application/json", framing="" if code in ("204", "304") else "Content-Length: 0", status=status))
    with sidecar.connect() as connection:
        answer = connection.request("POST", path, body)
        answer.body  # pylint: disable=pointless-statement
        assert answer.status == 502 and error_of(answer) == f"the backend answered with status {code}"
        assert answer.json["error"]["type"] == "api_error"
        assert connection.request("GET", "/live").json == {"status": "ok"}  # no byte was left over


@BOTH
def test_nothing_comes_behind_the_end(sidecar, before, path, body):
    backend = before(*GOOD)
    for tail in ([chunk(b'{"error":"late"}\n'), END], [chunk(line("x") + LAST), END], [RESET]):
        backend.play = lambda request, tail=tail: [head(), chunk(line("to")), chunk(line("ken")), chunk(LAST), *tail]
        answer = ask(sidecar, path, {**body, "stream": True})
        assert answer.status == 200 and answer.clean and said(events(answer)) == "token"


@BOTH
def test_a_stream_that_does_not_say_what_it_is_must_end_too(sidecar, before, path, body):
    before(head("application/json"), chunk(line("to")), END)
    answer = ask(sidecar, path, {**body, "stream": True})
    assert answer.status == 200 and not answer.clean and b"[DONE]" not in answer.body
    assert b"the backend ended its answer without saying that it is done" in answer.body


@BOTH
def test_an_error_is_told_at_once(sidecar, before, path, body):
    play = before(head(), chunk(line("to")), chunk(b'{"error":"out of memory"}\n'), HANG)
    answer = ask(sidecar, path, {**body, "stream": True})
    assert not answer.clean and b'"out of memory"' in answer.body
    until(lambda: play.cuts == 1, 5, "the backend to be left", sidecar.process.tail)


@pytest.mark.parametrize("where", ["answer", "load"])
@BOTH
def test_a_long_error_is_told_whole(sidecar, before, path, body, where):
    words = "schéma " * 700
    failed = b"".join(single({"error": words}, "500 Oh"))
    backend = before(failed)
    if where == "load":
        backend.loaded = failed
    answer = ask(sidecar, path, body)
    assert answer.status == 500 and error_of(answer) == words


def answered_tools(count):
    """A chat in which a tool with a long name was called, and answered very often by its id alone."""
    call = {"id": "", "function": {"name": "n" * 126, "arguments": "{}"}}
    answered = {"role": "tool", "tool_call_id": "", "content": ""}
    return json.dumps({"model": "m", "messages": [{"role": "assistant", "tool_calls": [call]}] + count * [answered]}).encode()


def test_a_body_that_grows_is_counted_as_it_is_held(sidecar, before):
    backend = before(*GOOD, max_body="1M", max_held_bodies="1M")
    answer = ask(sidecar, "/v1/chat/completions", answered_tools(15000))
    assert answer.status == 413 and "[proxy] max_body" in error_of(answer)
    answer = ask(sidecar, "/v1/chat/completions", answered_tools(8000))
    assert answer.status == 503 and "[proxy] max_held_bodies" in error_of(answer)
    assert not backend.requests
