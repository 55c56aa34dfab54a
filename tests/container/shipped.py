"""Containers of the image as it is shipped (shipped_image.py builds it), as a user of `docker run` has them.

    box = shipped.run("--read-only", volume=folder, env={"OLLAMA_PRELOAD_MODELS": "none"}, args=("serve",))
    box.wait_ready()
    box.ask("POST", "/api/generate", {"model": "m", "prompt": "x"})
    assert box.stop() == 0

They have a network of their own: whoever runs the tests reaches a container by its address (box.ip), a container reaches other
containers, and nothing else.
"""
import json
import os
import random
import subprocess
import uuid

from client import Connection
from podman import Podman, Unavailable
from process import Process
from shipped_image import shipped_tar
from waiting import SLACK, until

PORT = 11434
ETC = "/etc/ollama-sidecar"
DATA = "/ollama/data"


class Box:
    """One container, and what `podman run` prints in the foreground: the log, and at the end the exit code."""

    def __init__(self, shipped, name: str, words: list):
        self.shipped = shipped
        self.podman = shipped.podman
        self.name = name
        self.process = Process(words, self.podman.env, "/")

    # looking at it

    @property
    def log(self) -> list:
        """The lines so far."""
        return self.process.log

    def wait_log(self, pattern: str, timeout: float = 15, since: int = 0):
        """The match of the first line that the pattern is found in."""
        return self.process.wait_log(pattern, timeout, since)

    def logged(self, pattern: str) -> list:
        """All matching lines so far."""
        return self.process.logged(pattern)

    def inspect(self) -> dict:
        """`podman inspect`; {} while it is not there."""
        done = self.podman.run("inspect", "--type", "container", self.name)
        return json.loads(done.stdout)[0] if done.returncode == 0 else {}

    @property
    def ip(self) -> str:
        """Its address in the tests' network, once it has one."""
        def look():
            assert not self.process.ended(), self.process.tail()
            networks = self.inspect().get("NetworkSettings", {}).get("Networks", {})
            return next((network["IPAddress"] for network in networks.values() if network["IPAddress"]), "")

        return until(look, 15, "the container's address", self.process.tail)

    @property
    def pid1(self) -> int:
        """The supervisor's pid on this machine."""
        return until(lambda: self.inspect().get("State", {}).get("Pid", 0), 15, "the container's process", self.process.tail)

    def pid_of(self, program: str) -> int:
        """The pid, inside, that the supervisor last logged for this program."""
        lines = self.logged(rf" exec .*\bprogram={program}\b")
        assert lines, f"no exec of {program}\n{self.process.tail()}"
        return int(lines[-1].split("pid=")[1].split()[0])

    # asking it

    def connect(self, timeout: float = 10) -> Connection:
        """A connection to the public port, from outside."""
        return Connection(PORT, self.ip, timeout)

    def ask(self, method: str, path: str, body=None, headers=(), timeout: float = 10):
        """One request, from outside."""
        with self.connect(timeout) as connection:
            answer = connection.request(method, path, body, headers)
            answer.body  # pylint: disable=pointless-statement
            return answer

    def generate(self, model: str = "llama3.2:1b", **more):
        """The usual request."""
        return self.ask("POST", "/api/generate", {"model": model, "prompt": "hello", "stream": False, **more}, timeout=30)

    def health(self) -> dict:
        """GET /health, with its status as "code"; {} while nobody answers."""
        try:
            answer = self.ask("GET", "/health", timeout=3)
            return {**answer.json, "code": answer.status}
        except (OSError, ValueError, EOFError):
            return {}

    def wait_ready(self, timeout: float = 30) -> dict:
        """Until /health answers 200."""
        def look():
            assert not self.process.ended(), self.process.tail()
            found = self.health()
            return found if found.get("code") == 200 else None

        return until(look, timeout, "/health with status 200", self.process.tail)

    # doing something to it

    def command(self, *words, timeout: float = 60) -> subprocess.CompletedProcess:
        """podman VERB … NAME …: a word "{}" becomes the container's name."""
        return self.podman.run(*(self.name if word == "{}" else word for word in words), timeout=timeout)

    def exec(self, *words, user: str = "", options=(), timeout: float = 60) -> subprocess.CompletedProcess:
        """podman exec, as the image's user or as this one, once it runs."""
        self.pid1  # pylint: disable=pointless-statement
        return self.command("exec", *(("--user", user) if user else ()), *options, "{}", *words, timeout=timeout)

    def sh(self, script: str, user: str = "") -> str:
        """What a script in the container prints; it must succeed."""
        done = self.exec("sh", "-c", script, user=user)
        assert done.returncode == 0, f"{script}: {done.returncode}\n{done.stdout}{done.stderr}\n{self.process.tail()}"
        return done.stdout

    def environment_of(self, program: str) -> dict:
        """A program's environment, as it was started."""
        pid = self.pid_of(program)
        user = self.sh(f"stat -c %u /proc/{pid}").strip()  # root without CAP_SYS_PTRACE may not look at somebody else's
        text = self.sh(f"tr '\\0' '\\n' </proc/{pid}/environ", user=user)
        return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)

    def healthy(self) -> bool:
        """Whether the image's HEALTHCHECK says so now."""
        return self.command("healthcheck", "run", "{}").returncode == 0

    def stop(self, time_s: int = 10) -> int:
        """podman stop; the exit code of the container."""
        if not self.process.ended():
            self.command("stop", "--time", str(time_s), "{}", timeout=time_s + 60)
        return self.wait(time_s)

    def kill(self, signal_name: str = "KILL") -> int:
        """podman kill; the exit code."""
        self.command("kill", "--signal", signal_name, "{}")
        return self.wait()

    def wait(self, timeout: float = 20) -> int:
        """The exit code, when it has ended."""
        return self.process.wait(timeout)

    def remove(self) -> None:
        """Whatever is left of it."""
        self.command("rm", "--force", "--volumes", "--time", "0", "{}")
        self.process.end()


