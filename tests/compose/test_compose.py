"""docker-compose.yaml as its user has it (R3.1, C.6): `up` in the repository with nothing edited, by podman-compose, and by Docker's
own compose on podman's socket."""
import json
import os
import re
import subprocess
import sys
import time

import pytest

from podman import ROOT
from stack import APP, OLLAMA, checkout
from waiting import SLACK, until

pytestmark = pytest.mark.limit(240)
STANDIN = os.path.join(ROOT, "tests", "standin", "ollama")
# What does not depend on who composes.
by_one = pytest.mark.parametrize("composer", ["podman-compose"], indirect=True)
SAYS = "This is the stand-in speaking"


def events(log: str, name: str) -> list:
    """The log lines of this event."""
    return re.findall(rf"^.* {name} .*$", log, re.M)


@pytest.mark.limit(700)
def test_up_build_with_no_editing(images, new_stack, folder):
    """R3.1: both services come up, and the app is asked as soon as it can be reached; who has not got his model yet is held.
    `images` has built them; here each layer is found again."""
    checkout(os.path.join(folder, "sidecar"))
    stack = new_stack("sidecar")
    assert not os.path.exists(stack.path("data"))
    stack.up("--build", timeout=400)
    stack.wait_app()
    assert SAYS in stack.chat()
    assert "<title>" in stack.ask(APP)
    assert stack.models() == ["llama3.2:1b"]
    assert stack.health() == "healthy"
    log = stack.log()
    assert events(log, "boot")[0].find(" pid=1 ") > 0
    assert len(events(log, "pull_started")) == 1
    assert os.listdir(stack.path("data")), "the models are to be in ./data"


def test_the_app_streams(stack):
    """R3.1: words come as they are made; over /api/chat, by the official client."""
    stack.write(".env", "OLLAMA_PRELOAD_MODELS=none\n")
    stack.up()
    stack.ask(OLLAMA + "/api/pull", {"model": "llama3.2:1b"})
    stack.wait_app()
    body = json.dumps({"messages": [{"role": "user", "content": "one two three"}]})
    with subprocess.Popen(stack.machine.argv("curl", "-sSN", "--data", body, APP + "/chat"), stdout=subprocess.PIPE) as curl:
        pieces = list(iter(lambda: os.read(curl.stdout.fileno(), 65536), b""))
    assert len(pieces) > 5, pieces
    assert b"one two three" in b"".join(pieces)


@by_one
def test_the_app_says_what_is_wrong(stack):
    """Of a model that is not there, and of a request that is none."""
    stack.write(".env", "OLLAMA_PRELOAD_MODELS=none\nAPP_MODEL=no-such-model\n")
    stack.up()
    stack.wait_app()
    done = stack.curl("-w", "%{http_code}", "--data", '{"messages":[{"role":"user","content":"hi"}]}', APP + "/chat")
    assert "no-such-model" in done.stdout and done.stdout.endswith("502"), done.stdout
    deep = "[" * 50000 + "]" * 50000
    for body in ("hello", '{"messages":5}', '{"messages":[5]}', '{"messages":[{}]}', '{"messages":[{"role":["user"],"content":"hi"}]}',
                 '{"messages":[{"role":"user","content":5}]}', r'{"messages":[{"role":"user","content":"\ud800"}]}', deep):
        done = stack.curl("-w", "%{http_code}", "--data", body, APP + "/chat")
        assert '{"messages":' in done.stdout and done.stdout.endswith("400"), (body[:80], done.stdout, done.stderr)


def test_models_are_kept_over_down_and_up(stack):
    """R3.1, R3.3: the containers are made anew, the models are there, and nothing is pulled."""
    stack.up()
    stack.wait_models("llama3.2:1b")
    stack.wait_log(" ready ")
    stack.down()
    assert not stack.containers()
    stack.up()
    assert SAYS in stack.chat()
    log = stack.wait_log(" ready ")
    assert stack.models() == ["llama3.2:1b"]
    assert not events(log, "pull_started"), log


def test_pulls_from_the_host_and_from_the_apps_container(stack):
    """R3.1: curl and the ollama command on the host, the official client in the app's container."""
    stack.write(".env", "OLLAMA_PRELOAD_MODELS=none\n")
    stack.up()
    assert json.loads(stack.ask(OLLAMA + "/api/pull", {"model": "by-curl"}).splitlines()[-1])["status"] == "success"
    done = stack.machine.run(sys.executable, STANDIN, "pull", "by-command", env={"OLLAMA_HOST": "localhost:11434"})
    assert done.returncode == 0, done.stdout + done.stderr
    stack.exec("app", "python3", "-c", "import os, ollama; ollama.Client(os.environ['OLLAMA_URL']).pull('by-app')")
    stack.exec("ollama", "ollama", "pull", "by-exec")
    assert stack.models() == ["by-app:latest", "by-command:latest", "by-curl:latest", "by-exec:latest"]


