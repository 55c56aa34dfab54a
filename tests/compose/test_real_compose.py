"""The compose files before a real Ollama, where there is one on PATH: it stands in the container in the stand-in's place."""
import json
import os
import shutil
import sys
import tempfile

import pytest

from podman import ROOT
from shipped_image import real_ollama
from stack import OLLAMA, checkout

REAL = "services:\n  ollama:\n    volumes:\n      - {path}:/usr/local/sbin/ollama:ro\n"


@pytest.fixture(scope="module")
def models():
    """A folder of models with a tiny one in it."""
    path = real_ollama()
    if not path:
        pytest.skip("no real ollama on PATH")
    sys.path.append(os.path.join(ROOT, "tests", "real"))
    from real_ollama import RealModels  # pylint: disable=import-outside-toplevel
    with tempfile.TemporaryDirectory(prefix="sc-models-") as directory:
        RealModels(path, directory)
        yield os.path.join(directory, "models")


@pytest.mark.limit(240)
def test_the_app_is_answered_by_a_real_model(images, models, new_stack, folder):
    """R3.1: the app's POST /chat, by its client, the proxy, Ollama, a runner, and back; the memory is the container's, and the
    folder of models, root's before, is Ollama's."""
    checkout(os.path.join(folder, "sidecar"))
    stack = new_stack("sidecar")
    shutil.copytree(models, stack.path("data", "models"))
    stack.write("real.yaml", REAL.format(path=real_ollama()))
    stack.write(".env", "OLLAMA_PRELOAD_MODELS=tiny\nAPP_MODEL=tiny\n")
    stack.files = ["docker-compose.yaml", "docker-compose.override.yaml", "real.yaml"]
    stack.up()
    stack.wait_app()
    answer = stack.chat("Say something.")
    log = stack.wait_log(" booted ")
    assert answer.strip(), log
    assert " runner model=tiny" in log
    assert " pull_started " not in log
    version = json.loads(stack.ask(OLLAMA + "/api/version"))["version"]
    assert version and "standin" not in version
    assert stack.health() == "healthy"
