"""On a terminal that takes nothing any more: a frozen window, a connection that is lost, ^S."""
import os
import pty
import signal
import subprocess
import threading

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
        argv = [program("ollama-supervisor"), "-c", sidecar.ini]
        self.popen = subprocess.Popen(argv, env=sidecar.environment(), cwd=sidecar.directory, stdin=theirs,
                                      stdout=theirs, stderr=theirs, start_new_session=True)
        os.close(theirs)
        self.shown = b""

    def read(self) -> bytes:
        """All that is to be read, to its end."""
        try:
            while data := os.read(self.ours, 65536):
                self.shown += data
        except OSError:  # its other side is closed
            pass
        return self.shown

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
        reader = threading.Thread(target=terminal.read, daemon=True)
        if how == "nobody reads":
            reader.start()  # from now on it is read again, and the loss is told
            until(lambda: b" log_dropped lines=" in terminal.shown, 5, "the loss in the log")
        terminal.popen.send_signal(signal.SIGTERM)
        assert terminal.popen.wait(10 * SLACK) == 0
    finally:
        terminal.close()
