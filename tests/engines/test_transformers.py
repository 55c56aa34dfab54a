"""The real `transformers serve`, from POST /pull to an answer, with tiny random models that Transformers itself has written. It needs gigabytes:
`scripts/deps engines` installs them into build/engines."""
import os
import re
import shlex
import subprocess

import pytest

from client import Connection
from conftest import HERE, TESTS, engines_python, needs
from engines import TEMPLATE
from sidecar import program
from waiting import SLACK

LOAD_S = 240  # it imports PyTorch; a machine may have more to do


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """files(template): {name: bytes} of a model."""
    needs("transformers", "torch", "fastapi")

    def make(template):
        folder = tmp_path_factory.mktemp("model")
        words = [engines_python(), os.path.join(HERE, "tiny_transformers.py"), str(folder), *([template] if template else [])]
        subprocess.run(words, env={**os.environ, "HF_HUB_OFFLINE": "1"}, check=True, capture_output=True, timeout=300 * SLACK)
        return {path.name: path.read_bytes() for path in folder.iterdir()}

    return make


@pytest.fixture
def transformers(serving, files, hub):
    """Started, with tiny/chat and tiny/base on the hub."""
    hub.commit("tiny/chat", files(TEMPLATE))
    hub.commit("tiny/base", files(None))
    serving.use("transformers", os.path.dirname(engines_python()))
    return serving.serve()


@pytest.mark.limit(LOAD_S)
def test_from_a_pull_to_chats(transformers):
    transformers.pull("tiny/chat")
    whole = transformers.said("tiny/chat", timeout=LOAD_S)
    assert whole["done"] is True and whole["eval_count"] <= 4 and whole["prompt_eval_count"] > 0 and whole["load_duration"] > 0
    assert transformers.loaded() == {"tiny/chat": "transformers"}
    with Connection(transformers.port, timeout=60) as connection:
        answer = connection.request("POST", "/chat", {"model": "tiny/chat", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 5,
                                                      "stream": True})
        lines = [value for _, value in answer.objects()]
    assert answer.clean and lines[-1]["done"] is True and lines[-1]["eval_count"] <= 5 and all(not line["done"] for line in lines[:-1])
    chat = {"model": "tiny/chat", "messages": [{"role": "user", "content": "hi"}]}
    assert transformers.ask("POST", "/v1/chat/completions", {**chat, "max_tokens": 3}, timeout=60).json["usage"]["completion_tokens"] <= 3
    options = {"num_predict": 3, "top_k": 2}  # a field that it refuses: asked again without
    assert transformers.ask("POST", "/api/chat", {**chat, "stream": False, "options": options}, timeout=60).json["eval_count"] <= 3
    assert transformers.stop() == 0


@pytest.mark.limit(LOAD_S)
def test_a_model_without_a_chat_template_completes_a_text(transformers):
    transformers.pull("tiny/base")
    said = transformers.said("tiny/base", timeout=LOAD_S)
    assert said["done"] is True and said["prompt_eval_count"] >= len("User: hi\nAssistant: ")  # a token a byte


def test_the_list_of_its_flags_is_what_it_takes(serving):
    needs("transformers", "typer")
    words = [os.path.join(os.path.dirname(engines_python()), "transformers"), "serve", "--help"]
    told = subprocess.run(words, env={**os.environ, "COLUMNS": "200"}, text=True, capture_output=True, check=True, timeout=240 * SLACK).stdout
    takes = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*[a-z0-9](?![\w*-])", told))
    serving.configure("models", serve="yes")
    serving.write_ini()
    dump = subprocess.run([program("ollama-supervisor"), "-c", serving.ini, "--dump"], text=True, capture_output=True, check=True).stdout
    section = dump.partition("[engine:transformers]\n")[2].partition("\n[")[0].replace("%%", "%")
    used = {word for line in section.splitlines() for word in shlex.split(line.partition("=")[2].partition("  ; ")[0]) if word.startswith("--")}
    assert used and used <= takes, f"it does not take {sorted(used - takes)}"
    with open(os.path.join(TESTS, "e2e", "engine_flags", "transformers.txt"), encoding="utf-8") as file:
        version, *kept = file.read().splitlines()
    installed = subprocess.run([engines_python(), "-c", "import importlib.metadata as m; print(m.version('transformers'))"], text=True,
                               capture_output=True, check=True).stdout.strip()
    if f"transformers {installed}:" in version:
        assert set(kept) == takes
