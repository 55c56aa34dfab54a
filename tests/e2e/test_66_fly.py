"""What a machine of Fly.io's needs of us, as any machine can show it: streams that its proxy does not gather, what is kept on its
volume, and warnings of what can't work there."""
import os
import shutil
import tempfile

import pytest

from played_backend import CLOSE, END, LAST, Held, chunk, head, line, single
from test_41_rights import NOBODY, ROOT, uids

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
