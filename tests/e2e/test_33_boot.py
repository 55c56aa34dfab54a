"""The phases of each boot, from our own start and from each later one of Ollama, in the log and in status."""
import json
import os
import re
import signal
import sys

import pytest

from sidecar import BUILD, ROOT
from standin import PROGRAM
from waiting import SLACK, until

sys.path.insert(0, os.path.join(ROOT, "bench", "lib"))
import coldstart  # noqa: E402  pylint: disable=wrong-import-position

PHASES = ("exec_ms", "api_ms", "models_ms", "load_ms", "first_token_ms")


def boots(sidecar) -> list:
    """What status says of them, the oldest first."""
    run = sidecar.ctl("--json", "status")
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)["boots"]


def told(sidecar) -> list:
    """[(cause, {phase: ms})] of the log lines."""
    lines = sidecar.process.logged(r" supervisor booted ")
    return [(re.search(r"cause=(\w+)", line).group(1), {key: int(value) for key, value in re.findall(r"(\w+_ms)=(\d+)", line)})
            for line in lines]


def known(boot: dict) -> dict:
    return {key: boot[key] for key in PHASES if boot[key] is not None}


def test_the_phases_of_our_own_start(sidecar):
    sidecar.configure("preload", models="m")
    sidecar.boot(tokens=1, load_s=0.1)
    (boot,) = boots(sidecar)
    assert boot["cause"] == "start" and 0 <= boot["exec_ms"] <= boot["api_ms"] <= boot["models_ms"] <= 15_000
    assert boot["first_token_ms"] is None and not told(sidecar)
    assert sidecar.generate().status == 200
    sidecar.process.wait_log(r" supervisor booted cause=start exec_ms=\d+ api_ms=\d+ models_ms=\d+ .*first_token_ms=\d+$")
    (boot,) = boots(sidecar)
    assert boot["models_ms"] + 100 <= boot["first_token_ms"] <= 15_000
    assert told(sidecar) == [("start", known(boot))]
    line = next(line for line in sidecar.ctl("status").stdout.splitlines() if line.startswith("last boot"))
    assert re.match(r"last boot \(start\): exec \d+ms, api \d+ms, models \d+ms, .*first token \d+m?s$", line), line
    assert sidecar.generate().status == 200
    assert len(told(sidecar)) == 1 and boots(sidecar)[0]["first_token_ms"] == boot["first_token_ms"]


def test_a_list_that_is_pulled_is_waited_for(sidecar):
    sidecar.configure("preload", models="m")
    sidecar.backend.script(pull_bytes=1 << 20, pull_rate_bytes_s=1 << 21, tokens=1)
    sidecar.start()
    sidecar.wait_ready()
    (boot,) = boots(sidecar)
    assert boot["models_ms"] >= boot["api_ms"] + 300


def test_the_list_is_looked_at_as_soon_as_ollama_answers(sidecar):
    """The preloader is started beside Ollama, and told: by itself it would look again up to a second later."""
    sidecar.configure("preload", models="m")
    sidecar.installed = "m"
    sidecar.backend.script(start_delay_s=2.7, tokens=1)
    sidecar.start()
    sidecar.process.wait_log(r" exec program=preload")
    assert not sidecar.backend.journal("listening")
    sidecar.wait_ready()
    (boot,) = boots(sidecar)
    assert boot["api_ms"] >= 2700 and boot["models_ms"] <= boot["api_ms"] + 300 * SLACK
    assert len(sidecar.process.logged(r" exec program=preload")) == 1


def test_a_crash_begins_another_boot(sidecar):
    sidecar.boot(tokens=1)
    assert sidecar.generate().status == 200
    os.kill(sidecar.pid_of("ollama"), signal.SIGKILL)
    until(lambda: len(boots(sidecar)) == 2, 5, "another boot")
    assert sidecar.generate().status == 200
    until(lambda: len(told(sidecar)) == 2, 5, "two lines of booted", sidecar.process.tail)
    first, second = boots(sidecar)
    assert [boot["cause"] for boot in (first, second)] == ["start", "crash"]
    assert 0 <= second["exec_ms"] < second["api_ms"] <= second["models_ms"] <= second["first_token_ms"]
    assert told(sidecar)[1] == ("crash", known(second))


