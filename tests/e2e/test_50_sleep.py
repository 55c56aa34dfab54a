"""idle_action = stop: Ollama sleeps alone, and whoever needs it wakes it and is held meanwhile; none; what is told of it."""
import json
import os
import signal
import time

import pytest

from client import Background
from waiting import SLACK, until


def sleeps_soon(sidecar, idle_timeout="300ms", **more):
    """Configured to stop Ollama alone."""
    sidecar.configure("supervisor", idle_action="stop", idle_timeout=idle_timeout, **more)


def wait_asleep(sidecar, count=1):
    """Until it has fallen asleep so often, and Ollama is gone."""
    until(lambda: len(sidecar.process.logged(r" asleep action=stop")) >= count, 10, "sleep", sidecar.process.tail)
    until(lambda: state_of(sidecar, "ollama") == "down", 10, "Ollama to be down", sidecar.process.tail)


def status(sidecar):
    """What `sidecarctl --json status` says."""
    run = sidecar.ctl("--json", "status")
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def state_of(sidecar, name):
    """The state of a program."""
    return next(row["state"] for row in status(sidecar)["programs"] if row["name"] == name)


def execs(sidecar, name):
    """How often it was started."""
    return len(sidecar.process.logged(rf" exec program={name} "))


def test_ollama_alone_sleeps_and_a_request_wakes_it_again_and_again(sidecar):
    sleeps_soon(sidecar)
    sidecar.configure("preload", models="m")
    sidecar.boot(tokens=1)
    proxy = sidecar.pid_of("proxy")
    for count in (1, 2, 3):
        wait_asleep(sidecar, count)
        assert status(sidecar)["sleep"]["state"] == "asleep"
        answer = sidecar.generate()
        assert answer.status == 200 and answer.json["done"]
        assert int(answer.header("X-Sidecar-Wait-Ms")) > 0
        assert execs(sidecar, "ollama") == count + 1
        boot = status(sidecar)["boots"][-1]
        assert boot["cause"] == "wake" and boot["exec_ms"] is not None and boot["api_ms"] is not None
    assert execs(sidecar, "preload") == 1 and sidecar.pid_of("proxy") == proxy
    assert len(sidecar.process.logged(r" awake ollama=ready ")) == 3
    assert sidecar.stop() == 0


def test_asleep_it_is_ready_and_says_so(sidecar):
    sleeps_soon(sidecar)
    sidecar.boot(tokens=1)
    wait_asleep(sidecar)
    assert sidecar.ask("GET", "/ready").status == 200
    assert sidecar.ask("GET", "/live").status == 200
    said = sidecar.ctl("status").stdout
    assert "ollama asleep for " in said and "running" in said
    assert status(sidecar)["state"] == "running"
    assert execs(sidecar, "ollama") == 1


def test_who_comes_while_ollama_is_being_stopped_is_held_and_it_starts_again_at_once(sidecar):
    sleeps_soon(sidecar)
    sidecar.configure("program:ollama", stop_timeout="700ms")
    sidecar.boot(tokens=1, ignore_term=True)
    sidecar.backend.wait("term_ignored", timeout=10)
    sidecar.backend.script(tokens=1)
    answer = sidecar.generate()
    assert answer.status == 200
    assert execs(sidecar, "ollama") == 2
    died = sidecar.process.wait_log(r" exited program=ollama")
    assert died


def test_work_and_a_stream_keep_it_awake(sidecar):
    sleeps_soon(sidecar, "400ms")
    sidecar.boot(tokens=12, token_delay_ms=100)
    with sidecar.connect() as connection:
        connection.send("POST", "/api/generate", {"model": "m", "prompt": "hello"})
        objects = [value for _, value in connection.receive().objects()]
    assert objects[-1]["done"] and not sidecar.process.logged(" asleep ")
    wait_asleep(sidecar)


def test_many_who_come_at_once_wake_it_once(sidecar):
    sleeps_soon(sidecar)
    sidecar.boot(tokens=1, start_delay_s=0.2)
    wait_asleep(sidecar)
    waiting = [sidecar.background("POST", "/api/generate", {"model": "m", "prompt": "x", "stream": False}) for _ in range(20)]
    assert [call.result(20).status for call in waiting] == [200] * 20
    assert execs(sidecar, "ollama") == 2


@pytest.mark.parametrize("verb", ["start", "restart"])
def test_the_owner_wakes_it(sidecar, verb):
    sleeps_soon(sidecar)
    sidecar.boot(tokens=1)
    wait_asleep(sidecar)
    assert sidecar.ctl(verb, "ollama").returncode == 0
    sidecar.process.wait_log(r" awake ollama=ready")
    assert execs(sidecar, "ollama") == 2
    wait_asleep(sidecar, 2)  # and it sleeps again, as nobody asks


def test_a_stop_by_the_owner_while_it_sleeps_changes_nothing_and_a_request_still_wakes_it(sidecar):
    sleeps_soon(sidecar)
    sidecar.boot(tokens=1)
    wait_asleep(sidecar)
    assert sidecar.ctl("stop", "ollama").returncode == 0
    assert status(sidecar)["sleep"]["state"] == "asleep"
    assert sidecar.generate().status == 200


