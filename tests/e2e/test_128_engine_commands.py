"""The commands of the built-in engines have only flags that the programs know: engine_flags/ has what those of the versions named there take.
Beside real programs the same is asked in tests/transformers and tests/real."""
import os
import re
import shlex
import textwrap

import pytest

from sidecar import ROOT

FLAGS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "engine_flags")
OURS = ("command", "quantize_flags", "gpu_flags", "remote_code_flags")


def template(sidecar, name):
    """{key: value} of [engine:NAME], as it is in force."""
    sidecar.configure("models", serve="yes")
    sidecar.write_ini()
    dump = sidecar.run("ollama-supervisor", "-c", sidecar.ini, "--dump")
    assert dump.returncode == 0, dump.stderr
    lines = dump.stdout.partition(f"[engine:{name}]\n")[2].partition("\n[")[0].replace("%%", "%").splitlines()
    return {key: value.partition("  ; ")[0].strip() for key, _, value in (line.partition("=") for line in lines) for key in [key.strip()]}


def known(name):
    with open(os.path.join(FLAGS, name + ".txt"), encoding="utf-8") as file:
        return set(file.read().splitlines()[1:])


def test_templates_in_the_docs_are_configurations(sidecar):
    with open(os.path.join(ROOT, "docs", "engines.md"), encoding="utf-8") as file:
        blocks = re.findall(r"(?:^    .*\n|^\n(?=    ))+", file.read(), re.M)
    found = [textwrap.dedent(block) for block in blocks if "[engine:" in block]
    assert len(found) >= 4
    for text in found:
        serve = "" if "serve = yes" in text else "[models]\nserve = yes\n" + ("" if "[models]" in text else "engines = llama\n")
        ini = sidecar.write("docs.ini", serve + text.replace("[models]\n", "", 1 if serve else 0))
        checked = sidecar.run("ollama-supervisor", "-c", ini, "--check")
        assert checked.returncode == 0, ini + "\n" + text + checked.stderr


@pytest.mark.parametrize("name, begins, flags, quantised", [
    ("vllm", ["vllm", "serve", "%(path)s"],
     {"--served-model-name": "%(model)s", "--host": "127.0.0.1", "--port": "%(port)s", "--dtype": "bfloat16", "--max-model-len": "%(length)s"},
     "--quantization bitsandbytes"),
    ("transformers", ["transformers", "serve", "%(model)s"], {"--host": "127.0.0.1", "--port": "%(port)s"}, "--quantization bnb-4bit"),
    ("llama", ["llama-server"],
     {"--model": "%(file)s", "--alias": "%(model)s", "--host": "127.0.0.1", "--port": "%(port)s", "--ctx-size": "%(length)s"}, ""),
])
def test_r1_5_built_in_commands_are_what_the_programs_take(sidecar, name, begins, flags, quantised):
    keys = template(sidecar, name)
    words = shlex.split(keys["command"])
    assert words[:len(begins)] == begins
    given = dict(zip(words[len(begins)::2], words[len(begins) + 1::2]))
    assert given == flags
    assert keys["quantize_flags"] == quantised
    used = {word for key in OURS for word in shlex.split(keys[key]) if word.startswith("--")}
    assert used <= known(name), f"{name} does not know {sorted(used - known(name))}"
    assert "HF_HUB_OFFLINE=1" in keys["environment"] or keys["formats"] == "gguf"


def test_gpus_and_remote_code_are_flags_of_their_own(sidecar):
    assert template(sidecar, "vllm")["gpu_flags"] == "--tensor-parallel-size %(gpus)s"
    for name in ("vllm", "transformers"):
        assert template(sidecar, name)["remote_code_flags"] == "--trust-remote-code"
        assert "--trust-remote-code" not in template(sidecar, name)["command"]


def test_an_engine_is_told_nothing_of_who_asks(sidecar, engines):
    engines.cache.model("org/name")
    engines.add()
    engines.script(cors="*")
    sidecar.configure("program:ollama", autostart="no")
    sidecar.start()
    sidecar.process.wait_log(" proxy listening ")
    chat = {"model": "org/name", "messages": [{"role": "user", "content": "hi"}]}
    answer = sidecar.ask("POST", "/v1/chat/completions", chat, [("X-Request-Id", "mine"), ("Authorization", "Bearer mine")], timeout=20)
    assert answer.status == 200 and answer.header("X-Request-Id") == "mine" and answer.header("Access-Control-Allow-Origin") is None
    told = {name.lower() for name, _ in engines.wait("request")["headers"]}
    assert told == {"host", "accept-encoding", "content-type", "content-length"}
