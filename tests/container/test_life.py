"""The life of the image as it is shipped: over recreation, without a network, through kills in the middle of a pull, within a limit
on memory, asleep and awake."""
import json
import os
import signal
import threading
import time

import pytest

from pid1 import status_of
from shipped import DATA, mounted
from standin import Backend
from waiting import SLACK, until

MODEL = "llama3.2:1b"  # preload-models.txt
PULL_BYTES = 64 << 20
MB = 1 << 20


class Life:
    """A volume, and the script and the journal of the stand-in beside it: what outlives a container."""

    def __init__(self, shipped, folder: str):
        self.shipped = shipped
        self.folder = folder
        self.volume = os.path.join(folder, "volume")  # as a fresh file system is: root's, with lost+found
        os.makedirs(os.path.join(self.volume, "lost+found"), 0o700)
        os.chmod(folder, 0o755)
        inside = os.path.join(folder, "standin")
        os.mkdir(inside)
        os.chmod(inside, 0o777)
        self.backend = Backend(inside, 0)
        self.backend.script(tokens=2, pull_bytes=PULL_BYTES)
        self.env = {name: value.replace(inside, "/standin") for name, value in self.backend.environment().items()
                    if name not in ("OLLAMA_MODELS", "STANDIN_MODELS")}
        self.options = mounted(inside, "/standin", "rw")

    def run(self, *options, env=None, **more):
        """A container on this volume."""
        return self.shipped.run(*self.options, *options, volume=self.volume, env={**self.env, **(env or {})}, **more)

    def pulls(self) -> list:
        """How far each pull had come when it began."""
        return [entry["resumed_at"] for entry in self.backend.journal("pull_start")]

    def wait_half(self, box, path: str = "/api/pull") -> None:
        """Until half of the model is there."""
        def is_half():
            pulling = box.health().get("models", {}).get("pulling", [])
            return pulling and pulling[0]["completed"] >= PULL_BYTES // 2

        until(is_half, 30, f"half of {path}", box.process.tail)


@pytest.fixture
def life(shipped, folder):
    """A Life, with nothing in it yet."""
    yield Life(shipped, folder)


def ctl(box, *verb) -> str:
    """sidecarctl inside; what it says."""
    done = box.exec("sidecarctl", *verb)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def is_served(box) -> bool:
    """Asked from inside, as there may be no network."""
    return box.exec("sidecarctl", "health", "--ready").returncode == 0


# ---- what is there stays there ----

@pytest.mark.limit(120)
def test_models_outlive_the_container_and_a_second_start_needs_no_network(life):
    """Another container on the same volume: nothing is pulled, nothing is asked of anybody outside."""
    box = life.run()
    box.wait_ready()
    assert box.generate().status == 200
    assert life.pulls() == [0]
    assert box.stop() == 0
    key = os.path.join(life.volume, ".ollama")
    assert os.path.isdir(key) and os.stat(key).st_uid == 11434
    second = life.run(network=False)
    until(lambda: is_served(second), 30, "a ready sidecar", second.process.tail)
    answer = second.exec("ollama", "list")
    assert MODEL in answer.stdout, answer.stdout + answer.stderr
    assert life.pulls() == [0], "it was there already"
    assert not second.logged("models_kept|_failed|_ignored"), second.process.tail()
    assert second.stop() == 0


# ---- a first pull that is interrupted ----

@pytest.mark.limit(120)
@pytest.mark.parametrize("how", ["kill", "stop", "crash of Ollama"])
def test_a_first_pull_that_ends_half_way_goes_on_at_the_next_start(life, how):
    """The bytes that were there are not pulled again; a request waits for it meanwhile."""
    life.backend.script(tokens=2, pull_bytes=PULL_BYTES, pull_rate_bytes_s=PULL_BYTES / (4 * SLACK))
    box = life.run()
    life.wait_half(box)
    if how == "kill":
        assert box.kill() == 137
        box = life.run()
    elif how == "stop":
        began = time.monotonic()
        assert box.stop() == 0
        assert time.monotonic() - began < 8 * SLACK
        box = life.run()
    else:
        box.exec("sh", "-c", f"kill -KILL {box.pid_of('ollama')}")
    waiting = []
    asker = threading.Thread(target=lambda: waiting.append(until_answered(box)))
    asker.start()
    box.wait_ready()
    asker.join(60)
    assert [answer.status for answer in waiting] == [200]
    starts = life.pulls()
    assert len(starts) == 2 and starts[0] == 0 and starts[1] >= PULL_BYTES // 2, starts
    assert os.path.getsize(blob(life)) == PULL_BYTES
    assert box.stop() == 0


