"""ollama and openai from PyPI while Ollama sleeps: what they read is what they read before, and wakes nobody; what they ask wakes it."""
import ollama
import openai
import pytest

from waiting import until

pytestmark = pytest.mark.limit(60)


def read_all(sidecar):
    """What both clients read, without what differs each time that Ollama is asked (the order of a model's parameters)."""
    own = ollama.Client(host=f"http://127.0.0.1:{sidecar.port}")
    other = openai.OpenAI(base_url=f"http://127.0.0.1:{sidecar.port}/v1", api_key="none", max_retries=0)
    shown = own.show("tiny")
    return (own.list(), shown.details, shown.modelinfo, shown.capabilities, own.ps(), list(other.models.list()),
            other.models.retrieve("tiny"), other.models.retrieve("tiny:latest"))


def test_lists_and_models_are_the_same_while_ollama_sleeps(sidecar):
    sidecar.configure("supervisor", idle_action="stop", idle_timeout="2s")
    sidecar.write_ini()
    assert sidecar.ctl("reload").returncode == 0
    assert sidecar.ctl("restart", "proxy").returncode == 0  # the next one knows from its start that Ollama will sleep
    sidecar.process.wait_log(r" drained ")
    before = read_all(sidecar)
    assert [model.model for model in before[0].models] == ["tiny:latest"]
    until(lambda: sidecar.process.logged(r" exited program=ollama"), 30, "Ollama's end", sidecar.process.tail)
    sidecar.wait_health(lambda health: health["state"] == "asleep")
    assert read_all(sidecar) == before
    assert len(sidecar.process.logged(r" exec program=ollama ")) == 1
    client = ollama.Client(host=f"http://127.0.0.1:{sidecar.port}")
    assert client.generate("tiny", "hi", options={"num_predict": 2}).done
    assert len(sidecar.process.logged(r" exec program=ollama ")) == 2
