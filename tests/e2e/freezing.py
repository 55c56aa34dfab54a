"""Processes that do not run for a while, by signals or in a control group of their own."""
import contextlib
import os
import signal
import uuid

from process import state_of
from waiting import until


class Signals:
    """SIGSTOP and SIGCONT."""

    def enter(self, sidecar) -> None:
        """Before it is started; nothing is to be done."""

    @staticmethod
    def freeze(pids) -> None:
        """Returns when none of them runs: one that ended meanwhile stays a zombie while its parent is stopped."""
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        until(lambda: all(state_of(pid) in "TZX" for pid in pids), 5, "all of them to stop")

    @staticmethod
    def thaw(pids) -> None:
        """They go on."""
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def close(self) -> None:
        """Nothing to be removed."""


class Freezer:
    """A control group, v2 or v1, in which all that a sidecar starts is frozen together."""

    FOLDERS = (("/sys/fs/cgroup", "cgroup.freeze", "1", "0"), ("/sys/fs/cgroup/unified", "cgroup.freeze", "1", "0"),
               ("/sys/fs/cgroup/freezer", "freezer.state", "FROZEN", "THAWED"))

    def __init__(self):
        """OSError where there can be none."""
        problem = OSError("no control group can be frozen here")
        for folder, switch, self._frozen, self._thawed in self.FOLDERS:
            self.folder = os.path.join(folder, "sidecar-test-" + uuid.uuid4().hex[:12])
            self._switch = os.path.join(self.folder, switch)
            try:
                os.mkdir(self.folder)
            except OSError as error:
                problem = error
                continue
            if os.path.exists(self._switch):
                return
            os.rmdir(self.folder)
        raise problem

    def enter(self, sidecar) -> None:
        """What is started from now on is in it, and all that descends from that."""
        script = sidecar.write("enter-freezer.sh", 'echo $$ >"$1" && shift && exec "$@"\n')
        sidecar.before = ["/bin/sh", script, os.path.join(self.folder, "cgroup.procs")]

    def _put(self, text: str) -> None:
        with open(self._switch, "w", encoding="ascii") as file:
            file.write(text)

    def _is_frozen(self) -> bool:
        if self._frozen == "FROZEN":
            with open(self._switch, encoding="ascii") as file:
                return file.read().strip() == "FROZEN"
        with open(os.path.join(self.folder, "cgroup.events"), encoding="ascii") as file:
            return "frozen 1" in file.read()

    def freeze(self, _pids=()) -> None:
        """Returns when all in it are frozen."""
        self._put(self._frozen)
        until(self._is_frozen, 5, "a frozen group")

    def thaw(self, _pids=()) -> None:
        """They go on."""
        self._put(self._thawed)

    def close(self) -> None:
        """When all in it have ended."""
        self._put(self._thawed)

        def is_empty():
            with open(os.path.join(self.folder, "cgroup.procs"), encoding="ascii") as file:
                return not file.read()

        until(is_empty, 10, "an empty group")
        os.rmdir(self.folder)
