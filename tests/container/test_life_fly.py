"""The life of the app on Fly.io, as fly.toml says it, read from that file: each start is a new container on the same volume, of 2 GB,
with fly.ini in the place of the image's configuration, and stopped by kill_signal within kill_timeout."""
import json
import os
import time

import pytest

pytest.importorskip("tomllib")  # Python 3.11

from fly_app import FlyApp  # noqa: E402
from test_life import MODEL, PULL_BYTES, Life, ctl, until_answered  # noqa: E402
from waiting import SLACK, until  # noqa: E402

SOON = {"SIDECAR_SUPERVISOR_IDLE_TIMEOUT": "2s"}


class FlyLife(Life):
    """A Life whose containers are the app's."""

    def __init__(self, shipped, folder: str):
        super().__init__(shipped, folder)
        self.app = FlyApp(shipped, self.volume)

    def run(self, *options, env=None, **more):
        """A start of the machine."""
        return self.app.start(*self.options, *options, env={**self.env, **(env or {})}, **more)

    def stop(self, box) -> int:
        """As Fly's proxy does, or a deployment."""
        return self.app.stop(box)


@pytest.fixture
def fly(shipped, folder):
    """A FlyLife, with nothing in it yet."""
    yield FlyLife(shipped, folder)


@pytest.mark.limit(120)
def test_it_exits_when_idle_and_a_request_starts_it_again(fly):
    """Scaled to zero: exit code 0, and the next start answers the request that caused it, without a pull; what it knows of its sleeps
    is kept on the volume."""
    box = fly.run(env=SOON)
    box.wait_ready()
    assert box.generate().status == 200
    assert box.wait(30) == 0
    assert box.logged(r" stopping cause=idle exit_code=0")
    box = fly.run()
    answer = until_answered(box)
    assert answer.status == 200 and answer.json["done"]
    sleep = json.loads(ctl(box, "--json", "status"))["sleep"]
    assert sleep["cold_starts"] == 2 and sleep["wakes"] == 1, "state_dir is on the volume"
    assert fly.stop(box) == 0
    assert fly.pulls() == [0]
    assert not box.logged("models_kept|models_forgotten|_failed|_ignored"), box.process.tail()


@pytest.mark.limit(120)
def test_the_same_container_started_again_answers_too(fly):
    """podman start: what is left of the last life in its root file system does no harm."""
    box = fly.run(env=SOON, keep=True)
    box.wait_ready()
    assert box.wait(30) == 0
    again = fly.shipped.adopt(box.name, fly.shipped.podman.command("start", "--attach", box.name))
    assert until_answered(again).status == 200
    assert again.wait(60) == 0


@pytest.mark.limit(90)
def test_what_fly_toml_sets_is_in_force(fly):
    """The listener, the volume, the signal, the memory, the children's environment; no warning on a machine of Fly's but that there is
    no volume where there is none."""
    box = fly.run()
    box.wait_log(rf" listening address=\[::\]:{fly.app.port}")
    box.wait_ready()
    dump = ctl(box, "dump")
    for line in ("idle_action = exit", "idle_timeout = 5m", "shutdown_timeout = 8s", "stream_encoding = none", "trusted_proxies = private"):
        assert line in dump, line
    started = fly.backend.journal("started")[0]["env"]
    assert started["OLLAMA_MODELS"] == fly.app.toml["mounts"]["destination"] == fly.app.env["OLLAMA_MODEL_CACHE_DIR"]
    assert started["OLLAMA_CONTEXT_LENGTH"] == "2048" and started["OLLAMA_KEEP_ALIVE"] == "-1" and started["OLLAMA_NUM_PARALLEL"] == "1"
    assert {".ollama", "blobs", "lost+found", "manifests"} <= set(os.listdir(fly.volume))
    assert os.stat(fly.volume).st_uid == 11434
    checked = box.exec("ollama-supervisor", "-c", "/etc/ollama-sidecar/supervisor.ini", "--check")
    assert checked.returncode == 0 and "warning" not in checked.stderr, checked.stderr
    assert not [line for line in box.log if " warning " in line], box.process.tail()
    check = fly.app.toml["services"][0]["http_checks"][0]
    assert box.ask(check["method"].upper(), check["path"]).status == 200
    assert fly.stop(box) == 0
    assert box.logged(f" stopping cause={fly.app.toml['kill_signal']}")


@pytest.mark.limit(60)
def test_without_a_volume_it_is_told_that_models_are_lost(fly):
    """[mounts] left out: each start would pull everything again."""
    fly.app.toml["mounts"] = {"destination": "/somewhere/else"}
    box = fly.run(env={"OLLAMA_PRELOAD_MODELS": "none"})
    box.wait_log(r' warning supervisor models_forgotten path="/ollama/data" hint=')
    box.wait_ready()
    assert fly.stop(box) == 0


