"""Stopping: drained, in reverse order, in time whatever the children do; and stopping for being idle."""
import os
import signal
import time

import pytest

from process import state_of
from waiting import SLACK, STEP, until


def start_stream(sidecar):
    """A stream of which one token has come; (connection, answer, iterator)."""
    connection = sidecar.connect(timeout=20)
    answer = connection.request("POST", "/api/generate", {"model": "m", "prompt": "x"})
    objects = answer.objects()
    next(objects)
    return connection, answer, objects


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_each_signal_stops_with_0(sidecar, number):
    sidecar.boot(tokens=1)
    assert sidecar.stop(number) == 0


def test_running_stream_is_drained(sidecar):
    sidecar.boot(tokens=20, token_delay_ms=100)
    connection, answer, objects = start_stream(sidecar)
    sidecar.process.kill(signal.SIGTERM)
    rest = [value for _, value in objects]
    assert answer.clean and rest[-1]["done"] is True and len(rest) == 20
    assert sidecar.process.wait() == 0
    connection.close()


def test_children_stop_in_reverse_order(sidecar):
    """scenario 48: who depends on another ends first."""
    sidecar.boot(tokens=1)
    assert sidecar.stop() == 0
    lines = sidecar.process.logged(r" exited .*program=(proxy|ollama)\b")
    ends = [line.split("program=")[1].split()[0] for line in lines]
    assert ends == ["proxy", "ollama"], sidecar.process.tail()


def test_stream_is_drained_also_when_ollama_was_restarted_after_the_proxy(sidecar):
    sidecar.boot(tokens=20, token_delay_ms=100)
    os.kill(sidecar.pid_of("ollama"), signal.SIGKILL)
    sidecar.process.wait_log(r"exited .*program=ollama")
    connection, answer, objects = start_stream(sidecar)
    sidecar.process.kill(signal.SIGTERM)
    rest = [value for _, value in objects]
    assert answer.clean and rest[-1]["done"] is True and len(rest) == 20
    assert sidecar.process.wait() == 0
    connection.close()


def test_an_old_proxy_is_drained_too(sidecar):
    sidecar.boot(tokens=20, token_delay_ms=100)
    connection, answer, objects = start_stream(sidecar)
    assert sidecar.ctl("restart", "proxy").returncode == 0
    sidecar.process.kill(signal.SIGTERM)
    rest = [value for _, value in objects]
    assert answer.clean and rest[-1]["done"] is True and len(rest) == 20
    assert sidecar.process.wait() == 0
    connection.close()


def test_what_dies_meanwhile_is_not_started_again_and_nothing_is_reloaded(sidecar):
    sidecar.boot(tokens=20, token_delay_ms=100)
    connection, answer, objects = start_stream(sidecar)
    sidecar.process.kill(signal.SIGTERM)
    sidecar.process.wait_log(r"to=stopping")
    run = sidecar.ctl("reload")
    assert run.returncode == 1 and "being stopped" in run.stdout + run.stderr
    os.kill(sidecar.pid_of("ollama"), signal.SIGKILL)
    list(objects)
    assert not answer.clean and sidecar.process.wait() == 0
    assert len(sidecar.process.logged(r" exec .*program=ollama")) == 1
    connection.close()


def test_in_time_though_ollama_ignores_term_and_a_stream_never_ends(sidecar):
    sidecar.configure("supervisor", shutdown_timeout="3s")
    sidecar.boot(tokens=100000, token_delay_ms=50, ignore_term=True)
    connection, answer, objects = start_stream(sidecar)
    began = time.monotonic()
    assert sidecar.stop(timeout=6) == 0
    assert time.monotonic() - began < 3 + 1 * SLACK
    rest = [value for _, value in objects]
    assert not any(value.get("done") for value in rest)
    assert "error" in rest[-1] or not answer.clean
    connection.close()


def test_second_sigterm_shortens_the_wait(sidecar):
    sidecar.configure("supervisor", shutdown_timeout="20s")
    sidecar.boot(tokens=100000, token_delay_ms=50)
    connection, _, objects = start_stream(sidecar)
    sidecar.process.kill(signal.SIGTERM)
    sidecar.process.wait_log(r"SIGTERM|signal|stopping")
    next(objects)
    began = time.monotonic()
    assert sidecar.stop(timeout=6) == 0
    assert time.monotonic() - began < 5 * SLACK
    connection.close()


def test_stop_while_ollama_still_starts(sidecar):
    sidecar.backend.script(start_delay_s=60)
    sidecar.start()
    sidecar.process.wait_log(r" exec .*program=ollama")
    assert sidecar.stop() == 0


