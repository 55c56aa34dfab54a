"""A supervisor before several Ollamas, and none of its own: it boots, says that it is ready, falls idle, and takes another file over without losing a request."""
import json

from containers import Containers
from waiting import until

SMALL = {"tokens": 1, "pull_bytes": 100_000, "pull_rate_bytes_s": 10 << 20}


def is_whole(answer) -> bool:
    """A stream of Ollama's that ended as it should."""
    return answer.status == 200 and json.loads(answer.body.strip().split(b"\n")[-1])["done"] is True


def test_c_4_it_boots_is_ready_and_exits_when_idle(sidecar):
    fleet = Containers(sidecar, "a", "b")
    for name in "ab":
        fleet.start(name, installed="m", tokens=3)
    sidecar.configure("supervisor", idle_timeout="2s", idle_action="exit")
    process = sidecar.start()
    process.wait_log(r" ready after_ms=")
    assert process.logged(r" listening address=\S+ backend=fleet\b")
    assert ", backend" not in sidecar.ctl("status").stdout  # of those that it has, none is the one
    assert sidecar.wait_health(lambda health: health["status"] == "ok")["code"] == 200
    assert sidecar.generate().json["done"] is True
    process.wait_log(r" booted cause=start")
    assert process.wait(15) == 0
    assert process.logged(r" stopping cause=idle")
    assert not sidecar.backend.journal("started")  # of our own


def test_a_stream_keeps_it_awake(sidecar):
    fleet = Containers(sidecar, "a")
    fleet.start("a", installed="m", tokens=12, token_delay_ms=300)
    sidecar.configure("supervisor", idle_timeout="1s", idle_action="exit")
    sidecar.start().wait_log(r" ready after_ms=")
    answer = sidecar.generate(stream=True)
    assert is_whole(answer)
    assert sidecar.process.wait(10) == 0


def test_who_comes_before_the_ollamas_is_held(sidecar):
    fleet = Containers(sidecar, "a", "b")
    sidecar.start().wait_log(r" ready after_ms=")
    held = sidecar.background("POST", "/api/generate", {"model": "m", "prompt": "x", "stream": False})
    until(lambda: sidecar.ask("GET", "/status").json["queue"]["waiting"] == 1, 5, "a request that waits", sidecar.process.tail)
    fleet.start("b", installed="m", tokens=1)
    assert held.result().json["done"] is True
    assert sidecar.stop() == 0


def test_a_model_that_one_has_is_not_waited_for_at_the_others(sidecar):
    """targets = all: c is down, so that the list does not end."""
    fleet = Containers(sidecar, "a", "c")
    sidecar.configure("preload", models="m, n", targets="all")
    fleet.start("a", installed="m", **SMALL)
    process = sidecar.start()
    process.wait_log(r" pull_done model=n:latest .*backend=a")
    assert sidecar.generate("m").json["done"] is True
    until(lambda: sidecar.generate("n").status == 200, 10, "what a has pulled is served")
    assert not process.logged(r" preload_done .*left=0$")
    assert sidecar.stop() == 0


def test_who_asks_for_what_is_being_pulled_waits_for_the_first_that_has_it(sidecar):
    fleet = Containers(sidecar, "a", "b")
    sidecar.configure("preload", models="m", targets="all")
    fleet.start("a", tokens=1, pull_bytes=2 << 20, pull_rate_bytes_s=1 << 20)
    fleet.start("b", tokens=1, pull_bytes=64 << 20, pull_rate_bytes_s=1 << 20)
    process = sidecar.start()
    fleet.backends["a"].wait("pull_start")
    answer = sidecar.generate("m")
    assert answer.status == 200 and answer.json["done"] is True, answer.body
    assert not process.logged(r" pull_done .*backend=b")
    assert sidecar.stop() == 0


def test_r2_1_a_reload_with_another_file_loses_no_request(sidecar):
    """A stream that is under way goes on, so does what waits behind it; new requests know the new file."""
    fleet = Containers(sidecar, "a", "b")
    fleet.write("a")
    fleet.start("a", installed="m", tokens=20, token_delay_ms=100)
    fleet.start("b", installed="m, other", tokens=1)
    sidecar.start()
    sidecar.wait_ready()
    body = {"model": "m", "prompt": "x", "stream": True}
    first, second = (sidecar.background("POST", "/api/generate", body) for _ in range(2))
    fleet.backends["a"].wait("first_token")
    fleet.write()
    old = sidecar.pid_of("proxy")
    assert sidecar.ctl("reload").returncode == 0
    sidecar.process.wait_log(rf" draining pid={old}")
    until(lambda: sidecar.generate("other").status == 200, 10, "a request that b alone can answer", sidecar.process.tail)
    assert is_whole(first.result()) and is_whole(second.result())
    sidecar.process.wait_log(rf" drained pid={old}", 10)
    assert sidecar.pid_of("proxy") != old
    fleet.write("b")
    assert sidecar.ctl("reload").returncode == 0
    assert sidecar.generate("m").header("x-sidecar-backend") == "b"
    assert sidecar.stop() == 0
