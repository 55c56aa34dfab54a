"""R1.4: GET /models and GET /status; DELETE /models/NAME."""
import hashlib
import os
import subprocess
import threading

import pytest

from served import refused, served  # noqa: F401
from standin import HERE
from waiting import SLACK, until


def test_r1_4_models_are_listed_with_what_is_known_of_them(served):  # noqa: F811
    served.engines.cache.model("org/one")
    served.engines.cache.gguf("org/two")
    served.boot()
    assert list(served.models()) == ["org/one", "org/two"]
    row = served.models()["org/one"]
    assert list(row) == ["model", "description", "loaded", "backend", "size_bytes", "load_duration"]
    assert (row["loaded"], row["backend"], row["load_duration"]) == (False, None, None) and row["size_bytes"] > 0
    assert served.chat("org/one").status == 200
    row = served.models()["org/one"]
    assert (row["loaded"], row["backend"]) == (True, "played") and row["load_duration"] > 0
    assert served.ask("HEAD", "/models").status == 200


def test_what_is_known_of_a_load_stays_when_the_model_is_stopped(served):  # noqa: F811
    served.sidecar.configure("engine:played", idle_timeout="200ms")
    served.engines.cache.model("org/one")
    served.boot()
    assert served.chat("org/one").status == 200
    row = until(lambda: (row := served.models()["org/one"])["loaded"] is False and row["backend"] and row, 20, "it is stopped, and noted")
    assert row["backend"] == "played" and row["load_duration"] > 0


def test_an_empty_cache_is_an_empty_list(served):  # noqa: F811
    served.boot()
    assert served.ask("GET", "/models").json == {"models": []}


def test_r1_4_status_tells_engines_cache_failures_and_settings(served):  # noqa: F811
    served.sidecar.env["MAX_CACHE_MODELS"] = "3"
    served.engines.cache.model("org/one")
    served.engines.cache.model("org/bad")
    served.engines.script(models={"org/bad": {"exit_while_loading": {"code": 1, "says": ["RuntimeError: no room"]}}})
    served.boot()
    assert served.chat("org/one").status == 200 and served.chat("org/bad").status == 503
    told = served.ask("GET", "/status").json
    assert told["queue"]["waiting"] == 0
    engines = {row["name"]: row for row in told["engines"]}
    assert {"vllm", "transformers", "llama", "played"} <= set(engines) and engines["played"]["installed"] is True
    assert [(row["model"], row["engine"], row["state"]) for row in told["instances"]] == [("org/one", "played", "ready")]
    failed, = told["failed"]
    assert failed["model"] == "org/bad" and "no room" in failed["reasons"][0] and failed["retry_in_s"] > 0
    assert told["cache"]["path"] == served.engines.cache.path and told["cache"]["bytes"] > 0 and told["cache"]["free"] > 0
    assert told["settings"]["max_cache_models"] == 3 and told["settings"]["load_cooldown_s"] == 300
    assert isinstance(told["gpus"], list)


def test_r1_4_an_engine_that_is_not_installed_is_no_failure_where_another_serves(served):  # noqa: F811
    served.sidecar.configure("models", engines="vllm, played")
    served.sidecar.configure("engine:vllm", command="/nowhere/vllm serve %(path)s --port %(port)s")
    served.engines.cache.model("org/one")
    served.boot()
    assert served.chat("org/one").status == 200
    told = served.ask("GET", "/status").json
    assert told["failed"] == [] and "not installed" in {row["name"]: row for row in told["engines"]}["vllm"]["why"]


def test_r1_4_without_any_engine_the_failure_is_told(served):  # noqa: F811
    served.sidecar.configure("models", engines="vllm")
    served.sidecar.configure("engine:vllm", command="/nowhere/vllm serve %(path)s --port %(port)s")
    served.engines.cache.model("org/one")
    served.boot()
    assert served.chat("org/one").status == 503
    failed, = served.ask("GET", "/status").json["failed"]
    assert failed["model"] == "org/one" and "not installed" in failed["reasons"][0]


class Gpus:
    """NVIDIA's, played: a library in the place of theirs."""

    def __init__(self, served, folder):  # noqa: F811
        library = os.path.join(folder, "libnvidia-ml.so.1")
        subprocess.run([os.environ.get("CC", "cc").split()[-1], "-shared", "-fPIC", "-o", library, os.path.join(HERE, "played_nvml.c")], check=True)
        self.file = os.path.join(folder, "gpus")
        served.sidecar.env.update(LD_LIBRARY_PATH=folder, NVML_PLAYED=self.file)

    def are(self, *lines):
        """`TOTAL USED NAME` each."""
        with open(self.file, "w", encoding="utf-8") as file:
            file.writelines(line + "\n" for line in lines)


@pytest.fixture
def gpus(served, folder):  # noqa: F811
    return Gpus(served, folder)


