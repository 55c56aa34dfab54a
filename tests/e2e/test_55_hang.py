"""A hung Ollama: requests are with it, no token comes, and nothing below it does anything. Then the model is unloaded, or Ollama
restarted, whichever is enough; a long silent prefill is no hang."""
import json
import os
import re
import signal
import time
from contextlib import closing, contextmanager

import pytest

from process import state_of
from test_56_broken import error_of, runner_pid, status
from waiting import SLACK, until

pytestmark = pytest.mark.limit(60)
TEXT = {"model": "m", "prompt": "x"}
STALL_S = 2 * SLACK
WHY = r"ollama was hung: no token and no processor time for "


def boot(sidecar, **script):
    """With runners that are processes, and a short stall_timeout."""
    sidecar.configure("program:ollama", stall_timeout=f"{int(STALL_S * 1000)}ms", stop_timeout="500ms")
    sidecar.boot(**{"runner": True, "tokens": 2000, "token_delay_ms": 10, **script})


def stop(pid):
    """It stands still."""
    os.kill(pid, signal.SIGSTOP)
    until(lambda: state_of(pid) == "T", 2, "the stop")


@contextmanager
def stream(sidecar, timeout=30):
    """An answer that has begun, and the lines that follow its first one."""
    with closing(sidecar.connect(timeout=timeout)) as connection:
        answer = connection.request("POST", "/api/generate", TEXT)
        lines = (line for _, line in answer.lines())
        next(lines)
        yield answer, lines


def last_error(lines) -> str:
    """What the answer ends with."""
    return error_of(list(lines)[-1])


def pass_time(since, seconds, what):
    """Until so long after since."""
    until(lambda: time.monotonic() - since > seconds, seconds / SLACK + 5, what)


def test_a_stream_whose_runner_stands_still_ends_with_the_reason_and_the_model_is_unloaded(sidecar):
    boot(sidecar)
    with stream(sidecar) as (answer, lines):
        stop(runner_pid(sidecar))
        began = time.monotonic()
        assert WHY in last_error(lines)
    assert not answer.clean
    assert STALL_S * 0.9 < time.monotonic() - began < STALL_S * 1.6 + 1
    sidecar.backend.script(tokens=3)
    assert sidecar.generate().status == 200  # by another runner of the same Ollama
    sidecar.process.wait_log(r" warning supervisor hung program=ollama .*no token and no processor time")
    sidecar.process.wait_log(r" info supervisor unhung ")
    assert len(sidecar.process.logged(" exec program=ollama")) == 1
    assert state_of(runner_pid(sidecar)) == "" and WHY in status(sidecar)["trouble"]["text"]


@pytest.mark.parametrize("path, body", [("/api/chat", {"model": "m", "messages": [{"role": "user", "content": "x"}]}),
                                        ("/api/generate", {**TEXT, "stream": False}), ("/api/embed", {"model": "m", "input": "x"})])
def test_who_has_no_byte_yet_is_asked_again_and_answered(sidecar, path, body):
    """The runner stands still in the middle of the load; so does the prefill of those who have it loaded."""
    boot(sidecar, load_s=30, tokens=3)
    call = sidecar.background("POST", path, body, timeout=40)
    pid = runner_pid(sidecar)
    stop(pid)
    sidecar.backend.script(runner=True, tokens=3)
    assert call.result(40).status == 200
    sidecar.process.wait_log(r" load_end model=m result=lost .*ollama was hung")
    assert state_of(pid) == "" and len(sidecar.process.logged(" exec program=ollama")) == 1


def test_a_prefill_that_stands_still_is_asked_again_once(sidecar):
    boot(sidecar, prefill_s=30)
    calls = [sidecar.background("POST", "/api/generate", {**TEXT, "prompt": word}, timeout=50) for word in ("a", "b")]
    sidecar.backend.wait("loaded")
    until(lambda: len(sidecar.backend.requests("/api/generate")) == 2, 5, "both with Ollama")
    stop(runner_pid(sidecar))
    sidecar.backend.wait("runner", count=2, timeout=STALL_S * 2 + 5)
    stop(runner_pid(sidecar, count=2))
    for call in calls:
        answer = call.result(50)
        assert answer.status == 502 and WHY in answer.json["error"], answer.body
    assert len(sidecar.process.logged(r" retry .*ollama was hung")) == 2
    sidecar.backend.script(tokens=3)
    assert sidecar.generate().status == 200
    assert len(sidecar.process.logged(" exec program=ollama")) == 1


def test_a_long_silent_prefill_is_no_hang(sidecar):
    boot(sidecar, prefill_s=STALL_S * 2.5, tokens=3)
    assert sidecar.generate().status == 200
    assert not sidecar.process.logged(r" hung program=ollama")


