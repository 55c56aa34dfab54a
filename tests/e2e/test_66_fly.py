"""What a machine of Fly.io's needs of us, as any machine can show it: streams that its proxy does not gather, what is kept on its
volume, and warnings of what can't work there."""
import os
import shutil
import sys
import tempfile

import pytest

from played_backend import CLOSE, END, LAST, Held, chunk, head, line, single
from sidecar import ROOT as TOP
from test_41_rights import NOBODY, ROOT, uids

sys.path.append(os.path.join(TOP, "tests", "lint"))
import fly as rule  # noqa: E402

ASK = {"model": "m", "prompt": "x"}
ANSWER = {"model": "m", "response": "whole", "done": True}


# ---- streams are marked, so that nothing packs them ----

@pytest.mark.parametrize("word", ["none", "identity"])
@pytest.mark.parametrize("path, body", [("/api/generate", ASK), ("/v1/chat/completions", {"model": "m", "stream": True, "messages": [{"role": "user", "content": "x"}]})])
def test_a_stream_says_that_it_is_not_packed(sidecar, before, word, path, body):
    """Passed on, and translated; what has a length is left to whoever wants to pack it."""
    lines = [head(), chunk(line(message={"role": "assistant", "content": "a"})), chunk(LAST), END]
    before(play=lambda request: single({"models": []}) if request[0].startswith(b"GET") else lines, stream_encoding=word)
    with sidecar.connect() as connection:
        answer = connection.request("POST", path, body, headers=[("Accept-Encoding", "gzip, br, zstd")])
        assert answer.status == 200 and answer.header("Content-Encoding") == word and answer.header("Cache-Control") == "no-transform"
        assert answer.body and answer.clean
        listed = connection.request("GET", "/api/tags")
        assert listed.json == {"models": []} and listed.header("Content-Length") and listed.header("Content-Encoding") is None
        assert connection.request("GET", "/live").header("Content-Encoding") is None
        assert connection.request("POST", "/no/such/path", {}).header("Content-Encoding") is None


def test_nothing_is_said_by_default(sidecar, before):
    before(head(), chunk(line()), chunk(LAST), END)
    with sidecar.connect() as connection:
        assert connection.request("POST", "/api/generate", ASK).header("Content-Encoding") is None


@pytest.mark.parametrize("stream", [True, False])
def test_an_answer_that_began_with_a_heartbeat_says_so_too(sidecar, before, stream):
    """Also a single object: its heartbeats must not be gathered."""
    play = Held(*([head(), chunk(line()), chunk(LAST), END] if stream else single(ANSWER)))
    before(play=play, heartbeat_after="100ms", heartbeat_interval="100ms", stream_encoding="none")
    with sidecar.connect() as connection:
        answer = connection.request("POST", "/api/generate", {**ASK, "stream": stream})
        assert answer.header("Content-Encoding") == "none"
        play.go.set()
        assert LAST in answer.body or answer.json == ANSWER
        assert answer.clean


def test_what_the_backend_says_of_its_bytes_stays(sidecar, before):
    before(head("application/x-ndjson", "Content-Encoding: identity"), chunk(line()), chunk(LAST), END, stream_encoding="none")
    with sidecar.connect() as connection:
        answer = connection.request("POST", "/api/generate", ASK)
        assert answer.header("Content-Encoding") == "identity" and answer.body and answer.clean


def test_a_backend_that_is_such_a_sidecar_is_understood(sidecar, before):
    """`none` is no packing: what breaks is told."""
    before(head("application/x-ndjson", "Content-Encoding: none"), chunk(line()), CLOSE)
    with sidecar.connect() as connection:
        answer = connection.request("POST", "/api/generate", ASK)
        assert b'"error"' in answer.body and not answer.clean


# ---- what is told at the start ----

def test_what_can_not_work_there_is_told(sidecar):
    sidecar.env.update(FLY_APP_NAME="app", FLY_VM_MEMORY_MB="4096")
    sidecar.configure("supervisor", idle_timeout="5m", idle_action="suspend")
    sidecar.write_ini()
    done = sidecar.run("ollama-supervisor", "-c", sidecar.ini, "--check")
    assert done.returncode == 0
    for words in ("APP.flycast neither", "advises against a suspend"):
        assert words in done.stderr


