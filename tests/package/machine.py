"""A booted systemd: systemd-nspawn in a user namespace of its own, on a folder that is thrown away.

It sees nothing of this machine: its root is no root here (--private-users), its devices, its network and its control groups are
its own. The latter lie below one group that is made for it, so that nothing else is in reach.
"""
import glob
import os
import shutil
import signal
import subprocess
import tempfile
import time

from waiting import until

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
GROUPS = "/sys/fs/cgroup"
POWER_OFF = signal.SIGRTMIN + 4
BOOT_LIMIT = 90
# systemd's own: the name of a machine is at most so long.
NAME = f"sidecar-{os.getpid()}"


class Unavailable(Exception):
    """Why no systemd can be booted here."""


def hierarchies() -> list:
    """Where a group has to be made for a process and those below it: systemd's own hierarchy, and version 2."""
    if os.path.exists(f"{GROUPS}/cgroup.controllers"):
        return [GROUPS]
    return [path for path in (f"{GROUPS}/systemd", f"{GROUPS}/unified") if os.path.exists(f"{path}/cgroup.procs")]


class Machine:
    """One booted system; open() and close()."""

    def __init__(self, tar: str):
        self.tar = tar
        self.folder = tempfile.mkdtemp(prefix="sc-machine-")
        self.root = os.path.join(self.folder, "root")
        self.log = os.path.join(self.folder, "console")
        self.nspawn = None
        self.init = 0

    def open(self) -> "Machine":
        """Unpacks and boots; raises Unavailable where that can't be had."""
        for tool in ("systemd-nspawn", "nsenter"):
            if not shutil.which(tool):
                raise Unavailable(f"{tool} is not installed (make check-deps installs systemd-container)")
        if os.geteuid() != 0 or not hierarchies():
            raise Unavailable("only root may boot a system, and only where there are control groups")
        os.mkdir(self.root)
        subprocess.run(["tar", "-xf", self.tar, "-C", self.root, "--exclude=./dev/*"], check=True)
        self.put_standin()
        with open(self.log, "wb") as log:
            self.nspawn = subprocess.Popen(  # pylint: disable=consider-using-with
                ["systemd-nspawn", "--quiet", f"--directory={self.root}", "--boot", "--register=no", "--keep-unit",
                 "--private-users=pick", "--private-users-ownership=chown", "--private-network", "--link-journal=no",
                 "--resolv-conf=off", "--timezone=off", f"--machine={NAME}", "--console=read-only"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=self._enter_group, start_new_session=True,
                env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"})
        deadline = time.monotonic() + BOOT_LIMIT
        while not self._is_up():
            if self.nspawn.poll() is not None or time.monotonic() > deadline:
                raise Unavailable(f"systemd-nspawn can't boot a system here: {self.console()[-600:]}")
            time.sleep(0.1)
        return self

    def put_standin(self) -> None:
        """The stand-in as /usr/bin/ollama, as a system's own Ollama would be."""
        shutil.copytree(os.path.join(ROOT, "tests", "standin"), f"{self.root}/usr/lib/standin", ignore=shutil.ignore_patterns("__pycache__"))
        os.symlink("../lib/standin/ollama", f"{self.root}/usr/bin/ollama")

    @staticmethod
    def _enter_group() -> None:
        for path in hierarchies():
            os.makedirs(f"{path}/{NAME}", exist_ok=True)
            with open(f"{path}/{NAME}/cgroup.procs", "w", encoding="ascii") as file:
                file.write(str(os.getpid()))

    def _is_up(self) -> bool:
        if not self.init:
            children = f"/proc/{self.nspawn.pid}/task/{self.nspawn.pid}/children"
            try:
                with open(children, encoding="ascii") as file:
                    pids = file.read().split()
            except OSError:
                return False
            for pid in pids:  # the one that is PID 1 of its namespace
                with open(f"/proc/{pid}/status", encoding="ascii") as file:
                    if [line for line in file if line.startswith("NSpid:") and line.split()[2:] == ["1"]]:
                        self.init = int(pid)
        return bool(self.init) and self.run("systemctl", "is-system-running", timeout=10).stdout.strip() in ("running", "degraded")

    def console(self) -> str:
        """What the machine has said on its console."""
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()

    def inside(self, *args) -> list:
        """The argv of a command in there, as its root."""
        return ["nsenter", f"--target={self.init}", "--all", "--wdns=/", "/usr/bin/env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
                "HOME=/root", "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive", "SYSTEMD_COLORS=0", "SYSTEMD_PAGER=", *args]

    def run(self, *args, timeout: float = 60) -> subprocess.CompletedProcess:
        """Runs a command in there to its end."""
        return subprocess.run(self.inside(*args), stdin=subprocess.DEVNULL, text=True, capture_output=True, timeout=timeout,
                              check=False, errors="replace")

    def must(self, *args, timeout: float = 60) -> str:
        """What a command says that has to succeed."""
        done = self.run(*args, timeout=timeout)
        assert done.returncode == 0, f"{args}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def write(self, path: str, text: str) -> None:
        """A file of root's, for all to read; its folders are made."""
        script = 'mkdir -p "$(dirname "$1")" && cat >"$1" && chmod 644 "$1"'
        subprocess.run(self.inside("sh", "-c", script, "sh", path), input=text, text=True, check=True, timeout=20)

    def copy_in(self, source: str, path: str) -> None:
        """A file of this machine's."""
        with open(source, "rb") as file:
            subprocess.run(self.inside("sh", "-c", 'cat >"$1"', "sh", path), stdin=file, check=True, timeout=60)

    def curl(self, *args, timeout: float = 30) -> subprocess.CompletedProcess:
        """curl of this machine, in the network of that one."""
        return subprocess.run(["nsenter", f"--target={self.init}", "--net", "curl", "-sS", "--max-time", str(timeout), *args],
                              stdin=subprocess.DEVNULL, text=True, capture_output=True, check=False, timeout=timeout + 10)

    def exists(self, path: str) -> bool:
        """Whether something is there."""
        return self.run("test", "-e", path).returncode == 0

    def close(self) -> None:
        """Powers it off, and removes all of it."""
        if self.nspawn and self.nspawn.poll() is None:
            if self.init:
                os.kill(self.init, POWER_OFF)
            try:
                self.nspawn.wait(20)
            except subprocess.TimeoutExpired:
                self.nspawn.kill()
                self.nspawn.wait()
        for path in hierarchies():
            until(lambda path=path: remove_group(f"{path}/{NAME}"), 5, f"the end of what is in {path}/{NAME}")
        shutil.rmtree(self.folder, ignore_errors=True)


def remove_group(path: str) -> bool:
    """Removes a control group with those below it; False where somebody is still in one."""
    for below in glob.glob(f"{path}/*/"):
        if not remove_group(below.rstrip("/")):
            return False
    try:
        os.rmdir(path)
    except FileNotFoundError:
        pass
    except OSError:
        return False
    return True