def test_an_ollama_that_stands_still_itself_is_restarted_proxy_scenario_27(sidecar):
    """Nothing can be unloaded then."""
    sidecar.configure("program:ollama", live="none")
    boot(sidecar)
    with stream(sidecar, timeout=40) as (_, lines):
        runner = runner_pid(sidecar)
        stop(runner)
        stop(sidecar.pid_of("ollama"))
        assert WHY in last_error(lines)
    sidecar.backend.script(runner=True, tokens=3)
    held = sidecar.background("POST", "/api/generate", {**TEXT, "stream": False}, timeout=40)
    sidecar.process.wait_log(r" state program=ollama from=ready to=stopping cause=hung .*could not be unloaded", timeout=15)
    assert held.result(40).status == 200
    assert state_of(runner) == ""
    assert "ollama was hung, and is restarted" in status(sidecar)["trouble"]["text"]


def test_lists_that_are_asked_for_meanwhile_do_not_hide_it(sidecar):
    boot(sidecar)
    with stream(sidecar) as (_, lines):
        stop(runner_pid(sidecar))
        last = sidecar.background("POST", "/api/generate", {**TEXT, "stream": False}, timeout=40)
        asked = [0.0]

        def look():  # a list now and then: a hundred a second would be work, for the stand-in at least
            if time.monotonic() - asked[0] > STALL_S / 4:
                asked[0] = time.monotonic()
                assert sidecar.ask("GET", "/api/tags").status == 200
            return sidecar.process.logged(" hung program=ollama")

        until(look, STALL_S * 2 + 5, "the verdict, while lists are asked for", sidecar.process.tail)
        assert WHY in last_error(lines)
    sidecar.backend.script(runner=True, tokens=3)
    last.result(40)


def test_without_a_limit_nothing_is_hung(sidecar):
    boot(sidecar)
    sidecar.configure("program:ollama", stall_timeout="0")
    sidecar.write_ini()
    assert sidecar.ctl("reload").returncode == 0
    sidecar.wait_ready()
    with stream(sidecar) as (_, lines):
        pid = runner_pid(sidecar)
        stop(pid)
        began = time.monotonic()
        pass_time(began, STALL_S * 2, "twice the old limit")
        os.kill(pid, signal.SIGCONT)
        next(lines)
    assert not sidecar.process.logged(" hung program=ollama")


def test_a_client_that_does_not_read_is_no_hang_proxy_scenario_21(sidecar):
    boot(sidecar, token_bytes=200_000, token_delay_ms=0)
    with closing(sidecar.connect(timeout=30)) as connection:
        connection.send("POST", "/api/generate", TEXT)
        began = time.monotonic()
        pass_time(began, STALL_S * 2, "twice the limit")
        answer = connection.receive()
        lines = answer.lines()
        for _ in range(100):
            next(lines)
    assert not sidecar.process.logged(" hung program=ollama")


def test_a_time_in_which_all_stood_still_counts_for_nothing(sidecar):
    """scenario 52: stopped as a group, as a suspended machine is."""
    boot(sidecar)
    with stream(sidecar, timeout=40) as (_, lines):
        runner = runner_pid(sidecar)
        stop(runner)
        began = time.monotonic()
        pass_time(began, STALL_S / 2, "half of the limit")
        pids = [sidecar.process.pid, sidecar.pid_of("proxy"), sidecar.pid_of("ollama")]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        pass_time(began, STALL_S * 3, "three times the limit")
        os.kill(runner, signal.SIGCONT)
        for pid in reversed(pids):
            os.kill(pid, signal.SIGCONT)
        for _ in range(20):
            next(lines)
    assert not sidecar.process.logged(" hung program=ollama")


def test_who_is_with_a_proxy_that_drains_is_told_too(sidecar):
    """Its successor has no request at all, and nothing that it could unload: so Ollama is restarted. Which of the two reasons its
    client reads depends on who of them is heard first; both are true."""
    boot(sidecar)
    with stream(sidecar) as (answer, lines):
        sidecar.configure("proxy", max_queue="7")
        sidecar.write_ini()
        assert sidecar.ctl("reload").returncode == 0
        sidecar.process.wait_log(r" info supervisor draining ")
        until(lambda: sidecar.ask("GET", "/ready").status == 200, 10, "the successor")
        stop(runner_pid(sidecar))
        began = time.monotonic()
        assert re.search(r"ollama was hung(, and is restarted)?: no token and no processor time for ", last_error(lines))
    assert not answer.clean
    assert time.monotonic() - began < STALL_S * 1.6 + 1
    sidecar.backend.script(tokens=3)
    assert sidecar.generate().status == 200