@pytest.mark.parametrize("place", ["/", "/dev/shm"])
def test_models_on_the_root_file_system_are_told_to_be_lost(sidecar, place):
    """Not those on a volume, and nowhere else than there."""
    folder = tempfile.mkdtemp(prefix="sc-fly-", dir="/tmp" if place == "/" else place)
    try:
        is_root = os.stat(folder).st_dev == os.stat("/").st_dev
        if is_root != (place == "/"):
            pytest.skip("the places for temporary files are not on the file systems that this needs")
        sidecar.env.update(FLY_APP_NAME="app", OLLAMA_MODELS=folder)
        sidecar.start()
        sidecar.process.wait_log(r" exec program=ollama")
        told = sidecar.process.logged(rf'warning supervisor models_forgotten path="{folder}" hint="')
        assert len(told) == is_root
        assert sidecar.ctl("reload").returncode == 0
        assert len(sidecar.process.logged("models_forgotten")) == is_root  # once
        assert sidecar.stop() == 0
        if is_root:
            del sidecar.env["FLY_APP_NAME"]
            sidecar.start()
            sidecar.process.wait_log(r" exec program=ollama")
            assert not sidecar.process.logged("models_forgotten")
            assert sidecar.stop() == 0
    finally:
        shutil.rmtree(folder)


# ---- a volume of root's, with everything on it: models, home and state_dir ----

@ROOT
@pytest.mark.parametrize("proxy_user", ["nobody", None])
def test_a_volume_holds_models_home_and_state_for_another_user(sidecar, proxy_user):
    """A fresh file system, mounted: it becomes Ollama's, over any number of starts, and all that is kept in it with it."""
    os.chmod(sidecar.directory, 0o755)
    volume = os.path.join(sidecar.directory, "volume")
    os.makedirs(os.path.join(volume, "lost+found"), 0o700)
    os.chmod(sidecar.write("journal.jsonl", ""), 0o666)  # the stand-in's, whoever it is
    sidecar.env.update(OLLAMA_MODEL_CACHE_DIR=volume, OLLAMA_MODELS="", HOME="/")
    sidecar.configure("program:ollama", user="nobody", environment=f"HOME={volume}")
    if proxy_user:
        sidecar.configure("program:proxy", user=proxy_user)
    sidecar.configure("supervisor", state_dir=os.path.join(volume, "sidecar"), idle_timeout="500ms")
    sidecar.configure("preload", models="m", load="last")
    sidecar.backend.script(tokens=1, pull_bytes=1000)
    for _ in range(2):
        sidecar.start()
        sidecar.wait_ready()
        assert uids(sidecar.pid_of("ollama")) == {NOBODY}, sidecar.process.tail()
        assert uids(sidecar.pid_of("proxy")) == {NOBODY if proxy_user else 0}
        assert sidecar.generate().status == 200
        assert sidecar.process.wait(15) == 0
        assert not sidecar.process.logged("models_kept|_failed|_ignored"), sidecar.process.tail()
        kept = {name: os.stat(os.path.join(volume, "sidecar", name)).st_uid for name in ("sleep.txt", "last-load.json")
                if os.path.exists(os.path.join(volume, "sidecar", name))}
        assert kept == {"sleep.txt": NOBODY, "last-load.json": NOBODY}
        assert len(sidecar.backend.requests("/api/pull")) == 1
    assert os.stat(os.path.join(volume, "lost+found")).st_uid == 0
    assert os.stat(os.path.join(volume, ".ollama")).st_uid == NOBODY


# ---- fly.toml: the lint's rule finds what a deployment would stumble over ----

def texts() -> dict:
    """What the rule reads of the repository."""
    names = ("fly.toml", "Dockerfile", "deploy/profiles/fly.ini", "common/conf_params.def", "proxy/route.c")
    found = {}
    for name in names:
        with open(os.path.join(TOP, name), encoding="utf-8") as file:
            found[name] = file.read()
    return found


