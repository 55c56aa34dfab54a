"""ollama-sidecar.service in a booted machine: its drop-ins, its state, its journal, its processes."""
import json
import re
import subprocess
import time

from machine import Machine
from waiting import until

UNIT = "ollama-sidecar.service"
ETC = "/etc/ollama-sidecar"
DROP_IN = f"/run/systemd/system/{UNIT}.d"
SCRIPT = "/run/standin.json"
STATE = "/var/lib/ollama-sidecar"
# How it shall be between tests: no pause before it is started again, and the stand-in has the model `m`.
QUICK = f"[Service]\nRestartSec=200ms\nEnvironment=STANDIN_SCRIPT={SCRIPT} STANDIN_MODELS=m STANDIN_STATE={STATE}/standin\n"


class Service:
    """The unit that the package has."""

    def __init__(self, machine: Machine):
        self.machine = machine
        self.since = ""

    def install(self) -> None:
        """The package, where it is not installed already."""
        if self.machine.run("dpkg-query", "-W", "-f=${db:Status-Status}", "ollama-sidecar").stdout != "installed":
            self.machine.must("apt-get", "install", "-y", "-q", "/root/sidecar.deb", timeout=120)

    def reset(self) -> None:
        """Stopped, as shipped, with nothing but QUICK added."""
        self.machine.run("systemctl", "stop", UNIT, timeout=60)
        self.machine.must("sh", "-c", f"rm -rf {DROP_IN} {STATE}/standin {STATE}/sleep.txt; rm -f {SCRIPT}")
        self.machine.must("sh", "-c", f"test -d {ETC}.shipped || cp -a {ETC} {ETC}.shipped; rm -rf {ETC}; cp -a {ETC}.shipped {ETC}")
        self.drop_in("quick", QUICK)
        self.machine.run("systemctl", "reset-failed", UNIT)
        self.since = self.cursor()

    def drop_in(self, name: str, text: str) -> None:
        """A drop-in of the unit, in force at once."""
        self.machine.write(f"{DROP_IN}/{name}.conf", text)
        self.machine.must("systemctl", "daemon-reload")

    def script(self, **keys) -> None:
        """What the stand-in does."""
        self.machine.write(SCRIPT, json.dumps(keys))

    def start(self) -> subprocess.CompletedProcess:
        """systemctl start, to its end."""
        return self.machine.run("systemctl", "start", UNIT, timeout=90)

    def started(self) -> "Service":
        """Started, and active."""
        done = self.start()
        assert done.returncode == 0, f"{done.stderr}\n{self.journal()}"
        assert self.show("ActiveState") == "active", self.journal()
        return self

    def show(self, name: str) -> str:
        """A property of the unit."""
        return self.machine.must("systemctl", "show", "--property", name, "--value", UNIT).strip()

    def main_pid(self) -> int:
        """The supervisor's, in the machine; 0: none."""
        return int(self.show("MainPID"))

    def cursor(self) -> str:
        """The journal's end."""
        said = self.machine.run("journalctl", "--no-pager", "-q", "-n", "1", "--show-cursor", "-o", "cat").stdout
        return said.rsplit("cursor: ", 1)[-1].strip() if "cursor: " in said else ""

    def journal(self) -> str:
        """What the unit, and systemd of it, said since the test began."""
        after = ["--after-cursor", self.since] if self.since else []
        return self.machine.run("journalctl", "--no-pager", "-q", "-o", "cat", "--sync").stdout + self.machine.run(
            "journalctl", "--no-pager", "-q", "-o", "cat", "-u", UNIT, *after).stdout

    def wait_journal(self, pattern: str, timeout: float = 15) -> str:
        """The text that a pattern finds, once it is in the journal."""
        found = until(lambda: re.search(pattern, self.journal()), timeout, f"{pattern!r} in the journal", self.journal)
        return found.group(0)

    def wait_state(self, active: str, sub: str = "", timeout: float = 20) -> None:
        """Until ActiveState is that, and SubState where it is given."""
        until(lambda: self.show("ActiveState") == active and (not sub or self.show("SubState") == sub), timeout,
              f"{active} {sub}", lambda: f"{self.show('ActiveState')} {self.show('SubState')}\n{self.journal()}")

    def ask(self, port: int = 11434, path: str = "/api/generate", **body) -> list:
        """The lines of an answer, which has to be 200."""
        done = self.machine.curl("-f", f"http://127.0.0.1:{port}{path}", *(["-d", json.dumps(body)] if body else []))
        assert done.returncode == 0, f"{done.stderr}\n{done.stdout}\n{self.journal()}"
        return done.stdout.splitlines()

    def processes(self) -> dict:
        """{pid: command} of the unit's control group, in the machine's numbers."""
        group = self.show("ControlGroup") or "/system.slice/" + UNIT
        pids = self.machine.run("cat", f"/sys/fs/cgroup{group}/cgroup.procs").stdout.split()
        return {int(pid): self.machine.run("ps", "-o", "comm=", "-p", pid).stdout.strip() for pid in pids}

    def pid_of(self, command: str) -> int:
        """The one process of that name, once it is there."""
        return until(lambda: [pid for pid, name in self.processes().items() if name.startswith(command)], 10,
                     f"a process {command}", lambda: str(self.processes()))[0]

    def stop(self) -> float:
        """systemctl stop; how long it took, in seconds."""
        began = time.monotonic()
        self.machine.must("systemctl", "stop", UNIT)
        return time.monotonic() - began