def test_stopped_by_the_owner_while_it_wakes_it_is_down_and_not_asleep(sidecar):
    sleeps_soon(sidecar)
    sidecar.boot(tokens=1)
    sidecar.backend.script(start_delay_s=60)
    wait_asleep(sidecar)
    assert sidecar.ctl("start", "ollama").returncode == 0
    until(lambda: status(sidecar)["sleep"]["state"] == "waking", 5, "waking")
    assert sidecar.ctl("stop", "ollama").returncode == 0
    sidecar.process.wait_log(r" awake ollama=down")
    assert state_of(sidecar, "ollama") == "down"


def test_a_task_that_needs_ollama_wakes_it(sidecar):
    """Another list: the preloader would wait for an Ollama that sleeps."""
    sleeps_soon(sidecar)
    sidecar.configure("preload", models="m")
    sidecar.boot(tokens=1)
    wait_asleep(sidecar)
    sidecar.configure("preload", models="m, other")
    sidecar.write_ini()
    assert sidecar.ctl("reload").returncode == 0
    sidecar.process.wait_log(r" preload_done ready=2 ")
    assert execs(sidecar, "ollama") == 2
    wait_asleep(sidecar, 2)


@pytest.mark.parametrize("keys", [{"idle_action": "none"}, {"idle_timeout": "0"}])
def test_a_reload_that_takes_the_sleep_away_wakes_it(sidecar, keys):
    sleeps_soon(sidecar)
    sidecar.boot(tokens=1)
    wait_asleep(sidecar)
    sidecar.configure("supervisor", **keys)
    sidecar.write_ini()
    assert sidecar.ctl("reload").returncode == 0
    sidecar.process.wait_log(r" awake ollama=ready")


def test_a_reload_to_exit_wakes_it_and_then_everything_ends(sidecar):
    sleeps_soon(sidecar)
    sidecar.boot(tokens=1)
    wait_asleep(sidecar)
    sidecar.configure("supervisor", idle_action="exit")
    sidecar.write_ini()
    assert sidecar.ctl("reload").returncode == 0
    assert sidecar.process.wait(10) == 0


def test_another_reload_lets_it_sleep_on(sidecar):
    sleeps_soon(sidecar)
    sidecar.boot(tokens=1)
    wait_asleep(sidecar)
    sidecar.configure("proxy", hold_timeout="1m")
    sidecar.write_ini()
    assert sidecar.ctl("reload").returncode == 0
    sidecar.process.wait_log(r" drained ")
    assert status(sidecar)["sleep"]["state"] == "asleep" and execs(sidecar, "ollama") == 1
    assert sidecar.generate().status == 200


def test_the_proxy_dies_while_ollama_sleeps(sidecar):
    sleeps_soon(sidecar)
    sidecar.configure("proxy", start="ready")
    sidecar.configure("preload", models="m")
    sidecar.boot(tokens=1)
    wait_asleep(sidecar)
    os.kill(sidecar.pid_of("proxy"), signal.SIGKILL)
    until(lambda: execs(sidecar, "proxy") == 2, 5, "another proxy")
    assert execs(sidecar, "ollama") == 1
    assert sidecar.generate().status == 200
    assert execs(sidecar, "ollama") == 2


def test_without_a_proxy_nobody_could_wake_it_so_it_stays(sidecar):
    sleeps_soon(sidecar, "100ms")
    sidecar.boot(tokens=1)
    assert sidecar.ctl("stop", "proxy").returncode == 0
    since = time.monotonic()
    until(lambda: time.monotonic() - since > 0.5 * SLACK, 10, "five times the limit")
    assert not sidecar.process.logged(" asleep ") or state_of(sidecar, "ollama") == "down"


def test_an_ollama_that_dies_at_its_wake_is_tried_again_and_the_request_is_held(sidecar):
    sleeps_soon(sidecar)
    sidecar.boot(tokens=1)
    wait_asleep(sidecar)
    sidecar.backend.script(tokens=1, start_delay_s=0.3)
    call = Background(sidecar.generate)
    until(lambda: execs(sidecar, "ollama") == 2, 5, "its start")
    os.kill(sidecar.pid_of("ollama"), signal.SIGKILL)
    assert call.result(20).status == 200
    assert execs(sidecar, "ollama") == 3


def test_stopping_everything_while_it_sleeps(sidecar):
    sleeps_soon(sidecar)
    sidecar.boot(tokens=1)
    wait_asleep(sidecar)
    began = time.monotonic()
    assert sidecar.stop() == 0
    assert time.monotonic() - began < 3 * SLACK


def test_none_does_nothing_but_a_line_for_those_who_look(sidecar):
    sidecar.configure("supervisor", idle_action="none", idle_timeout="100ms", log_level="debug")
    sidecar.boot(tokens=1)
    sidecar.process.wait_log(r" idle action=none")
    assert sidecar.generate().status == 200
    assert execs(sidecar, "ollama") == 1