def test_a_boot_without_a_token_is_told_when_the_next_one_begins(sidecar):
    sidecar.boot(tokens=1)
    assert sidecar.ctl("restart", "ollama").returncode == 0
    sidecar.process.wait_log(r" supervisor booted cause=start exec_ms=\d+ api_ms=\d+ models_ms=\d+$")
    sidecar.wait_ready()
    assert [boot["cause"] for boot in boots(sidecar)] == ["start", "restart"]


def test_an_error_is_no_first_token(sidecar):
    sidecar.boot(tokens=1)
    assert sidecar.generate("nosuch").status == 404
    assert sidecar.ask("GET", "/api/tags").status == 200
    assert boots(sidecar)[0]["first_token_ms"] is None
    assert sidecar.generate().status == 200
    until(lambda: boots(sidecar)[0]["first_token_ms"] is not None, 5, "a first token")


def test_an_unload_is_no_first_token(sidecar):
    sidecar.boot(tokens=1)
    assert sidecar.ask("POST", "/api/generate", {"model": "m", "keep_alive": 0}).status == 200
    assert sidecar.generate().status == 200
    (boot,) = until(lambda: boots(sidecar) if boots(sidecar)[0]["first_token_ms"] else None, 5, "a first token")
    assert boot["load_ms"] is not None and boot["load_ms"] <= boot["first_token_ms"]


def test_a_new_proxy_does_not_begin_anew(sidecar):
    sidecar.boot(tokens=1)
    assert sidecar.generate().status == 200
    until(lambda: boots(sidecar)[0]["first_token_ms"] is not None, 5, "a first token")
    before = boots(sidecar)
    assert sidecar.ctl("restart", "proxy").returncode == 0
    sidecar.process.wait_log(r" drained ")
    assert sidecar.generate().status == 200
    assert [known(boot) for boot in boots(sidecar)] == [known(boot) for boot in before] and len(told(sidecar)) == 1


def test_a_backend_that_is_not_ours_has_no_phases_but_ours(sidecar, standin):
    backend, _ = standin(installed="m", tokens=1)
    sidecar.configure("program:ollama", autostart="no")
    sidecar.configure("proxy", backend=f"http://127.0.0.1:{backend.port}")
    sidecar.start()
    sidecar.process.wait_log(" proxy listening ")
    assert until(lambda: sidecar.generate().status == 200, 5, "an answer")
    sidecar.process.wait_log(r" supervisor booted cause=start models_ms=\d+ load_ms=\d+ first_token_ms=\d+$")


def test_an_error_behind_a_heartbeat_is_no_first_token(sidecar):
    sidecar.configure("proxy", heartbeat_after="100ms", heartbeat_interval="100ms")
    sidecar.boot(tokens=1, load_s=0.5, load_fails=True)
    with sidecar.connect() as connection:
        answer = connection.request("POST", "/api/generate", {"model": "m", "prompt": "x"})
        assert b"error" in answer.body and answer.status == 200
    assert boots(sidecar)[0]["first_token_ms"] is None


@pytest.mark.limit(60)
def test_a_held_request_costs_at_most_30_ms_more_than_ollama_by_hand(folder):
    """In one round of many: what the machine adds to the others is not ours."""
    world = coldstart.World(PROGRAM, "m", {"STANDIN_MODELS": "m", "STANDIN_SCRIPT": coldstart.quick_script(folder)}, folder)
    by_hand, ours = coldstart.ByHand(world), coldstart.Ours(world, BUILD)
    starts = []
    while len(starts) < 20:
        starts.append((by_hand.measure().first_token_ms, ours.measure()))
        hand_ms, start = starts[-1]
        assert start.phases["api_ms"] <= start.phases["first_token_ms"] <= start.first_token_ms
        if start.first_token_ms <= hand_ms + 30 * SLACK:
            return
    raise AssertionError(starts)
