"""Our service beside a stack that is there already: by `include` (Docker Compose 2.20 or newer), and by `extends` (podman-compose as
well). The stack gets the one service, whose folders are right in each case."""
import json
import os

import pytest

from stack import OLLAMA, checkout

pytestmark = pytest.mark.limit(240)
# A stack of somebody else's, whose own service asks for nothing but a name.
WEB = """
  web:
    image: {base}
    command: [sleep, "600"]
    stop_signal: SIGKILL
    environment:
      OLLAMA_URL: http://ollama:11434
"""
INCLUDE = "include:\n  - sidecars/ollama/docker-compose.yaml\nservices:" + WEB
EXTENDS = "services:\n  ollama:\n    extends:\n      file: sidecars/ollama/docker-compose.yaml\n      service: ollama\n" + WEB
ASK = "import os, urllib.request; print(urllib.request.urlopen(os.environ['OLLAMA_URL'] + '/api/version').read().decode())"


@pytest.fixture
def shop(images, new_stack, folder, composer):
    """A stack with a copy of the repository in sidecars/ollama."""
    made = new_stack("shop", composer)
    checkout(made.path("sidecars", "ollama"))
    return made


def is_asked_from_web(shop) -> None:
    """What the stack's own service gets."""
    shop.wait_log(" ready ")
    assert sorted(shop.containers()) == ["ollama", "web"]
    assert "version" in json.loads(shop.exec("web", "python3", "-c", ASK))
    assert "Ollama is running" in shop.ask(OLLAMA)


def test_include(shop, composer):
    """`include`, one line; Docker's compose reads all paths from the included file on."""
    shop.write("compose.yaml", INCLUDE.format(base=shop.env["APP_BASE"]))
    shop.write(".env", "OLLAMA_PRELOAD_MODELS=none\n" + ("" if composer == "docker-compose" else "OLLAMA_DATA=./sidecars/ollama/data\n"))
    shop.up()
    is_asked_from_web(shop)
    assert os.listdir(shop.path("sidecars", "ollama", "data"))
    assert not os.path.exists(shop.path("data"))


def test_extends(shop):
    """`extends`; both build from the right folder."""
    shop.write("compose.yaml", EXTENDS.format(base=shop.env["APP_BASE"]))
    shop.write(".env", f"OLLAMA_PRELOAD_MODELS=none\nOLLAMA_DATA={shop.path('models')}\n")
    shop.up()
    is_asked_from_web(shop)
    assert os.listdir(shop.path("models"))


@pytest.mark.limit(600)
def test_extends_builds(images, new_stack):
    """podman-compose finds Dockerfile and sources where they are."""
    shop = new_stack("shop")
    checkout(shop.path("sidecars", "ollama"))
    shop.write("compose.yaml", EXTENDS.format(base=shop.env["APP_BASE"]))
    shop.write(".env", f"OLLAMA_PRELOAD_MODELS=none\nOLLAMA_DATA={shop.path('models')}\n")
    shop.up("--build", timeout=400)
    is_asked_from_web(shop)
