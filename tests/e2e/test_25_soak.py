"""Many at once, for a while: a stop in the middle of them, and a storm after which everything is as it was before.

SOAK_S=3600 python3 -m pytest tests/e2e/test_25_soak.py -k storm     # the storm for an hour; 9 s by default
"""
import json
import os
import random
import re
import resource
import signal
import socket
import struct
import threading
import time

import pytest

import standin
from client import Background
from waiting import SLACK, until

BODY = {"model": "m", "prompt": "x"}
SOAK_S = float(os.environ.get("SOAK_S") or 9)
IS_SANITIZED = "san" in os.environ.get("BUILD_DIR", "")


# a stop with fifty streams under way

def alone(sidecar, **script):
    """The proxy by itself, before a stand-in."""
    sidecar.backend.script(**script)
    sidecar.processes.append(standin.start(sidecar.backend, sidecar.mark, "m"))
    sidecar.backend.wait("listening")
    sidecar.configure("proxy", backend=f"http://127.0.0.1:{sidecar.backend.port}")
    sidecar.start("ollama-proxy")
    sidecar.wait_ready()
    return sidecar.process


def fifty_streams(sidecar):
    """Each of them has a token."""
    begun = []

    def noted(line):
        begun.append(line)
        return line

    def one():
        with sidecar.connect(timeout=20) as connection:
            answer = connection.request("POST", "/api/generate", BODY)
            lines = (line for _, line in answer.lines() if line.strip())
            return answer, [noted(next(lines)), *lines]

    streams = [Background(one) for _ in range(50)]
    until(lambda: len(begun) == 50, 10, "a token for each", sidecar.process.tail)
    return streams


def test_a_stop_lets_fifty_streams_finish_proxy_scenario_38(sidecar):
    process = alone(sidecar, tokens=60, token_delay_ms=30)
    unused, kept, silent = sidecar.connect(), sidecar.connect(), sidecar.connect()
    assert silent.request("GET", "/live").body
    streams = fifty_streams(sidecar)
    assert kept.request("GET", "/live").body
    process.kill(signal.SIGTERM)
    process.wait_log(r" drain cause=signal clients=\d+")
    with pytest.raises(ConnectionRefusedError):
        sidecar.connect()
    ready = unused.request("GET", "/ready")
    assert ready.status == 503 and ready.header("connection") == "close"
    last = kept.request("GET", "/live")  # it has just asked: what it sends is on its way, perhaps
    assert last.status == 200 and last.body and last.header("connection") == "close"
    for connection in (kept, silent):
        with pytest.raises((EOFError, ConnectionError)):
            connection.line()
    for answer, lines in [stream.result(20) for stream in streams]:
        assert answer.clean and len(lines) == 61 and json.loads(lines[-1])["done"] is True
    assert process.wait(3) == 0


@pytest.mark.parametrize("second", ["signal", "drain_timeout"])
def test_the_second_stop_ends_fifty_streams_honestly_proxy_scenario_38(sidecar, second):
    if second == "drain_timeout":
        sidecar.configure("proxy", drain_timeout="700ms")
    process = alone(sidecar, tokens=2000, token_delay_ms=30)
    streams = fifty_streams(sidecar)
    began = time.monotonic()
    process.kill(signal.SIGTERM)
    process.wait_log(" drain ")
    if second == "signal":
        process.kill(signal.SIGTERM)
    for answer, lines in [stream.result(10) for stream in streams]:
        assert not answer.clean and "shutting down" in json.loads(lines[-1])["error"]
        assert all("response" in json.loads(line) for line in lines[:-1])
    assert process.wait(3) == 0
    assert time.monotonic() - began < 3 * SLACK
    until(lambda: len(sidecar.backend.journal("cancelled")) == 50, 3, "the backend is told")


# a storm

