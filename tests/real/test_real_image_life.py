"""The app on Fly.io as a whole, with a real Ollama in the image as it is shipped: fly.toml's environment, files, volume, memory and
signals, a tiny model on the volume, and no network that leads anywhere."""
import json
import os
import shutil
import sys
import time

import pytest

pytest.importorskip("tomllib")  # Python 3.11

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(os.path.dirname(HERE), "container"))

from client import Background  # noqa: E402
from fly_app import FlyApp  # noqa: E402
from lending import lent  # noqa: E402
from shipped import Shipped  # noqa: E402
from shipped_image import real_ollama  # noqa: E402
from waiting import until  # noqa: E402

OLLAMA_UID = 11434
ENV = {"OLLAMA_PRELOAD_MODELS": "tiny"}
CHAT = {"model": "tiny", "messages": [{"role": "user", "content": "hello"}], "stream": False, "options": {"num_predict": 8}}


@pytest.fixture(scope="session")
def shipped_real():
    """The image with the real Ollama in it."""
    yield from lent(Shipped(real_ollama()))


@pytest.fixture
def app(shipped_real, models, folder):
    """The FlyApp, its volume as an earlier life left it: with the model, all of it Ollama's."""
    volume = os.path.join(folder, "volume")
    shutil.copytree(os.path.join(models.directory, "models"), volume)
    os.mkdir(os.path.join(volume, "lost+found"), 0o700)
    for path, _, names in os.walk(volume):
        for name in [path] + [os.path.join(path, name) for name in names]:
            if os.path.basename(name) != "lost+found":
                os.chown(name, OLLAMA_UID, OLLAMA_UID)
    os.chmod(folder, 0o755)
    yield FlyApp(shipped_real, volume)
    shipped_real.clean_up()


def chat(box):
    """A chat that comes as soon as the container has an address, and is held until its model is loaded."""
    def look():
        try:
            return box.ask("POST", "/api/chat", CHAT, timeout=90)
        except ConnectionRefusedError:
            return None

    return until(look, 90, "an answer", box.process.tail)


@pytest.mark.limit(240)
def test_the_app_of_fly_toml_chats_exits_when_idle_and_chats_again(app):
    """Nothing is pulled, not even asked for; Ollama is not root; 2 GB are the limit that it goes by."""
    for start in (1, 2):
        box = app.start(env={**ENV, "SIDECAR_SUPERVISOR_IDLE_TIMEOUT": "3s"})
        answer = chat(box)
        assert answer.status == 200 and answer.json["done"] and answer.json["message"]["role"] == "assistant", answer.body
        assert box.wait(60) == 0, start
        assert box.logged(r" stopping cause=idle exit_code=0")
        assert box.logged(r" preload_done ready=1 failed=0") and not box.logged(r" pull_started ")
        assert not box.logged(r"models_kept|models_forgotten|_failed|_ignored"), box.process.tail()
        assert box.logged(r'info supervisor memory limit="2\.0 GiB"') or not box.logged(r"memory limit=.* from=cgroup")
    with open(os.path.join(app.volume, ".sidecar", "sleep.txt"), encoding="utf-8") as file:
        assert file.read()
    assert os.stat(os.path.join(app.volume, ".ollama", "id_ed25519")).st_uid == OLLAMA_UID


@pytest.mark.limit(240)
def test_a_stream_of_the_real_one_is_ended_honestly_by_kill_signal_within_kill_timeout(app):
    box = app.start(env=ENV)
    assert chat(box).status == 200
    status = json.loads(box.exec("sidecarctl", "--json", "status").stdout)
    assert status["state"] == "running"
    uid = box.exec("stat", "-c", "%u", f"/proc/{box.pid_of('ollama')}").stdout.strip()
    assert uid == str(OLLAMA_UID)
    loaded = box.ask("GET", "/api/ps").json["models"]
    assert [model["name"] for model in loaded] == ["tiny:latest"], "OLLAMA_KEEP_ALIVE is -1"
    with box.connect(timeout=60) as connection:
        answer = connection.request("POST", "/api/generate", {"model": "tiny", "prompt": "x", "options": {"num_predict": 100000, "num_ctx": 2048}})
        assert answer.header("Content-Encoding") == "none"
        objects = answer.objects()
        next(objects)
        rest = Background(lambda: [value for _, value in objects])  # what is unread at its end goes with the container's network
        began = time.monotonic()
        assert app.stop(box) == 0
        assert time.monotonic() - began < app.kill_timeout_s
        last = rest.result()[-1]
        assert last.get("done") or ("error" in last and not answer.clean), last
