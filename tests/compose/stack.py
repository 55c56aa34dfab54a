"""A user's folder with compose files in it, and compose run there: podman-compose, or Docker's own on podman's socket."""
import json
import os
import shutil
import subprocess
import sys
import time

from machine import Machine
from podman import ROOT
from waiting import SLACK, until

LEFT_OUT = shutil.ignore_patterns(".git", "build", "data", "node_modules", "__pycache__", ".pytest_cache", "bench", "tests")
BIN = os.path.dirname(sys.executable)
COMPOSERS = ("podman-compose", "docker-compose")
OLLAMA = "http://127.0.0.1:11434"
APP = "http://127.0.0.1:8080"


def checkout(folder: str) -> str:
    """A copy of the repository as it is; its path."""
    shutil.copytree(ROOT, folder, symlinks=True, ignore=LEFT_OUT)
    return folder


class Stack:
    """Compose in one folder of one machine. The folder's name is the project's."""

    def __init__(self, machine: Machine, folder: str, composer: str, env: dict):
        self.machine = machine
        self.folder = folder
        self.env = dict(env)
        self.files: list = []  # those that compose finds by itself
        self.project = os.path.basename(folder)
        if composer == "docker-compose":
            self.command = [os.path.join(BIN, composer)]
            self.env["DOCKER_HOST"] = machine.docker_host()
        else:
            self.command = [os.path.join(BIN, composer), "--podman-path", machine.podman_path]

    def path(self, *names) -> str:
        """A place in the folder."""
        return os.path.join(self.folder, *names)

    def write(self, name: str, text: str) -> None:
        """A file of the owner's."""
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)

    def compose(self, *args, timeout: float = 60) -> subprocess.CompletedProcess:
        """Compose with these words, its output kept."""
        files = [word for file in self.files for word in ("-f", self.path(file))]
        return self.machine.run(*self.command, *files, *args, cwd=self.folder, env=self.env, timeout=timeout * SLACK)

    def up(self, *args, timeout: float = 60) -> str:
        """`up -d`; what it said."""
        done = self.compose("up", "-d", *args, timeout=timeout)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def down(self) -> float:
        """Containers and networks are gone then, folders stay; the seconds that it took."""
        began = time.monotonic()
        done = self.compose("down")
        assert done.returncode == 0, done.stdout + done.stderr
        return time.monotonic() - began

    def containers(self) -> dict:
        """The project's containers by service, as podman inspects them."""
        listed = self.machine.podman("ps", "--all", "--quiet", "--filter",
                                     f"label=com.docker.compose.project={self.project}")
        ids = listed.stdout.split()
        inspected = json.loads(self.machine.podman("inspect", *ids).stdout) if ids else []
        return {one["Config"]["Labels"]["com.docker.compose.service"]: one for one in inspected}

    def podman(self, verb: str, *args, service: str = "ollama") -> subprocess.CompletedProcess:
        """podman VERB [ARG…] CONTAINER."""
        return self.machine.podman(verb, *args, self.containers()[service]["Id"])

    def exec(self, service: str, *command) -> str:
        """`compose exec` of what must succeed; its output."""
        done = self.compose("exec", "-T", service, *command)
        assert done.returncode == 0, done.stdout + done.stderr + self.log(service)
        return done.stdout

    def log(self, service: str = "ollama") -> str:
        """What a service wrote."""
        if service not in self.containers():
            return f"(there is no {service})"
        done = self.podman("logs", service=service)
        return done.stdout + done.stderr

    def wait_log(self, text: str, service: str = "ollama", timeout: float = 30) -> str:
        """Its log, once this text is in it."""
        def look():
            said = self.log(service)
            return said if text in said else None

        return until(look, timeout, f"{text!r} in the log of {service}", lambda: self.log(service))

    def curl(self, *args, timeout: float = 60) -> subprocess.CompletedProcess:
        """curl on the host."""
        return self.machine.run("curl", "-sS", *args, timeout=timeout * SLACK)

    def ask(self, url: str, body=None) -> str:
        """A request from the host that must succeed; its answer's text."""
        data = [] if body is None else ["--data", json.dumps(body)]
        done = self.curl("--fail-with-body", "-N", *data, url)
        assert done.returncode == 0, f"{url}: {done.stdout} {done.stderr}\n{self.log()}"
        return done.stdout

    def wait_app(self) -> None:
        """Until its page is served."""
        until(lambda: self.curl(APP).returncode == 0, 30, "the app's page", lambda: self.log("app"))

    def chat(self, text: str = "hi") -> str:
        """The app's answer, once the app is there."""
        self.wait_app()
        return self.ask(APP + "/chat", {"messages": [{"role": "user", "content": text}]})

    def models(self) -> list:
        """The models that are there, as the host sees them."""
        return sorted(model["name"] for model in json.loads(self.ask(OLLAMA + "/api/tags"))["models"])

    def wait_models(self, *names) -> None:
        """Until exactly these are there."""
        until(lambda: self.models() == sorted(names), 30, f"the models {names}", self.log)

    def health(self) -> str:
        """What the health check says when podman runs it once: there is no systemd on this machine that would do so by itself."""
        done = self.podman("healthcheck", "run")
        state = self.containers()["ollama"]["State"]
        return state.get("Health", state.get("Healthcheck"))["Status"] if done.returncode == 0 else done.stdout + done.stderr
