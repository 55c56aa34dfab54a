"""Nobody can hang the proxy or outgrow it: every wait, every buffer and every number of clients has its bound."""
import hashlib
import json
import os
import time

import pytest

from client import Connection
from raw_client import all_of, descriptors, drip, head, is_answered, kernel_buffers_bytes, memory_kb, sock_to
from waiting import SLACK, until

BODY = {"model": "m", "prompt": "x"}
IS_SANITIZED = "san" in os.environ.get("BUILD_DIR", "")
MEMORY = pytest.mark.skipif(IS_SANITIZED, reason="a sanitizer keeps what was freed, to look at it")


# slow senders

def test_slow_head_gets_408_at_its_deadline_proxy_scenario_19(sidecar):
    sidecar.configure("proxy", header_timeout="1500ms", keepalive_timeout="3s")
    sidecar.boot(tokens=3)
    others = [sidecar.background("POST", "/api/generate", {**BODY, "stream": False}) for _ in range(5)]
    with sock_to(sidecar) as sock:
        time.sleep(0.5)  # no byte yet: not the header's time
        took = drip(sock, b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: " + b"x" * 100, 0.1, lambda: is_answered(sock))
        answer = all_of(sock)
    assert answer.startswith(b"HTTP/1.1 408") and b"header_timeout" in answer and b"onnection: close" in answer
    assert 1.3 < took < 2.5 * SLACK
    assert {other.result().status for other in others} == {200}


def test_connection_is_kept_until_the_first_byte_of_another_request(sidecar):
    sidecar.configure("proxy", header_timeout="500ms", keepalive_timeout="2s")
    sidecar.boot(tokens=1)
    with sidecar.connect() as connection:
        assert connection.request("GET", "/api/version").body
        time.sleep(1.2)  # longer than a header may take
        assert connection.request("GET", "/api/version").body
        began = time.monotonic()
        with pytest.raises(EOFError):
            connection.some(1)
        assert 1.8 < time.monotonic() - began < 3 * SLACK


def test_empty_line_behind_a_request_begins_no_other_one(sidecar):
    sidecar.configure("proxy", header_timeout="500ms", keepalive_timeout="2s", access_log="text")
    sidecar.boot(tokens=1)
    with sidecar.connect() as connection:
        assert connection.request("POST", "/api/generate", {**BODY, "stream": False}).body
        connection.sock.sendall(b"\r\n")
        time.sleep(1.2)  # longer than a header may take
        assert connection.request("GET", "/api/version").body
        connection.sock.sendall(b"\r\n")
        with pytest.raises(EOFError):  # not a 408 to nobody's request
            connection.some(1)
    assert not sidecar.process.logged(" access .* path=- ")


def test_idle_connection_that_never_asks_is_closed(sidecar):
    sidecar.configure("proxy", keepalive_timeout="1s")
    sidecar.boot()
    with sock_to(sidecar) as sock:
        began = time.monotonic()
        assert all_of(sock) == b"" and 0.8 < time.monotonic() - began < 2 * SLACK


@pytest.mark.parametrize("path", ["/api/generate", "/api/blobs/sha256:" + "0" * 64])
def test_slow_body_gets_408_and_costs_what_came_proxy_scenario_20(sidecar, path):
    sidecar.configure("proxy", header_timeout="1500ms", min_upload_rate="10K")
    sidecar.boot(tokens=1)
    pid = sidecar.pid_of("proxy")
    before_kb = memory_kb(pid)
    with sock_to(sidecar) as sock:
        sock.sendall(head(path, 5_000_000))
        took = drip(sock, b"x" * 1000, 0.05, lambda: is_answered(sock))
        assert IS_SANITIZED or memory_kb(pid) < before_kb + 1000
        answer = all_of(sock)
    assert answer.startswith(b"HTTP/1.1 408") and b"min_upload_rate" in answer
    assert 1.3 < took < 2.5 * SLACK


def test_body_as_fast_as_demanded_is_served_however_long_it_takes_proxy_scenario_20(sidecar):
    sidecar.configure("proxy", header_timeout="1s", min_upload_rate="1K", write_timeout="1s")
    sidecar.boot(tokens=1)
    body = json.dumps({**BODY, "stream": False, "system": "x" * 9000}).encode()
    with sidecar.connect() as connection:
        connection._method = "POST"
        connection.sock.sendall(head(length=len(body)))
        for at in range(0, len(body), 600):
            connection.sock.sendall(body[at:at + 600])
            time.sleep(0.2)  # 3 KB a second, for three seconds
        assert connection.receive().json["done"] is True


def test_body_that_comes_in_bursts_is_as_fast_as_its_average(sidecar):
    sidecar.configure("proxy", header_timeout="3s", min_upload_rate="1K")
    sidecar.boot(tokens=1)
    body = json.dumps({**BODY, "stream": False, "system": "x" * 12000}).encode()
    with sidecar.connect() as connection:
        connection._method = "POST"
        connection.sock.sendall(head(length=len(body)))
        for at in range(0, len(body), 4000):
            time.sleep(1.8)  # 2 KB a second, and never as late as header_timeout allows
            connection.sock.sendall(body[at:at + 4000])
        assert connection.receive().json.get("done") is True


def test_time_in_which_a_body_is_not_taken_is_not_the_clients(sidecar):
    """An upload that is held at the gate, and goes on when Ollama is there."""
    sidecar.configure("proxy", header_timeout="500ms", min_upload_rate="1M", write_timeout="500ms")
    sidecar.backend.script(start_delay_s=2)
    sidecar.start()
    until(sidecar.health, 5, "the proxy answers")
    blob = os.urandom(3_000_000)
    digest = hashlib.sha256(blob).hexdigest()
    answer = sidecar.ask("POST", f"/api/blobs/sha256:{digest}", blob)
    assert answer.status == 201


# slow readers

def big_stream(sidecar, sock):
    """Begins an answer that does not fit into the kernel's buffers. How many tokens of 64 KB it has."""
    tokens_n = 100 + kernel_buffers_bytes() // 65536
    sidecar.backend.script(tokens=tokens_n, token_delay_ms=0, token_bytes=65536)
    body = json.dumps(BODY).encode()
    sock.sendall(head(length=len(body)) + body)
    sidecar.backend.wait("first_token")
    return tokens_n


@MEMORY
def test_client_that_reads_nothing_is_ended_and_its_backend_held_back_proxy_scenario_21(sidecar):
    sidecar.configure("proxy", write_timeout="2s")
    sidecar.boot()
    pid = sidecar.pid_of("proxy")
    before_kb = memory_kb(pid)
    with sock_to(sidecar, 4096) as sock:
        big_stream(sidecar, sock)
        began = time.monotonic()
        sidecar.process.wait_log(r"client_stalled", 6)
        took = time.monotonic() - began
        assert memory_kb(pid) < before_kb + 1000
    sidecar.backend.wait("cancelled")
    assert 1.5 < took < 4 * SLACK and not sidecar.backend.journal("done")


@pytest.mark.limit(60)
def test_client_that_reads_slowly_and_steadily_is_served_proxy_scenario_21(sidecar):
    sidecar.configure("proxy", write_timeout="3s")
    sidecar.boot()
    with sock_to(sidecar, 8192) as sock:
        tokens_n = big_stream(sidecar, sock)
        data, end = bytearray(), time.monotonic() + 8
        while time.monotonic() < end:  # so little that the kernel's buffers hardly get emptier
            data += sock.recv(4096)
            time.sleep(0.1)
        assert not sidecar.process.logged("client_stalled")
        assert not sidecar.backend.journal("done") and not sidecar.backend.journal("cancelled")
        while not data.endswith(b"\r\n0\r\n\r\n"):
            more = sock.recv(1 << 20)
            assert more, "cut off"
            data += more
    assert len(data) > tokens_n * 65536


# errors that come early

@pytest.mark.parametrize("path, status", [("/api/generate", 413), ("/nothing", 404)])
def test_early_error_reaches_who_sends_everything_first(sidecar, path, status):
    sidecar.configure("proxy", max_body="1M")
    sidecar.boot()
    with sock_to(sidecar) as sock:
        sock.sendall(head(path, 50 << 20))
        for _ in range(50):
            sock.sendall(b"x" * (1 << 20))
        assert all_of(sock).startswith(b"HTTP/1.1 %d" % status)


def test_who_goes_on_sending_and_never_reads_is_left_in_the_end(sidecar):
    sidecar.configure("proxy", max_body="1M")
    sidecar.boot()
    with sock_to(sidecar) as sock:
        sock.sendall(head(length=1 << 40))
        began = time.monotonic()
        with pytest.raises(ConnectionError):
            while time.monotonic() < began + 20 * SLACK:
                sock.sendall(b"x" * 10000)
                time.sleep(0.02)
        assert 8 < time.monotonic() - began < 14 * SLACK
        assert sidecar.health()["code"] == 200


def test_who_neither_sends_nor_reads_after_an_error_is_left_sooner(sidecar):
    sidecar.configure("proxy", max_body="1M")
    sidecar.boot()
    with sock_to(sidecar) as sock:
        sock.sendall(head(length=1 << 30))
        began = time.monotonic()
        assert all_of(sock).startswith(b"HTTP/1.1 413")  # up to the half-close
        with_us = descriptors(sidecar.pid_of("proxy"))
        until(lambda: descriptors(sidecar.pid_of("proxy")) < with_us, 5, "the proxy has closed its side")
        assert 1.5 < time.monotonic() - began < 4 * SLACK


def test_slow_heads_make_room_for_who_waits(sidecar):
    sidecar.configure("proxy", max_clients="4", header_timeout="25s")
    sidecar.boot(tokens=1)
    slow = [sock_to(sidecar) for _ in range(4)]
    for sock in slow:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nX-")
    began = time.monotonic()
    with Connection(sidecar.port, timeout=12) as connection:
        assert connection.request("GET", "/live").status == 200
    assert time.monotonic() - began < 8 * SLACK
    assert all_of(slow[0]).startswith(b"HTTP/1.1 408")
    for sock in slow:
        sock.close()


# memory for bodies, of all together

def large(megabytes, **more):
    return json.dumps({**BODY, "stream": False, "system": "x" * int(megabytes * (1 << 20)), **more}).encode()


def test_bodies_that_are_held_have_a_budget_and_give_it_back(sidecar):
    sidecar.configure("proxy", max_body="4M", max_held_bodies="8M", retry_body="4M")  # held until an answer begins
    sidecar.boot(first_token_delay_ms=20000)
    held = [sidecar.connect() for _ in range(2)]
    for connection in held:
        connection.send("POST", "/api/generate", large(3.5))
    until(lambda: len(sidecar.backend.requests("/api/generate")) == 2, 5, "both are asked")
    for path in ("/api/generate", "/v1/chat/completions"):
        answer = sidecar.ask("POST", path, large(3.5))
        assert answer.status == 503 and answer.header("retry-after")
        error = answer.json["error"]
        assert "max_held_bodies" in (error["message"] if path.startswith("/v1") else error)
    with sock_to(sidecar) as sock:  # a length that is not told is noticed on the way
        sock.sendall(head(more="Transfer-Encoding: chunked\r\n"))
        for _ in range(60):
            sock.sendall(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
        assert all_of(sock).startswith(b"HTTP/1.1 503")
    sidecar.backend.script(tokens=1)
    assert sidecar.generate().status == 200  # who only asks is served all the same
    for connection in held:
        connection.close()
    until(lambda: len(sidecar.backend.journal("cancelled")) == 2, 5, "they are gone")
    for _ in range(3):  # and each of these gives back what it took
        calls = [sidecar.background("POST", "/api/generate", large(3.5)) for _ in range(2)]
        assert {call.result().status for call in calls} == {200}


@pytest.mark.parametrize("end", ["client leaves", "408", "413", "400", "502", "503", "stream begins"])
def test_every_end_of_a_request_gives_its_part_of_the_budget_back(sidecar, end):
    sidecar.configure("proxy", max_body="2M", max_held_bodies="2M", header_timeout="300ms", min_upload_rate="1M")
    if end == "503":
        sidecar.configure("proxy", hold_timeout="100ms")
    sidecar.boot(tokens=1, **({"garbage_answer": "reset"} if end == "502" else {}))
    if end == "503":
        assert sidecar.ctl("stop", "ollama").returncode == 0
        sidecar.wait_health(lambda health: health["code"] != 200)
    for _ in range(3):  # were a body lost each time, the last one would not find room
        answer = provoke(sidecar, end, large(1))
        assert answer.startswith(b"HTTP/1.1 " + end.encode()) or end == "client leaves" or b'"done":true' in answer
    sidecar.backend.script(tokens=1)
    if end == "503":
        sidecar.ctl("start", "ollama")
        sidecar.wait_ready()
    # who has left may still be read to his end when the next one is there already
    until(lambda: sidecar.ask("POST", "/api/generate", large(1.9)).status == 200, 5, "the budget is given back")


def provoke(sidecar, end, body):
    """A request with a body of 1 MB that ends like that; what was answered."""
    chunked, chunk = head(more="Connection: close\r\nTransfer-Encoding: chunked\r\n"), b"150000\r\n" + b"x" * 0x150000 + b"\r\n"
    sent = {"413": chunked + chunk + chunk, "400": chunked + chunk + b"nonsense\r\n",
            "408": head(length=len(body)) + body[:-1], "client leaves": head(length=len(body)) + body[:-1]}
    with sock_to(sidecar) as sock:
        sock.sendall(sent.get(end) or head(length=len(body), more="Connection: close\r\n") + body)
        return b"" if end == "client leaves" else all_of(sock)


@MEMORY
def test_memory_is_bounded_whatever_clients_send(sidecar):
    sidecar.configure("proxy", max_body="4M", max_held_bodies="16M", max_clients="100")
    sidecar.boot(first_token_delay_ms=20000)
    pid = sidecar.pid_of("proxy")
    before_kb = most_kb = memory_kb(pid)
    greedy = {sock_to(sidecar): 3_900_000 for _ in range(90)}
    for sock in greedy:
        sock.sendall(head(length=4_000_000, more="X-Long: " + "x" * 30000 + "\r\n"))
        sock.setblocking(False)
    deadline = time.monotonic() + 15 * SLACK
    while any(greedy.values()) and time.monotonic() < deadline:
        for sock, left in greedy.items():
            try:
                greedy[sock] -= sock.send(b"x" * min(left, 1 << 18))
            except BlockingIOError:
                continue
            except OSError:
                greedy[sock] = 0
        most_kb = max(most_kb, memory_kb(pid))
    assert not any(greedy.values())
    assert 10_000 < most_kb - before_kb < 16 * 1024 + 90 * 200
    assert sidecar.ask("GET", "/live").status == 200
    for sock in greedy:
        sock.close()
    until(lambda: memory_kb(pid) < before_kb + 3000, 10, "all of it is given back")
