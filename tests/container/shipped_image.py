"""The image as it is shipped: built by podman from the repository's own Dockerfile, on a base that is like Ollama's.

The official image is not to be had without its registry. What takes its place is made here: a minimal Debian with an ollama at
/usr/bin/ollama (the stand-in, or the real one) and the official image's environment, ports and entry point. The image is kept
as build/container/shipped-*.tar until something that goes into it changes; its layers are kept in build/container/storage.
"""
import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile

from podman import ROOT, Podman, Unavailable

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = os.path.join(ROOT, "build", "container")
STANDIN = os.path.join(ROOT, "tests", "standin")
SOURCES = ("Dockerfile", ".dockerignore", "Makefile", "scripts/deps", "scripts/install.mk", "scripts/lib.sh", "preload-models.txt", "models.json",
           "common", "supervisor", "proxy", "preload", "ctl", "tools", "deploy/profiles")
BUILD_LIMIT_S = 1500
# As https://github.com/ollama/ollama/blob/main/Dockerfile has it.
OFFICIAL = """FROM {rootfs}
COPY ollama/ /opt/ollama/
RUN ln -s /opt/ollama/bin/ollama /usr/bin/ollama
ENV PATH=/usr/local/nvidia/bin:/usr/local/cuda/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
ENV LD_LIBRARY_PATH=/usr/local/nvidia/lib:/usr/local/nvidia/lib64
ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility
ENV NVIDIA_VISIBLE_DEVICES=all
ENV OLLAMA_HOST=0.0.0.0:11434
EXPOSE 11434
ENTRYPOINT ["/bin/ollama"]
CMD ["serve"]
"""


def real_ollama() -> str:
    """The path of the real Ollama, "" where there is none."""
    path = os.path.realpath(shutil.which("ollama") or "")
    return "" if not os.path.isfile(path) or os.path.dirname(path) == STANDIN else path


def files_of(path: str) -> list:
    """A file, or all files below a folder, what Python leaves behind apart."""
    if os.path.isfile(path):
        return [path]
    return sorted(os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names
                  if "__pycache__" not in folder and not name.startswith("."))


def digest(*paths, extra: str = "") -> str:
    """A name for the content of these files and folders."""
    total = hashlib.sha256(extra.encode())
    for path in paths:
        for file in files_of(path):
            with open(file, "rb") as content:
                total.update(f"{os.path.relpath(file, ROOT)} {os.access(file, os.X_OK)} ".encode())
                total.update(hashlib.sha256(content.read()).digest())
    return total.hexdigest()[:12]


