"""How many clients there may be: of one address, in all, and without descriptors."""
import os
import re
import resource
import time

import pytest

from raw_client import all_of, descriptors, head, memory_kb, sock_to
from waiting import SLACK, until

BODY = {"model": "m", "prompt": "x"}
IS_SANITIZED = "san" in os.environ.get("BUILD_DIR", "")


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
