"""deploy/compose/balancer.yaml as its user has it (R2.4): `cp .env.example .env`, then `up` at the root, by docker-compose; by podman-compose with
the file named, as it does not look into .env for that."""
import json
import os
import re
import shutil

import pytest

from stack import BIN, Stack, checkout
from waiting import until

pytestmark = pytest.mark.limit(400)
FIRST, SECOND = "http://127.0.0.1:3000", "http://127.0.0.1:3001"
OLLAMAS = {"ollama-1", "ollama-2", "ollama-3"}
FILE = "deploy/compose/balancer.yaml"


class Balanced(Stack):
    """The stack, asked at its two doors."""

    def __init__(self, machine, folder, composer):
        super().__init__(machine, checkout(folder), composer, machine.bases.env)
        self.project = "ollama-balancer"
        shutil.copy(self.path(".env.example"), self.path(".env"))
        if composer == "podman-compose":
            self.files = [FILE]

    def generate(self, door: str = FIRST, body=None, *words) -> tuple:
        """(status, who answered, the answer) of POST /ollama/generate."""
        body = body or {"model": "llama3.2:1b", "prompt": "hi"}
        done = self.curl("-i", *words, "--data", json.dumps(body), door + "/ollama/generate")
        assert done.returncode == 0, done.stderr + self.logs()
        head, _, text = done.stdout.partition("\n\n")
        who = re.search(r"^X-Sidecar-Backend: (\S+)$", head, re.M | re.I)
        return int(head.split()[1]), who.group(1) if who else "", json.loads(text)

    def logs(self) -> str:
        """What both balancers wrote."""
        return self.log("balancer-1") + self.log("balancer-2")

    def backends(self, door: str = FIRST) -> dict:
        """Those of GET /status by name."""
        return {one["name"]: one for one in json.loads(self.ask(door + "/status"))["backends"]}

    def wait_models(self, *names) -> None:
        """Until each Ollama has just these."""
        def look():
            return all(sorted(row.split("\t")[0] for row in self.exec(one, "ollama", "list").splitlines()[1:]) == sorted(names) for one in OLLAMAS)
        until(look, 60, f"the models {names} on each Ollama", self.logs)


@pytest.fixture(scope="module", name="built")
def fixture_built(machine, tmp_path_factory):
    """Images: Redis', and ours with the balancer in it, built by podman-compose."""
    machine.bases.add_redis()
    made = Balanced(machine, str(tmp_path_factory.mktemp("balancer") / "sidecar"), "podman-compose")
    done = made.compose("build", "balancer-1", timeout=400)  # both have the same one
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-8000:]


@pytest.fixture(name="balanced")
def fixture_balanced(machine, built, folder, composer):  # pylint: disable=unused-argument
    """The repository with .env, images built, not yet up."""
    if not os.path.exists(os.path.join(BIN, composer)):
        pytest.skip(f"{composer} is not installed (make check-deps installs it where it can be had)")
    made = Balanced(machine, os.path.join(folder, "sidecar"), composer)
    yield made
    made.down()


def test_up_as_the_readme_says(balanced):
    """R2.4: the list is on every Ollama, each is asked through both doors, and the line is one."""
    balanced.up(timeout=120)
    balanced.wait_models("llama3.2:1b")
    for door in (FIRST, SECOND):
        for name in sorted(OLLAMAS):
            status, who, answer = balanced.generate(door, None, "-H", f"X-Sidecar-Backend: {name}")
            assert (status, who) == (200, name) and answer["done"] and answer["response"], answer
        assert set(balanced.backends(door)) == OLLAMAS
        until(lambda asked=door: json.loads(balanced.ask(asked + "/status"))["redis"]["state"] == "up", 30, "Redis", balanced.logs)
    status, _, answer = balanced.generate(FIRST, {"model": "llama3.2:1b", "prompt": "hi", "priority": 10})
    assert status == 400 and "priority" in answer["error"]
    said = balanced.exec("balancer-1", "sidecarctl", "backends")
    assert all(name in said for name in OLLAMAS), said


@pytest.mark.parametrize("composer", ["docker-compose"], indirect=True)
def test_who_dies_is_done_without(balanced):
    """One of each: an Ollama, Redis, a balancer."""
    balanced.up(timeout=120)
    balanced.wait_models("llama3.2:1b")
    balanced.podman("stop", "--time", "0", service="ollama-1")
    for _ in range(6):
        status, who, _ = balanced.generate()
        assert status == 200 and who in OLLAMAS - {"ollama-1"}
    balanced.podman("stop", "--time", "0", service="redis")
    for door in (FIRST, SECOND):
        assert balanced.generate(door)[0] == 200
    balanced.podman("stop", "--time", "0", service="balancer-1")
    assert balanced.generate(SECOND)[0] == 200


@pytest.mark.parametrize("composer", ["docker-compose"], indirect=True)
def test_a_service_that_is_scaled_is_several_backends(balanced):
    """Each address of its name, found while it runs, and gone when they are fewer."""
    balanced.up(timeout=120)
    balanced.wait_models("llama3.2:1b")

    def named() -> list:
        return sorted(name for name in balanced.backends() if name.startswith("ollama-3"))

    assert named() == ["ollama-3"]
    balanced.up("--scale", "ollama-3=2", timeout=120)
    until(lambda: len(named()) == 2 and all(re.fullmatch(r"ollama-3/[\d.]+:11434", name) for name in named()), 40, "two backends", balanced.logs)
    assert balanced.generate()[0] == 200
    balanced.up("--scale", "ollama-3=1", timeout=120)
    until(lambda: len(named()) == 1, 40, "one backend", balanced.logs)
    assert balanced.generate()[0] == 200
