"""Who goes is noticed at once, whatever its request is at; and who only has nothing more to say may be served."""
import itertools
import json
import os
import re
import socket
import struct
import time

import pytest

from client import Connection
from waiting import SLACK, until

NOTICED_S = 0.1
BODY = {"model": "m", "prompt": "x"}
NEXT = b"GET /api/version HTTP/1.1\r\nHost: a\r\n\r\n"


def leave(sock, how):
    """The other side gets a FIN, or a reset."""
    if how == "reset":
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def begin_alone(sidecar, count):
    """A client without a proxy; its request is the count-th that the backend sees."""
    connection = Connection(sidecar.backend.port)
    connection.send("POST", "/api/generate", BODY)
    sidecar.backend.wait("request", count=count, path="/api/generate")
    return connection


def seconds_to_notice(sidecar, connection, how, count) -> float:
    """From the moment in which the client of the count-th request leaves, until the backend's connection for it is closed."""
    number = sidecar.backend.wait("request", count=count, path="/api/generate")["conn"]
    left_at = time.time()
    leave(connection.sock, how)
    return sidecar.backend.wait("closed", conn=number)["t"] - left_at


def assert_in_time(once, once_alone):
    """once() gives the seconds until somebody who left was noticed. A busy machine may be late once, who notices late is always late:
    three tries. Where the machine is that busy all the while, what the same takes without us is found by three more, once_alone(),
    and is not counted as ours."""
    took, alone = [], []
    while not took or (min(took) >= NOTICED_S * SLACK and len(took) < 3):
        took.append(once())
    while min(took) >= NOTICED_S * SLACK and len(alone) < 3:
        alone.append(once_alone())
    assert min(took) < NOTICED_S * SLACK + min(alone, default=0), f"noticed after {took} s; without us after {alone} s"


def assert_noticed(sidecar, begin, how):
    """Its backend's connection closes in time; nothing of it is left. begin(n): a connection whose request is the nth that the
    backend has seen."""
    counts = itertools.count(1)

    def once():
        count = next(counts)
        took = seconds_to_notice(sidecar, begin(count), how, count)
        assert len(sidecar.backend.journal("cancelled")) == count and not sidecar.backend.journal("done")
        until(lambda: not sidecar.health()["requests"]["in_flight"], 2, "nothing counted as under way")
        return took

    def once_alone():
        count = next(counts)
        return seconds_to_notice(sidecar, begin_alone(sidecar, count), how, count)

    assert_in_time(once, once_alone)


def assert_no_longer_held(sidecar, how):
    """The same of one that is held, which only /health tells: without us, that is what one answer of it takes."""
    def once():
        connection = sidecar.connect()
        connection.send("POST", "/api/generate", BODY)
        sidecar.wait_health(lambda health: health["requests"]["held"] == 1)
        left_at = time.monotonic()
        leave(connection.sock, how)
        until(lambda: sidecar.health()["requests"]["held"] == 0, 2, "nobody who waits")
        return time.monotonic() - left_at

    def once_alone():
        began = time.monotonic()
        assert sidecar.health()
        return time.monotonic() - began

    assert_in_time(once, once_alone)


PHASES = {
    "prefill": ({"first_token_delay_ms": 20000}, True),
    "single": ({"first_token_delay_ms": 20000}, False),
    "streaming": ({"tokens": 2000, "token_delay_ms": 20}, True),
    "not read": ({"tokens": 4000, "token_delay_ms": 0, "token_bytes": 65536}, True),
}


@pytest.mark.parametrize("how", ["end", "reset"])
@pytest.mark.parametrize("phase", list(PHASES))
def test_client_that_left_is_noticed_at_once_proxy_scenario_22(sidecar, phase, how):
    script, is_streamed = PHASES[phase]
    sidecar.boot(**script)

    def begin(count):
        connection = sidecar.connect()
        connection.send("POST", "/api/generate", {**BODY, "stream": is_streamed})
        sidecar.backend.wait("request", count=count, path="/api/generate")
        if phase in ("streaming", "not read"):
            sidecar.backend.wait("first_token", count=count)
        return connection

    assert_noticed(sidecar, begin, how)


@pytest.mark.parametrize("how", ["end", "reset"])
def test_client_that_left_while_its_model_loads_is_noticed_at_once_proxy_scenario_22(sidecar, how):
    """Its load goes on, as it belongs to nobody."""
    sidecar.boot(load_s=20)
    assert_no_longer_held(sidecar, how)
    sidecar.backend.wait("request", path="/api/embed")
    assert len(sidecar.backend.requests("/api/embed")) == 1 and not sidecar.backend.journal("cancelled")


