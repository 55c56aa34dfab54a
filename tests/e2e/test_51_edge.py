"""The edge of sleep: everything ends because nobody needs it, and in that very moment somebody comes.

Whoever has connected is served, or is told orderly that the connection ends before he has asked; nobody is reset, and no
request that was sent is left without its answer.

EDGE_ROUNDS=5000 python3 -m pytest tests/e2e/test_51_edge.py -k hammered     # a soak; 200 rounds by default
"""
import ctypes
import json
import os
import random
import select
import socket
import struct
import threading
import time

import pytest

from played_backend import LAST, PlayedBackend, single
from sidecar import Sidecar
from waiting import SLACK, until

ROUNDS = int(os.environ.get("EDGE_ROUNDS") or 200)
LANES = 4
IDLE_MS = 30
FULL, UNCONNECTED, PARTED = "a full answer", "not connected", "parted before it asked"
CROSSED = "parted as it asked"  # the log tells of each: between the last look and the FIN nobody can look
SO_ATTACH_FILTER, SO_DETACH_FILTER = 26, 27
BYTES_ACKED_AT = 120  # in struct tcp_info, linux/tcp.h


class Lost(AssertionError):
    """What must never happen to a client."""


def acked_n(sock) -> int:
    """How many bytes of ours the other side's kernel has taken so far, as tcp(7) TCP_INFO has it."""
    return struct.unpack_from("Q", sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256), BYTES_ACKED_AT)[0]


def hear_only(sock, *filter_code) -> None:
    """Of what the other side sends only what this program lets through arrives, from the TCP header on. socket(7) SO_ATTACH_FILTER"""
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *one) for one in filter_code))
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HL", len(filter_code), ctypes.addressof(program)))


def deafen(sock) -> None:
    """No packet reaches this socket any more: what the other side sends is as if lost."""
    hear_only(sock, (0x06, 0, 0, 0))  # ret 0


def hear_no_bare_acks(sock) -> None:
    """What was acknowledged is then what the other side had when it sent its last byte, or its FIN, however late anybody looks."""
    hear_only(sock, (0x30, 0, 0, 12), (0x54, 0, 0, 0xf0), (0x74, 0, 0, 2), (0x07, 0, 0, 0),  # x = bytes of the header
              (0x80, 0, 0, 0), (0x1c, 0, 0, 0), (0x25, 2, 0, 0),  # more than that: data
              (0x30, 0, 0, 13), (0x45, 0, 1, 0x05),  # FIN or RST
              (0x06, 0, 0, 0x40000), (0x06, 0, 0, 0))


def hear_again(sock) -> None:
    """The opposite."""
    sock.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)


class Visitor:
    """A client that connects, asks, and notes how it ended; a Lost is raised for what must not be."""

    def __init__(self, port):
        self.port = port
        self.sock = None

    def connect(self, timeout=0.1) -> bool:
        """Whether the kernel took the connection."""
        self.sock = socket.socket()
        self.sock.settimeout(timeout)
        try:
            self.sock.connect(("127.0.0.1", self.port))
        except (ConnectionRefusedError, TimeoutError):
            self.sock.close()
            return False
        except ConnectionResetError as error:
            self.sock.close()
            raise Lost(f"reset while connecting: {error}") from error
        self.sock.settimeout(20 * SLACK)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        hear_no_bare_acks(self.sock)
        return True

    def has_ended(self) -> bool:
        """Whether the server has said that nothing follows; a reset is a Lost."""
        if not select.select([self.sock], [], [], 0)[0]:
            return False
        try:
            data = self.sock.recv(1, socket.MSG_PEEK)
        except ConnectionError as error:
            raise Lost(f"reset before a request was sent: {error}") from error
        if data:
            raise Lost("an answer without a request")
        return True

    def ask(self, path, is_first=True):
        """FULL, PARTED or CROSSED."""
        body = json.dumps({"model": "m", "prompt": "x", "stream": False}).encode() if path.startswith("/api") else b""
        head = f"{'POST' if body else 'GET'} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
        if self.has_ended():
            return PARTED
        try:
            before_n = acked_n(self.sock)
            self.sock.sendall(head.encode() + body)
            data = self.sock.recv(1 << 16)
            crossed = acked_n(self.sock) < before_n + len(head) + len(body)  # the server said its last word before it had ours
        except ConnectionError as error:
            raise Lost(f"{'first' if is_first else 'kept'} {path}: {error!r}") from error
        if not data and not is_first:
            return PARTED if crossed else CROSSED
        if not data:
            raise Lost(f"{'first' if is_first else 'kept'} {path}: no answer to a request that was sent")
        return self.rest(data, path)

    def rest(self, data, path):
        """The answer to its end."""
        while b"\r\n\r\n" not in data:
            data += self.more(path)
        head, body = data.split(b"\r\n\r\n", 1)
        length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
        while len(body) < length:
            body += self.more(path)
        if not head.startswith(b"HTTP/1.1 200 "):
            raise Lost(f"{path}: {data!r}")
        return FULL

    def more(self, path):
        """Further bytes."""
        try:
            data = self.sock.recv(1 << 16)
        except ConnectionError as error:
            raise Lost(f"{path}: in its middle: {error!r}") from error
        if not data:
            raise Lost(f"{path}: ended in its middle")
        return data

    def close(self):
        """Leave."""
        self.sock.close()