def test_what_env_sets(stack):
    """.env beside the file: the list, another folder, the limit on memory, and any parameter of ours."""
    stack.write(".env", "OLLAMA_PRELOAD_MODELS=one, two\nOLLAMA_DATA=./elsewhere\nOLLAMA_MEMORY=3g\n"
                        "SIDECAR_SUPERVISOR_LOG_LEVEL=debug\n")
    stack.up()
    stack.wait_models("one:latest", "two:latest")
    log = stack.wait_log(" ready ")
    assert ' memory limit="3.0 GiB"' in log
    assert " debug " in log
    assert os.listdir(stack.path("elsewhere")) and not os.path.exists(stack.path("data"))


def test_the_limit_on_memory_is_in_force(stack):
    """The default one is the kernel's for the container, and the one that we reckon with."""
    stack.up("ollama")
    log = stack.wait_log(" memory ")
    assert ' memory limit="4.0 GiB"' in log
    assert stack.containers()["ollama"]["HostConfig"]["Memory"] == 4 << 30
    assert json.loads(stack.exec("ollama", "sidecarctl", "--json", "status"))["memory"]["limit_bytes"] == 4 << 30


@by_one
def test_no_limit_on_memory(stack):
    """OLLAMA_MEMORY=0."""
    stack.write(".env", "OLLAMA_PRELOAD_MODELS=none\nOLLAMA_MEMORY=0\n")
    stack.up("ollama")
    stack.wait_log(" ready ")
    assert stack.containers()["ollama"]["HostConfig"]["Memory"] == 0


def test_stops_within_the_grace_with_an_answer_under_way(stack):
    """It stops by itself, with 0, and so does the app."""
    stack.write(".env", "OLLAMA_PRELOAD_MODELS=none\n")
    stack.up()
    stack.ask(OLLAMA + "/api/pull", {"model": "llama3.2:1b"})
    with subprocess.Popen(stack.machine.argv("curl", "-sSN", "--data", '{"model":"llama3.2:1b","prompt":"' + "word " * 2000 + '"}',
                                             OLLAMA + "/api/generate"), stdout=subprocess.PIPE) as curl:
        assert os.read(curl.stdout.fileno(), 100)
        began = time.monotonic()
        done = stack.compose("stop")
        assert done.returncode == 0, done.stderr
        took = time.monotonic() - began
        curl.stdout.close()
    assert took < 14 * SLACK, took
    ended = {name: (one["State"]["Status"], one["State"]["ExitCode"]) for name, one in stack.containers().items()}
    assert ended == {"ollama": ("exited", 0), "app": ("exited", 0)}, stack.log()
    assert " stopped exit_code=0" in stack.log()


@by_one
def test_restarts_what_was_killed(stack):
    """restart: unless-stopped, of PID 1; models and door are there again."""
    stack.write(".env", "OLLAMA_PRELOAD_MODELS=one\n")
    stack.up("ollama")
    stack.wait_log(" ready ")
    before = stack.containers()["ollama"]["State"]["Pid"]
    assert stack.machine.run("kill", "-KILL", str(before)).returncode == 0
    until(lambda: stack.containers()["ollama"]["State"]["Pid"] not in (0, before), 20, "another PID 1", stack.log)
    until(lambda: stack.curl(OLLAMA).returncode == 0, 20, "the door", stack.log)
    assert stack.models() == ["one:latest"]


def test_who_may_reach_it(stack):
    """By default this machine and the containers of the stack; OLLAMA_PUBLISH opens it."""
    stack.write(".env", "OLLAMA_PRELOAD_MODELS=none\n")
    stack.up("ollama")
    stack.wait_log(" ready ")

    def published() -> set:
        return {(one["HostIp"], one["HostPort"]) for one in stack.containers()["ollama"]["NetworkSettings"]["Ports"]["11434/tcp"]}

    assert published() == {("127.0.0.1", "11434")}
    stack.down()
    stack.write(".env", "OLLAMA_PRELOAD_MODELS=none\nOLLAMA_PUBLISH=21434\n")
    stack.up("ollama")
    assert {address for address, _ in published()} <= {"", "0.0.0.0", "::"} and {port for _, port in published()} == {"21434"}
    until(lambda: stack.curl("http://127.0.0.1:21434").returncode == 0, 20, "the door", stack.log)


@by_one
def test_what_the_containers_may(stack):
    """The children of ours are not root, nobody gains privileges, and logs are rotated."""
    stack.write(".env", "OLLAMA_PRELOAD_MODELS=none\n")
    stack.up()
    stack.wait_log(" ready ")
    for one in stack.containers().values():
        assert any("no-new-privileges" in option for option in one["HostConfig"]["SecurityOpt"])
    ollama, app = (stack.containers()[name] for name in ("ollama", "app"))
    assert app["HostConfig"]["ReadonlyRootfs"]
    assert ollama["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"
    assert ollama["HostConfig"]["LogConfig"]["Size"] in ("10MB", "10m", "10.49MB", "10.5MB")
    users = stack.exec("ollama", "sh", "-c", "for p in /proc/[0-9]*; do echo $(cat $p/comm) $(awk '/^Uid/{print $2}' $p/status); done")
    uids = dict(line.rsplit(" ", 1) for line in users.splitlines() if " " in line)
    assert uids["ollama-supervis"] == "0"
    assert uids["ollama-proxy"] == "11434", users
