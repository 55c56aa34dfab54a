"""Heartbeats: who waits is kept alive without noticing, and what goes wrong after one reaches him as an error."""
import json
import socket
import threading

import pytest

from played_backend import CLOSE, END, LAST, RESET, Held, chunk, head, line, single
from waiting import SLACK, until

FAST = {"heartbeat_after": "200ms", "heartbeat_interval": "100ms"}
ASK = {"model": "m", "prompt": "x", "messages": [{"role": "user", "content": "x"}], "input": "x"}
STREAM, WHOLE = {**ASK, "stream": True}, {**ASK, "stream": False}
EVENT = b'event: response.created\ndata: {"type":"response.created"}\n\n'
LAST_EVENT = b'event: response.completed\ndata: {"type":"response.completed","response":{}}\n\n'
LAST_MESSAGE = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
SSE = "text/event-stream"
PING = b'event: ping\ndata: {"type": "ping"}\n\n'
ANSWER = {"model": "m", "response": "whole", "done": True}


def beats(pieces, beat, count):
    """So many heartbeats and nothing else; a turn may bring two."""
    got = b""
    while len(got) < count * len(beat):
        got += next(pieces)[1]
    assert got == beat * (len(got) // len(beat))


def rest(pieces):
    """All that is left."""
    return b"".join(data for _, data in pieces)


FORMS = {
    "lines": ("/api/generate", STREAM, b" ", [head(), chunk(line()), chunk(LAST), END], line() + LAST),
    "lines by default": ("/api/chat", ASK, b" ", [head(), chunk(line()), chunk(LAST), END], line() + LAST),
    "one object": ("/api/generate", WHOLE, b" ", single(ANSWER), json.dumps(ANSWER).encode()),
    "embeddings": ("/api/embed", ASK, b" ", single({"embeddings": [[1]]}), b'{"embeddings": [[1]]}'),
    "a list": ("/api/tags", None, b" ", single({"models": []}), b'{"models": []}'),
    "events": ("/v1/responses", STREAM, b": ping\n", [head(SSE), chunk(EVENT), chunk(LAST_EVENT), END], EVENT + LAST_EVENT),
    "an object of /v1": ("/v1/responses", WHOLE, b" ", single({"output": []}), b'{"output": []}'),
    "messages": ("/v1/messages", STREAM, PING, [head(SSE), chunk(LAST_MESSAGE), END], LAST_MESSAGE),
    "a pull": ("/api/pull", {"model": "m"}, b" ", [head(), chunk(b'{"status":"success"}\n'), END], b'{"status":"success"}\n'),
}


@pytest.mark.parametrize("name", FORMS)
def test_who_waits_for_the_first_token_is_kept_alive_proxy_scenario_25(sidecar, before, name):
    path, body, beat, steps, wanted = FORMS[name]
    play = Held(*steps)
    before(play=play, **FAST)
    with sidecar.connect() as connection:
        answer = connection.request("POST" if body else "GET", path, body)
        assert answer.status == 200 and answer.header("Transfer-Encoding") == "chunked"
        assert answer.header("Content-Type").split(";")[0] == {
            b": ": SSE, b"ev": SSE}.get(beat[:2], "application/x-ndjson" if LAST in wanted or b"status" in wanted else "application/json")
        assert answer.header("X-Accel-Buffering") == "no" and answer.header("X-Request-Id")
        pieces = answer.pieces()
        beats(pieces, beat, 4)
        play.go.set()
        got = rest(pieces)
        while got.startswith(beat):
            got = got[len(beat):]
        assert got == wanted and answer.clean
        assert connection.request("GET", "/live").json == {"status": "ok"}  # the connection is kept


@pytest.mark.parametrize("path, line_of", [("/api/generate", {"response": ""}), ("/api/chat", {"message": {"role": "assistant", "content": ""}})])
def test_empty_tokens_where_asked_for(sidecar, before, path, line_of):
    play = Held(head(), chunk(line()), chunk(LAST), END)
    before(play=play, heartbeat="chunk", **FAST)
    with sidecar.connect() as connection:
        objects = connection.request("POST", path, {**STREAM, "model": 'a"b'}).objects()
        for _ in range(3):
            token = next(objects)[1]
            assert token.pop("created_at").endswith("Z")
            assert token == {"model": 'a"b', **line_of, "done": False}
        play.go.set()
        assert [token["done"] for _, token in objects][-1] is True


def test_no_heartbeats_where_they_are_off_and_before_answers_that_are_no_json(sidecar, before):
    play = Held(*single(ANSWER))
    before(play=play, **FAST)
    with sidecar.connect() as clock, sidecar.connect() as root, sidecar.connect() as looking:
        pieces = clock.request("POST", "/api/generate", STREAM).pieces()
        root.send("GET", "/")
        looking.send("HEAD", "/api/tags")
        beats(pieces, b" ", 5)
        play.go.set()
        for connection in (root, looking):
            answer = connection.receive()
            assert answer.status == 200 and answer.header("Content-Length") and answer.header("X-Accel-Buffering") is None


def test_off(sidecar, before):
    play = Held(*single(ANSWER))
    backend = before(play=play, heartbeat="off", heartbeat_after="1ms", heartbeat_interval="100ms")
    with sidecar.connect() as connection:
        connection.send("POST", "/api/generate", STREAM)
        until(lambda: backend.requests, 5, "the request", sidecar.process.tail)
        play.go.set()
        answer = connection.receive()
        assert answer.header("Content-Length") and answer.json == ANSWER


def test_a_silent_stream_gets_them_between_its_lines_only(sidecar, before):
    silent, open_line = threading.Event(), threading.Event()
    play = Held(head(), chunk(line()), silent, chunk(line()[:20]), open_line, chunk(line()[20:] + LAST), END)
    play.go.set()
    backend = before(play=play, **FAST)
    with sidecar.connect() as connection, sidecar.connect() as clock:
        pieces = connection.request("POST", "/api/generate", STREAM).pieces()
        assert next(pieces)[1] == line()
        beats(pieces, b" ", 3)
        silent.set()
        got = b""
        while line()[:20] not in got:
            got += next(pieces)[1]
        assert got.strip(b" ") == line()[:20]
        backend.play = Held()  # whose client shows how time goes
        beats(clock.request("POST", "/api/generate", STREAM).pieces(), b" ", 5)
        open_line.set()
        assert rest(pieces) == line()[20:] + LAST


def test_a_silent_stream_of_events_gets_them_between_its_events_only(sidecar, before):
    silent, open_event = threading.Event(), threading.Event()
    half = EVENT[:EVENT.index(b"\n") + 1]
    play = Held(head(SSE), chunk(EVENT), silent, chunk(half), open_event, chunk(EVENT[len(half):] + LAST_EVENT), END)
    play.go.set()
    backend = before(play=play, **FAST)
    with sidecar.connect() as connection, sidecar.connect() as clock:
        pieces = connection.request("POST", "/v1/responses", STREAM).pieces()
        assert next(pieces)[1] == EVENT
        beats(pieces, b": ping\n", 3)
        silent.set()
        got = b""
        while half not in got:
            got += next(pieces)[1]
        backend.play = Held()
        beats(clock.request("POST", "/v1/responses", STREAM).pieces(), b": ping\n", 5)
        open_event.set()
        assert rest(pieces) == EVENT[len(half):] + LAST_EVENT


def test_a_heartbeat_is_no_first_byte(sidecar, before):
    play = Held(*single(ANSWER))
    before(play=play, **FAST)
    with sidecar.connect() as connection:
        pieces = connection.request("POST", "/api/generate", STREAM).pieces()
        beats(pieces, b" ", 4)
        play.go.set()
        rest(pieces)
    with sidecar.connect() as connection:  # and who left before there was one had none
        play.go.clear()
        beats(connection.request("POST", "/api/generate", STREAM).pieces(), b" ", 1)

    def look():
        found = [json.loads(text) for text in sidecar.process.log if '"event":"access"' in text]
        return found if len(found) == 2 else None
    first, second = until(look, 5, "two access lines", sidecar.process.tail)
    assert first["first_byte_ms"] >= 200 + 3 * 100 and first["ended"] == "done"
    assert second["first_byte_ms"] is None and second["ended"] == "client_gone"


# what goes wrong

def error_of(path, tail):
    """The text of the error object that ends an answer, in the dialect of its path."""
    if tail.startswith(b"data: ") or tail.startswith(b"event: error\ndata: "):
        assert tail.endswith(b"\n\n")
        tail = tail[tail.index(b"data: ") + 6:]
    value = json.loads(tail)
    if path.startswith("/v1/"):
        assert value["error"]["type"]
        return value["error"]["message"]
    assert set(value) == {"error"}
    return value["error"]


FAILURES = {
    "unknown": (single({"error": "model 'm' not found"}, "404 Not Found"), "model 'm' not found"),
    "failed": (single({"error": {"message": "llama runner process has terminated"}}, "500 Oh"), "llama runner process has terminated"),
    "text": ([head("text/plain", framing="Content-Length: 4", status="500 Oh"), b"oops"], "the backend answered with status 500: oops"),
    "page": ([head("text/html", framing="Content-Length: 4"), b"<p>x"],
             "the backend at 127.0.0.1:{port} sent what can't be relayed: an HTML page, where an API was expected"),
    "nothing": ([CLOSE], "the backend at 127.0.0.1:{port} did not answer: "),
    "reset": ([RESET], "the backend at 127.0.0.1:{port} did not answer: "),
}
ASKED = [("/api/generate", STREAM), ("/api/chat", WHOLE), ("/api/embed", ASK), ("/v1/responses", STREAM), ("/v1/responses", WHOLE),
         ("/v1/messages", STREAM)]


@pytest.mark.parametrize("path, body", ASKED)
@pytest.mark.parametrize("name", FAILURES)
def test_an_error_after_a_heartbeat_is_told_in_the_answer_proxy_scenario_26(sidecar, before, name, path, body):
    steps, words = FAILURES[name]
    play = Held(*steps)
    backend = before(play=play, **FAST)
    with sidecar.connect() as connection:
        answer = connection.request("POST", path, body)
        pieces = answer.pieces()
        assert answer.status == 200 and next(pieces)[1]
        play.go.set()
        tail = rest(pieces)
        assert not answer.clean  # no final chunk: even who reads no further sees that it is not whole
    for beat in (b": ping\n", PING, b" "):
        while tail.startswith(beat):
            tail = tail[len(beat):]
    assert error_of(path, tail).startswith(words.format(port=backend.port))


@pytest.mark.parametrize("path, body", ASKED)
def test_an_error_before_the_first_heartbeat_keeps_its_status(sidecar, before, path, body):
    before(*single({"error": "model 'm' not found"}, "404 Not Found"))
    with sidecar.connect() as connection:
        answer = connection.request("POST", path, body)
        assert answer.status == 404 and b"model 'm' not found" in answer.body and answer.clean


def test_an_http_1_0_client_sees_a_reset(sidecar, before):
    play = Held(*single({"error": "boom"}, "500 Oh"))
    before(play=play, **FAST)
    body = json.dumps(STREAM).encode()
    with socket.create_connection(("127.0.0.1", sidecar.port), 5 * SLACK) as sock:
        sock.sendall(b"POST /api/generate HTTP/1.0\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        data = b""
        while not data.endswith(b"\r\n\r\n  "):
            data += sock.recv(1)
        play.go.set()
        with pytest.raises(ConnectionResetError):
            while more := sock.recv(65536):
                data += more
    assert data.endswith(b'{"error":"boom"}\n')


def test_a_page_gets_its_cors_lines_with_the_heartbeat(sidecar, before):
    play = Held(*single(ANSWER))
    backend = before(play=play, **FAST)
    with sidecar.connect() as connection:
        origin = "http://localhost:3000"
        answer = connection.request("POST", "/api/generate", STREAM, headers=[("Origin", origin)])
        assert next(answer.pieces())[1] == b" "
        assert answer.header("Access-Control-Allow-Origin") == origin and answer.header("Vary") == "Origin"
    assert b"origin" not in backend.requests[0][0].lower()


# wherever it is held

def test_who_waits_for_ollama_to_start(sidecar):
    sidecar.configure("proxy", **FAST)
    sidecar.installed = "m"
    sidecar.backend.script(start_delay_s=1.5, tokens=2)
    sidecar.start()
    sidecar.process.wait_log("listening")
    with sidecar.connect() as connection:
        answer = connection.request("POST", "/api/generate", STREAM)
        pieces = answer.pieces()
        beats(pieces, b" ", 3)
        objects = [json.loads(text) for text in rest(pieces).decode().split("\n") if text.strip()]
        assert objects[-1]["done"] and answer.clean


def test_who_stands_in_line_and_a_hold_that_ends(sidecar, before):
    play = Held(head(), chunk(line()), chunk(LAST), END)
    before(play=play, slots=1, hold_timeout="600ms", **FAST)
    with sidecar.connect() as first, sidecar.connect() as second:
        first.send("POST", "/api/generate", STREAM)
        sidecar.wait_health(lambda health: health["requests"]["in_flight"] == 1)
        answer = second.request("POST", "/api/chat", WHOLE)
        pieces = answer.pieces()
        beats(pieces, b" ", 2)
        tail = rest(pieces).lstrip(b" ")
        assert "[proxy] hold_timeout" in json.loads(tail)["error"] and not answer.clean
        play.go.set()


def switches(pid):
    """How often a process was put to sleep."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return sum(int(text.split()[1]) for text in file if "ctxt_switches" in text)


def test_four_thousand_wait_in_silence(sidecar, before):
    count = 4000
    play = Held()
    before(play=play, slots=1, max_clients=count + 10, max_queue=count, heartbeat_after="3s", heartbeat_interval="6s")
    body = json.dumps(STREAM).encode()
    request = b"POST /api/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    held = []
    try:
        for _ in range(count):
            sock = socket.create_connection(("127.0.0.1", sidecar.port), 60 * SLACK)
            held.append(sock)
            sock.sendall(request)
        for sock in held:
            assert b" \r\n" in sock.recv(4096)  # its head, and the first heartbeat
        before_n = switches(sidecar.process.pid)
        assert held[0].recv(4096) == b"1\r\n \r\n"
        woken = switches(sidecar.process.pid) - before_n
        assert woken < 20, f"{woken} times awake while nobody was due"
        for sock in held[1:]:
            assert sock.recv(4096).startswith(b"1\r\n \r\n")
    finally:
        for sock in held:
            sock.close()


@pytest.mark.parametrize("path, last", [("/api/generate", LAST), ("/v1/completions", LAST)])
def test_none_comes_behind_the_last_token(sidecar, before, path, last):
    late = threading.Event()
    play = Held(head(), chunk(line()), chunk(last), late, END)
    play.go.set()
    backend = before(play=play, **FAST)
    with sidecar.connect() as connection, sidecar.connect() as clock:
        answer = connection.request("POST", path, STREAM)
        pieces, got = answer.pieces(), b""
        while (b"[DONE]\n\n" if path.startswith("/v1") else last) not in got:
            got += next(pieces)[1]
        backend.play = Held()  # whose client shows how time goes
        beats(clock.request("POST", "/api/generate", STREAM).pieces(), b" ", 5)
        late.set()
        assert rest(pieces) == b"" and answer.clean


@pytest.mark.parametrize("script", [{"error_after_tokens": 0, "error_text": "the runner stumbled"}, {"garbage_answer": "no_done"}],
                         ids=["error", "no_done"])
def test_while_the_reason_is_looked_for_nothing_is_written(sidecar, script):
    """A space behind the last line would be taken for another one; and an error behind heartbeats is told with its own words."""
    sidecar.configure("proxy", heartbeat_after="100ms", heartbeat_interval="100ms")
    sidecar.boot(tokens=2, first_token_delay_ms=400, **script)
    answer = sidecar.ask("POST", "/api/chat", {"model": "m", "messages": [{"role": "user", "content": "x"}]})
    words = script.get("error_text", "without saying that it is done")
    lines = answer.body.split(b"\n")
    assert lines[-1] == b"" and words in json.loads(lines[-2])["error"], answer.body
    assert not lines[-2].startswith(b" ") or len(lines) == 2  # heartbeats come before the first line only