class Builder:
    """Builds images in a storage that is kept, one at a time."""

    def __init__(self, suite: str = ""):
        self.suite = suite
        self.podman = Podman(os.path.join(FOLDER, "storage"))
        os.makedirs(FOLDER, exist_ok=True)
        self._lock = open(os.path.join(FOLDER, "storage.lock"), "w", encoding="utf-8")  # pylint: disable=consider-using-with

    @staticmethod
    def need_tools() -> None:
        """Unavailable without what nothing goes without."""
        Podman.need_tools()

    def __enter__(self):
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self.podman.choose(self._import)
        return self

    def __exit__(self, *_):
        self._lock.close()

    def _import(self) -> str:
        """The system without an ollama; its image."""
        made = subprocess.run([os.path.join(HERE, "official")], env={**os.environ, "SUITE": self.suite}, text=True,
                              capture_output=True, timeout=900, check=False)
        if made.returncode:
            raise Unavailable(made.stderr[-2000:])
        tar = os.path.join(FOLDER, f"official{'-' + self.suite if self.suite else ''}.tar")
        with open(tar + ".recipe", encoding="utf-8") as file:
            self.rootfs = f"localhost/rootfs:{hashlib.sha256(file.read().encode()).hexdigest()[:12]}"
        if self.podman.run("image", "exists", self.rootfs).returncode:
            imported = self.podman.run("import", tar, self.rootfs, timeout=300)
            if imported.returncode:
                raise Unavailable(imported.stderr[-500:])
        return self.rootfs

    def official(self, real: str = "") -> str:
        """The image that takes the official one's place: with the stand-in, or the real one at this path."""
        tag = f"localhost/official:{self.rootfs[-12:]}-{digest(real or STANDIN, extra=OFFICIAL)}"
        if self.podman.run("image", "exists", tag).returncode == 0:
            return tag
        with tempfile.TemporaryDirectory(prefix="sc-context-") as context:
            if real:
                os.makedirs(os.path.join(context, "ollama", "bin"))
                shutil.copy2(real, os.path.join(context, "ollama", "bin", "ollama"))
                libraries = os.path.join(os.path.dirname(os.path.dirname(real)), "lib", "ollama")
                if os.path.isdir(libraries):
                    shutil.copytree(libraries, os.path.join(context, "ollama", "lib", "ollama"))
            else:
                shutil.copytree(STANDIN, os.path.join(context, "ollama", "bin"), ignore=shutil.ignore_patterns("__pycache__"))
            recipe = os.path.join(context, "Dockerfile")
            with open(recipe, "w", encoding="utf-8") as file:
                file.write(OFFICIAL.format(rootfs=self.rootfs))
            self.check(self.build(tag, context, recipe))
        return tag

    def build(self, tag: str, context: str, recipe: str, **arguments) -> subprocess.CompletedProcess:
        """podman build. What leads to the packages from here is mounted: the file with this machine's certificates, and how
        pip is set up; nothing of it is in what is shipped."""
        options = [word for name, value in arguments.items() for word in ("--build-arg", f"{name}={value}")]
        return self.podman.run("build", "--format", "docker", "--network", "host", "--pull=never", *self.outside(), *options,
                               "--tag", tag, "--file", recipe, context, timeout=BUILD_LIMIT_S)

    @staticmethod
    def outside() -> list:
        """The mounts for that."""
        mounts, settings = [], []
        certificates = os.environ.get("PIP_CERT") or "/etc/ssl/certs/ca-certificates.crt"
        if os.path.exists(certificates):
            mounts += ["--volume", f"{certificates}:/mnt/certificates.crt:ro"]
            settings.append("cert = /mnt/certificates.crt")
        for name in ("INDEX_URL", "EXTRA_INDEX_URL", "TRUSTED_HOST", "DEFAULT_TIMEOUT"):
            if os.environ.get(f"PIP_{name}"):
                settings.append(f"{name.lower().replace('_', '-')} = {os.environ['PIP_' + name]}")
        path = os.path.join(FOLDER, "pip.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write("\n".join(["[global]", *settings, ""]))
        return [*mounts, "--volume", f"{path}:/etc/pip.conf:ro"]

    @staticmethod
    def check(done: subprocess.CompletedProcess) -> None:
        """What failed is told."""
        if done.returncode:
            raise AssertionError(f"{' '.join(map(str, done.args))}\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}")

    def save(self, image: str, tar: str) -> None:
        """The image as a file, whole or not at all."""
        fresh = f"{tar}.{os.getpid()}"
        try:
            self.check(self.podman.run("save", "--format", "docker-archive", "--output", fresh, image, timeout=600))
            os.replace(fresh, tar)
        finally:
            if os.path.exists(fresh):
                os.unlink(fresh)


def shipped_tar(real: str = "") -> str:
    """build/container/shipped-*.tar, made where it is not there: the image with the stand-in, or with the real Ollama at this
    path. Inside it is called localhost/ollama-sidecar:DIGEST."""
    name = digest(*(os.path.join(ROOT, source) for source in SOURCES), real or STANDIN, os.path.join(HERE, "official"),
                  extra=OFFICIAL + platform_release())
    tar = os.path.join(FOLDER, f"shipped-{'real-' if real else ''}{name}.tar")
    if os.path.exists(tar):
        return tar
    with Builder() as builder:
        if os.path.exists(tar):  # somebody else was quicker
            return tar
        image = f"localhost/ollama-sidecar:{name}"
        builder.check(builder.build(image, ROOT, os.path.join(ROOT, "Dockerfile"), BASE=builder.official(real)))
        for old in os.listdir(FOLDER):
            if old.startswith("shipped-real-" if real else "shipped-") and old.endswith(".tar") and bool(real) == ("real" in old):
                os.unlink(os.path.join(FOLDER, old))
        builder.save(image, tar)
    return tar


def platform_release() -> str:
    """What the base is made of: another release makes another image."""
    with open("/etc/os-release", encoding="utf-8") as file:
        return "".join(line for line in file if line.startswith("VERSION_CODENAME"))
