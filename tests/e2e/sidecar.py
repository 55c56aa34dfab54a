"""The sidecar under test: its folder, its supervisor.ini, its programs."""
import json
import os
import socket
import subprocess
import uuid

import ports
from client import Background, Connection, ask
from process import MARK, Process, clean_up, marked
from standin import HERE, PATH, Backend
from waiting import SLACK, until

ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.join(ROOT, os.environ.get("BUILD_DIR") or "build")
PASSED_ON = ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS", "LD_LIBRARY_PATH", "LLVM_PROFILE_FILE",
             "GCOV_PREFIX", "LANG", "TZ")


def program(name: str) -> str:
    """The path of a built program; a missing one is a failure, never a silent skip."""
    path = os.path.join(BUILD, name)
    assert os.access(path, os.X_OK), f"{path} is not there: run `make`, or set BUILD_DIR"
    return path


class Sidecar:
    """One sidecar in a folder of its own, with ports of its own, before a stand-in of its own."""

    def __init__(self, directory: str):
        self.directory = directory
        self.port = ports.free()
        self.backend = Backend(directory, ports.free())
        self.mark = uuid.uuid4().hex
        self.ini = os.path.join(directory, "supervisor.ini")
        self.socket = os.path.join(directory, "control.sock")
        self.process = None
        self.processes: list = []
        self.installed = ""
        self.before: list = []  # the words of a command that execs what is to be started
        self.settings = {
            "supervisor": {"control_socket": self.socket, "state_dir": os.path.join(directory, "state")},
            "environment": {"OLLAMA_NUM_PARALLEL": "64"},
            "preload": {"models": "none"},
            "proxy": {"listen": f"127.0.0.1:{self.port}"},
        }
        self.env = {
            "PATH": PATH, "HOME": directory, MARK: self.mark,
            "OLLAMA_HOST": f"127.0.0.1:{self.backend.port}",
            **{name: os.environ[name] for name in PASSED_ON if name in os.environ},
        }

    # setting up

    def configure(self, section: str, **keys) -> None:
        """Set keys of a section; a value of None removes the key."""
        target = self.settings.setdefault(section, {})
        target.update(keys)
        for key in [key for key, value in keys.items() if value is None]:
            del target[key]

    def leave_leaks(self) -> None:
        """The sanitizer's look for leaks at exit is left out: it can't be had under a debugger, nor without /proc."""
        self.env["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"

    def write(self, name: str, content) -> str:
        """A file in the folder; its path."""
        path = os.path.join(self.directory, name)
        with open(path, "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())
        return path

    def alone(self) -> None:
        """Neither Ollama nor proxy: the programs of the test only."""
        self.configure("program:ollama", autostart="no")
        self.configure("program:proxy", autostart="no")

    def script_program(self, name: str, command: str, **keys) -> None:
        """A program of the test; the command is a shell's."""
        script = self.write(f"{name}.sh", command + "\n")
        self.configure(f"program:{name}", command=f"sh {script}", **keys)

    def write_ini(self) -> None:
        """supervisor.ini from the settings."""
        lines = []
        for section, keys in self.settings.items():
            lines.append(f"[{section}]")
            lines += [f"{key} = {value}" for key, value in keys.items()] + [""]
        self.write("supervisor.ini", "\n".join(lines))

    def environment(self) -> dict:
        """What the programs get."""
        return {**self.backend.environment(self.installed), **self.env}

    # running

    def start(self, name: str = "ollama-supervisor", *args, ini: bool = True) -> Process:
        """Start a program on the ini file; the first one is `process`."""
        if ini:
            self.write_ini()
        process = self.launch([program(name), "-c", self.ini, *args])
        self.processes.append(process)
        self.process = process
        return process

    def launch(self, argv: list) -> Process:
        """A process of these words, wherever it is to run."""
        return Process([*self.before, *argv], self.environment(), self.directory)

    def run(self, name: str, *args, timeout: float = 10) -> subprocess.CompletedProcess:
        """Run a program to its end."""
        return subprocess.run([program(name), *args], env=self.environment(), cwd=self.directory, text=True,
                              capture_output=True, timeout=timeout * SLACK, check=False)

    def has_control(self) -> bool:
        """Whether the control socket takes connections: its file is there a moment before."""
        with socket.socket(socket.AF_UNIX) as client:
            try:
                client.connect(self.socket)
            except OSError:
                return False
        return True

    def ctl(self, *verb, timeout: float = 10) -> subprocess.CompletedProcess:
        """sidecarctl on this supervisor's socket."""
        return self.run("sidecarctl", "-s", self.socket, *verb, timeout=timeout)

    def stop(self, *args, **kwargs) -> int:
        """Stop the supervisor; its exit code."""
        return self.process.stop(*args, **kwargs)

    def programs(self) -> dict:
        """{pid: command} of everything that runs for this sidecar."""
        return marked(self.mark)

    def process_children(self) -> list:
        """The pids of the supervisor's children."""
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children", encoding="utf-8") as file:
            return [int(pid) for pid in file.read().split()]

    def pid_of(self, name: str) -> int:
        """The pid that the supervisor last logged an exec of this program with."""
        match = None
        for line in self.process.logged(rf" exec .*\bprogram={name}\b"):
            match = line
        assert match, f"no exec of {name} in the log\n{self.process.tail()}"
        return int(match.split("pid=")[1].split()[0])

    # asking

    def connect(self, timeout: float = 10) -> Connection:
        """A client connection to the public port."""
        return Connection(self.port, timeout=timeout)

    def ask(self, method: str, path: str, body=None, headers=(), timeout: float = 10):
        """One request to the public port."""
        return ask(self.port, method, path, body, headers, timeout)

    def background(self, method: str, path: str, body=None, timeout: float = 20, headers=()) -> Background:
        """The same in a thread."""
        return Background(self.ask, method, path, body, headers, timeout)

    def generate(self, model: str = "m", prompt: str = "hello", stream: bool = False, **more):
        """The usual request."""
        body = {"model": model, "prompt": prompt, "stream": stream, **more}
        return self.ask("POST", "/api/generate", body, timeout=20)

    def health(self) -> dict:
        """GET /health with its status code as "code"; {} while nobody answers."""
        try:
            answer = self.ask("GET", "/health", timeout=3)
            return {**answer.json, "code": answer.status}
        except (OSError, ValueError, EOFError):
            return {}

    def wait_health(self, condition, timeout: float = 10, what: str = "a /health that satisfies the test") -> dict:
        """The first /health that the condition holds for."""
        last = {}

        def look():
            assert not self.process.ended(), f"ended before {what}\n{self.process.tail()}"
            last.clear()
            last.update(self.health())
            return dict(last) if last and condition(last) else None

        return until(look, timeout, what, lambda: f"last: {json.dumps(last)}\n{self.process.tail()}")

    def wait_ready(self, timeout: float = 15) -> dict:
        """Until /health answers 200."""
        return self.wait_health(lambda health: health["code"] == 200, timeout, "/health with status 200")

    def boot(self, models: str = "m", **script) -> "Sidecar":
        """With these models installed and this script: start, and wait until ready."""
        self.installed = models
        self.backend.script(**script)
        self.start()
        self.wait_ready()
        return self

    def clean_up(self) -> list:
        """Stop everything; the complaints."""
        return clean_up(self.processes, {self.mark})