@pytest.mark.parametrize("how", ["end", "reset"])
@pytest.mark.parametrize("ahead", [NEXT, NEXT * 1000, b"POST /api/generate HTTP/1.1\r\nHost: a\r\nContent-Length: 60000000\r\n\r\n"],
                         ids=["one more", "a thousand more", "more than any buffer"])
def test_client_that_left_behind_further_requests_is_noticed_proxy_scenario_22(sidecar, ahead, how):
    """A FIN waits behind what the kernel's buffer has no room for: it is seen only by those who read."""
    sidecar.boot(first_token_delay_ms=20000)

    def begin(count):
        connection = sidecar.connect()
        connection.send("POST", "/api/generate", BODY)
        sidecar.backend.wait("request", count=count, path="/api/generate")
        connection.sock.sendall(ahead)
        if ahead.startswith(b"POST"):
            connection.sock.setblocking(False)
            deadline, left = time.monotonic() + 0.3, 20 << 20
            while time.monotonic() < deadline and left > 0:  # as much as goes out; the rest stays in our own buffer
                try:
                    left -= connection.sock.send(b"x" * 65536)
                except BlockingIOError:
                    time.sleep(0.01)
        return connection

    assert_noticed(sidecar, begin, how)


def test_what_was_pipelined_is_answered_in_order_all_the_same(sidecar):
    sidecar.boot(first_token_delay_ms=300, tokens=2)
    with sidecar.connect() as connection:
        connection.send("POST", "/api/generate", {**BODY, "stream": False})
        sidecar.backend.wait("request", path="/api/generate")
        connection.sock.sendall(NEXT * 400)
        assert connection.receive().json["done"] is True
        for _ in range(400):
            assert "version" in connection.receive().json


def test_who_sends_too_much_ahead_gets_its_answer_and_no_more(sidecar):
    sidecar.boot(first_token_delay_ms=500, tokens=2)
    with sidecar.connect() as connection:
        connection.send("POST", "/api/generate", {**BODY, "stream": False})
        sidecar.backend.wait("request", path="/api/generate")
        connection.sock.sendall(NEXT * 20000)
        answer = connection.receive()
        assert answer.json["done"] is True and answer.header("connection") == "close"
        with pytest.raises((EOFError, ConnectionError)):
            connection.receive()
    assert not sidecar.backend.requests("/api/version")


@pytest.mark.parametrize("how", ["end", "reset"])
def test_client_that_left_while_held_gives_its_place_back_proxy_scenario_22(sidecar, how):
    sidecar.configure("proxy", max_queue="1")
    sidecar.backend.script(start_delay_s=3, tokens=1)
    sidecar.installed = "m"
    sidecar.start()
    until(lambda: sidecar.health(), 5, "the proxy answers")
    assert_no_longer_held(sidecar, how)
    assert sidecar.generate().status == 200  # there was one place only
    assert len(sidecar.backend.requests("/api/generate")) == 1


@pytest.mark.parametrize("how", ["end", "reset"])
def test_client_that_left_in_the_middle_of_an_upload_is_noticed_proxy_scenario_22(sidecar, how):
    sidecar.boot(tokens=1)

    def once(connect):
        before, connection = set(numbers(sidecar, "connected")), connect()
        connection.sock.sendall(b"POST /api/blobs/sha256:%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000\r\n\r\n" % (b"0" * 64)
                                + b"x" * 300000)
        number = until(lambda: set(numbers(sidecar, "connected")) - before, 5, "a connection for the upload").pop()
        left_at = time.time()
        leave(connection.sock, how)
        return sidecar.backend.wait("closed", conn=number)["t"] - left_at

    assert_in_time(lambda: once(sidecar.connect), lambda: once(lambda: Connection(sidecar.backend.port)))


def numbers(sidecar, event):
    return [entry["conn"] for entry in sidecar.backend.journal(event)]


def test_whoever_is_silent_is_asked_whether_he_lives(sidecar):
    """A machine that loses its network sends neither FIN nor reset: the kernel's probe has to find out."""
    sidecar.boot(first_token_delay_ms=3000)
    with sidecar.connect() as connection:
        connection.send("POST", "/api/generate", BODY)
        sidecar.backend.wait("request", path="/api/generate")
        timers = timers_of(sidecar.port, connection.sock.getsockname()[1])
    assert timers and all(is_keep_alive(timer) for timer in timers)


def test_a_backend_that_is_silent_is_asked_whether_it_lives(sidecar):
    """… and who waits for a load of such a one would wait for ever, with all who come for its model."""
    sidecar.boot(load_s=30)
    with sidecar.connect() as connection:
        connection.send("POST", "/api/generate", BODY)
        sidecar.backend.wait("request", path="/api/embed")
        timers = until(lambda: timers_to(sidecar.backend.port, sidecar.pid_of("proxy")), 5, "a connection to the backend")
    assert all(is_keep_alive(timer) for timer in timers)


