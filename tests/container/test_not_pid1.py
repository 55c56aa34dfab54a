"""As an ordinary process, under the init of somebody else: of a platform, of a container, or of systemd."""
import os
import platform
import signal
import sys

import pytest

from pid1 import children_of, status_of
from refuse_subreaper import PRCTL_NUMBER
from waiting import until

FOREVER = "while :; do sleep 600 & wait; done"

HERE = os.path.dirname(os.path.abspath(__file__))


def spawner(sidecar) -> None:
    """A program whose grandchildren lose their parent at once."""
    sidecar.script_program("spawner", "for i in 1 2 3; do (sleep 777 &); done\n" + FOREVER)
    sidecar.alone()
    sidecar.configure("supervisor", log_level="debug")


def sleepers(sidecar) -> list:
    """Those grandchildren."""
    return [pid for pid, command in sidecar.programs().items() if command == "sleep 777"]


def test_orphans_are_ours_also_where_we_are_not_pid_1(sidecar):
    """scenario 15: as subreaper it gets the orphans of its programs, and reaps them."""
    spawner(sidecar)
    sidecar.start()
    until(lambda: len(sleepers(sidecar)) == 3, 5, "three grandchildren", sidecar.process.tail)
    until(lambda: set(sleepers(sidecar)) <= set(sidecar.process_children()), 5, "us to be their parent")
    for pid in sleepers(sidecar):
        os.kill(pid, signal.SIGKILL)
        sidecar.process.wait_log(rf" orphan pid={pid}\b")
    assert not sidecar.process.logged(r" no_subreaper ")
    assert sidecar.stop() == 0


@pytest.mark.skipif(platform.machine() not in PRCTL_NUMBER, reason="the number of prctl(2) here is not known")
def test_being_refused_as_subreaper_is_a_warning(sidecar):
    """scenario 15: orphans go to PID 1 then; all else works."""
    sidecar.before = [sys.executable, os.path.join(HERE, "refuse_subreaper.py")]
    spawner(sidecar)
    sidecar.start()
    sidecar.process.wait_log(r" warning supervisor no_subreaper ")
    until(lambda: len(sleepers(sidecar)) == 3, 5, "three grandchildren", sidecar.process.tail)
    until(lambda: not set(sleepers(sidecar)) & set(children_of(sidecar.process.pid)), 5, "another parent")
    assert sidecar.stop() == 0  # those that stayed in the program's group were asked as well


def test_under_an_init_that_only_waits_for_its_main_process(pid1):
    """As on Fly.io: PID 1 is the platform's; what we leave behind would live on under it."""
    pid1.before = ["sh", "-c", '"$@"; code=$?; exit $code', "sh"]
    pid1.boot(tokens=1)
    (supervisor,) = children_of(pid1.pid1)
    assert status_of(supervisor)["NSpid"].split()[-1] != "1"
    pid1.process.wait_log(r" boot .*pid=[^1]")
    assert not pid1.process.logged(r" no_subreaper ")
    assert pid1.generate().status == 200
    os.kill(supervisor, signal.SIGINT)
    assert pid1.process.wait() == 0
    assert not pid1.programs()