MISTAKES = {
    "a key that nobody knows": ("fly.toml", "min_machines_running = 0", "min_machine_running = 0", "services.min_machine_running is no key"),
    "a section that nobody knows": ("fly.toml", "[[restart]]", "[[restarts]]", "restarts is no key"),
    "a key of another section": ("fly.toml", 'kill_signal = "SIGTERM"', 'interval = "5s"', "interval is no key"),
    "a type": ("fly.toml", "auto_start_machines = true", 'auto_start_machines = "true"', "services.auto_start_machines is to be of type bool"),
    "a number that is a word": ("fly.toml", "port = 11434\n    handlers", 'port = "11434"\n    handlers', "services.ports.port is to be of type int"),
    "a duration": ("fly.toml", 'interval = "15s"', 'interval = "15 sec"', "services.http_checks.interval is to be a duration"),
    "a list that is none": ("fly.toml", 'handlers = ["http"]', 'handlers = "http"', "services.ports.handlers is to be a list"),
    "no TOML": ("fly.toml", "[env]", "[env", "it is no TOML"),
    "another port": ("fly.toml", "internal_port = 11434", "internal_port = 8080", "internal_port is not what the image exposes"),
    "https": ("fly.toml", 'handlers = ["http"]', 'handlers = ["tls", "http"]', "plain http alone"),
    "a short kill_timeout": ("fly.toml", "kill_timeout = 15", "kill_timeout = 8", "kill_timeout is not above"),
    "a check that keeps requests away": ("fly.toml", 'path = "/live"', 'path = "/health"', "is to ask /live"),
    "a volume elsewhere": ("fly.toml", 'destination = "/ollama/data"', 'destination = "/data"', "not where the volume"),
    "a small limit": ("fly.toml", "hard_limit = 400", "hard_limit = 256", "hard_limit is below"),
    "always restarted": ("fly.toml", 'policy = "on-failure"', 'policy = "always"', "would not stay stopped"),
    "compressed": ("fly.toml", "compress = false", "compress = true", "streams would be gathered"),
    "suspended by one of two": ("fly.toml", 'auto_stop_machines = "stop"', 'auto_stop_machines = "suspend"', "do not go together"),
    "never started": ("fly.toml", "auto_start_machines = true", "auto_start_machines = false", "nothing would start"),
    "no check": ("fly.toml", "[[services.http_checks]]", "[[services.tcp_checks]]", "is no key"),
    "a file that is not there": ("fly.toml", 'local_path = "deploy/', 'local_path = "', "files that are not there"),
    "the profile suspends": ("deploy/profiles/fly.ini", "idle_action = exit", "idle_action = suspend", "do not go together"),
    "the profile never sleeps": ("deploy/profiles/fly.ini", "idle_timeout = 5m", "idle_timeout = 0", "never stop the machine"),
    "the profile takes its time": ("deploy/profiles/fly.ini", "shutdown_timeout = 8s", "shutdown_timeout = 1m", "kill_timeout is not above"),
    "the image forgets": ("Dockerfile", "SIDECAR_SUPERVISOR_STATE_DIR=/ollama/data", "SIDECAR_SUPERVISOR_STATE_DIR=/var/lib", "nothing there outlives a stop"),
    "the profile has IPv4 alone": ("deploy/profiles/fly.ini", "listen = [::]:", "listen = 0.0.0.0:", "APP.internal IPv6"),
    "a larger queue": ("common/conf_params.def", 'max_queue, "256"', 'max_queue, "512"', "hard_limit is below"),
    "a shorter keep-alive": ("common/conf_params.def", 'keepalive_timeout, "610s"', 'keepalive_timeout, "60s"', "first that closes"),
    "another place for the configuration": ("Dockerfile", '"/etc/ollama-sidecar/supervisor.ini"]\nCMD', '"/etc/x.ini"]\nCMD', "does not replace the file"),
}


@pytest.mark.skipif(rule.tomllib is None, reason="this Python has no reader of TOML")
@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_in_fly_toml_are_found(name):
    file, before_it, after_it, told = MISTAKES[name]
    good = texts()
    assert good[file].count(before_it) >= 1
    bad = {**good, file: good[file].replace(before_it, after_it, 1)}
    found = rule.findings_of(bad["fly.toml"], bad)
    assert any(told in what for what in found), found


@pytest.mark.skipif(rule.tomllib is None, reason="this Python has no reader of TOML")
@pytest.mark.parametrize("stops, action", [("stop", "exit"), ("off", "exit"), ("suspend", "suspend"), ("off", "suspend")])
def test_the_ways_to_stop_that_docs_fly_names_are_good(stops, action):
    good = texts()
    good["fly.toml"] = good["fly.toml"].replace('auto_stop_machines = "stop"', f'auto_stop_machines = "{stops}"')
    good["deploy/profiles/fly.ini"] = good["deploy/profiles/fly.ini"].replace("idle_action = exit", f"idle_action = {action}")
    assert rule.findings_of(good["fly.toml"], good) == []
