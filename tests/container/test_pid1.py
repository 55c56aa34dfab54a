"""Every duty of PID 1, in a PID namespace and in a container: numbers are those of the scenarios (../scenarios.md)."""
import os
import signal
import time

import pytest

from pid1 import children_of, status_of
from waiting import SLACK, until

FOREVER = "while :; do sleep 600 & wait; done"  # a shell that takes its signals at once


def command_of(pid: int) -> str:
    """The command line of a process, "" where it is gone or dead."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().replace(b"\0", b" ").decode().strip()
    except OSError:
        return ""


def sleepers(pid1, seconds: int) -> list:
    """Orphans that sleep for so long."""
    return [pid for pid in pid1.process_children() if command_of(pid) == f"sleep {seconds}"]


def written(pid1, name: str):
    """What a program of the test has written into a file; None while there is none."""
    try:
        with open(os.path.join(pid1.directory, name), encoding="utf-8") as file:
            return file.read()
    except OSError:
        return None


def wait_written(pid1, name: str) -> str:
    """The same, once it is there."""
    until(lambda: written(pid1, name), 10, f"the file {name}", pid1.process.tail)
    return written(pid1, name)


def test_it_is_pid_1_and_serves(pid1):
    pid1.boot(tokens=2)
    pid1.process.wait_log(r" boot .*pid=1\b")
    assert status_of(pid1.pid1)["NSpid"].split()[-1] == "1"
    assert pid1.generate().json["response"] == "t0 t1 "
    assert pid1.ctl("health").returncode == 0
    assert pid1.stop() == 0
    assert not pid1.programs()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_each_signal_stops_with_0_and_dependents_first(pid1, number):
    """scenario 48: the order of a stop is the reverse of that of the start."""
    pid1.boot(tokens=1)
    assert pid1.stop(number) == 0
    assert pid1.process.logged(rf" stopping cause={number.name}")
    ends = [line.split("program=")[1].split()[0] for line in pid1.process.logged(r" exited .*program=(proxy|ollama)\b")]
    assert ends == ["proxy", "ollama"]


def test_sigint_stops_it_though_it_was_started_with_sigint_ignored(pid1):
    """scenarios 12, 13: as a shell's `x &` leaves it, and with signals blocked; its programs get all as it should be."""
    pid1.before = ["env", "--ignore-signal=INT,QUIT,CHLD", "--block-signal=TERM,USR1", "--"]
    pid1.boot(tokens=1)
    for name in ("ollama", "proxy"):
        mask = int(status_of(pid1.pid_of(name))["SigBlk"], 16)
        assert mask & (1 << (signal.SIGUSR1 - 1)) == 0
    assert int(status_of(pid1.pid_of("ollama"))["SigIgn"], 16) & (1 << (signal.SIGCHLD - 1)) == 0
    assert pid1.stop(signal.SIGINT) == 0
    assert pid1.process.logged(r" exited .*program=ollama")


def test_a_hundred_orphans_at_random_times(pid1):
    """scenarios 14, 19: each is reaped, an unknown pid is no trouble, and none is left a zombie."""
    pid1.alone()
    pid1.configure("supervisor", log_level="debug")
    pid1.script_program("spawner", "i=0\nwhile [ $i -lt 100 ]; do (sleep 0.$((i * 7 % 10)) &); i=$((i + 1)); done\n" + FOREVER)
    pid1.start()
    until(lambda: len(pid1.process.logged(r" orphan pid=\d+")) >= 100, 15, "100 orphans in the log", pid1.process.tail)
    until(lambda: not pid1.zombies(), 2, "no zombies", lambda: str(pid1.zombies()))
    assert len(pid1.process.logged(r" exec .*program=spawner")) == 1
    assert pid1.stop() == 0


