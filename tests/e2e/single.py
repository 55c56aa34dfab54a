"""`ollama-supervisor -- COMMAND` under test: run to its end, or started and looked at from outside."""
import os
import shlex
import subprocess
import sys
import uuid

from process import MARK, Process, clean_up, marked
from sidecar import PASSED_ON, program
from waiting import SLACK, until

TIMEOUT = "SIDECAR_SUPERVISOR_SHUTDOWN_TIMEOUT"


def python(code: str) -> list:
    """The command that runs a piece of Python, its output unbuffered."""
    return [sys.executable, "-I", "-S", "-u", "-c", code]


def field(pid: int, name: str) -> str:
    """A field of /proc/PID/status."""
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
        return next(line.split(":", 1)[1].strip() for line in file if line.startswith(name + ":"))


def children(pid: int) -> list:
    """(pid, state) of every process whose parent this is."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", encoding="ascii", errors="replace") as file:
                    state, parent = file.read().rsplit(")", 1)[1].split()[:2]
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(parent) == pid:
                found.append((int(entry), state))
    return found


class Single:
    """Starts commands below a supervisor, and finds what they leave behind."""

    def __init__(self, directory: str):
        self.directory = directory
        self.supervisor = program("ollama-supervisor")
        self.mark = uuid.uuid4().hex
        self.processes: list = []
        self.env = {"PATH": os.environ["PATH"], "HOME": directory, MARK: self.mark, "LC_ALL": "C",
                    **{name: os.environ[name] for name in PASSED_ON if name in os.environ}}

    def words(self, *command) -> list:
        """The supervisor's command line."""
        return [self.supervisor, "--", *command]

    def line(self, *command) -> str:
        """The same for a shell."""
        return shlex.join(self.words(*command))

    def run(self, *command, timeout: float = 10, **options) -> subprocess.CompletedProcess:
        """Run a command to its end; both outputs as text."""
        return subprocess.run(self.words(*command), env=self.env, cwd=self.directory, text=True, capture_output=True,
                              stdin=subprocess.DEVNULL, timeout=timeout * SLACK, check=False, **options)

    def start(self, *command, wait: str = "") -> Process:
        """Start a command; wait: until a line of its output matches."""
        return self.start_words(self.words(*command), wait)

    def start_words(self, words: list, wait: str = "") -> Process:
        """The same for any command line."""
        process = Process(words, self.env, self.directory)
        self.processes.append(process)
        if wait:
            process.wait_log(wait)
        return process

    def path(self, name: str) -> str:
        """A file in the folder."""
        return os.path.join(self.directory, name)

    def write(self, name: str, content: bytes, mode: int = 0o755) -> str:
        """Make a file; its path."""
        with open(self.path(name), "wb") as file:
            file.write(content)
        os.chmod(self.path(name), mode)
        return self.path(name)

    def read(self, name: str) -> str:
        """A file's text; empty where it is not there."""
        try:
            with open(self.path(name), encoding="utf-8") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def nothing_left(self) -> None:
        """Nothing that was started here may live any more, from this moment on."""
        assert not marked(self.mark), marked(self.mark)

    def clean_up(self) -> list:
        """End everything; the complaints."""
        return clean_up(self.processes, {self.mark})


def main_of(process: Process) -> int:
    """The pid of the command."""
    return until(lambda: children(process.pid), 5, "the command to be started", process.tail)[0][0]
