"""The access log: one line for each request, however it ends, and nothing in it that a client could forge."""
import json
import os
import re
import signal
import socket
import struct
import subprocess
import time

import pytest

from client import Background
from played_backend import END, HANG, LAST, RESET, chunk, head, line, single
from sidecar import ROOT, program
from waiting import SLACK, until

KEYS = ["ts", "level", "module", "event", "id", "client", "key", "method", "path", "model", "status", "ended", "code", "backend", "state",
        "in_bytes", "out_bytes", "prompt_tokens", "generated_tokens", "finish", "tool_calls_repaired", "load_ms", "prompt_ms", "eval_ms", "wait_ms", "load_wait_ms", "queue_ms",
        "strategy", "tokens_received", "tokens_saved", "parts", "parts_failed", "cache", "shared", "first_byte_ms", "total_ms", "agent"]
PING = {"model": "m", "prompt": "x"}


def entries(sidecar, count=1):
    """So many access lines, and no more; each is whole."""
    def look():
        found = [json.loads(text) for text in sidecar.process.log if '"event":"access"' in text]
        return found if len(found) >= count else None

    found = until(look, 5, f"{count} access lines", sidecar.process.tail)
    assert len(found) == count and all(list(one) == KEYS for one in found), found
    return found


def talk(sidecar, data: bytes, until_closed=True) -> bytes:
    """Raw bytes there, raw bytes back."""
    with socket.create_connection(("127.0.0.1", sidecar.port), 5 * SLACK) as sock:
        sock.sendall(data)
        got = b""
        try:
            while more := sock.recv(65536):
                got += more
                if not until_closed:
                    break
        except ConnectionError:
            pass
        return got


def post(sidecar, path="/api/generate", body=None, headers=()):
    return sidecar.ask("POST", path, body or PING, headers)


# the ways to end

def ends_done(sidecar, start):
    start(head(), chunk(line()), chunk(LAST), END)
    post(sidecar)
    return {"ended": "done", "status": 200, "model": "m", "prompt_tokens": 3, "generated_tokens": 2, "finish": "stop"}


def ends_done_in_one_object(sidecar, start):
    start(*single({"model": "m", "done": True, "done_reason": "length", "total_duration": 9_000_000, "load_duration": 4_000_000,
                   "prompt_eval_count": 3, "prompt_eval_duration": 2_000_000, "eval_count": 2, "eval_duration": 3_000_000}))
    post(sidecar)
    return {"ended": "done", "status": 200, "prompt_tokens": 3, "generated_tokens": 2, "finish": "length", "load_ms": 4,
            "prompt_ms": 2, "eval_ms": 3}


def ends_in_an_error_of_ollamas(sidecar, start):
    start(*single({"error": "model 'm' not found"}, "404 Not Found"))
    post(sidecar)
    return {"ended": "done", "status": 404, "code": None, "model": "m"}


def ends_refused(sidecar, start):
    start()
    sidecar.ask("GET", "/nowhere?key=secret")
    return {"ended": "refused", "status": 404, "code": "unknown_path", "path": "/nowhere", "method": "GET", "model": None}


def ends_untranslated(sidecar, start):
    start()
    post(sidecar, "/v1/chat/completions", {"model": "m"})
    return {"ended": "refused", "status": 400, "code": "invalid_request", "model": "m"}


