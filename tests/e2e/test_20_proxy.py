"""The proxy as a client meets it: bytes kept, connections kept, nothing gathered, honest ends."""
import hashlib
import json
import os
import re
import resource
import socket
import time

import pytest

import standin
from client import Answer, Background, Connection, ask
from raw_client import kernel_buffers_bytes
from waiting import SLACK, until

HOP_BY_HOP = {"connection", "keep-alive", "proxy-connection", "te", "trailer", "upgrade", "proxy-authorization"}


def ollama_error(answer, status):
    """The answer is an error in Ollama's shape: JSON, one text under "error"."""
    assert answer.status == status, (answer.status, answer.body)
    assert answer.header("content-type", "").startswith("application/json")
    assert isinstance(answer.json["error"], str) and answer.json["error"]
    return answer.json["error"]


def stream(connection, **more):
    return connection.request("POST", "/api/generate", {"model": "m", "prompt": "x", **more})


# keeping connections

def test_many_requests_use_one_connection_on_both_sides(sidecar):
    sidecar.boot(tokens=2, token_delay_ms=1)
    with sidecar.connect() as connection:
        for number in range(20):
            answer = stream(connection, stream=number % 2 == 0)
            assert answer.status == 200 and b'"done":true' in answer.body and answer.clean
    seen = sidecar.backend.requests("/api/generate")
    assert len(seen) == 20 and len({entry["conn"] for entry in seen}) == 1


def test_backend_that_closed_a_kept_connection_costs_no_error(sidecar):
    sidecar.boot(tokens=1)
    with sidecar.connect() as connection:
        assert stream(connection).body
        os.kill(sidecar.pid_of("ollama"), 9)
        sidecar.backend.wait("listening", count=2)
        sidecar.wait_ready()
        assert b'"done":true' in stream(connection).body


def test_pipelined_requests_are_answered_in_order_or_refused(sidecar):
    sidecar.boot("a,b", tokens=1)
    with sidecar.connect() as connection:
        for model in ("a", "b"):
            connection.send("POST", "/api/generate", {"model": model, "prompt": "x", "stream": False})
        assert connection.receive().json["model"] == "a"
        try:
            assert connection.receive().json["model"] == "b"
        except (EOFError, ConnectionError):
            pass  # closing after the first is allowed, mixing them is not


# cancelling

@pytest.mark.parametrize("phase", ["streaming", "prefill", "not streamed"])  # a load goes on: test_32_loads.py
def test_backend_learns_at_once_that_the_client_left(sidecar, phase):
    sidecar.boot(tokens=1000, token_delay_ms=5000, first_token_delay_ms=60000 if phase == "prefill" else 0)
    with sidecar.connect() as connection:
        connection.send("POST", "/api/generate", {"model": "m", "prompt": "x", "stream": phase != "not streamed"})
        if phase == "streaming":
            next(connection.receive().pieces())
        else:
            sidecar.backend.wait("request", path="/api/generate")
    left = time.time()
    gone = sidecar.backend.wait("cancelled", timeout=3)
    assert gone["t"] - left < 0.1 + 0.05 * SLACK


def test_client_that_left_while_held_is_forgotten(sidecar):
    sidecar.installed = "m"
    sidecar.backend.script(start_delay_s=1 * SLACK, tokens=1)
    sidecar.start()
    sidecar.process.wait_log(r" exec .*program=proxy")
    with sidecar.connect() as connection:
        connection.send("POST", "/api/generate", {"model": "m", "prompt": "leaver"})
    sidecar.wait_ready()
    assert sidecar.generate().status == 200
    assert len(sidecar.backend.requests("/api/generate")) == 1


# waiting

@pytest.mark.limit(60)
def test_hold_timeout_counts_anew_when_ollama_dies_before_its_answer(sidecar):
    """It waited at first and was served then; when that is lost, it has not used up its time to wait."""
    sidecar.installed = "m"
    sidecar.configure("proxy", hold_timeout="3s")
    sidecar.backend.script(tokens=1, start_delay_s=1, first_token_delay_ms=3500)
    sidecar.start()
    sidecar.wait_health(lambda health: health["code"] == 503)
    call = sidecar.background("POST", "/api/generate", {"model": "m", "prompt": "x", "stream": False})
    sidecar.backend.wait("request", path="/api/generate")
    time.sleep(3)  # longer than hold_timeout since it came
    os.kill(sidecar.pid_of("ollama"), 9)
    assert call.result(20).status == 200


