"""A model's runner as a process of its own, where the script asks for one: a child of Ollama's, in its process group.

It does as it is told by lines on its stdin, and answers each with the same line: "N SECONDS" is work, which takes processor time
(SECONDS of it, and a little where it is 0; below 0 it eats memory until it is killed). It can be stopped, and killed; the end of its stdin is its own.
"""
import os
import subprocess
import sys
import threading
import time


class Lost(Exception):
    """It has ended."""


class Process:
    """Ollama's side of one."""

    def __init__(self, model: str):
        self._number = 0
        self.is_lost = False
        self._lock = threading.Lock()
        self._waiting: dict = {}  # {line: the end of a pipe that is closed when the runner has answered it}
        self._popen = subprocess.Popen([sys.executable, "-S", "-E", os.path.abspath(__file__), "runner", "--model", model],
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        """Whoever waits for an answer is woken by it, or by the runner's end."""
        for line in iter(self._popen.stdout.readline, b""):
            with self._lock:
                if line.rstrip() in self._waiting:
                    os.close(self._waiting.pop(line.rstrip()))
        with self._lock:
            for end in self._waiting.values():
                os.close(end)
            self._waiting = {}
            self.is_lost = True
        self._popen.stdout.close()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._popen.pid

    def work(self, conn, seconds: float) -> None:
        """Have it work; Lost where it ends meanwhile, ClientGone where the client does."""
        with self._lock:
            if self.is_lost:
                raise Lost
            self._number += 1
            line = b"%d %g" % (self._number, seconds)
            answered, self._waiting[line] = os.pipe()
        try:
            self._popen.stdin.write(line + b"\n")
            conn.wait_for(answered)
        except OSError as error:
            raise Lost from error
        finally:
            os.close(answered)
        if self.is_lost:
            raise Lost

    def end(self) -> None:
        """Kill it, as Ollama does, and wait for its end."""
        self._popen.kill()
        self._popen.wait()
        self._popen.stdin.close()

    def how_it_ended(self) -> str:
        """In the words of Go's exec package."""
        code = self._popen.wait()
        names = {-9: "killed", -11: "segmentation fault", -6: "aborted", -15: "terminated"}
        return f"exit status {code}" if code >= 0 else "signal: " + names.get(code, str(-code))


def main() -> int:
    """The runner itself."""
    while line := sys.stdin.readline():
        seconds = float(line.split()[1])
        hoard = []
        while seconds < 0:
            hoard.append(b"x" * (4 << 20))
        began = time.process_time()
        while time.process_time() - began < seconds:
            pass
        sys.stdout.write(line)
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