@pytest.mark.limit(120)
def test_the_machine_is_up_in_time_for_its_first_check(fly):
    """grace_period: /live answers by then, long before the model is there."""
    fly.backend.script(tokens=1, pull_bytes=PULL_BYTES, pull_rate_bytes_s=PULL_BYTES / (4 * SLACK), start_delay_s=1)
    box = fly.run()
    ip = box.ip
    began = time.monotonic()
    until(lambda: alive(box), 10, "/live", box.process.tail)
    grace_s = float(fly.app.toml["services"][0]["http_checks"][0]["grace_period"].rstrip("s"))
    assert time.monotonic() - began < grace_s * SLACK, ip
    assert box.health()["code"] == 503
    assert fly.stop(box) == 0


def alive(box) -> bool:
    """Whether /live answers now."""
    try:
        return box.ask("GET", "/live", timeout=2).status == 200
    except OSError:
        return False


@pytest.mark.limit(120)
def test_a_pull_that_fly_stops_goes_on_at_the_next_start(fly):
    """Fly's proxy does not see a pull that nobody waits for: it stops the machine, in order and in time, and no byte is lost."""
    fly.backend.script(tokens=1, pull_bytes=PULL_BYTES, pull_rate_bytes_s=PULL_BYTES / (4 * SLACK))
    box = fly.run()
    fly.wait_half(box)
    began = time.monotonic()
    assert fly.stop(box) == 0
    assert time.monotonic() - began < fly.app.kill_timeout_s
    again = fly.run()
    assert until_answered(again).status == 200
    starts = fly.pulls()
    assert len(starts) == 2 and starts[1] >= PULL_BYTES // 2, starts
    assert fly.backend.journal("started")[0]["env"]["OLLAMA_NOPRUNE"] == "1", "else Ollama would throw away what was there"
    assert fly.stop(again) == 0


@pytest.mark.limit(120)
def test_a_stop_in_the_middle_of_a_stream_ends_it_honestly_and_in_time(fly):
    """A deployment: what does not end within shutdown_timeout gets an error object, well before kill_timeout."""
    fly.backend.script(tokens=100000, token_delay_ms=50, pull_bytes=1000)
    box = fly.run()
    box.wait_ready()
    with box.connect(timeout=60) as connection:
        answer = connection.request("POST", "/api/generate", {"model": MODEL, "prompt": "x"})
        assert answer.header("Content-Encoding") == "none" and answer.header("Cache-Control") == "no-transform"
        objects = answer.objects()
        next(objects)
        began = time.monotonic()
        assert fly.stop(box) == 0
        assert time.monotonic() - began < fly.app.kill_timeout_s
        last = [value for _, value in objects][-1]
        assert "error" in last and not answer.clean, last


@pytest.mark.limit(120)
def test_a_short_answer_under_way_is_finished_before_a_stop(fly):
    fly.backend.script(tokens=40, token_delay_ms=int(50 * SLACK), pull_bytes=1000)
    box = fly.run()
    box.wait_ready()
    with box.connect(timeout=60) as connection:
        answer = connection.request("POST", "/api/generate", {"model": MODEL, "prompt": "x"})
        objects = answer.objects()
        next(objects)
        assert fly.stop(box) == 0
        assert [value for _, value in objects][-1]["done"] and answer.clean


@pytest.mark.limit(120)
def test_suspend_where_the_machine_has_no_such_api_is_an_exit(fly, folder):
    """idle_action = suspend, as docs/fly.md says to set it: without the machine's own API it is told at the start, and all ends."""
    fly.app.change("/etc/ollama-sidecar/supervisor.ini", "idle_action = exit", "idle_action = suspend", folder)
    box = fly.run(env=SOON)
    box.wait_log(r"warning: \[supervisor\] idle_action: /\.fly/api: .*when idle we exit instead")
    box.wait_ready()
    assert box.wait(30) == 0
    assert box.logged(r" stopping cause=idle exit_code=0")


@pytest.mark.limit(90)
def test_flys_proxy_tells_who_asks(fly):
    """Over Flycast: X-Forwarded-For has the private addresses of the client and of the app; a public client is kept out."""
    box = fly.run(env={"OLLAMA_PRELOAD_MODELS": "none"})
    box.wait_ready()
    flycast = [("Host", "my-ollama.flycast:11434"), ("X-Forwarded-For", "fdaa:0:18:a7b:7d::2, fdaa:3:9018:0:1::7"), ("X-Forwarded-Proto", "http"),
               ("Via", "1.1 fly.io"), ("Fly-Client-IP", "fdaa:0:18:a7b:7d::2")]
    assert box.ask("GET", "/api/tags", headers=flycast).status == 200
    assert box.ask("POST", "/api/show", {"model": "none"}, headers=flycast).status == 404
    public = [("Host", "my-ollama.fly.dev"), ("X-Forwarded-For", "203.0.113.9, 66.241.124.11"), ("X-Forwarded-Proto", "https")]
    assert box.ask("GET", "/api/tags", headers=public).status == 403
    assert box.ask("GET", "/api/tags", headers=[("Host", "my-ollama.internal:11434")]).status == 200
    assert fly.stop(box) == 0