# honest ends

@pytest.mark.parametrize("fault", ["crash_after_tokens", "close_after_tokens", "reset_after_tokens"])
@pytest.mark.parametrize("path", ["/api/generate", "/api/chat"])
def test_broken_stream_ends_with_an_error_and_not_properly(sidecar, fault, path):
    sidecar.boot(tokens=9, token_delay_ms=5, **{fault: 3})
    with sidecar.connect() as connection:
        answer = connection.request("POST", path, {"model": "m", "prompt": "x",
                                                   "messages": [{"role": "user", "content": "x"}]})
        values = [value for _, value in answer.objects()]
    assert len(values) == 4 and values[-1]["error"] and not answer.clean
    assert not any(value.get("done") for value in values)


def test_broken_single_answer_is_an_error(sidecar):
    sidecar.boot(tokens=9, token_delay_ms=5, close_after_tokens=3)
    ollama_error(sidecar.generate(stream=False), 502)


def test_broken_openai_stream_ends_with_an_error_and_without_done(sidecar):
    sidecar.boot(tokens=9, token_delay_ms=5, close_after_tokens=3)
    with sidecar.connect() as connection:
        answer = connection.request("POST", "/v1/chat/completions", {
            "model": "m", "stream": True, "messages": [{"role": "user", "content": "x"}]})
        body = answer.body
    assert b"[DONE]" not in body and not answer.clean
    assert b'"error"' in body.split(b"data: ")[-1]


def test_error_in_mid_stream_is_passed_on(sidecar):
    sidecar.boot(tokens=9, token_delay_ms=5, error_after_tokens=2, error_text="boom")
    with sidecar.connect() as connection:
        values = [value for _, value in stream(connection).objects()]
    assert values[-1] == {"error": "boom"} and len(values) == 3


@pytest.mark.parametrize("kind", ["html", "reset", "empty", "bad_http"])
def test_garbage_becomes_502(sidecar, kind):
    sidecar.boot(garbage_answer=kind)
    ollama_error(sidecar.generate(), 502)
    sidecar.backend.script(tokens=1)
    assert sidecar.generate().status == 200


def test_truncated_answer_does_not_end_properly(sidecar):
    sidecar.boot(garbage_answer="truncated")
    with sidecar.connect() as connection:
        answer = connection.request("POST", "/api/generate", {"model": "m", "prompt": "x", "stream": False})
        answer.body  # pylint: disable=pointless-statement
    assert answer.status == 502 or not answer.clean


def test_hints_are_dropped(sidecar):
    sidecar.boot(garbage_answer="hints", tokens=1)
    assert sidecar.generate().json["done"] is True


def test_errors_of_ollama_pass_through(sidecar):
    sidecar.boot(load_fails="no memory for this")
    assert sidecar.generate().json == {"error": "no memory for this"}
    assert ollama_error(sidecar.generate("nosuch"), 404) == "model 'nosuch' not found"


# refusing

@pytest.mark.parametrize("method, path, status", [
    ("GET", "/nope", 404), ("GET", "/debug/pprof/", 404), ("GET", "/api/generate", 405), ("POST", "/api/tags", 405),
    ("PUT", "/api/chat", 405), ("BREW", "/api/tags", 405)])
def test_unknown_paths_and_methods(sidecar, method, path, status):
    sidecar.boot()
    with sidecar.connect() as connection:
        try:
            answer = connection.request(method, path)
            allowed = {405, 400, 501} if method == "BREW" else {status}
            assert answer.status in allowed
            ollama_error(answer, answer.status)
        except (EOFError, ConnectionError):
            assert method == "BREW"
    assert not [e for e in sidecar.backend.journal("request") if e["path"] == path and e["method"] == method]


def test_body_beyond_the_limit_proxy_scenario_15(sidecar):
    sidecar.configure("proxy", max_body="100K")
    sidecar.boot(tokens=1)
    with sidecar.connect() as connection:
        connection.send("POST", "/api/generate", b"", [("Content-Length", "200000")])
        assert "max_body" in ollama_error(connection.receive(), 413)
    with sidecar.connect() as connection:
        chunk = b"2000\r\n" + b"x" * 0x2000 + b"\r\n"
        connection.send("POST", "/api/generate", b"", [("Transfer-Encoding", "chunked")])
        try:
            for _ in range(20):
                connection.sock.sendall(chunk)
        except OSError:
            pass  # it need not read on
        ollama_error(connection.receive(), 413)
    assert sidecar.generate().status == 200


