"""slowhttptest's slow headers, slow bodies and slow reads, with another client beside them."""
import re
import shutil
import socket
import subprocess
import threading
import time

import pytest

from waiting import SLACK, until

PROGRAM = shutil.which("slowhttptest")
SECONDS = 4

ATTACKS = {
    "slow headers": ["-H", "-i", "1"],
    "slow bodies": ["-B", "-i", "1", "-s", "1000000", "-t", "POST", "-x", "5"],
    "slow reads": ["-X", "-w", "10", "-y", "20", "-n", "3", "-z", "5", "-k", "3"],
}


def attack(sidecar, words, path):
    return subprocess.Popen([PROGRAM, *words, "-c", "200", "-r", "200", "-p", "2", "-l", str(SECONDS), "-u",
                             f"http://127.0.0.1:{sidecar.port}{path}"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def ask_beside(sidecar, is_over):
    """How long each small request takes that somebody else makes meanwhile."""
    took = []
    while not is_over.wait(0.05):
        began = time.monotonic()
        with socket.socket() as sock:
            sock.settimeout(10 * SLACK)
            sock.bind(("127.0.0.9", 0))
            sock.connect(("127.0.0.1", sidecar.port))
            sock.sendall(b"GET /api/version HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            assert sock.recv(1000).startswith(b"HTTP/1.1 200")
        took.append(time.monotonic() - began)
    return took


@pytest.mark.limit(60)
@pytest.mark.skipif(not PROGRAM, reason="slowhttptest is not installed (scripts/deps all installs it)")
@pytest.mark.parametrize("limit", ["per address", "for slowness alone"])
@pytest.mark.parametrize("kind", list(ATTACKS))
def test_others_are_served_meanwhile_proxy_scenarios_19_20_21(sidecar, kind, limit):
    if limit == "per address":
        sidecar.configure("proxy", max_clients="100", max_clients_per_address="50")
    else:
        sidecar.configure("proxy", max_clients="250")
    sidecar.configure("proxy", header_timeout="2s", write_timeout="3s", keepalive_timeout="5s")
    sidecar.boot(tokens=20, token_delay_ms=5)
    is_over = threading.Event()
    attacker = attack(sidecar, ATTACKS[kind], "/api/generate" if kind == "slow bodies" else "/api/tags")
    took = []
    beside = threading.Thread(target=lambda: took.extend(ask_beside(sidecar, is_over)))
    beside.start()
    try:
        output, _ = attacker.communicate(timeout=SECONDS * 4 * SLACK)
    finally:
        is_over.set()
        beside.join(20 * SLACK)
        if attacker.poll() is None:
            attacker.kill()
            attacker.wait()
    print(f"{len(took)} answers, the slowest after {max(took) * 1000:.0f} ms\n{output[-900:]}")
    assert "slow" in output.lower(), output
    assert len(took) > SECONDS * 3 and max(took) < 2 * SLACK
    if limit == "per address":
        assert sidecar.process.logged("address_full address=127.0.0.1")
    until(lambda: sidecar.ask("GET", "/live").status == 200, 10, "its address is served again")
    assert not re.search(r"loop_failed|Sanitizer", "\n".join(sidecar.process.log))