class Shipped:
    """The image in a storage of the tests."""

    def __init__(self, real: str = ""):
        self.podman = Podman()
        self.tar = ""
        self.real = real
        self.image = ""
        self.network = ""
        self.boxes: list = []

    def open(self) -> "Shipped":
        """Builds or finds the image, and loads it."""
        self.podman.need_tools()
        self.tar = shipped_tar(self.real)
        self.podman.choose(self._load)
        self._make_network()
        return self

    def _load(self) -> str:
        loaded = self.podman.run("load", "--input", self.tar, timeout=300)
        if loaded.returncode:
            raise Unavailable(loaded.stderr[-300:])
        self.image = loaded.stdout.split()[-1]
        return self.image

    def _make_network(self) -> None:
        """One that leads nowhere, and has no name server: names are not asked of strangers."""
        why = ""
        for _ in range(20):
            name = f"sc{random.randrange(1 << 24):06x}"
            subnet = f"10.{random.randrange(130, 250)}.{random.randrange(256)}.0/24"
            made = self.podman.run("network", "create", "--internal", "--disable-dns", "--subnet", subnet,
                                   "--gateway", subnet.replace(".0/24", ".1"), name)
            why = made.stderr
            if made.returncode:
                continue
            self._name_bridge(name)
            tried = self.podman.run("run", "--rm", "--network", name, "--entrypoint", "", self.image, "true")
            if tried.returncode == 0:
                self.network = name
                return
            why = tried.stderr
            self.podman.run("network", "rm", "--force", name)
        raise Unavailable(f"podman can't make a network here: {why.strip()[-300:]}")

    def _name_bridge(self, name: str) -> None:
        """Podman gives the first name that is free, which another podman may be about to take as well."""
        path = os.path.join(self.podman.folder, "networks", f"{name}.json")
        with open(path, encoding="utf-8") as file:
            network = json.load(file)
        network["network_interface"] = name
        with open(path, "w", encoding="utf-8") as file:
            json.dump(network, file)

    def volume(self) -> str:
        """The name of a new named volume, as `docker volume create` makes it."""
        name = f"volume-{uuid.uuid4().hex[:12]}"
        assert self.podman.run("volume", "create", name).returncode == 0
        return name

    def run(self, *options, args=(), name: str = "", volume: str = "", env=None, network: bool = True, keep: bool = False) -> Box:
        """podman run OPTIONS IMAGE ARGS. volume: a folder or a named volume for the image's place; network=False: none at all;
        keep=True: it stays when it has ended, for `podman start` and `inspect`."""
        name = name or f"shipped-{uuid.uuid4().hex[:12]}"
        words = ["run", "--name", name, "--network", self.network if network else "none"]
        words += [] if keep else ["--rm"]
        words += ["--volume", f"{volume}:{DATA}"] if volume else []
        words += [word for key, value in (env or {}).items() for word in ("--env", f"{key}={value}")]
        return self.adopt(name, self.podman.command(*words, *options, self.image, *args))

    def adopt(self, name: str, words: list) -> Box:
        """A container that these words start in the foreground, to be removed at the end of the test."""
        box = Box(self, name, words)
        self.boxes.append(box)
        return box

    def clean_up(self) -> None:
        """After a test: no container of it is left."""
        while self.boxes:
            self.boxes.pop().remove()

    def close(self) -> None:
        """The end."""
        self.clean_up()
        if self.network:
            self.podman.run("network", "rm", "--force", self.network)
        self.podman.close()


def mounted(path: str, target: str, mode: str = "ro") -> tuple:
    """The words that mount a file or folder."""
    return ("--volume", f"{path}:{target}:{mode}")


def slow(seconds: float) -> float:
    """A time on a machine that is as slow as this one."""
    return seconds * SLACK
