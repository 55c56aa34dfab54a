"""R1.5, R1.6: which engine loads a model, with which words, and what the environment says of it. vLLM and `transformers serve` are played behind their own names."""
import json
import os

import pytest

from engines import PROGRAM
from served import CHAT
from waiting import until


@pytest.fixture(name="installed")
def fixture_installed(sidecar, engines):
    """A folder in PATH where vllm and transformers are, by their built-in commands; the models org/model and, of a longer context than the limit, org/long."""
    folder = os.path.join(sidecar.directory, "bin")
    os.mkdir(folder)
    script, journal = (os.path.join(sidecar.directory, name) for name in ("engines.json", "engines.jsonl"))
    for name, words in (("vllm", '--model-path "$2" --served "$4" --port "$8"'),
                        ("transformers", '--model-path "$(echo "$HF_HUB_CACHE/models--$(echo "$2" | sed s,/,--,)"/snapshots/*)" --served "$2" --port "$6"')):
        path = os.path.join(folder, name)
        with open(path, "w", encoding="ascii") as file:
            file.write(f'#!/bin/sh\nexec python3 {PROGRAM} --engine {name} {words} --script {script} --journal {journal} "$@"\n')
        os.chmod(path, 0o755)
    sidecar.env["PATH"] = folder + ":" + sidecar.env["PATH"]
    sidecar.configure("program:ollama", autostart="no")
    engines.cache.model("org/model", context_n=4096)
    engines.cache.model("org/long", context_n=131072)
    return sidecar


def boot(sidecar):
    sidecar.start()
    sidecar.wait_ready()


def chat(sidecar, model="org/model"):
    return sidecar.ask("POST", "/chat", {"model": model, **CHAT}, timeout=30)


def after(argv, flag):
    """The word behind a flag."""
    return argv[argv.index(flag) + 1]


def prefer_q4(engines, model="org/model"):
    with open(os.path.join(engines.cache.folder(model), ".ollama-sidecar.json"), "w", encoding="ascii") as file:
        json.dump({"preferred_quantized": True}, file)


def test_r1_5_vllm_is_preferred_and_its_words_are_those_of_the_model(installed, engines):
    boot(installed)
    assert chat(installed).header("X-Sidecar-Backend") == "vllm" and chat(installed, "org/long").status == 200
    words = {entry["model"]: entry["argv"] for entry in engines.starts()}
    assert after(words["org/model"], "--dtype") == "bfloat16" and "--trust-remote-code" not in words["org/model"]
    assert (after(words["org/model"], "--max-model-len"), after(words["org/long"], "--max-model-len")) == ("4096", "32768")
    assert {entry["engine"] for entry in engines.starts()} == {"vllm"}


def test_r1_5_remote_code_runs_where_it_is_set(installed, engines):
    installed.configure("models", remote_code="yes")
    boot(installed)
    assert chat(installed).status == 200 and "--trust-remote-code" in engines.starts()[0]["argv"]


def test_r1_5_what_the_preferred_one_can_not_load_the_next_one_does_and_status_says_why(installed, engines):
    engines.script(engines={"vllm": {"exit_while_loading": {"code": 1, "says": ["ValueError: this architecture is not supported"]}}})
    boot(installed)
    assert chat(installed).header("X-Sidecar-Backend") == "transformers"
    assert [entry["engine"] for entry in engines.starts()] == ["vllm", "transformers"]
    told = installed.ask("GET", "/status").json
    failed, = told["failed"]
    assert failed["model"] == "org/model" and failed["reasons"] == ["vllm: exit code 1: ValueError: this architecture is not supported"]
    assert [(row["model"], row["engine"]) for row in told["instances"]] == [("org/model", "transformers")]
    row, = [row for row in installed.ask("GET", "/models").json["models"] if row["model"] == "org/model"]
    assert row["loaded"] is True and row["backend"] == "transformers"


@pytest.mark.parametrize("variable, models_n", [(None, 2), ("1", 1)])
def test_r1_6_so_many_models_are_in_memory_and_the_least_recently_used_goes_first(installed, engines, variable, models_n):
    if variable:
        installed.env["MAX_CACHE_MODELS"] = variable
    engines.cache.model("org/third")
    boot(installed)
    for model in ("org/model", "org/long", "org/third"):
        assert chat(installed, model).status == 200
    loaded = {row["model"] for row in installed.ask("GET", "/models").json["models"] if row["loaded"]}
    assert loaded == {"org/long", "org/third"} if models_n == 2 else loaded == {"org/third"}


def test_r1_6_after_a_failed_load_a_request_fails_at_once_and_says_when_to_retry(installed, engines):
    installed.env["MODEL_LOAD_COOLDOWN"] = "2"
    engines.script(exit_while_loading={"code": 1, "says": ["RuntimeError: no room"]})
    boot(installed)
    answer = chat(installed)
    assert answer.status == 503 and 1 <= int(answer.header("Retry-After")) <= 2
    starts_n = len(engines.starts())
    engines.script()
    until(lambda: chat(installed).status == 200, 20, "it is tried again")
    assert starts_n == 2  # vLLM's, and Transformers'


def test_r1_6_q4_is_nf4_of_bitsandbytes_above_the_threshold(installed, engines):
    installed.env["MODEL_Q4_THRESHOLD_BYTES"] = "1"
    prefer_q4(engines)
    boot(installed)
    assert installed.ask("GET", "/status").json["settings"]["q4_threshold_bytes"] == 1
    assert chat(installed).status == 200
    assert after(engines.starts()[0]["argv"], "--quantization") == "bitsandbytes"


def test_r1_6_where_q4_is_impossible_it_loads_as_it_is_and_status_says_why(installed, engines):
    engines.script(refuses_flag={"flag": "bitsandbytes", "says": ["ImportError: bitsandbytes is missing"]})
    prefer_q4(engines)
    boot(installed)
    assert chat(installed).header("X-Sidecar-Backend") == "vllm"
    assert ["bitsandbytes" in entry["argv"] for entry in engines.starts()] == [True, False]
    told = installed.ask("GET", "/status").json
    assert told["failed"][0]["reasons"] == ["vllm (q4): exit code 1: ImportError: bitsandbytes is missing"]
    assert told["instances"][0]["quantized"] is False