def ends_unparsed(sidecar, start):
    start()
    assert b" 400 " in talk(sidecar, b"GET /api/tags HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
    return {"ended": "refused", "status": 400, "code": "bad_request", "id": None}


def ends_as_no_http_at_all(sidecar, start):
    start()
    assert b" 400 " in talk(sidecar, b"what is this?\r\n\r\n")
    return {"ended": "refused", "status": 400, "path": None, "model": None}


def ends_too_large(sidecar, start):
    start(max_body="1K")
    post(sidecar, body={**PING, "prompt": "x" * 2000})
    return {"ended": "refused", "status": 413, "code": "body_too_large"}


def ends_with_a_slow_header(sidecar, start):
    start(header_timeout="200ms")
    assert b" 408 " in talk(sidecar, b"GET / HT")
    return {"ended": "timeout", "status": 408, "code": "header_timeout", "in_bytes": 8, "method": None, "path": None}


def ends_with_a_slow_body(sidecar, start):
    start(write_timeout="200ms")
    assert b" 408 " in talk(sidecar, b"POST /api/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{")
    return {"ended": "timeout", "status": 408, "code": "body_timeout"}


def ends_as_the_client_leaves_within_its_head(sidecar, start):
    start()
    with sidecar.connect() as connection:
        connection.sock.sendall(b"GET /api/tags HTTP/1.1\r\n")
    return {"ended": "client_gone", "status": None, "first_byte_ms": None}


def ends_as_the_client_leaves_before_its_answer(sidecar, start):
    backend = start(HANG)
    with sidecar.connect() as connection:
        connection.send("POST", "/api/generate", PING)
        until(lambda: backend.requests, 5, "the request")
    until(lambda: backend.cuts, 5, "the backend is left too")
    return {"ended": "client_gone", "status": None, "first_byte_ms": None, "out_bytes": 0, "model": "m"}


def ends_as_the_client_leaves_within_its_answer(sidecar, start):
    start(head(), chunk(line()), HANG)
    with sidecar.connect() as connection:
        connection.send("POST", "/api/generate", PING)
        next(connection.receive().pieces())
    return {"ended": "client_gone", "status": 200, "generated_tokens": None}


def ends_as_the_client_leaves_behind_the_last_line(sidecar, start):
    """It has been told that this was all, as some do at `[DONE]`."""
    start(head(), chunk(line()), chunk(line(done=True)), HANG)
    with sidecar.connect() as connection:
        connection.send("POST", "/api/generate", PING)
        for _, piece in connection.receive().pieces():
            if b'"done":true' in piece:
                break
    return {"ended": "done", "status": 200}


def ends_as_the_client_resets(sidecar, start):
    start(head(), chunk(line()), HANG)
    with sidecar.connect() as connection:
        connection.send("POST", "/api/generate", PING)
        next(connection.receive().pieces())
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return {"ended": "client_gone", "status": 200}


def ends_as_the_client_takes_nothing(sidecar, start):
    start(head(), *[chunk(b"x" * 60_000 + b"\n")] * 300, HANG, write_timeout="300ms")
    with sidecar.connect() as connection:
        connection.send("POST", "/api/generate", PING)
        sidecar.process.wait_log("client_stalled", 10)
    return {"ended": "client_stalled", "status": 200}


def ends_without_a_backend(sidecar, start):
    start().close()
    post(sidecar)
    return {"ended": "backend_unreachable", "status": 502, "code": "backend_error", "model": "m"}


def ends_broken(sidecar, start):
    start(head(), chunk(line()), RESET)
    post(sidecar)
    return {"ended": "backend_broken", "status": 200}


def ends_unfinished(sidecar, start):
    start(head(), chunk(line()), END)
    post(sidecar)
    return {"ended": "backend_unfinished", "status": 200}


def ends_in_an_error_line(sidecar, start):
    start(head(), chunk(line()), chunk(b'{"error":"boom"}\n'), END)
    post(sidecar)
    return {"ended": "backend_error", "status": 200}


def ends_as_we_stop(sidecar, start):
    backend = start(head(), chunk(line()), HANG)
    with sidecar.connect() as connection:
        connection.send("POST", "/api/generate", PING)
        next(connection.receive().pieces())
        sidecar.process.kill(signal.SIGTERM)
        sidecar.process.wait_log(" drain ")
        sidecar.process.kill(signal.SIGTERM)
        sidecar.process.wait()
    assert backend.requests
    return {"ended": "drained", "status": 200}


def ends_as_we_stop_before_its_answer(sidecar, start):
    backend = start(HANG)
    call = Background(post, sidecar)
    until(lambda: backend.requests, 5, "the request")
    sidecar.process.kill(signal.SIGTERM)
    sidecar.process.wait_log(" drain ")
    sidecar.process.kill(signal.SIGTERM)
    assert call.result().status == 503
    return {"ended": "drained", "status": 503, "code": "aborted"}


WAYS = {name: value for name, value in list(globals().items()) if name.startswith("ends_")}


@pytest.mark.parametrize("way", WAYS)
def test_each_way_to_end_gives_one_line(sidecar, before, way):
    expected = WAYS[way](sidecar, before)
    (entry,) = entries(sidecar)
    assert {key: entry[key] for key in expected} == expected
    assert entry["client"] == "127.0.0.1"
    assert 0 <= (entry["first_byte_ms"] or 0) <= entry["total_ms"] < 10_000 * SLACK
    sidecar.stop()
    entries(sidecar)  # and no other at the end


def test_what_waited_tells_how_long_and_what_never_came_is_a_timeout(sidecar):
    sidecar.configure("proxy", access_log="json", hold_timeout="300ms")
    sidecar.installed = "m"
    sidecar.backend.script(start_delay_s=30)
    sidecar.start()
    sidecar.process.wait_log(r" exec .*program=proxy")
    assert post(sidecar).status == 503
    (entry,) = entries(sidecar)
    assert (entry["ended"], entry["code"], entry["model"]) == ("timeout", "hold_timeout", "m")
    assert 300 <= entry["wait_ms"] <= entry["total_ms"]


# what it counts

def test_bytes_are_those_of_the_wire(sidecar, before):
    before(head(), chunk(line()), chunk(LAST), END)
    body = json.dumps(PING).encode()
    data = b"POST /api/generate?secret=1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
    got = talk(sidecar, data + body)
    (entry,) = entries(sidecar)
    assert (entry["in_bytes"], entry["out_bytes"]) == (len(data + body), len(got))
    assert entry["path"] == "/api/generate" and not sidecar.process.logged("secret")


def test_each_of_a_pipeline_has_its_own_line_and_bytes(sidecar, before):
    before(head(), chunk(LAST), END)
    body = json.dumps(PING).encode()
    one = b"POST /api/generate HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: n%d\r\nContent-Length: %d\r\n\r\n"
    last = b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    data = [one % (number, len(body)) + body for number in range(3)] + [last]
    got = talk(sidecar, b"".join(data))
    found = entries(sidecar, 4)
    assert [entry["in_bytes"] for entry in found] == [len(piece) for piece in data]
    assert sum(entry["out_bytes"] for entry in found) == len(got)
    assert [entry["id"] for entry in found[:3]] == ["n0", "n1", "n2"]
    assert [entry["status"] for entry in found] == [200, 200, 200, 404] and {entry["client"] for entry in found} == {found[0]["client"]}


def test_head_http_1_0_and_our_own_answers(sidecar, before):
    before(*single({"models": []}))
    with sidecar.connect() as connection:
        assert connection.request("HEAD", "/live").status == 200
        assert connection.request("GET", "/live").status == 200
    talk(sidecar, b"GET /api/tags HTTP/1.0\r\nHost: localhost\r\n\r\n")
    found = entries(sidecar, 3)
    assert [(entry["method"], entry["path"], entry["status"], entry["ended"]) for entry in found] == [
        ("HEAD", "/live", 200, "done"), ("GET", "/live", 200, "done"), ("GET", "/api/tags", 200, "done")]
    assert found[0]["out_bytes"] < found[1]["out_bytes"]


def test_connections_without_a_request_have_no_line(sidecar, before):
    before(*single({"models": []}))
    with sidecar.connect():
        pass
    with sidecar.connect() as connection:
        assert connection.request("GET", "/live").body
    sidecar.stop()
    assert [entry["path"] for entry in entries(sidecar)] == ["/live"]


def test_fifty_at_once_have_a_line_each(sidecar, before):
    def play(request):
        number = int(re.search(rb"X-Request-Id: n(\d+)", request[0]).group(1))
        last = line(True, done_reason="stop", total_duration=9, prompt_eval_count=number, eval_count=number % 10)
        return [head(), *[chunk(line())] * (number % 10), *([chunk(last), END] if number % 2 else [END])]
    before(play=play)
    for call in [Background(post, sidecar, "/api/chat", None, [("X-Request-Id", f"n{number}")]) for number in range(50)]:
        call.result(20)
    found = {entry["id"]: entry for entry in entries(sidecar, 50)}
    for number in range(50):
        entry = found[f"n{number}"]
        if number % 2:
            assert (entry["ended"], entry["prompt_tokens"], entry["generated_tokens"]) == ("done", number, number % 10)
        else:
            assert (entry["ended"], entry["generated_tokens"]) == ("backend_unfinished", None)


# what a client can't do to it

EVIL = 'a\\"},\\n\x1b[31m\x7f{\u009b31m\u0085\u2028 é'


def harmless(text):
    """One line, no control character in it."""
    assert not re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029]", text), ascii(text)


