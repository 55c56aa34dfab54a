"""The images that those of the compose files are built on, without a registry."""
import glob
import os
import shlex
import subprocess
import sys
import tempfile
import zipfile

from podman import ROOT, Unavailable
from shipped_image import Builder, shipped_tar

WHEELS = os.path.join(ROOT, "build", "compose", "wheels")
REQUIREMENTS = os.path.join(ROOT, "deploy", "compose", "app", "requirements.txt")
PIP_CONF = "[global]\nno-index = true\nfind-links = /wheels\nbreak-system-packages = true\nroot-user-action = ignore\n"
# What takes the place of python:3-slim: a python3 with pip, and nothing else.
PYTHON = "FROM {rootfs}\nCOPY pip/ /usr/lib/python3/dist-packages/pip/\n"
# What takes the place of redis:7: the one of the distribution.
REDIS = """FROM {rootfs}
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends redis-server && rm -rf /var/lib/apt/lists/*
"""


class Bases:
    """OLLAMA_BASE is the image that tests/container builds the shipped one on, APP_BASE one with Python, REDIS_IMAGE one with Redis. `store` has
    them, and the layers of the shipped image, so that a build from the same files finds them again."""

    def __init__(self):
        fetch_wheels()
        shipped_tar()
        with Builder() as builder:
            self.env = {"OLLAMA_BASE": builder.official(), "APP_BASE": f"localhost/python:{builder.rootfs[-12:]}"}
            self.podman_options = builder.podman.options
            self.store = os.path.join(builder.podman.folder, "root")
            self.ollama_build = ["--format", "docker", "--pull=never", *builder.outside()]
            add_python(builder, self.env["APP_BASE"])
        settings = os.path.join(WHEELS, "pip.conf")
        with open(settings, "w", encoding="utf-8") as file:
            file.write(PIP_CONF)
        self.app_build = ["--pull=never", "--volume", f"{settings}:/etc/pip.conf:ro", "--volume", f"{WHEELS}:/wheels:ro"]

    def add_redis(self) -> None:
        """REDIS_IMAGE, made where it is not there."""
        with Builder() as builder, tempfile.TemporaryDirectory(prefix="sc-redis-") as context:
            tag = f"localhost/redis:{builder.rootfs[-12:]}"
            if builder.podman.run("image", "exists", tag).returncode:
                recipe = os.path.join(context, "Dockerfile")
                with open(recipe, "w", encoding="utf-8") as file:
                    file.write(REDIS.format(rootfs=builder.rootfs))
                builder.check(builder.build(tag, context, recipe))
            self.env["REDIS_IMAGE"] = tag

    def podman_script(self, podman: list, outside: str) -> str:
        """A podman that builds as tests/container does: in this machine's network, with what leads to packages mounted. No file
        under test says anything of that."""
        return f"""#!/bin/sh
[ "$1" = build ] || exec {shlex.join(podman)} "$@"
shift
case "$*" in
*compose/app*) set -- {shlex.join(self.app_build)} "$@" ;;
*) set -- {shlex.join(self.ollama_build)} "$@" ;;
esac
exec nsenter --net={shlex.quote(outside)} {shlex.join(podman)} build --network host "$@"
"""


def fetch_wheels() -> None:
    """pip, and what the app requires, fetched once by this machine's pip."""
    with open(REQUIREMENTS, encoding="utf-8") as file:
        wanted = file.read()
    mark = os.path.join(WHEELS, "requirements.txt")
    if os.path.exists(mark):
        with open(mark, encoding="utf-8") as file:
            if file.read() == wanted:
                return
    done = subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--only-binary", ":all:", "-d", WHEELS, "-r", REQUIREMENTS,
                           "pip"], text=True, capture_output=True, timeout=300, check=False)
    if done.returncode:
        raise Unavailable(f"pip could not fetch what the app requires: {done.stderr.strip()[-500:]}")
    with open(mark, "w", encoding="utf-8") as file:
        file.write(wanted)


def add_python(builder: Builder, tag: str) -> None:
    """Makes that image where it is not there."""
    if builder.podman.run("image", "exists", tag).returncode == 0:
        return
    with tempfile.TemporaryDirectory(prefix="sc-python-") as context:
        with zipfile.ZipFile(glob.glob(os.path.join(WHEELS, "pip-*.whl"))[0]) as wheel:
            wheel.extractall(context)
        recipe = os.path.join(context, "Dockerfile")
        with open(recipe, "w", encoding="utf-8") as file:
            file.write(PYTHON.format(rootfs=builder.rootfs))
        builder.check(builder.build(tag, context, recipe))