def test_r1_7_gpus_and_their_memory_where_the_driver_tells(served, gpus):  # noqa: F811
    gpus.are("24152899584 1048576 NVIDIA L4", "85899345920 0 NVIDIA H100 80GB HBM3")
    served.boot()
    assert served.ask("GET", "/status").json["gpus"] == [{"name": "NVIDIA L4", "memory_bytes": 24152899584, "used_bytes": 1048576},
                                                         {"name": "NVIDIA H100 80GB HBM3", "memory_bytes": 85899345920, "used_bytes": 0}]
    gpus.are("24152899584 20000000000 NVIDIA L4")
    until(lambda: [gpu["used_bytes"] for gpu in served.ask("GET", "/status").json["gpus"]] == [20000000000], 20, "what it tells is what it is now")


@pytest.mark.limit(60)
def test_r1_7_a_driver_that_hangs_keeps_nobody_else(served, gpus):  # noqa: F811
    gpus.are("hang")
    served.engines.cache.model("org/one")
    served.boot()
    with served.sidecar.connect(timeout=40) as connection:
        connection.send("GET", "/status")
        assert served.chat("org/one").status == 200 and list(served.models()) == ["org/one"]
        assert connection.receive().json["gpus"] == []
    served.sidecar.process.wait_log(r" gpus_failed .*did not end in time", 5)
    assert served.ask("GET", "/status", timeout=5 * SLACK).json["gpus"] == []  # nobody waits for it again


def test_a_key_sees_of_the_status_what_is_its_own(served):  # noqa: F811
    served.sidecar.configure("key:team", secret="sesame-team-0123456789", rights="inference, observe", models="org/one")
    for model in ("org/one", "org/two"):
        served.engines.cache.model(model)
    served.boot()
    for model in ("org/one", "org/two"):
        assert served.chat(model).status == 200
    told = served.ask("GET", "/status", headers=[("Authorization", "Bearer sesame-team-0123456789")]).json
    assert [row["model"] for row in told["instances"]] == ["org/one"]


@pytest.mark.parametrize("path", ["/models/org/one", "/models/org%2Fone", "/models/org/one:latest", "/models/ORG/One"])
def test_a_model_is_removed(served, path):  # noqa: F811
    served.engines.cache.model("org/one")
    served.boot()
    assert served.chat("org/one").status == 200
    answer = served.ask("DELETE", path)
    assert answer.status == 200, answer.body
    assert answer.json["status"] == "ok" and answer.json["model"] == "org/one" and answer.json["freed_bytes"] > 0
    assert not os.path.exists(served.folder("org/one")) and served.models() == {}
    served.engines.wait("stopping", timeout=10)
    refused(served.ask("DELETE", path), 404, "model_not_found")
    refused(served.chat("org/one"), 404, "model_not_found")


def test_what_is_there_of_an_interrupted_pull_is_removed(served):  # noqa: F811
    content = served.commit()
    served.hub.fault("/", host="hub", status=403, when=lambda request: request.path.endswith("model.safetensors"))
    os.makedirs(os.path.join(served.folder(), "blobs"))  # how far the others come until then differs: this much is there in any case
    with open(os.path.join(served.folder(), "blobs", 64 * "0" + ".incomplete"), "w", encoding="ascii") as file:
        file.write("the beginning")
    served.boot()
    refused(served.pull(), 403, "forbidden")
    assert served.models() == {} and hashlib.sha256(content["model.safetensors"]).hexdigest() not in os.listdir(os.path.join(served.folder(), "blobs"))
    answer = served.ask("DELETE", "/models/org/model")
    assert answer.status == 200 and answer.json["freed_bytes"] > 0, answer.body
    assert not os.path.exists(served.folder())
    refused(served.ask("DELETE", "/models/org/model"), 404, "model_not_found")


def test_one_that_answers_is_not_removed(served):  # noqa: F811
    served.engines.cache.model("org/one")
    served.engines.script(tokens=2, token_delay_ms=60_000)
    served.boot()
    with served.sidecar.connect(timeout=20) as connection:
        connection.send("POST", "/chat", {"model": "org/one", "stream": True, "messages": [{"role": "user", "content": "x"}]})
        served.engines.wait("request", timeout=20)
        assert "answering" in refused(served.ask("DELETE", "/models/org/one"), 409, "model_in_use")
    assert os.path.exists(served.folder("org/one"))


def test_one_that_is_pulled_is_not_removed(served):  # noqa: F811
    content = served.commit()
    served.hub.fault(hashlib.sha256(content["model.safetensors"]).hexdigest(), host="cdn", hold_after=1000)
    served.boot()
    pull = threading.Thread(target=served.pull)
    pull.start()
    assert served.hub.reached.wait(20)
    assert "pulled" in refused(served.ask("DELETE", "/models/org/model"), 409, "model_in_use")
    served.hub.release()
    pull.join(30)
    assert "org/model" in served.models()
