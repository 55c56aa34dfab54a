"""An idle supervisor is not there: no system call where no probe and no limit is set, else one wake-up a deadline."""
import os
import re
import shutil
import signal
import subprocess

import pytest

from waiting import SLACK, until

LOOK_S = 2


def wake_ups(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)", file.read(), re.M).group(1))


def trace(sidecar, seconds, then=lambda: None):
    """The supervisor's system calls until it ends, and for so long at the most; then() runs meanwhile. None: nobody may look."""
    path = os.path.join(sidecar.directory, "trace")
    strace = shutil.which("strace")
    if not strace:
        return None
    with subprocess.Popen([strace, "-f", "-o", path, "-p", str(sidecar.process.pid)], stderr=subprocess.PIPE, text=True) as process:
        if "attached" not in process.stderr.readline():
            return None
        then()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
    with open(path, encoding="utf-8", errors="replace") as file:
        return [line for line in file if " = " in line]


def state_of(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return re.search(r"^State:\s*(\w)", file.read(), re.M).group(1)


def assert_no_calls(sidecar):
    pid = sidecar.process.pid
    until(lambda: state_of(pid) == "S", 10, "the end of the turn that has answered, or told, last", sidecar.process.tail)
    calls = trace(sidecar, LOOK_S)
    if calls is None:
        before = wake_ups(pid)
        try:
            sidecar.process.popen.wait(LOOK_S)
        except subprocess.TimeoutExpired:
            pass
        assert wake_ups(pid) == before
    else:
        assert [call for call in calls if "restart_syscall" not in call] == []  # looking on interrupts a wait


def only_sleepers(sidecar):
    for name in ("ollama", "proxy", "preload"):
        sidecar.configure(f"program:{name}", autostart="no", required="no")
    for name in ("one", "two", "three"):
        sidecar.configure(f"program:{name}", command="sleep 1000")


def test_an_idle_supervisor_of_three_programs_makes_no_system_call(sidecar):
    only_sleepers(sidecar)
    sidecar.start()
    sidecar.process.wait_log(r" ready after_ms=")
    assert_no_calls(sidecar)


def test_nor_does_one_of_ollama_and_the_proxy_once_all_is_ready(sidecar):
    sidecar.configure("supervisor", log_level="debug")
    sidecar.boot()
    assert sidecar.generate().status == 200
    sidecar.process.wait_log(r" ready after_ms=")
    sidecar.process.wait_log(r' output .*GET "/api/ps"')  # what the proxy asks a moment behind a load
    assert_no_calls(sidecar)


def test_nor_after_a_crash_and_a_question(sidecar):
    only_sleepers(sidecar)
    sidecar.start()
    sidecar.process.wait_log(r" ready after_ms=")
    os.kill(sidecar.pid_of("two"), signal.SIGKILL)
    sidecar.process.wait_log(r" exec program=two", since=len(sidecar.process.log))
    assert sidecar.ctl("status").returncode == 0
    assert_no_calls(sidecar)


def test_a_stop_that_leaves_nobody_does_not_look_for_them(sidecar):
    """Reading through /proc would take longer than the rest of the stop."""
    only_sleepers(sidecar)
    sidecar.leave_leaks()
    sidecar.start()
    sidecar.process.wait_log(r" ready after_ms=")
    calls = trace(sidecar, 10 * SLACK, sidecar.process.kill)
    if calls is None:
        pytest.skip("strace is not installed, or may not look at a process here")
    assert sidecar.process.wait() == 0
    assert sum(1 for call in calls if re.search(r"kill\(-\d+, SIGTERM", call)) == 3
    assert not [call for call in calls if re.search(r'"/proc/\d+', call)]


def test_an_idle_limit_wakes_it_when_it_may_have_passed_and_not_before(sidecar):
    """The last sign of life is later than the start; so the first look finds some time left, and the second is the end."""
    only_sleepers(sidecar)
    sidecar.leave_leaks()
    sidecar.configure("supervisor", idle_timeout="3s")
    sidecar.start()
    sidecar.process.wait_log(r" ready after_ms=")
    calls = trace(sidecar, 10 * SLACK)
    if calls is None:
        pytest.skip("strace is not installed, or may not look at a process here")
    assert sidecar.process.wait() == 0
    assert 1 <= sum(1 for call in calls if re.search(r"poll\(.*Timeout|restart_syscall\(.* = 0", call)) <= 2
    assert sidecar.process.logged(r" stopping cause=idle ")