class Storm:
    """Clients of every kind, until it is over. What each does is one method; which one comes next is chance."""

    def __init__(self, sidecar, seed):
        self.sidecar = sidecar
        self.seed = seed
        self.is_over = threading.Event()
        self.counts = {}
        self.kinds = [getattr(self, name) for name in dir(self) if name.startswith("do_")]
        self.latencies = []

    def run(self, seconds, threads_n=12):
        self.is_over.clear()
        threads = [Background(self._go_on, random.Random(self.seed + number)) for number in range(threads_n)]
        threads.append(Background(self._probe))
        threads.append(Background(self._starve))
        threads.append(Background(self._vary))
        time.sleep(seconds)  # the storm is a matter of time
        self.is_over.set()
        for thread in threads:
            thread.result(60)
        self.seed += 1000

    def _go_on(self, chance):
        while not self.is_over.is_set():
            kind = chance.choice(self.kinds)
            try:
                with socket.create_connection(("127.0.0.1", self.sidecar.port), 10 * SLACK) as sock:
                    kind(sock, chance)
            except (OSError, EOFError):
                pass
            self.counts[kind.__name__] = self.counts.get(kind.__name__, 0) + 1

    def _probe(self):
        """Somebody who only wants an answer, and gets one."""
        while not self.is_over.wait(0.05):
            began = time.monotonic()
            assert self.sidecar.ask("GET", "/live", timeout=20).status == 200
            self.latencies.append(time.monotonic() - began)

    def _starve(self):
        """Now and then there are no descriptors."""
        pid = self.sidecar.pid_of("proxy")
        soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        while not self.is_over.wait(1):
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (len(os.listdir(f"/proc/{pid}/fd")) + 2, hard))
            self.is_over.wait(0.3)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))

    def _vary(self):
        """The backend has its moods too."""
        moods = [{}, {"busy": True}, {"garbage_answer": "reset"}, {"garbage_answer": "bad_http"}, {"close_after_tokens": 3},
                 {"reset_after_tokens": 3}, {"error_after_tokens": 2}, {"garbage_answer": "hints"}, {"first_token_delay_ms": 300}]
        number = 0
        while not self.is_over.wait(0.25):
            number += 1
            self.sidecar.backend.script(tokens=20, token_delay_ms=3, **moods[number % len(moods)])
        self.sidecar.backend.script(tokens=20, token_delay_ms=3)

    def _ask(self, sock, chance, body_bytes=0, more=b"", **keys):
        del chance
        body = json.dumps({**BODY, "system": "x" * body_bytes, **keys}).encode()
        sock.sendall(b"POST /api/generate HTTP/1.1\r\nHost: a.localhost\r\n%sContent-Length: %d\r\n\r\n" % (more, len(body)) + body)

    @staticmethod
    def _reset(sock):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    @staticmethod
    def _drain(sock):
        while sock.recv(1 << 16):
            pass

    def do_stream(self, sock, chance):
        self._ask(sock, chance, more=b"Connection: close\r\n")
        self._drain(sock)

    def do_single(self, sock, chance):
        self._ask(sock, chance, chance.choice((0, 1000, 300_000)), more=b"Connection: close\r\n", stream=False)
        self._drain(sock)

    def do_leave_at_once(self, sock, chance):
        self._ask(sock, chance)

    def do_reset_in_the_stream(self, sock, chance):
        self._ask(sock, chance)
        sock.recv(100)
        self._reset(sock)

    def do_leave_in_the_body(self, sock, chance):
        sock.sendall(b"POST /api/generate HTTP/1.1\r\nHost: a.localhost\r\nContent-Length: 4000000\r\n\r\n"
                     + b"x" * chance.randrange(2_000_000))

    def do_upload(self, sock, chance):
        sock.sendall(b"POST /api/blobs/sha256:%s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 500000\r\nConnection: close\r\n\r\n"
                     % (b"0" * 64) + b"x" * chance.choice((100, 250_000, 500_000)))
        if chance.random() < 0.5:
            self._reset(sock)

    def do_too_large(self, sock, chance):
        sock.sendall(b"POST /api/chat HTTP/1.1\r\nHost: a.localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(30):
            sock.sendall(b"40000\r\n" + b"x" * 0x40000 + b"\r\n")
        self._drain(sock)

    def do_nonsense(self, sock, chance):
        sock.sendall(bytes(chance.randrange(256) for _ in range(chance.randrange(1, 3000))) + b"\r\n\r\n")
        sock.settimeout(1)
        sock.recv(1000)

    def do_bad_header(self, sock, chance):
        sock.sendall(chance.choice((b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
                                    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01")))
        self._drain(sock)

    def do_slow_head(self, sock, chance):
        for byte in b"GET /live HTTP/1.1\r\nHo":
            sock.sendall(bytes([byte]))
            if self.is_over.wait(0.02 * chance.random()):
                break

    def do_read_slowly_and_leave(self, sock, chance):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._ask(sock, chance)
        for _ in range(10):
            sock.recv(20)
            if self.is_over.wait(0.02):
                break

    def do_pipeline(self, sock, chance):
        self._ask(sock, chance, stream=False)
        sock.sendall(b"GET /api/version HTTP/1.1\r\nHost: a\r\n\r\n" * chance.choice((1, 10, 3000)))
        if chance.random() < 0.5:
            sock.recv(1000)

    def do_keep(self, sock, chance):
        for _ in range(chance.randrange(1, 20)):
            sock.sendall(b"GET /api/version HTTP/1.1\r\nHost: a\r\n\r\n")
            if not sock.recv(4096):
                break


def own_descriptors(pid, backend_port):
    """How many descriptors the process has, connections to the backend that it keeps left out."""
    inodes = set()
    with open("/proc/net/tcp", encoding="ascii") as file:
        for line in file:
            words = line.split()
            if words[2] == f"0100007F:{backend_port:04X}":
                inodes.add(f"socket:[{words[9]}]")
    count = 0
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            count += os.readlink(f"/proc/{pid}/fd/{name}") not in inodes
        except FileNotFoundError:
            continue
    return count


def memory_kb(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(re.search(r"^RssAnon:\s+(\d+)", file.read(), re.M).group(1))


def settled_kb(sidecar, pid):
    """What the proxy really needs: libc keeps some of what was freed until large bodies are gone, a second later."""
    sidecar.backend.script(tokens=1, first_token_delay_ms=300)
    calls = [sidecar.background("POST", "/api/generate", {**BODY, "system": "x" * 3_000_000}) for _ in range(2)]
    assert {call.result().status for call in calls} == {200}
    least, end = memory_kb(pid), time.monotonic() + 2 * SLACK
    while time.monotonic() < end:
        least = min(least, memory_kb(pid))
        time.sleep(0.05)
    return least


def at_rest(sidecar, pid, descriptors):
    """Nothing is under way, and nothing is held for it."""
    requests = sidecar.health().get("requests")
    return requests and requests["in_flight"] == requests["held"] == 0 and \
        own_descriptors(pid, sidecar.backend.port) <= descriptors


@pytest.mark.limit(SOAK_S * 2 + 120)
def test_after_a_storm_everything_is_as_before_proxy_scenario_40(sidecar):
    sidecar.configure("proxy", max_clients="200", max_body="4M", max_held_bodies="8M", header_timeout="2s", write_timeout="3s")
    sidecar.boot(tokens=20, token_delay_ms=3)
    pid = sidecar.pid_of("proxy")
    before = own_descriptors(pid, sidecar.backend.port)
    storm = Storm(sidecar, seed=random.randrange(1 << 30))
    print(f"seed {storm.seed}")
    storm.run(SOAK_S / 3)  # whatever is made once is made now
    until(lambda: at_rest(sidecar, pid, before), 20, "rest after the first part")
    before_kb, first = settled_kb(sidecar, pid), sorted(storm.latencies)
    storm.latencies = []
    storm.run(SOAK_S * 2 / 3)
    until(lambda: at_rest(sidecar, pid, before), 20, "rest",
          lambda: f"{own_descriptors(pid, sidecar.backend.port)} descriptors, {before} before; {sidecar.health()}")
    after_kb, last = settled_kb(sidecar, pid), sorted(storm.latencies)
    print(f"{sum(storm.counts.values())} clients {storm.counts}\nmemory {before_kb} -> {after_kb} KB\n"
          f"p99 of /live {first[len(first) * 99 // 100] * 1000:.1f} -> {last[len(last) * 99 // 100] * 1000:.1f} ms")
    assert len(sidecar.backend.journal("answered", status=200)) > 50 and len(sidecar.backend.journal("cancelled")) > 10
    assert min(storm.counts.get(kind.__name__, 0) for kind in storm.kinds) > 0
    assert IS_SANITIZED or after_kb < before_kb + 1000
    assert sidecar.pid_of("proxy") == pid and sidecar.generate().status == 200
    assert sidecar.stop() == 0