def test_two_hundred_die_in_one_instant_while_it_is_stopped(pid1):
    """scenarios 16, 18: one SIGCHLD for all of them, and the program's own death is among them."""
    pid1.alone()
    pid1.script_program("spawner", "i=0\nwhile [ $i -lt 200 ]; do (sleep 777 &); i=$((i + 1)); done\n" + FOREVER)
    pid1.start()
    until(lambda: len(sleepers(pid1, 777)) == 200, 15, "200 orphans", pid1.process.tail)
    dying = [*sleepers(pid1, 777), pid1.pid_of("spawner")]
    lines = len(pid1.process.log)
    pid1.send(signal.SIGSTOP)
    for pid in dying:
        os.kill(pid, signal.SIGKILL)
    until(lambda: len(pid1.zombies()) == 201, 10, "201 zombies", lambda: str(len(pid1.zombies())))
    began = time.monotonic()
    pid1.send(signal.SIGCONT)
    until(lambda: not pid1.zombies(), 0.5, "no zombies", lambda: str(len(pid1.zombies())))
    pid1.process.wait_log(r" exited program=spawner .*signal=9", since=lines)
    pid1.process.wait_log(r" exec program=spawner", since=lines)
    assert time.monotonic() - began < 1 * SLACK
    assert pid1.stop() == 0


def test_a_killed_child_is_started_again(pid1):
    pid1.boot(tokens=1)
    for name in ("ollama", "proxy"):
        old, lines = pid1.pid_of(name), len(pid1.process.log)
        os.kill(old, signal.SIGKILL)
        pid1.process.wait_log(rf" exec program={name}\b", timeout=1, since=lines)
    assert pid1.generate().status == 200
    assert not pid1.zombies()
    assert pid1.stop() == 0


@pytest.mark.limit(90)
def test_a_thousand_restarts_leave_neither_zombies_nor_descriptors(pid1):
    """scenarios 33, 57: a program that ends at once is given up, though it is "ready" each time."""
    pid1.alone()
    pid1.script_program("flash", ": >> ran", required="no", max_restarts="1000", backoff_min="1ms", backoff_max="1ms")
    pid1.script_program("rest", FOREVER)
    pid1.start()
    pid1.process.wait_log(r" exec .*program=rest")
    fds = os.listdir(f"/proc/{pid1.pid1}/fd")
    pid1.process.wait_log(r" state program=flash .*to=failed cause=too_many_restarts", timeout=60)
    assert len(pid1.process.logged(r" exec .*program=flash")) == 1001
    assert not pid1.zombies() and len(pid1.process_children()) == 1
    assert len(os.listdir(f"/proc/{pid1.pid1}/fd")) <= len(fds)
    assert pid1.stop() == 0


def test_a_program_that_ignores_term_is_killed_in_time(pid1):
    """scenario 23: KILL goes to its group at its deadline."""
    pid1.alone()
    pid1.script_program("stubborn", "trap '' TERM\nsleep 777 &\necho x > armed\n" + FOREVER, stop_timeout="1s")
    pid1.start()
    wait_written(pid1, "armed")
    began = time.monotonic()
    assert pid1.stop() == 0
    assert 0.9 < time.monotonic() - began < 1 + 1.5 * SLACK
    assert pid1.process.logged(r" exited program=stubborn .*signal=9")
    assert not pid1.programs()


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_hurries(pid1, second):
    """scenarios 24, 27: shortened to KILL; what was asked twice is done once."""
    pid1.alone()
    pid1.configure("supervisor", shutdown_timeout="60s")
    pid1.script_program("stubborn", "trap '' TERM INT\necho x > armed\n" + FOREVER, stop_timeout="50s")
    pid1.start()
    wait_written(pid1, "armed")
    pid1.send(signal.SIGTERM)
    pid1.process.wait_log(r" stopping cause=SIGTERM exit_code=0")
    began = time.monotonic()
    for _ in range(3):
        pid1.send(second)
    assert pid1.process.wait(10) == 0
    assert time.monotonic() - began < 3 * SLACK
    assert len(pid1.process.logged(r" stopping .*hurry=yes")) == 1