def blob(life) -> str:
    """The model's large layer."""
    blobs = os.path.join(life.volume, "models", "blobs")
    names = os.listdir(blobs)
    assert not [name for name in names if "partial" in name], names
    return max((os.path.join(blobs, name) for name in names), key=os.path.getsize)


def until_answered(box):
    """A request that comes as soon as the container has an address: it is held until its model is there."""
    def look():
        try:
            return box.ask("POST", "/api/generate", {"model": MODEL, "prompt": "x", "stream": False}, timeout=60)
        except ConnectionRefusedError:  # it does not listen yet: a platform's proxy waits for that
            return None

    return until(look, 60, "an answer", box.process.tail)


# ---- a limit on memory ----

LIMIT = 2048 * MB


@pytest.fixture
def small(life):
    """A container of 2 GB, as fly.toml has it, with a runner of its own for each model."""
    def start(**script):
        life.backend.script(tokens=20, token_delay_ms=20, pull_bytes=MB, runner=True, **script)
        box = life.run("--memory", "2g", "--memory-swap", "2g")
        box.wait_ready()
        memory = json.loads(ctl(box, "--json", "status"))["memory"]
        if memory["limit_bytes"] != LIMIT:
            pytest.skip(f"there is no limit on a container's memory here: {memory}")
        return box

    return start


@pytest.mark.limit(120)
def test_two_gigabytes_are_told_and_enough(small, life):
    """The limit is the container's, not the machine's, and nothing of ours comes near it."""
    box = small()
    assert box.generate().status == 200
    memory = json.loads(ctl(box, "--json", "status"))["memory"]
    assert memory["source"].startswith("cgroup") and memory["oom_kills"] == 0 and memory["used_bytes"] < LIMIT // 4
    assert box.logged(r' info supervisor memory limit="2.0 GiB"')
    assert "of 2.0 GiB" in ctl(box, "status")
    assert box.stop() == 0
    assert life.pulls() == [0]


@pytest.mark.limit(180)
def test_a_runner_that_takes_more_is_killed_and_that_is_explained_to_all(small):
    """To its client, in the log, by status; everything else goes on, and the next answer is a good one."""
    box = small(eat_after_tokens=5)
    answer = box.ask("POST", "/api/generate", {"model": MODEL, "prompt": "x"}, timeout=90)
    assert answer.status == 200 and not answer.clean
    told = json.loads(answer.body.splitlines()[-1])["error"]
    assert "memory" in told and "2.0 GiB" in told, told
    line = box.wait_log(r" error supervisor oom_kill .*")[0]
    assert 'limit="2.0 GiB"' in line and "program=ollama" in line and "hint=" in line, line
    assert "killed for want of it" in ctl(box, "status")
    assert json.loads(ctl(box, "--json", "status"))["memory"]["oom_kills"] >= 1
    assert box.ask("GET", "/live").status == 200
    until(lambda: box.ask("GET", "/api/tags").status == 200, 20, "Ollama to answer", box.process.tail)
    assert box.stop() == 0


# ---- asleep and awake ----

@pytest.mark.limit(120)
def test_idle_ollama_alone_is_stopped_and_a_request_wakes_it(life):
    """container.ini: what only reads is answered without it, what needs it is held until it is there; the container goes on."""
    box = life.run(env={"SIDECAR_SUPERVISOR_IDLE_TIMEOUT": "1s"})
    box.wait_ready()
    for count in (1, 2):
        until(lambda n=count: len(box.logged(r" asleep action=stop")) >= n, 20, "sleep", box.process.tail)
        assert box.ask("GET", "/api/tags").json["models"][0]["name"] == MODEL
        assert box.health()["state"] == "asleep" and box.healthy()
        answer = box.generate()
        assert answer.status == 200 and int(answer.header("X-Sidecar-Wait-Ms")) > 0
    assert life.pulls() == [0]
    assert "awake" in ctl(box, "status")
    assert box.stop() == 0


@pytest.mark.limit(90)
def test_who_runs_as_whom(life):
    """PID 1 is root, which gives the volume away; Ollama, the proxy and the preloader are not."""
    box = life.run()
    box.wait_ready()
    assert status_of(box.pid1)["Uid"].split()[0] == "0"
    for program in ("ollama", "proxy"):
        uid = box.exec("stat", "-c", "%u", f"/proc/{box.pid_of(program)}").stdout.strip()
        assert uid == "11434", program
    owner = box.exec("stat", "-c", "%U", f"{DATA}/models", f"{DATA}/.sidecar").stdout.split()
    assert owner == ["ollama", "ollama"]
    assert box.stop() == 0
    assert signal.SIGTERM.name in box.logged(r" stopping cause=")[0]
