"""Sidecars whose supervisor is PID 1: of a PID namespace, or of a container. The network is this machine's, the folder is
mounted under its own name; so everything that tests/e2e knows works here too."""
import os
import signal
import subprocess
import uuid

from podman import IMAGE, ROOT
from process import Process
from sidecar import BUILD, Sidecar
from waiting import SLACK, until


def status_of(pid: int) -> dict:
    """/proc/PID/status as a dictionary; {} where it is gone."""
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8") as file:
            return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    except OSError:
        return {}


def children_of(pid: int) -> list:
    """The pids of its children."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="utf-8") as file:
            return [int(child) for child in file.read().split()]
    except OSError:
        return []


class Pid1(Sidecar):
    """A sidecar that is alone in a PID namespace. Pids in its log are those in there; `host_pid` translates."""

    kind = "namespace"

    def launch(self, argv: list) -> Process:
        return Process(self.wrap(argv), self.environment(), self.directory)

    def wrap(self, argv: list) -> list:
        """The command that runs these words as PID 1."""
        # the children of a killed unshare would live on, without a parent to end them
        return ["unshare", *user_namespace(), "--pid", "--fork", "--kill-child", "--mount-proc", *self.before,
                *argv]

    @property
    def pid1(self) -> int:
        """The supervisor's pid on this machine, once it runs."""
        return until(self.find_pid1, 5, "the supervisor's process", self.process.tail)

    def find_pid1(self) -> int:
        """The pid or 0."""
        children = children_of(self.process.pid)
        return children[0] if children else 0

    def process_children(self) -> list:
        return children_of(self.pid1)

    def host_pid(self, pid: int) -> int:
        """The pid on this machine of a process with this pid in there; 0 where there is none."""
        for host_pid in self.programs():
            if status_of(host_pid).get("NSpid", "").split()[-1:] == [str(pid)]:
                return host_pid
        return 0

    def pid_of(self, name: str) -> int:
        return self.host_pid(super().pid_of(name))

    def zombies(self) -> list:
        """The pids of its children that are dead and not reaped."""
        return [pid for pid in self.process_children() if status_of(pid).get("State", "").startswith("Z")]

    def send(self, number: int) -> None:
        """Signals the supervisor itself, from outside."""
        os.kill(self.pid1, number)

    def stop(self, number=signal.SIGTERM, timeout: float = 10) -> int:
        if not self.process.ended():
            self.send(number)
        return self.process.wait(timeout)

    def clean_up(self) -> list:
        if self.process and not self.process.ended():
            pid = self.find_pid1()
            if pid:
                os.kill(pid, signal.SIGTERM)
            try:
                self.process.popen.wait(10 * SLACK)
            except subprocess.TimeoutExpired:
                self.end_by_force()
        return super().clean_up()

    def end_by_force(self) -> None:
        """It would not stop: the whole namespace ends."""
        pid = self.find_pid1()
        if pid:
            os.kill(pid, signal.SIGKILL)


class Container(Pid1):
    """A sidecar in a container."""

    kind = "container"

    def __init__(self, directory: str, podman):
        super().__init__(directory)
        self.podman = podman
        self.name = f"sidecar-{uuid.uuid4().hex[:12]}"
        self.options = ["--network", "host"]
        self.mounts = {path: path + ":ro" for path in (ROOT, BUILD)} | {directory: directory}
        os.chmod(directory, 0o777)

    def wrap(self, argv: list) -> list:
        variables = [word for name, value in self.environment().items() for word in ("--env", f"{name}={value}")]
        mounts = [word for here, there in self.mounts.items() for word in ("--volume", f"{here}:{there}")]
        return self.podman.command("run", "--rm", "--name", self.name, "--pidfile", self.pidfile(), *self.options,
                                   *variables, *mounts, "--workdir", self.directory, IMAGE, *self.before, *argv)

    def pidfile(self) -> str:
        """Where podman writes the supervisor's pid."""
        return os.path.join(self.podman.folder, self.name + ".pid")

    def launch(self, argv: list) -> Process:
        return Process(self.wrap(argv), self.podman.env, self.directory)

    def find_pid1(self) -> int:
        try:
            with open(self.pidfile(), encoding="utf-8") as file:
                return int(file.read() or 0)
        except OSError:
            return 0

    def command(self, *args, timeout: float = 30) -> subprocess.CompletedProcess:
        """podman VERB … NAME …: a word "{}" becomes the container's name."""
        return self.podman.run(*(self.name if arg == "{}" else arg for arg in args), timeout=timeout)

    def end_by_force(self) -> None:
        self.command("rm", "--force", "--time", "0", "{}")


def user_namespace() -> list:
    """What unshare needs to be let."""
    return [] if os.getuid() == 0 else ["--user", "--map-root-user"]


def why_no_namespace() -> str:
    """Why there is no PID namespace to be had; "" where there is."""
    try:
        tried = subprocess.run(["unshare", *user_namespace(), "--pid", "--fork", "--mount-proc", "true"], text=True,
                               capture_output=True, timeout=20, check=False)
    except OSError as error:
        return f"unshare: {error}"
    return "" if tried.returncode == 0 else tried.stderr.strip()
