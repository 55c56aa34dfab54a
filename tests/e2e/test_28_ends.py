"""How answers end: one that broke off, or gave up, is never taken for a whole one; one that is whole is never spoilt."""
import gzip
import json
import os
import re
import socket

import pytest

from played_backend import CLOSE, END, RESET, chunk, head, line, LAST, single
from waiting import SLACK, until

PING = {"model": "m", "prompt": "x", "messages": [{"role": "user", "content": "x"}], "input": "x"}


def event(reason=None, **more) -> bytes:
    """An event of /v1/chat/completions, as a server behind a path that is passed through may send it."""
    choice = {"index": 0, "delta": {"role": "assistant", "content": "t"}, "finish_reason": reason}
    return b"data: " + json.dumps({"id": "1", "model": "m", "choices": [choice], **more},
                                  separators=(",", ":")).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"
SSE = "text/event-stream"
ERROR = b'{"error":"boom"}\n'


def ask(sidecar, path="/api/generate"):
    """An answer that was read to its end, whatever that was."""
    with sidecar.connect() as connection:
        answer = connection.request("POST", path, PING)
        answer.body  # pylint: disable=pointless-statement
        return answer


def http_1_0(sidecar, path):
    """What an HTTP/1.0 client gets, and whether a reset ended it."""
    body = json.dumps(PING).encode()
    data = b""
    with socket.create_connection(("127.0.0.1", sidecar.port), 5 * SLACK) as sock:
        sock.sendall(b"POST %s HTTP/1.0\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % (path.encode(), len(body)) + body)
        try:
            while more := sock.recv(65536):
                data += more
        except ConnectionResetError:
            return data, True
    return data, False


def told(sidecar):
    """The access lines, once there is one."""
    def look():
        return [json.loads(text) for text in sidecar.process.log if '"event":"access"' in text]
    return until(look, 5, "an access line", sidecar.process.tail)


def last_error(path, answer_body):
    """The error object at the end, in the dialect of the path; and how many there are."""
    count = answer_body.count(b'"error"')
    if path.startswith("/v1/"):
        last = answer_body.rstrip(b"\n").split(b"\n")[-1]
        assert last.startswith(b"data: ") and answer_body.endswith(b"\n\n")
        value = json.loads(last[6:])
        assert value["error"]["message"], value
        return value["error"]["message"], count
    value = json.loads(answer_body.rstrip(b"\n").split(b"\n")[-1])
    assert set(value) == {"error"} and answer_body.endswith(b"\n")
    return value["error"], count


BROKEN = {
    "reset in a chunk": ([head(), chunk(line()), b"50\r\n{\"model", RESET], "/api/generate", "backend_broken"),
    "reset between chunks": ([head(), chunk(line()), RESET], "/api/chat", "backend_broken"),
    "closed between chunks": ([head(), chunk(line()), CLOSE], "/api/chat", "backend_broken"),
    "sse reset": ([head(SSE), chunk(event()), RESET], "/v1/responses", "backend_broken"),
    "no done": ([head(), chunk(line()), chunk(line()), END], "/api/generate", "backend_unfinished"),
    "no done, chat": ([head(), chunk(line()), END], "/api/chat", "backend_unfinished"),
    "no line at all": ([head(), END], "/api/chat", "backend_unfinished"),
    "no done, in one piece": ([head() + chunk(line() + line()) + END], "/api/generate", "backend_unfinished"),
    "half of the last line": ([head(), chunk(line()), chunk(LAST[:30]), END], "/api/generate", "backend_unfinished"),
    "no done, unframed": ([head(framing=""), line(), line(), CLOSE], "/api/generate", "backend_unfinished"),
    "no [DONE]": ([head(SSE), chunk(event()), END], "/v1/responses", "backend_unfinished"),
    "no [DONE], two events": ([head(SSE), chunk(event()), chunk(event()), END], "/v1/responses", "backend_unfinished"),
    "bytes after done": ([head(), chunk(LAST), chunk(b"bytes\n"), END], "/api/generate", "backend_unfinished"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_stream_ends_with_one_error_and_never_cleanly_proxy_scenario_27(sidecar, before, name):
    steps, path, ended = BROKEN[name]
    before(*steps)
    answer = ask(sidecar, path)
    text, count = last_error(path, answer.body)
    assert answer.status == 200 and not answer.clean and count == 1 and "the backend" in text
    (entry,) = told(sidecar)
    assert entry["ended"] == ended and entry["status"] == 200
    sidecar.process.wait_log(f"answer_broken id={entry['id']} .*ended={ended} reason=")


@pytest.mark.parametrize("steps", [[chunk(line()), END], [chunk(line()), RESET]])
@pytest.mark.parametrize("path", ["/api/generate", "/v1/responses"])
def test_an_http_1_0_client_is_told_by_a_reset_proxy_scenario_27(sidecar, before, steps, path):
    before(head(SSE if path.startswith("/v1") else "application/x-ndjson"), *steps)
    data, is_reset = http_1_0(sidecar, path)
    assert is_reset and data.count(b'"error"') in (0, 1)  # a reset may overtake what was sent


@pytest.mark.parametrize("end", [END, RESET])
@pytest.mark.parametrize("path, kind, words", [
    ("/api/generate", "application/x-ndjson", ERROR), ("/api/chat", "application/x-ndjson", ERROR),
    ("/v1/responses", SSE, b'data: {"error":{"message":"boom","type":"api_error"}}\n\n')])
def test_an_error_of_the_backend_passes_as_it_is_and_gets_no_second_proxy_scenario_28(sidecar, before, path, kind, words, end):
    before(head(kind), chunk(line() if kind != SSE else event()), chunk(words), end)
    answer = ask(sidecar, path)
    assert answer.body.endswith(words) and answer.body.count(b'"error"') == 1 and not answer.clean
    (entry,) = told(sidecar)
    assert entry["ended"] == "backend_error"


WHOLE = {
    "generate": ([head(), chunk(line()), chunk(LAST), END], "/api/generate", 3, 2),
    "in one piece": ([head() + chunk(line() + LAST) + END], "/api/generate", 3, 2),
    "unframed": ([head(framing=""), line(), LAST, CLOSE], "/api/generate", 3, 2),
    "with a length": ([head(framing=f"Content-Length: {len(LAST)}"), LAST], "/api/generate", 3, 2),
    "without a line end": ([head(), chunk(LAST.rstrip()), END], "/api/generate", 3, 2),
    "a last line of 3 MB": ([head(), chunk(line()), chunk(line(
        True, done_reason="stop", context=list(range(500_000)), total_duration=9, prompt_eval_count=3, eval_count=2)), END],
        "/api/generate", 3, 2),
    "loaded": (single({"model": "m", "response": "", "done": True, "done_reason": "load"}), "/api/generate", None, None),
    "connection lost behind the last line": ([head(), chunk(line()), chunk(LAST), CLOSE], "/api/generate", 3, 2),
    "sse": ([head(SSE), chunk(event()), chunk(event("stop")), chunk(DONE), END], "/v1/responses", None, None),
    "sse with usage": ([head(SSE), chunk(event()), chunk(event("stop")), chunk(
        b'data: {"id":"1","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":5,"total_tokens":12}}\n\n'), chunk(DONE),
        END], "/v1/responses", 7, 5),
    "sse without [DONE]": ([head(SSE), chunk(event()), chunk(event("length")), END], "/v1/responses", None, None),
    "anthropic": ([head(SSE), chunk(
        b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":5}}\n\n'),
        chunk(b'event: message_stop\ndata: {"type":"message_stop"}\n\n'), END], "/v1/messages", None, 5),
    "one object": (single({"choices": [{"message": {"content": "x" * 5000}, "finish_reason": "stop"}],
                           "usage": {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}}),
                   "/v1/responses", 7, 5),
    "one object of the native API": (single({"model": "m", "response": "x" * 5000, "done": True, "context": [1] * 5000,
                                             "prompt_eval_count": 3, "eval_count": 2}), "/api/generate", 3, 2),
    "embeddings": (single({"model": "m", "embeddings": [[0.5] * 5000], "total_duration": 1, "prompt_eval_count": 3}),
                   "/api/embed", 3, None),
    "an error status": (single({"error": "boom"}, "500 Oh"), "/api/generate", None, None),
    "an error status, chunked": ([head(status="404 No"), chunk(ERROR), END], "/api/generate", None, None),
}


@pytest.mark.parametrize("name", WHOLE)
def test_what_is_whole_passes_with_its_counts(sidecar, before, name):
    steps, path, asked, said = WHOLE[name]
    before(*steps)
    with sidecar.connect() as connection:
        answer = connection.request("POST", path, PING)
        assert answer.clean is None and answer.body is not None and answer.clean
        assert answer.body.count(b'"error"') == (1 if answer.status != 200 else 0)
        again = connection.request("POST", path, PING)  # the connection is kept
        assert again.status == answer.status and again.body == answer.body and again.clean
    first, second = until(lambda: len(told(sidecar)) == 2 and told(sidecar), 5, "two access lines", sidecar.process.tail)
    for entry in (first, second):
        assert (entry["ended"], entry["status"]) == ("done", answer.status)
        assert (entry["prompt_tokens"], entry["generated_tokens"]) == (asked, said)


def peak_kb(pid):
    """The most memory that it ever had."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(re.search(r"^VmHWM:\s+(\d+)", file.read(), re.M).group(1))


@pytest.mark.skipif("asan" in os.environ.get("BUILD_DIR", ""), reason="a sanitizer's memory is its own")
def test_a_last_line_of_3_mb_passes_in_bounded_memory_proxy_scenario_30(sidecar, before):
    steps, path, asked, said = WHOLE["a last line of 3 MB"]
    small, *_ = WHOLE["generate"]
    backend = before(*small)
    assert ask(sidecar).clean
    before_kb = peak_kb(sidecar.process.pid)
    backend.play = lambda request: steps
    answer = ask(sidecar, path)
    assert answer.clean and answer.body == b"".join(
        step.split(b"\r\n", 1)[1][:-2] for step in steps[1:-1])
    assert peak_kb(sidecar.process.pid) < before_kb + 1500
    last = until(lambda: told(sidecar)[1:], 5, "its line", sidecar.process.tail)[0]
    assert (last["prompt_tokens"], last["generated_tokens"], last["finish"]) == (asked, said, "stop")


@pytest.mark.parametrize("path", ["/api/pull", "/api/create", "/api/push"])
@pytest.mark.parametrize("last", [b'{"status":"success"}\n', b'{"error":"pull model manifest: file does not exist"}\n'])
def test_streams_of_models_end_as_they_like(sidecar, before, path, last):
    before(head(), chunk(b'{"status":"pulling manifest"}\n'), chunk(last), END)
    with sidecar.connect() as connection:
        answer = connection.request("POST", path, {"model": "m"})
        assert answer.body.endswith(last) and answer.clean
    (entry,) = told(sidecar)
    assert entry["ended"] == "done"


def test_an_answer_cut_short_of_its_length_is_no_whole_one_proxy_scenario_27(sidecar, before):
    before(head("application/json", framing="Content-Length: 1000"), b'{"model":"m"', CLOSE)
    answer = ask(sidecar)
    assert not answer.clean and answer.body == b'{"model":"m"'
    (entry,) = told(sidecar)
    assert entry["ended"] == "backend_broken"


# asking once more

def first_lost(count, *then):
    """Loses the connection so often before any byte of an answer, then plays these steps."""
    seen = []

    def play(request):
        seen.append(request)
        return [CLOSE] if len(seen) <= count else then
    return play


def test_a_request_that_got_no_byte_is_sent_once_more(sidecar, before):
    backend = before(play=first_lost(1, head(), chunk(LAST), END))
    assert ask(sidecar).clean and len(backend.requests) == 2
    assert backend.requests[0] == backend.requests[1]
    assert [one["ended"] for one in told(sidecar)] == ["done"]


def test_a_request_that_is_lost_twice_is_given_up(sidecar, before):
    backend = before(play=first_lost(9))
    assert ask(sidecar).status == 502 and len(backend.requests) == 2
    assert [(one["ended"], one["code"], one["status"]) for one in told(sidecar)] == [
        ("backend_unreachable", "backend_error", 502)]


@pytest.mark.parametrize("steps", [[b"HTTP/1.1 200 OK\r\n", CLOSE], [b"H", RESET], [head(), RESET], [head(), chunk(line()), RESET]])
def test_a_request_is_never_repeated_behind_a_byte_of_its_answer_proxy_scenario_31(sidecar, before, steps):
    backend = before(*steps)
    answer = ask(sidecar)
    assert len(backend.requests) == 1
    assert answer.status == 502 or not answer.clean


def test_a_body_beyond_retry_body_is_not_sent_twice_proxy_scenario_31(sidecar, before):
    backend = before(play=first_lost(1, head(), chunk(LAST), END), retry_body="10K")
    with sidecar.connect() as connection:
        assert connection.request("POST", "/api/generate", {**PING, "prompt": "x" * 20_000}).status == 502
    assert len(backend.requests) == 1
    backend.play = first_lost(1, head(), chunk(LAST), END)
    with sidecar.connect() as connection:
        assert connection.request("POST", "/api/generate", {**PING, "prompt": "x" * 5_000}).status == 200
    assert len(backend.requests) == 3


def test_a_streamed_body_is_not_sent_twice_proxy_scenario_31(sidecar, before):
    backend = before(play=first_lost(9))
    with sidecar.connect() as connection:
        assert connection.request("POST", "/api/blobs/sha256:" + "0" * 64, b"x" * 100).status == 502
    assert len(backend.requests) == 1


def test_a_large_body_never_meets_a_connection_that_was_closed_while_it_was_kept(sidecar, before):
    def play(request):
        return [head(), chunk(LAST), END, CLOSE]
    backend = before(play=play, retry_body="1K")
    for _ in range(5):
        with sidecar.connect() as connection:
            assert connection.request("POST", "/api/generate", {**PING, "prompt": "x" * 5_000}).body == LAST
    assert len(backend.requests) == 5


@pytest.mark.parametrize("kind", ["application/x-ndjson", SSE])
def test_packed_answer_is_not_judged(sidecar, before, kind):
    packed = gzip.compress((line() + LAST if kind != SSE else event() + event("stop") + DONE) * 3)
    before(head(kind, "Content-Encoding: gzip"), chunk(packed), END)
    answer = ask(sidecar)
    assert answer.clean and answer.body == packed
    assert told(sidecar)[0]["ended"] == "done"


def test_packed_answer_that_breaks_gets_no_text_behind_it(sidecar, before):
    packed = gzip.compress(line() * 3)
    before(head("application/x-ndjson", "Content-Encoding: gzip"), chunk(packed), CLOSE)
    answer = ask(sidecar)
    assert not answer.clean and answer.body == packed
    assert told(sidecar)[0]["ended"] == "backend_broken"