def is_keep_alive(timer) -> bool:
    """proc(5), of column tr: kind and jiffies"""
    kind, jiffies = timer.split(":")
    return kind == "02" and 0 < int(jiffies, 16) <= 60 * os.sysconf("SC_CLK_TCK")


def rows() -> list:
    """Of /proc/net/tcp, split into words."""
    with open("/proc/net/tcp", encoding="ascii") as file:
        return [words for words in map(str.split, file) if words[3] == "01"]


def timers_of(own_port, other_port) -> list:
    """Of that connection."""
    ends = [f"0100007F:{own_port:04X}", f"0100007F:{other_port:04X}"]
    return [words[5] for words in rows() if words[1:3] == ends]


def timers_to(port, pid) -> list:
    """Of the connections of this process to the port."""
    names = [os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")]
    return [words[5] for words in rows() if words[2] == f"0100007F:{port:04X}" and f"socket:[{words[9]}]" in names]


# those who only shut down their sending side

def half_closed(sidecar, request):
    """Sends, and says that this was all."""
    sock = socket.create_connection(("127.0.0.1", sidecar.port), 10 * SLACK)
    sock.sendall(request)
    sock.shutdown(socket.SHUT_WR)
    return sock


def request_bytes(**more):
    body = json.dumps({**BODY, **more}).encode()
    return b"POST /api/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def all_of(sock):
    data = b""
    while more := sock.recv(1 << 16):
        data += more
    return data


def test_half_close_is_the_end_unless_it_is_allowed_proxy_scenario_23(sidecar):
    sidecar.boot(first_token_delay_ms=300, tokens=3)
    with socket.create_connection(("127.0.0.1", sidecar.port), 10 * SLACK) as sock:
        sock.sendall(request_bytes())
        sidecar.backend.wait("request", path="/api/generate")
        sock.shutdown(socket.SHUT_WR)
        assert all_of(sock) == b""
    sidecar.backend.wait("cancelled")


@pytest.mark.parametrize("is_streamed", [True, False])
def test_half_closed_client_is_served_where_it_is_allowed_proxy_scenario_23(sidecar, is_streamed):
    sidecar.configure("proxy", half_close="yes")
    sidecar.boot(first_token_delay_ms=300, tokens=3, token_delay_ms=50)
    with half_closed(sidecar, request_bytes(stream=is_streamed)) as sock:
        data = all_of(sock)
    assert data.startswith(b"HTTP/1.1 200") and b'"done":true' in data
    assert not is_streamed or data.endswith(b"\r\n0\r\n\r\n")
    assert not sidecar.backend.journal("cancelled")


def test_half_closed_client_gets_all_that_it_asked_for_proxy_scenario_23(sidecar):
    sidecar.configure("proxy", half_close="yes")
    sidecar.boot(first_token_delay_ms=100, tokens=1)
    with half_closed(sidecar, request_bytes(stream=False) * 3 + NEXT) as sock:
        data = all_of(sock)
    assert data.count(b"HTTP/1.1 200") == 4 and data.count(b'"done":true') == 3 and b'"version"' in data
    assert len(re.findall(rb"(?i)connection: close", data)) == 1  # with the last one


def test_half_closed_client_that_leaves_is_noticed_when_it_is_written_to_proxy_scenario_23(sidecar):
    sidecar.configure("proxy", half_close="yes")
    sidecar.boot(tokens=2000, token_delay_ms=20)

    def begin(count):
        connection = sidecar.connect()
        connection.send("POST", "/api/generate", BODY)
        sidecar.backend.wait("first_token", count=count)
        return connection

    assert_noticed(sidecar, begin, "end")


def test_half_closed_in_the_middle_of_a_request_is_the_end(sidecar):
    sidecar.configure("proxy", half_close="yes")
    sidecar.boot(tokens=1)
    for part in (b"GET / HTT", request_bytes()[:-3], b""):
        with half_closed(sidecar, part) as sock:
            assert all_of(sock) == b""
    assert not sidecar.backend.requests("/api/generate")


def test_waiting_for_a_half_closed_client_costs_nothing(sidecar):
    sidecar.configure("proxy", half_close="yes")
    sidecar.boot(first_token_delay_ms=1500, tokens=1)
    with half_closed(sidecar, request_bytes() + NEXT) as sock:
        sidecar.backend.wait("request", path="/api/generate")
        before = cpu_ticks(sidecar.pid_of("proxy"))
        assert b'"done":true' in all_of(sock)
        assert cpu_ticks(sidecar.pid_of("proxy")) - before < 20 * SLACK


def cpu_ticks(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        return sum(map(int, file.read().rsplit(")", 1)[1].split()[11:13]))
