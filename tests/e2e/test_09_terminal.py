"""On a terminal: its keys, a window that is closed, and one that takes nothing any more (frozen, a connection lost, ^S)."""
import os
import pty
import signal
import subprocess

import pytest

from process import SANITIZER
from sidecar import program
from waiting import SLACK, until

STOP_OUTPUT = b"\x13"  # ^S


class Terminal:
    """A supervisor on a terminal of its own; what it shows is read only when the test says so."""

    def __init__(self, sidecar):
        sidecar.write_ini()
        self.ours, theirs = pty.openpty()
        # a session of its own, and the terminal its controlling one: as a shell would have it
        argv = ["setsid", "--ctty", *sidecar.before, program("ollama-supervisor"), "-c", sidecar.ini]
        self.popen = subprocess.Popen(argv, env=sidecar.environment(), cwd=sidecar.directory, stdin=theirs,
                                      stdout=theirs, stderr=theirs)
        os.close(theirs)
        self.shown = b""

    def read(self) -> bytes:
        """All that has been shown so far; what is there now is taken off it."""
        os.set_blocking(self.ours, False)
        try:
            while data := os.read(self.ours, 65536):
                self.shown += data
        except OSError:  # nothing more for now, or the other side is closed
            pass
        return self.shown

    def hang_up(self) -> None:
        """The window is closed."""
        os.close(self.ours)
        self.ours = os.open("/dev/null", os.O_RDONLY)

    def close(self) -> None:
        """Ends it, whatever it takes."""
        if self.popen.poll() is None:
            self.popen.kill()
            self.popen.wait()
        os.close(self.ours)
        assert not SANITIZER.search(self.shown.decode("utf-8", "replace"))


@pytest.mark.parametrize("how", ["nobody reads", "control s"])
def test_a_terminal_that_stands_still_holds_nobody_up(sidecar, how):
    """scenario 55: a line that does not fit is dropped; neither the supervisor nor the proxy waits for room."""
    sidecar.configure("supervisor", log_level="debug")
    sidecar.script_program("chatter", "echo x > started\nwhile :; do echo 0123456789012345678901234567890123456789; done")
    sidecar.installed = "m"
    sidecar.backend.script(tokens=1)
    terminal = Terminal(sidecar)
    try:
        if how == "control s":
            os.write(terminal.ours, STOP_OUTPUT)
        until(lambda: os.path.exists(os.path.join(sidecar.directory, "started")), 10, "its programs")
        until(lambda: sidecar.health().get("code") == 200, 10, "/health with status 200")
        for _ in range(3):
            assert sidecar.generate().status == 200
            assert sidecar.ctl("status").returncode == 0
        if how == "nobody reads":  # from now on it is read again, and the loss is told
            until(lambda: b" log_dropped lines=" in terminal.read(), 5, "the loss in the log")
        terminal.popen.send_signal(signal.SIGTERM)
        assert terminal.popen.wait(10 * SLACK) == 0
    finally:
        terminal.close()


@pytest.mark.parametrize("how", ["control c", "control backslash", "closed"])
def test_keys_and_a_closed_window_stop_everything(sidecar, how):
    """scenario 61: the keys' signals reach the foreground group, which is the supervisor alone; SIGHUP means stop here."""
    sidecar.before = ["env", "--default-signal=HUP"]  # also where nohup runs the tests
    sidecar.installed = "m"
    sidecar.backend.script(tokens=1)
    terminal = Terminal(sidecar)
    try:
        until(lambda: b" supervisor ready " in terminal.read(), 10, "ready on the terminal")
        if how == "closed":
            terminal.hang_up()
        else:
            os.write(terminal.ours, b"\x03" if how == "control c" else b"\x1c")
        until(lambda: terminal.read() and terminal.popen.poll() is not None, 10, "its end", lambda: str(sidecar.programs()))
        assert terminal.popen.poll() == 0
        until(lambda: not sidecar.programs(), 5, "everything to end", lambda: str(sidecar.programs()))
        cause = {"control c": b"SIGINT", "control backslash": b"SIGQUIT"}.get(how)
        assert how == "closed" or b" stopping cause=" + cause in terminal.shown
    finally:
        terminal.close()


def test_nohup_outlives_its_terminal(sidecar):
    """As nohup(1) leaves SIGHUP; no line of the log has anywhere to go, and nothing minds."""
    sidecar.before = ["env", "--ignore-signal=HUP"]
    sidecar.installed = "m"
    sidecar.backend.script(tokens=1)
    terminal = Terminal(sidecar)
    try:
        until(lambda: b" supervisor ready " in terminal.read(), 10, "ready on the terminal")
        old = [pid for pid, command in sidecar.programs().items() if "ollama-proxy" in command]
        terminal.hang_up()
        os.kill(old[0], signal.SIGKILL)
        assert sidecar.generate().status == 200
        assert terminal.popen.poll() is None
        terminal.popen.send_signal(signal.SIGTERM)
        assert terminal.popen.wait(10 * SLACK) == 0
    finally:
        terminal.close()
