"""What programs leave behind: process groups, and what left them."""
import os
import signal
import time

from process import state_of
from waiting import SLACK, until

# Leaves the group and the session; says its pid; ends on TERM when told to.
STRAY = """
import os, signal, sys, time
if os.fork():
    time.sleep(600)
os.setsid()
if os.fork():
    os._exit(0)
signal.signal(signal.SIGTERM, signal.SIG_IGN if sys.argv[2] == "ignore" else lambda *_: (time.sleep(0.2), os._exit(0)))
with open(sys.argv[1] + ".new", "w") as file:
    file.write(str(os.getpid()))
os.rename(sys.argv[1] + ".new", sys.argv[1])
while True:
    time.sleep(600)
"""


def stray(sidecar, how: str) -> int:
    """Boot with a program that has a child out of its reach; the child's pid."""
    path, pid_file = sidecar.write("stray.py", STRAY), os.path.join(sidecar.directory, "stray.pid")
    sidecar.configure("program:strayer", command=f"python3 {path} {pid_file} {how}", required="no")
    sidecar.boot(tokens=1)
    until(lambda: os.path.exists(pid_file), 10, "the stray's pid")
    with open(pid_file, encoding="utf-8") as file:
        return int(file.read())


def test_what_left_its_group_is_told_to_stop(sidecar):
    """scenario 21: TERM, and we are gone as soon as it is."""
    pid = stray(sidecar, "heed")
    began = time.monotonic()
    assert sidecar.stop() == 0
    assert 0.2 <= time.monotonic() - began < 3 * SLACK
    assert not state_of(pid)
    assert sidecar.process.logged(r" swept processes=1 signal=15")
    assert not sidecar.process.logged(r" swept .*signal=9")


def test_what_left_its_group_and_ignores_it_is_killed_within_the_budget(sidecar):
    """scenario 21: then KILL."""
    sidecar.configure("supervisor", shutdown_timeout="2s")
    pid = stray(sidecar, "ignore")
    began = time.monotonic()
    assert sidecar.stop() == 0
    assert time.monotonic() - began < 2 + 1 * SLACK
    assert not state_of(pid)
    assert sidecar.process.logged(r" swept processes=1 signal=9")


def test_a_second_signal_hurries_the_sweep_too(sidecar):
    """scenario 24"""
    sidecar.configure("supervisor", shutdown_timeout="60s")
    stray(sidecar, "ignore")
    sidecar.process.kill(signal.SIGTERM)
    sidecar.process.wait_log(r" swept processes=1 signal=15")
    began = time.monotonic()
    assert sidecar.stop() == 0
    assert time.monotonic() - began < 2.5 * SLACK


def test_a_whole_pipeline_is_stopped(sidecar):
    """scenario 20: six processes of one group."""
    script = sidecar.write("pipeline.sh", "sleep 600 | sleep 600 | sleep 600 | sleep 600 | sleep 600 | sleep 600\n")
    sidecar.configure("program:pipeline", command=f"sh {script}", required="no")
    sidecar.boot(tokens=1)
    until(lambda: len([c for c in sidecar.programs().values() if c == "sleep 600"]) == 6, 5, "six processes")
    assert sidecar.ctl("stop", "pipeline").returncode == 0
    until(lambda: "sleep 600" not in sidecar.programs().values(), 5, "all of them to go")
    assert sidecar.stop() == 0


def test_what_a_killed_program_leaves_behind_is_stopped_before_long(sidecar):
    """The next one finds the port and the memory free: also of what left the group of a program that died."""
    sidecar.configure("program:strayer", backoff_min="10ms")
    pid = stray(sidecar, "heed")
    main = sidecar.pid_of("strayer")
    os.kill(main, signal.SIGKILL)
    until(lambda: not state_of(pid), 5, "the stray to go", sidecar.process.tail)
    until(lambda: sidecar.pid_of("strayer") != main, 5, "the next process")
    assert sidecar.process.logged(r" swept processes=1 signal=15")


def test_what_a_stopped_program_leaves_behind_is_killed_where_it_ignores(sidecar):
    pid = stray(sidecar, "ignore")
    other = next(p for p in sidecar.process_children() if p == pid)
    assert sidecar.ctl("stop", "strayer").returncode == 0
    until(lambda: not state_of(other), 8, "the stray's end", sidecar.process.tail)
    assert sidecar.process.logged(r" swept processes=1 signal=9")
    assert state_of(sidecar.pid_of("proxy"))


def test_strays_of_a_program_that_runs_are_its_own_affair(sidecar):
    pid = stray(sidecar, "heed")
    os.kill(sidecar.pid_of("proxy"), signal.SIGKILL)
    assert sidecar.generate().status == 200
    assert state_of(pid) and not sidecar.process.logged(r" swept ")
