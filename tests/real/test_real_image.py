"""The image from the repository's own Dockerfile with the real Ollama inside, as `docker run` has it."""
import os
import shutil
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(os.path.dirname(HERE), "container"))

from lending import lent  # noqa: E402
from shipped import DATA, Shipped  # noqa: E402
from shipped_image import real_ollama  # noqa: E402

BUILD_LIMIT_S = 900


@pytest.fixture
def image():
    """The image, built where it is not there yet."""
    yield from lent(Shipped(real_ollama()))


@pytest.mark.limit(BUILD_LIMIT_S)
def test_a_chat_from_a_volume_of_the_official_image(image, models, folder):
    """Models that are root's, mounted where the official image has them; then given to Ollama's user as the log says, and the
    model is loaded, as that user, on a read-only root file system too. It stops in its time."""
    volume = os.path.join(folder, "volume")
    shutil.copytree(os.path.join(models.directory, "models"), os.path.join(volume, "models"))
    os.chmod(folder, 0o755)
    box = image.run("--volume", f"{volume}:/root/.ollama", env={"OLLAMA_PRELOAD_MODELS": "tiny"})
    box.wait_log(rf" warning supervisor models_kept .*hint=\"chown -R 11434:11434 {DATA}/models\"", 30)
    box.wait_ready(60)
    assert chat(box)
    assert box.stop() == 0
    owned = image.run("--volume", f"{volume}:{DATA}", "--entrypoint", "chown", args=("-R", "11434:11434", DATA))
    assert owned.wait(30) == 0
    box = image.run("--read-only", "--read-only-tmpfs=false", "--tmpfs", "/tmp", volume=volume, env={"OLLAMA_PRELOAD_MODELS": "tiny"})
    box.wait_ready(60)
    assert box.sh(f"stat -c %U /proc/{box.pid_of('ollama')}").strip() == "ollama"
    assert not box.logged(r" models_kept | pull_started ")
    assert chat(box)
    assert "tiny" in box.exec("ollama", "list").stdout
    assert box.healthy()
    assert box.stop() == 0
    assert box.logged(r" stopped exit_code=0")


def chat(box) -> bool:
    """Whether a chat comes to its end, as tokens."""
    with box.connect(60) as connection:
        answer = connection.request("POST", "/api/chat", {"model": "tiny", "messages": [{"role": "user", "content": "hello"}],
                                                          "options": {"num_predict": 8}})
        objects = [value for _, value in answer.objects()]
        return answer.clean and objects[-1]["done"] and len(objects) > 2
