"""Nobody can hang the proxy or outgrow it: every wait, every buffer and every number of clients has its bound."""
import hashlib
import json
import os
import re
import resource
import socket
import time

import pytest

from client import Connection
from waiting import SLACK, until

BODY = {"model": "m", "prompt": "x"}
IS_SANITIZED = "san" in os.environ.get("BUILD_DIR", "")
MEMORY = pytest.mark.skipif(IS_SANITIZED, reason="a sanitizer keeps what was freed, to look at it")


def memory_kb(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(re.search(r"^RssAnon:\s+(\d+)", file.read(), re.M).group(1))


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def sock_to(sidecar, receive_bytes=0, timeout=20, source="127.0.0.1"):
    """A bare connection; receive_bytes: how much the kernel may take for us, about."""
    sock = socket.socket()
    if receive_bytes:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    sock.settimeout(timeout * SLACK)
    sock.bind((source, 0))
    sock.connect(("127.0.0.1", sidecar.port))
    return sock


def head(path="/api/generate", length=None, method="POST", more=""):
    lines = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{more}"
    return (lines + (f"Content-Length: {length}\r\n" if length is not None else "") + "\r\n").encode()


def all_of(sock):
    data = b""
    try:
        while more := sock.recv(1 << 16):
            data += more
    except ConnectionError:
        pass
    return data


def drip(sock, text, every_s, condition=lambda: False):
    """Sends a byte now and then until that is refused, the condition holds, or the text is over; the seconds it took."""
    began = time.monotonic()
    for byte in text:
        if condition():
            break
        try:
            sock.send(bytes([byte]))
        except OSError:
            break
        time.sleep(every_s)  # the test is about this pace
    return time.monotonic() - began


def is_answered(sock):
    try:
        sock.setblocking(False)
        return bool(sock.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return False
    finally:
        sock.settimeout(20 * SLACK)


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
    sidecar.backend.script(tokens=300, token_delay_ms=0, token_bytes=65536)
    body = json.dumps(BODY).encode()
    sock.sendall(head(length=len(body)) + body)
    sidecar.backend.wait("first_token")


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
    sidecar.configure("proxy", write_timeout="1500ms")
    sidecar.boot()
    with sock_to(sidecar, 8192) as sock:
        big_stream(sidecar, sock)
        data, end = bytearray(), time.monotonic() + 6
        while time.monotonic() < end:  # so little that the kernel's buffer, some MB, hardly gets emptier
            data += sock.recv(4096)
            time.sleep(0.1)
        assert not sidecar.process.logged("client_stalled")
        assert not sidecar.backend.journal("done") and not sidecar.backend.journal("cancelled")
        while not data.endswith(b"\r\n0\r\n\r\n"):
            more = sock.recv(1 << 20)
            assert more, "cut off"
            data += more
    assert len(data) > 300 * 65536


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
    assert sidecar.ask("POST", "/api/generate", large(1.9)).status == 200


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


# how many of one address

def get(sock, path="/live"):
    sock.sendall(head(path, method="GET"))
    return sock.recv(1 << 16)


def test_connections_of_one_address_are_limited(sidecar):
    sidecar.configure("proxy", max_clients_per_address="3", keepalive_timeout="60s")
    sidecar.boot(tokens=1)
    # (the tests' own questions come from 127.0.0.1)
    mine = [sock_to(sidecar, source="127.0.0.7") for _ in range(3)]
    assert all(get(sock).startswith(b"HTTP/1.1 200") for sock in mine)
    for path, shape in (("/api/generate", rb'\{"error":"[^"]*max_clients_per_address'),
                        ("/v1/chat/completions", rb'"type":"rate_limit_error".*too_many_connections')):
        with sock_to(sidecar, source="127.0.0.7") as sock:
            sock.sendall(head(path, 100_000) + b"x" * 100_000)
            answer = all_of(sock)
        assert answer.startswith(b"HTTP/1.1 429") and re.search(shape, answer), answer
    with sock_to(sidecar, source="127.0.0.8") as other:
        assert get(other).startswith(b"HTTP/1.1 200")
    assert sidecar.generate().status == 200
    sidecar.process.wait_log(r" warning proxy address_full address=127.0.0.7 limit=3")
    mine.pop().close()
    until(lambda: served_again(sidecar), 3, "a place that became free is given again")
    for sock in mine:
        sock.close()


def test_connections_of_a_trusted_proxy_are_not_counted(sidecar):
    sidecar.configure("proxy", max_clients_per_address="2", trusted_proxies="127.0.0.7")
    sidecar.boot(tokens=1)
    many = [sock_to(sidecar, source="127.0.0.7") for _ in range(10)]
    assert all(get(sock).startswith(b"HTTP/1.1 200") for sock in many)
    others = [sock_to(sidecar, source="127.0.0.8") for _ in range(3)]
    assert [get(sock)[:12] for sock in others] == [b"HTTP/1.1 200"] * 2 + [b"HTTP/1.1 429"]
    for sock in many + others:
        sock.close()


def served_again(sidecar):
    with sock_to(sidecar, source="127.0.0.7") as sock:
        return get(sock).startswith(b"HTTP/1.1 200")


def test_a_flood_from_one_address_leaves_room_for_others(sidecar):
    sidecar.configure("proxy", max_clients_per_address="2", max_clients="20")
    sidecar.boot(tokens=1)
    flood = [sock_to(sidecar, source="127.0.0.7") for _ in range(200)]
    for sock in flood:
        try:
            sock.sendall(b"GET / HTTP/1.1\r\n")
        except OSError:
            pass
    for _ in range(5):
        with sock_to(sidecar, timeout=3) as other:
            assert get(other).startswith(b"HTTP/1.1 200")
    assert len(sidecar.process.logged("address_full")) == 1
    answers = [all_of(sock) for sock in flood[2:]]  # the first two are served, and take their time
    told = [answer for answer in answers if answer.startswith(b"HTTP/1.1 429")]
    assert 8 <= len(told) < 60 and all(answer in told or not answer for answer in answers)
    for sock in flood:
        sock.close()


# how many in all

def room_for_descriptors(wanted):
    """Raises this process's own limit; skips, and says why, where the machine does not allow so many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"the hard limit on descriptors is {hard}, and {wanted} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


@pytest.mark.limit(120)
def test_8192_clients(sidecar):
    """As many as the setting says: idle ones, and fifty that are answered beside them."""
    room_for_descriptors(2 * 8192 + 200)
    sidecar.configure("proxy", max_clients="8192")
    sidecar.boot(tokens=30, token_delay_ms=20)
    assert not sidecar.process.logged("few_descriptors")
    pid = sidecar.pid_of("proxy")
    before, before_kb = descriptors(pid), memory_kb(pid)
    idle = [sock_to(sidecar, source=f"127.0.1.{number % 200 + 1}") for number in range(8192 - 60)]
    for sock in idle[::2]:
        sock.sendall(head("/live", method="GET"))
    for sock in idle[::2]:
        assert sock.recv(4096).startswith(b"HTTP/1.1 200")
    until(lambda: descriptors(pid) >= len(idle), 10, "all of them are in")
    assert IS_SANITIZED or memory_kb(pid) - before_kb < 8192 * 16
    streams = [sidecar.background("POST", "/api/generate", BODY) for _ in range(50)]
    answers = [stream.result(30) for stream in streams]
    assert all(answer.clean and answer.body.count(b"\n") == 31 for answer in answers)
    for sock in idle[1::2]:  # none was closed meanwhile
        sock.sendall(head("/live", method="GET"))
        assert sock.recv(4096).startswith(b"HTTP/1.1 200")
    for sock in idle:
        sock.close()
    until(lambda: descriptors(pid) < before + 70, 10, "all of them are gone")
    assert IS_SANITIZED or until(lambda: memory_kb(pid) < before_kb + 3000, 10, "their memory too")


# descriptors

def cpu_ticks(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        return sum(map(int, file.read().rsplit(")", 1)[1].split()[11:13]))


def test_without_descriptors_nobody_is_lost_and_nothing_spins_proxy_scenario_40(sidecar):
    sidecar.boot(tokens=1, first_token_delay_ms=2500)
    pid = sidecar.pid_of("proxy")
    at_work = [sidecar.background("POST", "/api/generate", BODY) for _ in range(10)]
    until(lambda: len(sidecar.backend.requests("/api/generate")) == 10, 5, "ten at work")
    soft_hard = resource.prlimit(pid, resource.RLIMIT_NOFILE, (descriptors(pid), 20000))
    calls = [sidecar.background("GET", "/live") for _ in range(20)]
    sidecar.process.wait_log("accept_failed")
    ticks = cpu_ticks(pid)
    time.sleep(1.5)  # the test is about what happens meanwhile: nothing
    assert cpu_ticks(pid) - ticks < 20 * SLACK
    assert len(sidecar.process.logged("accept_failed")) == 1
    assert not any(call.finished for call in calls)
    assert {call.result(8).status for call in at_work + calls} == {200}  # when they end, there are descriptors again
    assert len(sidecar.process.logged("accept_failed")) == 1
    resource.prlimit(pid, resource.RLIMIT_NOFILE, soft_hard)


def test_without_descriptors_those_who_are_only_kept_make_room(sidecar):
    sidecar.boot(tokens=1)
    pid = sidecar.pid_of("proxy")
    kept = [sock_to(sidecar) for _ in range(10)]
    assert all(get(sock).startswith(b"HTTP/1.1 200") for sock in kept)
    soft_hard = resource.prlimit(pid, resource.RLIMIT_NOFILE, (descriptors(pid), 20000))
    for _ in range(5):
        assert sidecar.ask("GET", "/live", timeout=3).status == 200
    assert not sidecar.process.logged("accept_failed")
    resource.prlimit(pid, resource.RLIMIT_NOFILE, soft_hard)
    for sock in kept:
        sock.close()