@pytest.mark.parametrize("form", ["json", "text"])
def test_nothing_can_be_forged_into_a_line(sidecar, before, form):
    before(*single({"error": "no"}, "404 Not Found"), access_log=form)
    models = [EVIL, "\ud800", "x" * 5000, 'm" ended=done agent="', "line\nend\r\n2026-01-01T00:00:00.000Z info proxy access id=forged"]
    for model in models:
        post(sidecar, body={"model": model, "prompt": "x"})
    for agent in (b'a" id=forged "', b"\xff\xfe\xc2\x9b31m\xe2\x80\xa8", b"y" * 3000, b'\\', b'","id":"forged'):
        talk(sidecar, b"GET /live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nUser-Agent: " + agent + b"\r\n\r\n")
    for path in (b"/api/%0a%0dtags", b'/"quoted"', b"/" + b"p" * 4000, b"/\\x", b"/v1/models/%22"):
        talk(sidecar, b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    for request_id in (b"a b", b'"', b"x\x1b", b"z" * 500):
        talk(sidecar, b"GET /live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-Request-Id: " + request_id + b"\r\n\r\n")
    count = len(models) + 5 + 5 + 4
    mark = '"event":"access"' if form == "json" else " info proxy access "
    lines = until(lambda: (found := [text for text in sidecar.process.log if mark in text]) and len(found) >= count and found, 5,
                  f"{count} lines", sidecar.process.tail)
    assert len(lines) == count
    for text in sidecar.process.log:
        harmless(text)
    for text in lines:
        assert len(text.encode()) < 4096
        if form == "json":
            value = json.loads(text)
            assert list(value) == KEYS and value["id"] != "forged"
        else:
            fields = re.fullmatch(r"\S+ info proxy access((?: [a-z_]+=(?:\"(?:[^\"\\]|\\.)*\"|[^ \"]+))+)", text)
            assert fields, text
            names = re.findall(r" ([a-z_]+)=(?:\"(?:[^\"\\]|\\.)*\"|[^ \"]+)", fields.group(1))
            assert names == KEYS[4:], text
            assert not re.search(r"^\S+ info proxy access id=forged", text)


def test_the_text_form_as_documented(sidecar, before):
    before(head(), chunk(line()), chunk(LAST), END, access_log="text")
    post(sidecar, headers=[("X-Request-Id", "r1"), ("User-Agent", "curl/8.5")])
    assert sidecar.process.wait_log(
        r'^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z info proxy access id=r1 client=127\.0\.0\.1 key=- method="POST" '
        r'path="/api/generate" model="m" status=200 ended=done code=- backend=- state=- in_bytes=\d+ out_bytes=\d+ prompt_tokens=3 '
        r'generated_tokens=2 finish="stop" tool_calls_repaired=0 load_ms=- prompt_ms=- eval_ms=- wait_ms=0 load_wait_ms=\d+ queue_ms=0 '
        r'strategy=- tokens_received=- tokens_saved=- parts=- parts_failed=- cache=- shared=- first_byte_ms=\d+ '
        r'total_ms=\d+ agent="curl/8\.5"$')


def test_it_is_off_by_default(sidecar, before):
    before(head(), chunk(LAST), END, access_log=None)
    post(sidecar)
    sidecar.stop()
    assert not sidecar.process.logged("access")


def test_it_does_not_depend_on_log_level_and_comes_through_the_supervisor(sidecar):
    sidecar.configure("supervisor", log_level="error")
    sidecar.configure("proxy", access_log="json")
    sidecar.boot(tokens=4)
    assert sidecar.generate(stream=True).clean
    (entry,) = until(lambda: [json.loads(text) for text in sidecar.process.log if '"path":"/api/generate"' in text], 5, "its line")
    assert (entry["ended"], entry["model"], entry["generated_tokens"], entry["module"]) == ("done", "m", 4, "proxy")


def test_a_log_that_nobody_reads_holds_nobody_up_and_the_loss_is_counted(sidecar, before):
    """As many requests as fill any pipe, with nobody at its other end; then it is read."""
    before(*single({"models": []}))
    sidecar.stop()
    read, write = os.pipe()
    proxy = subprocess.Popen([program("ollama-proxy"), "-c", sidecar.ini], env=sidecar.environment(), cwd=sidecar.directory,
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=write)
    os.close(write)
    try:
        until(sidecar.health, 5, "the proxy answers")
        began = time.monotonic()
        with sidecar.connect() as connection:
            for _ in range(1500):
                assert connection.request("GET", "/live", headers=[("User-Agent", "a" * 120)]).body
        assert time.monotonic() - began < 10 * SLACK
        text = bytearray(os.read(read, 1 << 20))
        with sidecar.connect() as connection:
            assert connection.request("GET", "/live").body
        os.set_blocking(read, False)

        def look():
            try:
                text.extend(os.read(read, 1 << 20))
            except BlockingIOError:
                pass
            lost = re.search(rb" log_dropped lines=(\d+)\n.*\"path\":\"/live\"", text, re.S)
            # the line of the 1500th may be the one behind the loss: a line is written when its answer is on its way
            return lost and bytes(text).count(b'"path":"/live"') + int(lost.group(1)) == 1501
        until(look, 5, "the loss is told, and then what is left of all lines", lambda: bytes(text[-2000:]).decode())
    finally:
        proxy.terminate()
        proxy.wait(10)
        os.close(read)


def test_the_document_is_complete():
    """Each field of a line is in docs/access-log.md, and each word for who ended it."""
    with open(os.path.join(ROOT, "docs/access-log.md"), encoding="utf-8") as file:
        text = file.read()
    assert [key for key in KEYS if f"| `{key}` |" not in text] == []
    with open(os.path.join(ROOT, "proxy/access.c"), encoding="utf-8") as file:
        words = re.findall(r'"(\w+)"', file.read().split("end_names[] = {")[1].split("}")[0])
    assert len(words) == 12 and [word for word in words if f"| `{word}` |" not in text] == []