def test_a_grandchild_in_a_session_of_its_own_is_asked_and_then_killed(pid1):
    """scenario 21: setsid(2) takes it out of the program's group; it gets TERM all the same, and KILL if it stays."""
    pid1.alone()
    grandchild = pid1.write("grandchild.sh", "trap 'echo asked > asked' TERM\necho x > armed\n" + FOREVER + "\n")
    pid1.script_program("parent", f"setsid sh {grandchild} &\n" + FOREVER, stop_timeout="1s")
    pid1.configure("supervisor", shutdown_timeout="3s")
    pid1.start()
    wait_written(pid1, "armed")
    began = time.monotonic()
    assert pid1.stop() == 0
    assert time.monotonic() - began < 3 + 1 * SLACK
    assert written(pid1, "asked") == "asked\n"
    assert not pid1.programs()


def is_listening(pid: int) -> bool:
    """Whether SIGTERM to this process would be kept: PID 1 loses what comes before it has blocked it."""
    status = status_of(pid)
    return status.get("Name") == "ollama-supervis" and bool(int(status["SigBlk"], 16) & (1 << (signal.SIGTERM - 1)))


def test_stop_in_the_first_milliseconds(pid1):
    """scenario 28: as soon as the kernel keeps the signal for us, long before anything runs."""
    pid1.installed = "m"
    for _ in range(5):
        pid1.start()
        while not is_listening(pid1.find_pid1() or -1):
            assert not pid1.process.ended(), pid1.process.tail()
        began = time.monotonic()
        pid1.send(signal.SIGTERM)
        assert pid1.process.wait(10) == 0
        assert time.monotonic() - began < 2 * SLACK
        assert pid1.process.logged(r" stopped exit_code=0")


def test_stop_ends_when_the_last_program_has_and_not_later(pid1):
    """scenario 25: no waiting for a grace that nobody needs."""
    pid1.configure("supervisor", shutdown_timeout="5m")
    pid1.boot(tokens=1)
    began = time.monotonic()
    assert pid1.stop() == 0
    assert time.monotonic() - began < 2 * SLACK


def test_everything_has_ended_before_it_is_asked(pid1):
    """scenario 25: all programs have ended early; a stop ends at once."""
    pid1.alone()
    pid1.configure("supervisor", shutdown_timeout="5m")
    pid1.script_program("job", "exit 0", restart="on-failure")
    pid1.start()
    pid1.process.wait_log(r" state program=job .*to=done")
    began = time.monotonic()
    assert pid1.stop() == 0
    assert time.monotonic() - began < 1 * SLACK


def test_a_required_program_that_is_given_up_ends_all_with_1(pid1):
    """scenario 36: everything else is stopped in order, and the exit code tells."""
    pid1.configure("program:ollama", max_restarts="2", backoff_min="10ms", backoff_max="20ms")
    pid1.backend.script(crash_at_start={"times": 99, "code": 3})
    pid1.start()
    assert pid1.process.wait() == 1
    assert len(pid1.backend.journal("started")) == 3
    assert pid1.process.logged(r" required_failed program=ollama reason=\"exit code 3")


def test_a_required_task_that_fails_ends_all_with_1(pid1):
    """scenario 37: our exit code is 1, as for all that has failed for good; its own is in the log."""
    pid1.alone()
    pid1.script_program("migrate", "exit 7", restart="never")
    pid1.script_program("rest", FOREVER)
    pid1.start()
    assert pid1.process.wait() == 1
    assert pid1.process.logged(r" required_failed program=migrate reason=\"exit code 7")
    assert pid1.process.logged(r" exited program=rest")


def test_stray_descriptors_reach_nobody(pid1):
    """scenario 58: what was open by chance is closed in the supervisor and in its programs."""
    stray = pid1.write("stray", "x")
    pid1.before = ["sh", "-c", f'exec 7<{stray} 9<{stray}; exec "$@"', "sh"]
    pid1.boot(tokens=1)
    for pid in (pid1.pid1, pid1.pid_of("ollama"), pid1.pid_of("proxy")):
        open_files = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
        assert stray not in open_files, (pid, open_files)
    assert pid1.stop() == 0


