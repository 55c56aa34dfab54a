"""Programs under test: started with a marked environment, their output read by a thread, ended by pid."""
import array
import fcntl
import os
import re
import select
import signal
import subprocess
import termios
import threading
import time

from waiting import SLACK, until

MARK = "TEST_SIDECAR_ID"
SANITIZER = re.compile(r"ERROR: AddressSanitizer|ERROR: LeakSanitizer|runtime error:|WARNING: ThreadSanitizer")


def marked(mark: str) -> dict:
    """{pid: command} of the living processes whose environment has our mark, zombies left out."""
    found = {}
    needle = f"{MARK}={mark}".encode()
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid():
            try:
                with open(f"/proc/{entry}/environ", "rb") as file:
                    if needle not in file.read().split(b"\0"):
                        continue
                with open(f"/proc/{entry}/cmdline", "rb") as file:
                    found[int(entry)] = file.read().replace(b"\0", b" ").decode("utf-8", "replace").strip()
            except OSError:
                continue
    return found


def state_of(pid: int) -> str:
    """The state letter of a process, empty where it is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rsplit(")", 1)[1].split()[0]
    except OSError:
        return ""


class Process:
    """A running program and its log."""

    def __init__(self, argv: list, env: dict, cwd: str, **how):
        self.argv = argv
        self.log: list = []
        self.popen = subprocess.Popen(argv, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, start_new_session=True, **how)
        self._reading = threading.Lock()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        fd, begun, data = self.popen.stdout.fileno(), b"", b"-"
        ready = select.poll()
        ready.register(fd, select.POLLIN)
        while data:
            ready.poll()
            with self._reading:  # who has it and finds the pipe empty has all lines
                data = os.read(fd, 65536)
                *lines, begun = (begun + data).split(b"\n")
                if begun and not data:
                    lines.append(begun)
                self.log.extend(line.decode("utf-8", "replace") for line in lines)

    def _is_read(self) -> bool:
        with self._reading:
            left = array.array("i", [0])
            fcntl.ioctl(self.popen.stdout.fileno(), termios.FIONREAD, left)
            return left[0] == 0

    @property
    def pid(self) -> int:
        """The process id."""
        return self.popen.pid

    def tail(self, count: int = 60) -> str:
        """The end of the log, for failure messages."""
        code = self.popen.poll()
        state = "running" if code is None else f"ended with {code}"
        return f"--- {' '.join(self.argv)} ({state}); its last lines:\n" + "\n".join(self.log[-count:])

    def wait_log(self, pattern: str, timeout: float = 5, since: int = 0):
        """The match of the first log line, from number `since` on, that the pattern is found in."""
        regex = re.compile(pattern)

        def look():
            ended = self.ended()
            found = next((match for match in map(regex.search, self.log[since:]) if match), None)
            assert found or not ended, f"ended before a log line matched {pattern!r}\n{self.tail()}"
            return found

        return until(look, timeout, f"a log line that matches {pattern!r}", self.tail)

    def ended(self) -> bool:
        """Whether it has exited and its whole log has been read."""
        return self.popen.poll() is not None and not self._reader.is_alive()

    def logged(self, pattern: str) -> list:
        """All matching lines so far: also those that were written a moment ago."""
        deadline = time.monotonic() + 1
        while not self._is_read() and time.monotonic() < deadline:  # one that never ends has no end to wait for
            time.sleep(0.001)
        return [line for line in self.log if re.search(pattern, line)]

    def kill(self, number=signal.SIGTERM) -> None:
        """Send a signal to this very process."""
        os.kill(self.popen.pid, number)

    def wait(self, timeout: float = 10) -> int:
        """The exit code."""
        try:
            code = self.popen.wait(timeout * SLACK)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"did not exit in {timeout * SLACK:g} s\n{self.tail()}") from None
        self._reader.join(1)
        return code

    def stop(self, number=signal.SIGTERM, timeout: float = 10) -> int:
        """Ask it to stop; the exit code."""
        if self.popen.poll() is None:
            self.kill(number)
        return self.wait(timeout)

    def end(self) -> list:
        """Make sure that it has ended. Complaints: that it would not, and what a sanitizer said."""
        complaints = []
        if self.popen.poll() is None:
            self.kill(signal.SIGTERM)
            try:
                self.popen.wait(10 * SLACK)
            except subprocess.TimeoutExpired:
                complaints.append("did not stop on SIGTERM within 10 s: " + " ".join(self.argv))
                self.popen.kill()
                self.popen.wait()
        self._reader.join(1)
        return complaints + [line for line in self.log if SANITIZER.search(line)]


def clean_up(processes: list, marks: set) -> list:
    """End these processes, the latest first, and then whatever else has one of the marks, by pid; the complaints."""
    complaints = [complaint for process in reversed(processes) for complaint in process.end()]
    for mark in marks:
        deadline = time.monotonic() + 1 * SLACK
        while marked(mark) and time.monotonic() < deadline:
            time.sleep(0.01)
        for pid, command in marked(mark).items():
            complaints.append(f"left behind: {pid} {command}")
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
    return complaints
