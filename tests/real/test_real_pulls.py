"""A model that is not there is pulled by a real Ollama, from a registry on this machine."""
import json
import os
import shutil

import pytest

from registry import Registry

pytestmark = [pytest.mark.limit(90), pytest.mark.skipif(not shutil.which("openssl"), reason="a certificate is needed")]


@pytest.fixture
def registry(sidecar, models):
    """A registry that has `tiny`, before which a sidecar with an empty folder of models stands, that may pull."""
    made = Registry(os.path.join(models.directory, "models"), sidecar.directory)
    sidecar.env["OLLAMA_MODELS"] = os.path.join(sidecar.directory, "empty")
    sidecar.env["SSL_CERT_FILE"] = made.certificate
    sidecar.configure("preload", models="none", retries="0")
    sidecar.configure("proxy", pull_missing="yes")
    yield made
    made.close()


def test_the_first_request_pulls_and_is_answered(sidecar, registry):
    sidecar.start()
    sidecar.wait_ready()
    answer = sidecar.ask("POST", "/api/generate", {"model": registry.name("tiny"), "prompt": "hi", "options": {"num_predict": 5}}, timeout=60)
    assert answer.status == 200 and answer.clean and b'"done":true' in answer.body
    assert int(answer.header("X-Sidecar-Wait-Ms")) > 0
    seen_n = len(registry.seen)
    assert sidecar.generate(registry.name("tiny"), options={"num_predict": 2}).status == 200 and len(registry.seen) == seen_n
    sidecar.process.wait_log(r" pull_end model=\S+tiny result=pulled .*bytes=[1-9]")
    # and what is deleted by hand is pulled again
    assert sidecar.ask("POST", "/api/generate", {"model": registry.name("tiny"), "keep_alive": 0}).status == 200
    shutil.rmtree(os.path.join(sidecar.directory, "empty", "manifests"))
    assert sidecar.generate(registry.name("tiny"), options={"num_predict": 2}).status == 200 and len(registry.seen) > seen_n


def test_a_preset_s_second_model_where_the_registry_has_not_the_first(sidecar, registry):
    names = [registry.name("nonsense"), registry.name("tiny")]
    sidecar.write("models.json", json.dumps({"cheap_text": {"model": names, "options": {"num_predict": 3}}}))
    sidecar.configure("proxy", pull_missing="presets")
    sidecar.start()
    sidecar.wait_ready()
    answer = sidecar.ask("POST", "/generate", {"prompt": "hi", "stream": False}, timeout=60)
    assert answer.status == 200 and answer.json["model"] == names[1], answer.body
    sidecar.process.wait_log(r" pull_end model=\S+nonsense result=failed cause=unknown_model")


def test_what_can_not_be_had_is_told_with_its_reason(sidecar, registry):
    sidecar.start()
    sidecar.wait_ready()
    answer = sidecar.generate(registry.name("nonsense"))
    assert answer.status == 404 and "the registry has no such model" in answer.json["error"] and "`ollama pull" in answer.json["error"]
    registry.close()
    answer = sidecar.generate(registry.name("tiny"))
    assert answer.status == 503 and "the registry can't be reached" in answer.json["error"] and answer.header("Retry-After")