def looks(port, is_over, note):
    """As a monitor: one look after the other, each on a connection of its own."""
    while not is_over():
        visitor = Visitor(port)
        if not visitor.connect():
            note(UNCONNECTED)
            continue
        note(visitor.ask(random.choice(("/live", "/health"))))
        visitor.close()
        time.sleep(random.random() * 0.02)


def asks(port, is_over, note):
    """Comes when nobody is expected any more, hesitates, and asks for a model."""
    for _ in range(2):
        time.sleep(random.random() * 2.5 * IDLE_MS / 1000)
        visitor = Visitor(port)
        if is_over() or not visitor.connect():
            note(UNCONNECTED)
            return
        time.sleep(random.random() * random.choice((0, 0.002, 0.02)))
        note(visitor.ask("/api/generate"))
        visitor.close()


def keeps(port, is_over, note):
    """A pool: asks, keeps the connection, and asks again, which is refused where the end has come first."""
    visitor = Visitor(port)
    if is_over() or not visitor.connect():
        note(UNCONNECTED)
        return
    outcome = visitor.ask("/live")
    while outcome == FULL and not is_over():
        note(outcome)
        time.sleep(random.random() * 2 * IDLE_MS / 1000)
        outcome = visitor.ask("/live" if random.random() < 0.9 else "/api/generate", is_first=False)
    note(outcome)
    visitor.close()


def waits(port, is_over, note):
    """Connects, and never asks."""
    time.sleep(random.random() * 2 * IDLE_MS / 1000)
    visitor = Visitor(port)
    if is_over() or not visitor.connect():
        note(UNCONNECTED)
        return
    while not is_over() and not visitor.has_ended():
        time.sleep(0.01)
    note(PARTED)
    visitor.close()


class Lane:
    """A sidecar that is started, hammered, and falls asleep, again and again."""

    def __init__(self, folder, backend_port):
        os.makedirs(folder)
        self.sidecar = Sidecar(folder)
        self.sidecar.configure("supervisor", idle_timeout=f"{IDLE_MS}ms")
        self.sidecar.configure("proxy", backend=f"http://127.0.0.1:{backend_port}")
        self.sidecar.configure("program:ollama", autostart="no")
        self.outcomes: dict = {}
        self.lost: list = []
        self.lock = threading.Lock()

    def note(self, outcome):
        """Count an outcome."""
        with self.lock:
            self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1

    def visit(self, how, process):
        """One client's life."""
        try:
            how(self.sidecar.port, lambda: process.popen.poll() is not None, self.note)
        except Lost as lost:
            self.lost.append(f"{how.__name__}: {lost}\n{process.tail(20)}")
        except TimeoutError:
            self.lost.append(f"{how.__name__}: no answer\n{process.tail(20)}")

    def round(self, kinds):
        """From the start to the sleep."""
        process = self.sidecar.start()
        visits = [threading.Thread(target=self.visit, args=(kind, process)) for kind in kinds]
        crossed_n = self.outcomes.get(CROSSED, 0)
        process.wait_log(r" listening address=\S+ backend=")
        for visit in visits:
            visit.start()
        code = process.wait(30)
        for visit in visits:
            visit.join()
        crossed_n = self.outcomes.get(CROSSED, 0) - crossed_n
        if code != 0 or crossed_n > len(process.logged(" proxy crossed ")):
            self.lost.append(f"exit code {code}; {crossed_n} requests came before the server's last word, and have no answer\n{process.tail()}")
        self.sidecar.processes.remove(process)

    def run(self, rounds):
        """So many rounds, or until somebody was lost."""
        for _ in range(rounds):
            if self.lost:
                return
            self.round([looks, asks, keeps, waits if random.random() < 0.05 else asks])


@pytest.fixture
def model_backend():
    """One that answers every request for a model at once."""
    backend = PlayedBackend(lambda request: single(json.loads(LAST)))
    yield backend
    backend.close()


