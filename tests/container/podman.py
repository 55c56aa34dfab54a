"""Podman with a storage of its own, in a folder that is thrown away (or kept below build/): nobody's images are seen or touched."""
import os
import shutil
import subprocess
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
TAR = os.path.join(ROOT, "build", "container", "base.tar")
IMAGE = "localhost/sidecar-base"
# runc and crun set the limits that podman's defaults name, which not every machine allows to be raised so far.
CONF = '[containers]\ndefault_ulimits = ["nofile=20000:20000", "nproc=4096:4096"]\n'


class Unavailable(Exception):
    """Why containers can't be run here."""


class Podman:
    """One storage, with one image to try it by. A folder that is given is kept; its networks are its own too."""

    def __init__(self, folder: str = ""):
        self.is_kept = bool(folder)
        self.folder = folder or tempfile.mkdtemp(prefix="sc-podman-")
        os.makedirs(self.folder, exist_ok=True)
        conf = os.path.join(self.folder, "containers.conf")
        with open(conf, "w", encoding="utf-8") as file:
            file.write(CONF)
        self.env = {**os.environ, "CONTAINERS_CONF": conf}
        self.options: list = []

    def command(self, *args) -> list:
        """The argv of a podman command on this storage."""
        folders = [word for option, name in (("root", "root"), ("runroot", "run"), ("network-config-dir", "networks"))
                   for word in (f"--{option}", os.path.join(self.folder, name))]
        return ["podman", *self.options, *folders, "--cgroup-manager", "cgroupfs", "--events-backend", "none", *args]

    def run(self, *args, timeout: float = 60) -> subprocess.CompletedProcess:
        """Runs a podman command to its end."""
        return subprocess.run(self.command(*args), env=self.env, text=True, capture_output=True, timeout=timeout,
                              check=False, stdin=subprocess.DEVNULL)

    def open(self) -> "Podman":
        """Imports the base."""
        self.need_tools()
        try:
            made = subprocess.run([os.path.join(HERE, "base")], text=True, capture_output=True, timeout=300, check=False)
        except subprocess.TimeoutExpired as error:
            raise Unavailable(f"{error}: run tests/container/base by hand, then once more") from error
        if made.returncode:
            raise Unavailable(made.stderr[-2000:])
        return self.choose(self.import_base)

    @staticmethod
    def need_tools() -> None:
        """What nothing goes without."""
        for tool in ("podman", "mmdebstrap"):
            if not shutil.which(tool):
                raise Unavailable(f"{tool} is not installed (make check-deps installs it)")

    def import_base(self) -> str:
        """The base that tests/container/base made; the image."""
        imported = self.run("import", TAR, IMAGE, timeout=120)
        if imported.returncode:
            raise Unavailable(imported.stderr.strip()[-100:])
        return IMAGE

    def choose(self, load) -> "Podman":
        """Takes the first storage driver and runtime that can run something; load() brings an image and says which."""
        why = []
        for driver in ("overlay", "vfs"):
            # without its mount over its own folder, which would stay, and keep the folder from being removed
            self.options = ["--storage-driver", driver, *(["--storage-opt", "overlay.skip_mount_home=true"] if driver == "overlay" else [])]
            storage = self.options
            try:
                image = load()
            except Unavailable as error:
                why.append(f"{driver}: {error}")
                shutil.rmtree(os.path.join(self.folder, "root"), ignore_errors=True)
                continue
            for runtime in filter(shutil.which, ("runc", "crun")):
                self.options = [*storage, "--runtime", runtime]
                tried = self.run("run", "--rm", "--network", "host", "--entrypoint", "", image, "true")
                if tried.returncode == 0:
                    return self
                why.append(f"{driver}, {runtime}: {tried.stderr.strip()[-100:]}")
        raise Unavailable("podman can't run a container here: " + "; ".join(why or ["neither runc nor crun is installed"]))

    def close(self) -> None:
        """Ends what may still run, and removes the storage."""
        if self.options:
            self.run("rm", "--all", "--force", "--time", "0")
            if not self.is_kept:
                self.run("rmi", "--all", "--force")
        if not self.is_kept:
            shutil.rmtree(self.folder, ignore_errors=True)