def test_head_beyond_the_limit(sidecar):
    sidecar.boot()
    with sidecar.connect() as connection:
        try:
            connection.send("GET", "/api/tags", headers=[("X-Big", "x" * 40000)])
        except OSError:
            pass
        ollama_error(connection.receive(), 431)


def test_head_as_large_as_max_headers_permits_arrives(sidecar):
    sidecar.configure("proxy", max_headers="1M")
    sidecar.boot()
    with sidecar.connect() as connection:
        assert connection.request("GET", "/live", headers=[("X-Big", "x" * 400000)]).status == 200
        assert connection.request("GET", "/api/tags", headers=[("X-Big", "x" * 400000)]).status != 502


@pytest.mark.parametrize("request_bytes", [
    b"GARBAGE\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"POST /api/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"0\r\n\r\n",
    b"POST /api/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    b"POST /api/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: +5\r\n\r\nhello",
    b"POST /api/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length : 5\r\n\r\nhello",
    b"POST /api/generate HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nX-A: b\r\n c\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 40])
def test_malformed_requests_never_reach_ollama(sidecar, request_bytes):
    sidecar.boot()
    before = len(sidecar.backend.journal("request", method="POST")) + len(sidecar.backend.requests("/"))
    with socket.create_connection(("127.0.0.1", sidecar.port), 5 * SLACK) as sock:
        sock.sendall(request_bytes)
        sock.settimeout(5 * SLACK)
        try:
            answer = sock.recv(65536)
        except ConnectionError:
            answer = b""
    assert not answer or re.match(rb"HTTP/1\.1 (400|426|501|505) ", answer), answer
    assert len(sidecar.backend.journal("request", method="POST")) + len(sidecar.backend.requests("/")) == before
    assert sidecar.ask("GET", "/api/tags").status == 200


def test_foreign_origin_is_refused_before_any_work(sidecar):
    sidecar.boot(tokens=1)
    answer = sidecar.ask("POST", "/api/generate", {"model": "m", "prompt": "x"}, [("Origin", "http://evil.example")])
    ollama_error(answer, 403)
    assert sidecar.backend.requests("/api/generate") == []


# keeping bytes

def test_body_arrives_byte_for_byte(sidecar):
    sidecar.boot(tokens=1)
    odd = (b'{ "model" : "m", "prompt":"caf\\u00e9 \xc3\xa9 \\ud800 \\u0000", "stream":false,\n'
           b'  "options":{"seed":12345678901234567890, "use_mmap":true, "temperature":1e-7}, "z":[1.0,1e2], "a":1, "a":2 }\n')
    assert sidecar.ask("POST", "/api/generate", odd).status == 200
    (seen,) = sidecar.backend.requests("/api/generate")
    assert seen["body_sha256"] == hashlib.sha256(odd).hexdigest()


@pytest.mark.parametrize("size", [1, 70_000, 3 << 20])
def test_bodies_of_every_size_and_framing(sidecar, size):
    sidecar.boot(tokens=1)
    body = json.dumps({"model": "m", "stream": False, "prompt": "x" * size, "options": {"use_mmap": True}}).encode()
    assert sidecar.ask("POST", "/api/generate", body).status == 200
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in
                      (body[at:at + 10_000] for at in range(0, len(body), 10_000))) + b"0\r\n\r\n"
    assert sidecar.ask("POST", "/api/generate", chunks, [("Transfer-Encoding", "chunked")]).status == 200
    for seen in sidecar.backend.requests("/api/generate"):
        assert seen["body_sha256"] == hashlib.sha256(body).hexdigest()


def test_request_sent_byte_by_byte(sidecar):
    sidecar.boot(tokens=1)
    body = b'{"model":"m","prompt":"x","stream":false}'
    with sidecar.connect() as connection:
        for byte in b"POST /api/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body:
            connection.sock.send(bytes([byte]))
        assert connection.receive().json["done"] is True


def test_answer_is_that_of_ollama(sidecar):
    sidecar.boot("m,other:7b")
    for path in ("/api/tags", "/api/version", "/", "/v1/models"):
        direct, through = ask(sidecar.backend.port, "GET", path), sidecar.ask("GET", path)
        if path == "/v1/models":  # made here, of /api/tags
            assert through.json == direct.json
            continue
        assert (through.status, through.body) == (direct.status, direct.body)
        assert through.header("content-type") == direct.header("content-type")
    assert sidecar.ask("HEAD", "/").status == 200


def test_no_hop_by_hop_headers_in_either_direction(sidecar):
    sidecar.boot(tokens=1)
    answer = sidecar.ask("POST", "/api/generate", {"model": "m", "prompt": "x", "stream": False}, [
        ("Connection", "keep-alive, X-Mine"), ("X-Mine", "secret"), ("Keep-Alive", "timeout=5"), ("TE", "trailers"),
        ("Proxy-Authorization", "Basic eA=="), ("X-Other", "stays")])
    (seen,) = sidecar.backend.requests("/api/generate")
    names = {name.lower() for name, _ in seen["headers"]}
    assert "x-other" in names and "x-mine" not in names
    assert not (names & HOP_BY_HOP) - {"connection"}
    assert all(value.lower() == "keep-alive" for name, value in seen["headers"] if name.lower() == "connection")
    sent_back = [name.lower() for name, _ in answer.headers]
    assert sent_back.count("content-length") + sent_back.count("transfer-encoding") == 1


def test_expect_100_continue(sidecar):
    sidecar.boot(tokens=1)
    body = b'{"model":"m","prompt":"x","stream":false}'
    with sidecar.connect() as connection:
        connection.send("POST", "/api/generate", b"", [("Expect", "100-continue"), ("Content-Length", str(len(body)))])
        assert connection.line().startswith(b"HTTP/1.1 100")
        assert connection.line() == b""
        connection.sock.sendall(body)
        assert connection.receive().json["done"] is True


def test_http_1_0_client_gets_its_tokens_unframed(sidecar):
    sidecar.boot(tokens=3)
    body = b'{"model":"m","prompt":"x"}'
    with socket.create_connection(("127.0.0.1", sidecar.port), 5 * SLACK) as sock:
        sock.sendall(b"POST /api/generate HTTP/1.0\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        data = b""
        while True:
            more = sock.recv(65536)
            if not more:
                break
            data += more
    head, rest = data.split(b"\r\n\r\n", 1)
    assert b"chunked" not in head.lower() and len(rest.splitlines()) == 4 and b'"done":true' in rest


def test_long_lines_pass(sidecar):
    sidecar.boot(tokens=2, token_delay_ms=1, token_bytes=3 << 20)
    answer = sidecar.generate(stream=True)
    assert answer.clean and len(answer.body) > 6 << 20 and b'"done":true' in answer.body[-2000:]


# many at once

def test_fifty_streams(sidecar):
    sidecar.boot(tokens=20, token_delay_ms=30)

    def one(number):
        with sidecar.connect(timeout=20) as connection:
            answer = stream(connection, prompt=f"p{number}")
            arrived = list(answer.objects())
            return answer.clean, len(arrived), arrived[-1][1]["done"], arrived[-2][0] - arrived[0][0]

    for clean, count, done, spread in [one.result(20) for one in [Background(one, number) for number in range(50)]]:
        assert clean and count == 21 and done is True and spread > 0.3


def test_where_descriptors_are_few_clients_wait_and_none_is_refused(sidecar):
    sidecar.boot(tokens=1, first_token_delay_ms=200)
    resource.prlimit(sidecar.process.pid, resource.RLIMIT_NOFILE, (300, 300))
    assert sidecar.ctl("restart", "proxy").returncode == 0
    sidecar.process.wait_log(r"few_descriptors limit=300 .*clients=86")
    calls = [sidecar.background("POST", "/api/generate", {"model": "m", "prompt": "x", "stream": False})
             for _ in range(200)]
    assert {call.result(20).status for call in calls} == {200}


def test_connections_that_are_only_kept_make_room(sidecar):
    sidecar.configure("proxy", max_clients="3")
    sidecar.boot(tokens=1)
    kept = [sidecar.connect() for _ in range(3)]
    for connection in kept:
        assert connection.request("GET", "/api/version").body
    for _ in range(5):  # more than there is room for, each beside the others
        kept.append(sidecar.connect(timeout=3))
        assert kept[-1].request("GET", "/live").status == 200
    for connection in kept:
        connection.close()


def test_at_the_limit_clients_wait_for_those_at_work(sidecar):
    sidecar.configure("proxy", max_clients="2")
    sidecar.boot(tokens=1, first_token_delay_ms=700)
    calls = [sidecar.background("POST", "/api/generate", {"model": "m", "prompt": "x", "stream": False}) for _ in range(2)]
    until(lambda: len(sidecar.backend.requests("/api/generate")) == 2, 5, "two at work")
    began = time.monotonic()
    assert sidecar.ask("GET", "/live").status == 200
    assert time.monotonic() - began > 0.1 and [call.result().status for call in calls] == [200, 200]


def memory_kb(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int(re.search(r"^RssAnon:\s+(\d+)", f.read(), re.M).group(1))


@pytest.mark.skipif("asan" in os.environ.get("BUILD_DIR", ""), reason="a sanitizer keeps what was freed, to look at it")
def test_what_a_crowd_needed_is_given_back(sidecar):
    sidecar.boot(tokens=1)
    pid, before_kb = sidecar.pid_of("proxy"), memory_kb(sidecar.pid_of("proxy"))
    crowd = [sidecar.connect() for _ in range(300)]
    for connection in crowd:  # half of a request each, which is held
        connection.sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nX-Long: " + b"x" * 30000)
    until(lambda: memory_kb(pid) > before_kb + 300 * 28, 10, "the proxy holds what came")
    for connection in crowd[:-1]:  # the last one stays, and what it has lies behind all that becomes free
        connection.close()
    until(lambda: memory_kb(pid) < before_kb + 1500, 10, "it is given back")
    crowd[-1].close()


def test_pause_longer_than_any_usual_limit_between_tokens(sidecar):
    sidecar.configure("proxy", heartbeat="off", header_timeout="1s", keepalive_timeout="1s", write_timeout="1s")
    sidecar.boot(tokens=2, token_delay_ms=2500)
    answer = sidecar.generate(stream=True)
    assert answer.clean and b'"done":true' in answer.body


def test_slow_reader_slows_the_backend_and_loses_nothing(sidecar):
    tokens_n = 100 + kernel_buffers_bytes() // 65536
    sidecar.boot(tokens=tokens_n, token_delay_ms=0, token_bytes=65536)
    with sidecar.connect(timeout=20) as connection:
        answer = stream(connection)
        pieces = answer.pieces()
        next(pieces)
        time.sleep(0.5)  # the test is about this pause: the backend must not get far meanwhile
        assert not sidecar.backend.journal("done")
        size = sum(len(data) for _, data in pieces)
    assert answer.clean and size > (tokens_n - 1) * 65536


def test_slow_head_is_ended(sidecar):
    sidecar.configure("proxy", header_timeout="1s")
    sidecar.boot()
    with socket.create_connection(("127.0.0.1", sidecar.port), 5 * SLACK) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: ")
        sock.settimeout(4 * SLACK)
        answer = sock.recv(4096)
    assert not answer or answer.startswith(b"HTTP/1.1 408")


def test_requests_are_counted(sidecar):
    sidecar.boot(tokens=1)
    for _ in range(3):
        sidecar.generate()
    assert sidecar.health()["requests"] is not None
    until(lambda: sidecar.health()["code"] == 200, 3, "health")


# alone

def test_proxy_alone_binds_for_itself_with_the_gate_open(sidecar):
    sidecar.backend.script(tokens=2)
    backend = standin.start(sidecar.backend, sidecar.mark, "m")
    sidecar.processes.append(backend)
    sidecar.backend.wait("listening")
    sidecar.configure("proxy", backend=f"http://127.0.0.1:{sidecar.backend.port}")
    sidecar.start("ollama-proxy")
    sidecar.wait_ready()
    assert sidecar.generate().json["response"] == "t0 t1 "
    backend.stop()
    ollama_error(sidecar.generate(), 502)
    assert sidecar.stop() == 0


def test_answer_class_notices_bad_framing():
    """The tests above rest on it."""
    left, right = socket.socketpair()
    connection = Connection.__new__(Connection)
    connection.sock, connection._buffer = left, b""
    right.sendall(b"3\r\nabc\r\n")
    right.close()
    answer = Answer(connection, 200, [("Transfer-Encoding", "chunked")])
    assert answer.body == b"abc" and answer.clean is False
    left.close()
