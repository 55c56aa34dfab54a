"""Two proxies before the same Ollamas, with a Redis between them: one line, and no slot given twice."""
import json
import os
import shutil
import subprocess

import pytest

import ports
from client import Background, ask
from fleet import Fleet
from sidecar import Sidecar
from waiting import until

REDIS = shutil.which("redis-server")
pytestmark = pytest.mark.skipif(not REDIS, reason="no redis-server")


class Redis:
    """A real one, of our own."""

    def __init__(self, directory: str):
        self.directory = directory
        self.port = ports.free()
        self.process = None

    def start(self) -> None:
        """It answers."""
        self.process = subprocess.Popen([REDIS, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
                                        cwd=self.directory, stdout=subprocess.DEVNULL)
        until(lambda: self.call("ping") == "PONG", 5, "redis-server to answer")

    def call(self, *words) -> str:
        """redis-cli's answer."""
        return subprocess.run(["redis-cli", "-p", str(self.port), *words], capture_output=True, text=True, check=False).stdout.strip()

    def stop(self) -> None:
        """It is gone, with all that it knew."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None


@pytest.fixture
def redis(folder):
    """It runs."""
    directory = os.path.join(folder, "redis")
    os.mkdir(directory)
    made = Redis(directory)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def two(sidecar, folder, redis):
    """Two proxies; add backends to the first, then open() both."""
    fleet = Fleet(sidecar)
    directory = os.path.join(folder, "second")
    os.mkdir(directory)
    second = Sidecar(directory)
    fleet.second = second

    def open_both(**keys):
        sidecar.configure("redis", url=f"redis://127.0.0.1:{redis.port}", **keys)
        second.settings = json.loads(json.dumps(sidecar.settings))
        second.configure("proxy", listen=f"127.0.0.1:{second.port}", access_log="json")
        second.configure("supervisor", control_socket=second.socket, state_dir=os.path.join(directory, "state"))
        fleet.open()
        second.start("ollama-proxy")
        for each in (sidecar, second):
            each.process.wait_log(" redis_up ")
            each.process.wait_log(" member_up ", since=0)
        for each in (sidecar, second):
            until(lambda of=each: of.ask("GET", "/status").json["redis"]["replicas"] == 2, 10, "each to know of the other", each.process.tail)
    fleet.open_both = open_both
    yield fleet
    complaints = second.clean_up()
    assert not complaints, "\n".join(complaints)


def most_at_once(backend) -> int:
    """How many requests the backend was answering at the same time, at the most."""
    most, now = 0, set()
    for entry in backend.journal():
        if entry["event"] == "request" and entry["path"] == "/api/generate" and '"prompt"' in entry["body"]:
            now.add(entry["id"])
        elif entry["event"] in ("done", "cancelled"):
            now.discard(entry["id"])
        most = max(most, len(now))
    return most


def ask_of(sidecar, prompt, **more):
    """A request in the background."""
    return Background(ask, sidecar.port, "POST", "/api/generate", {"model": "m", "prompt": prompt, "stream": False, **more}, (), 30)


def test_no_slot_is_given_twice(sidecar, two):
    for name in ("one", "two"):
        two.add(name, tokens=3, token_delay_ms=30)
    two.open_both()
    calls = [ask_of(each, f"p{number}") for number in range(10) for each in (sidecar, two.second)]
    answers = [call.result(30) for call in calls]
    assert [answer.status for answer in answers] == [200] * 20
    assert {most_at_once(backend) for backend in two.backends.values()} == {1}
    assert all(count >= 5 for count in two.counts().values())


def test_a_higher_priority_overtakes_those_of_the_other_proxy(sidecar, two):
    backend = two.add("one", tokens=2, token_delay_ms=150)
    two.open_both()
    first = ask_of(sidecar, "first")
    two.wait_asked("one")
    low = [ask_of(sidecar, f"low{number}", priority=1) for number in range(3)]
    until(lambda: len(json.loads(ask(sidecar.port, "GET", "/health").body)["requests"]) and True, 5, "health")
    sidecar.wait_health(lambda health: health["requests"]["in_flight"] == 4, what="four under way")
    high = ask_of(two.second, "high", priority=9)
    for call in [first, *low, high]:
        assert call.result(30).status == 200
    order = [json.loads(entry["body"])["prompt"] for entry in two.asked("one")]
    assert order[0] == "first" and order.index("high") < 3, order
    assert most_at_once(backend) == 1


def test_without_redis_each_goes_on_and_comes_back(sidecar, two, redis):
    two.add("one", slots=2, tokens=2, token_delay_ms=50)
    two.open_both(timeout="300ms")
    assert ask_of(sidecar, "before").result().status == 200
    redis.stop()
    for each in (sidecar, two.second):
        each.process.wait_log(" redis_away ", timeout=10)
    calls = [ask_of(each, f"p{number}") for number in range(4) for each in (sidecar, two.second)]
    assert [call.result(30).status for call in calls] == [200] * 8
    assert most_at_once(two.backends["one"]) <= 2
    redis.start()
    sidecar.process.wait_log(" redis_up ", timeout=15, since=len(sidecar.process.logged(" redis_away ")))
    assert ask_of(two.second, "after").result().status == 200