@pytest.mark.limit(60 + ROUNDS)
def test_hammered_in_the_moment_of_sleep_nobody_is_lost(folder, model_backend):  # noqa: F811
    """Fresh connections with and without a request, kept ones, monitors: each gets all of its answer, or could not connect."""
    lanes = [Lane(os.path.join(folder, str(number)), model_backend.port) for number in range(LANES)]
    runs = [threading.Thread(target=lane.run, args=(ROUNDS // LANES,)) for lane in lanes]
    began = time.monotonic()
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    complaints = [complaint for lane in lanes for complaint in lane.lost + lane.sidecar.clean_up()]
    outcomes = {name: sum(lane.outcomes.get(name, 0) for lane in lanes) for name in (FULL, UNCONNECTED, PARTED, CROSSED)}
    print(f"{ROUNDS} rounds in {time.monotonic() - began:.1f} s: {outcomes}")
    assert not complaints, "\n".join(complaints)
    assert outcomes[FULL] > ROUNDS and outcomes[UNCONNECTED] and outcomes[PARTED]


@pytest.fixture
def drowsy(sidecar, model_backend):
    """A sidecar that sleeps as soon as it may, before a backend that is always there."""
    sidecar.configure("supervisor", idle_timeout="200ms", log_level="debug")
    sidecar.configure("proxy", backend=f"http://127.0.0.1:{model_backend.port}")
    sidecar.configure("program:ollama", autostart="no")
    sidecar.start()
    sidecar.process.wait_log(r" listening address=\S+ backend=")
    return sidecar


def begin_to_connect(port):
    """A socket whose handshake has begun, and which the kernel's answer does not reach."""
    sock = socket.socket()
    deafen(sock)
    sock.setblocking(False)
    sock.connect_ex(("127.0.0.1", port))
    return sock


def test_a_handshake_that_has_begun_is_waited_for_and_its_client_is_served(drowsy):
    visitor = Visitor(drowsy.port)
    visitor.sock = begin_to_connect(drowsy.port)
    drowsy.process.wait_log(" falling from=asking to=closing")
    hear_again(visitor.sock)  # the kernel says it again after a second
    visitor.sock.settimeout(20 * SLACK)
    assert select.select([], [visitor.sock], [], 5 * SLACK)[1]
    assert visitor.ask("/api/generate") == FULL
    drowsy.process.wait_log(" falling from=(closing|confirming) to=awake")
    visitor.close()
    assert drowsy.process.wait(10) == 0


def test_who_never_ends_his_handshake_keeps_nobody_awake(drowsy):
    """A scanner's; the kernel keeps such a handshake for a minute."""
    began = time.monotonic()
    with begin_to_connect(drowsy.port):
        assert drowsy.process.wait(15) == 0
    assert 2.5 < time.monotonic() - began < 8 * SLACK


def test_who_has_just_connected_may_ask_and_who_never_asks_is_told_to_go(drowsy):
    silent, late = Visitor(drowsy.port), Visitor(drowsy.port)
    assert late.connect() and silent.connect()
    until(lambda: len(drowsy.process.logged(" falling from=asking to=awake")) > 1, 10, "it would have slept, and did not")
    assert late.ask("/api/generate") == FULL
    late.close()
    assert drowsy.process.wait(10) == 0
    assert silent.has_ended()
    silent.close()


def test_a_kept_connection_is_told_to_go_before_the_end_and_never_reset(drowsy):
    kept = Visitor(drowsy.port)
    assert kept.connect() and kept.ask("/api/generate") == FULL
    assert select.select([kept.sock], [], [], 10 * SLACK)[0] and kept.has_ended()
    kept.sock.sendall(b"GET /live HTTP/1.1\r\nHost: x\r\n\r\n")  # too late, and yet no reset
    assert kept.ask("/live", is_first=False) == PARTED
    kept.close()
    assert drowsy.process.wait(10) == 0


def test_who_comes_while_the_doors_are_shut_and_it_stays_awake_is_let_in(drowsy):
    """His first packet is lost, as far as he can tell, and his kernel sends it again."""
    held = begin_to_connect(drowsy.port)
    drowsy.process.wait_log(" falling from=asking to=closing")
    late = Visitor(drowsy.port)
    assert not late.connect(timeout=0.2)
    hear_again(held)
    assert late.connect(timeout=5 * SLACK)  # the one before has come in, and may ask: the doors are open again
    assert late.ask("/api/generate") == FULL
    late.close()
    held.close()
    assert drowsy.process.wait(10) == 0
