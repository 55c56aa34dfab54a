"""A host for compose files: podman with a storage of its own, in namespaces of its own (network, mounts, processes). Its containers
have bridges, names and published ports as on any host, reach nothing outside, and are in nobody's way; none outlives it."""
import ctypes
import os
import shutil
import signal
import subprocess
import tempfile

from pid1 import children_of
from podman import CONF, ROOT, Unavailable
from waiting import until

# Of the two kinds of networks that podman knows the one in which names are found.
NETWORK = '[network]\nnetwork_backend = "netavark"\n'
TOOLS = ("podman", "nsenter", "unshare", "ip", "curl", "mmdebstrap")
# In a mount namespace: where our own network is to be found again.
OUTSIDE = 'set -e; touch "$0"; mount --bind /proc/self/ns/net "$0"; exec unshare --net --pid --fork --kill-child --mount-proc sh -c "$1"'
# Then its first process, with which all others end; it reaps. The two folders say which networks podman has: none at first.
KEEPER = """set -e
ip link set lo up
for folder in /run/containers /etc/containers/networks; do
    mkdir -p $folder
    mount -t tmpfs none $folder
done
echo ready
while :; do sleep 600 & wait; done"""


class Machine:
    """Made by open(), ended by close()."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="sc-compose-")
        self.outside = os.path.join(self.folder, "outside")
        self.podman_path = os.path.join(self.folder, "podman")
        self.env = {**os.environ, "CONTAINERS_CONF": os.path.join(self.folder, "containers.conf")}
        self.bases = None
        self.keeper = None
        self.pid = 0
        self.service = None

    def open(self, make_bases) -> "Machine":
        """Its images, its namespaces, and podman in them. make_bases() -> Bases."""
        missing = [tool for tool in TOOLS if not shutil.which(tool)]
        if missing:
            raise Unavailable(f"{', '.join(missing)}: not installed (make check-deps installs them)")
        if os.getuid() != 0:
            raise Unavailable("bridges are root's to make")
        self.bases = make_bases()
        with open(self.env["CONTAINERS_CONF"], "w", encoding="utf-8") as file:
            file.write(CONF + NETWORK)
        self.keeper = subprocess.Popen(["unshare", "--mount", "--propagation", "private", "sh", "-c", OUTSIDE, self.outside, KEEPER],
                                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                       preexec_fn=end_with_parent)
        if self.keeper.stdout.readline() != "ready\n":
            raise Unavailable(f"no namespaces of its own: {self.keeper.stderr.read().strip()}")
        self.pid = children_of(self.keeper.pid)[0]
        self.write_podman()
        tried = self.podman("image", "exists", self.bases.env["OLLAMA_BASE"])
        if tried.returncode:
            raise Unavailable(f"podman does not work here: {tried.stderr.strip()[-500:]}")
        return self

    def write_podman(self) -> None:
        """The program that compose takes for podman. It reads images of the storage in which they are built, and writes none there."""
        options = self.bases.podman_options
        driver = options[options.index("--storage-driver") + 1]
        podman = ["podman", *options, "--root", os.path.join(self.folder, "root"), "--runroot", os.path.join(self.folder, "run"),
                  "--storage-opt", f"{driver}.imagestore={self.bases.store}", "--cgroup-manager", "cgroupfs",
                  "--events-backend", "file"]
        with open(self.podman_path, "w", encoding="utf-8") as file:
            file.write(self.bases.podman_script(podman, self.outside))
        os.chmod(self.podman_path, 0o755)

    def argv(self, *command, cwd=ROOT) -> list:
        """What runs this command on the machine, in this folder."""
        return ["nsenter", f"--target={self.pid}", "--net", "--mount", "--pid", "sh", "-c", 'cd "$0" && exec "$@"', cwd, *command]

    def run(self, *command, cwd=ROOT, env=None, timeout: float = 60) -> subprocess.CompletedProcess:
        """A command on the machine, run to its end as its owner would."""
        return subprocess.run(self.argv(*command, cwd=cwd), env={**self.env, **(env or {})}, text=True, capture_output=True,
                              timeout=timeout, check=False, stdin=subprocess.DEVNULL)

    def podman(self, *args, timeout: float = 60) -> subprocess.CompletedProcess:
        """A podman command."""
        return self.run(self.podman_path, *args, timeout=timeout)

    def docker_host(self) -> str:
        """Where podman answers as Docker does; started when it is first asked for."""
        socket = os.path.join(self.folder, "docker.sock")
        if not self.service:
            self.service = subprocess.Popen(self.argv(self.podman_path, "system", "service", "--time", "0", "unix://" + socket),
                                            env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                            stderr=subprocess.DEVNULL, preexec_fn=end_with_parent)
            until(lambda: os.path.exists(socket), 20, "podman's socket")
        return "unix://" + socket

    def close(self) -> None:
        """Ends what may still run, and removes all of it."""
        if self.keeper and self.keeper.poll() is None:
            if self.bases:
                self.podman("rm", "--all", "--force", "--time", "0")
            for process in filter(None, (self.keeper, self.service)):
                process.kill()
                process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def end_with_parent() -> None:
    """A killed test run leaves nothing of it behind (PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