@pytest.mark.parametrize("closed", ["0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-", ">/dev/full 2>&1"])
def test_standard_descriptors_may_be_closed(pid1, closed):
    """scenario 55: closed or full: nothing of ours lands on 0 to 2, and all works without a log."""
    pid1.before = ["sh", "-c", f'exec "$@" {closed}', "sh"]
    pid1.installed = "m"
    pid1.backend.script(tokens=1)
    pid1.start()
    pid1.wait_ready()
    for fd in "012":
        assert "socket" not in os.readlink(f"/proc/{pid1.pid1}/fd/{fd}")
    assert pid1.generate().status == 200
    assert pid1.stop() == 0


def test_a_log_that_nobody_reads_holds_nobody_up(pid1):
    """scenario 55: stdout and stderr are a pipe that is full."""
    pipe = os.path.join(pid1.directory, "pipe")
    os.mkfifo(pipe)
    held = os.open(pipe, os.O_RDWR)
    try:
        pid1.before = ["sh", "-c", f'exec "$@" >{pipe} 2>&1', "sh"]
        pid1.configure("supervisor", log_level="debug")
        pid1.script_program("chatter", "while :; do echo 0123456789012345678901234567890123456789012345678901234567890; done")
        pid1.installed = "m"
        pid1.backend.script(tokens=1)
        pid1.start()
        pid1.wait_ready()
        assert pid1.generate().status == 200
        assert pid1.ctl("health").returncode == 0
        assert pid1.stop() == 0
    finally:
        os.close(held)


def test_all_descendants_are_gone_before_it_is(pid1):
    """scenario 20: a pipeline of six processes, asked to stop as one group."""
    pid1.alone()
    pid1.script_program("pipeline", "sleep 771 | sleep 772 | sleep 773 | sleep 774 | sleep 775 | sleep 776")
    pid1.start()
    pid1.process.wait_log(r" exec program=pipeline")
    until(lambda: len(group_of(pid1.pid_of("pipeline"))) == 7, 5, "six processes and their shell", pid1.process.tail)
    group = group_of(pid1.pid_of("pipeline"))
    began = time.monotonic()
    assert pid1.stop() == 0
    assert time.monotonic() - began < 2 * SLACK
    assert not [pid for pid in group if command_of(pid).startswith("sleep 77")]


def group_of(pid: int) -> list:
    """A process and its children, as far as they have become what they are to be."""
    return [pid, *(child for child in children_of(pid) if command_of(child).startswith("sleep"))]


ENTRY_POINT = """import os, sys, time
if os.fork() == 0:
    os._exit(0)
if os.fork() == 0:
    os.execvp("sleep", ["sleep", "777"])
time.sleep(0.2)
os.execvp(sys.argv[1], sys.argv[1:])
"""


def test_what_an_entry_point_left_behind_is_ours(pid1):
    """scenario 19: a script that starts something and execs us: the dead are reaped at once, the living are stopped."""
    pid1.before = ["python3", "-c", ENTRY_POINT]
    pid1.alone()
    pid1.start()
    pid1.process.wait_log(r" ready ")
    until(lambda: not pid1.zombies(), 2, "no zombies", lambda: str(pid1.zombies()))
    assert len(sleepers(pid1, 777)) == 1
    assert pid1.stop() == 0
    assert not pid1.programs()


def test_idle_it_ends_with_0(pid1):
    """Scaled to zero: a platform starts again what ends otherwise."""
    pid1.configure("supervisor", idle_timeout="1s")
    pid1.boot(tokens=1)
    assert pid1.generate().status == 200
    assert pid1.process.wait(10) == 0
    assert pid1.process.logged(r" stopping cause=idle exit_code=0")