def test_stop_during_a_pull_keeps_what_was_pulled(sidecar):
    sidecar.configure("preload", models="big")
    sidecar.backend.script(pull_bytes=1 << 30, pull_rate_bytes_s=1 << 20)
    sidecar.start()
    sidecar.wait_health(lambda health: any(m["completed"] > 0 for m in health["models"]["pulling"]))
    assert sidecar.stop() == 0
    sidecar.start()
    assert sidecar.backend.wait("pull_start", count=2)["resumed_at"] > 0


def test_idle_timeout_exits_0(sidecar):
    sidecar.env["SIDECAR_SUPERVISOR_IDLE_TIMEOUT"] = "1s"
    sidecar.boot(tokens=1)
    began = time.monotonic()
    assert sidecar.process.wait(8) == 0
    assert time.monotonic() - began < 4 * SLACK
    assert sidecar.process.logged(r"idle")


def test_not_idle_while_a_stream_runs_nor_a_second_after(sidecar):
    sidecar.configure("supervisor", idle_timeout="1s")
    sidecar.boot(tokens=25, token_delay_ms=100)
    connection, answer, objects = start_stream(sidecar)
    assert [value for _, value in objects][-1]["done"] and answer.clean
    ended = time.monotonic()
    assert sidecar.process.wait(8) == 0
    assert time.monotonic() - ended > 0.8
    connection.close()


def test_not_idle_while_a_model_is_pulled(sidecar):
    sidecar.configure("supervisor", idle_timeout="1s")
    sidecar.configure("preload", models="m")
    sidecar.backend.script(pull_bytes=2 << 20, pull_rate_bytes_s=1 << 20)
    sidecar.start()
    sidecar.wait_ready()
    assert sidecar.backend.journal("pull_done")
    assert sidecar.process.wait(8) == 0


def test_reads_do_not_keep_it_awake(sidecar):
    sidecar.configure("supervisor", idle_timeout="1s")
    sidecar.boot(tokens=1)
    began = time.monotonic()  # a busy machine may answer late that it may sleep; while it is asked without end, it would never
    while sidecar.process.popen.poll() is None:
        for path in ("/health", "/api/tags", "/api/version", "/"):
            try:
                sidecar.ask("GET", path, timeout=2)
            except (OSError, EOFError):
                break
        time.sleep(STEP)
        assert time.monotonic() - began < 20 * SLACK, "polling kept it awake\n" + sidecar.process.tail()
    assert sidecar.process.wait() == 0


def test_work_keeps_it_awake(sidecar):
    sidecar.configure("supervisor", idle_timeout="1s")
    sidecar.boot(tokens=1, token_delay_ms=1)
    ends = time.monotonic() + 2.5
    while time.monotonic() < ends:
        assert sidecar.generate().status == 200
        time.sleep(0.2)
    assert sidecar.process.popen.poll() is None
    assert sidecar.process.wait(8) == 0


def test_hangup_reloads_without_a_terminal(sidecar):
    sidecar.boot(tokens=1)
    lines = len(sidecar.process.log)
    sidecar.process.kill(signal.SIGHUP)
    sidecar.process.wait_log(r"reload", since=lines)
    assert sidecar.generate().status == 200


ENTRY_POINT = """import os, sys, time
if os.fork() == 0:
    os._exit(0)
time.sleep(0.1)
os.execvp(sys.argv[1], sys.argv[1:])
"""


def test_the_dead_that_an_entry_point_left_are_reaped(sidecar):
    """scenario 19: a script that execs us may have children; the signal of their deaths came before we listened."""
    sidecar.before = ["python3", "-c", ENTRY_POINT]
    sidecar.alone()
    sidecar.start()
    sidecar.process.wait_log(r" ready ")
    until(lambda: not sidecar.process_children(), 2, "no child, dead or alive", lambda: str(sidecar.process_children()))
    assert sidecar.stop() == 0


def test_orphans_are_reaped(sidecar):
    script = sidecar.write("spawner.sh", "(sh -c 'exit 0' &)\nsleep 60\n")
    sidecar.configure("program:spawner", command=f"sh {script}", required="no")
    sidecar.boot(tokens=1)

    def zombies():
        return [pid for pid in sidecar.process_children() if state_of(pid) == "Z"]

    sidecar.process.wait_log(r" exec .*program=spawner")
    until(lambda: not zombies(), 3, "no zombies", lambda: str(zombies()))
