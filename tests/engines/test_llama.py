"""The real llama.cpp, from POST /pull on: R1.1 to R1.6 as the owner of such a server sees them. Models are tiny and random, so they talk nonsense."""
import json
import os
import signal

import pytest

from client import Background, Connection
from waiting import until

CLIENTS = 20


@pytest.fixture
def llama(serving, llama_server, hub, gguf):
    """Started, with tiny/one and tiny/two on the hub."""
    hub.commit("tiny/one", {"one-Q4_K_M.gguf": gguf("one"), "README.md": b"# one\n"})
    hub.commit("tiny/two", {"two-Q4_K_M.gguf": gguf("two", 3, "")})
    serving.use("llama", llama_server)
    return serving


def test_from_a_pull_to_a_streamed_chat(llama):
    llama.serve()
    refused = llama.chat("tiny/one")
    assert refused.status == 404 and refused.json["error"] == refused.json["detail"] == \
        "Model 'tiny/one' not available locally. Use the /pull endpoint"
    pulled = llama.pull("tiny/one")
    assert pulled["status"] == "ok" and pulled["cached"] is True and pulled["model"] == "tiny/one"
    assert os.path.exists(os.path.join(pulled["backend"]["local_path"], "one-Q4_K_M.gguf"))
    with Connection(llama.port, timeout=120) as connection:
        answer = connection.request("POST", "/chat", {"model": "tiny/one", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 5,
                                                      "stream": True})
        assert answer.status == 200
        lines = [value for _, value in answer.objects()]
    assert len(lines) > 2 and all(line["model"] == "tiny/one" for line in lines) and [line["done"] for line in lines] == [False] * (len(lines) - 1) + [True]
    last = lines[-1]
    assert last["done_reason"] == "length" and last["eval_count"] == 5 and last["prompt_eval_count"] > 0
    assert last["total_duration"] > 0 and last["load_duration"] > 0
    assert llama.loaded() == {"tiny/one": "llama"}
    again = llama.said("tiny/one")
    assert again["message"]["role"] == "assistant" and again["eval_count"] == 4
    assert llama.stop() == 0


def test_a_model_without_a_chat_template_completes_a_text(llama):
    llama.serve()
    llama.pull("tiny/two")
    said = llama.said("tiny/two", text="what is this?")
    assert said["done"] is True and said["message"]["content"] and said["eval_count"] == 4


def test_other_clients_have_the_same_models(llama):
    llama.serve()
    llama.pull("tiny/one", init=True)
    assert llama.loaded() == {"tiny/one": "llama"}
    assert [row["name"] for row in llama.ask("GET", "/api/tags").json["models"]] == ["tiny/one"]
    assert [row["id"] for row in llama.ask("GET", "/v1/models").json["data"]] == ["tiny/one"]
    chat = {"model": "tiny/one", "messages": [{"role": "user", "content": "hi"}]}
    assert llama.ask("POST", "/v1/chat/completions", {**chat, "max_tokens": 3}, timeout=60).json["usage"]["completion_tokens"] == 3
    assert llama.ask("POST", "/api/chat", {**chat, "stream": False, "options": {"num_predict": 3}}, timeout=60).json["eval_count"] == 3


@pytest.mark.limit(300)
def test_twenty_clients_swap_two_models_without_a_failed_request(llama):
    llama.configure("models", max_cache_models="1")
    llama.serve()
    for model in ("tiny/one", "tiny/two"):
        llama.pull(model)
    models = [("tiny/one", "tiny/two")[number % 2] for number in range(CLIENTS)]
    clients = [Background(llama.chat, model, f"client {number}", 240) for number, model in enumerate(models)]
    for client, model in zip(clients, models):
        answer = client.result(280)
        assert answer.status == 200 and answer.json["model"] == model and answer.json["eval_count"] == 4, answer.body
    assert len(llama.loaded()) == 1
    starts = llama.process.logged(r" exec .*program=llama:tiny/(one|two)\b")
    assert 2 <= len(starts) <= CLIENTS  # they take turns, and not one for each request


@pytest.mark.limit(120)
def test_killed_while_it_loads(llama):
    llama.configure("models", load_cooldown="2s")
    llama.serve()
    llama.pull("tiny/one")
    client = Background(llama.chat, "tiny/one")
    os.kill(llama.wait_engine("--alias"), signal.SIGKILL)
    answer = client.result(60)
    if answer.status != 200:  # it was ready a moment before: then the load was over
        assert answer.status == 503 and "llama" in answer.json["error"] and int(answer.header("retry-after")) <= 3, answer.body
        assert llama.ask("GET", "/status").json["failed"][0]["model"] == "tiny/one"
        until(lambda: llama.chat("tiny/one").status == 200, 30, "the end of the cooldown", llama.process.tail)


@pytest.mark.limit(120)
def test_killed_while_it_answers(llama):
    llama.serve()
    llama.pull("tiny/one")
    assert llama.said("tiny/one")
    with Connection(llama.port, timeout=60) as connection:
        answer = connection.request("POST", "/chat", {"model": "tiny/one", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 2000, "stream": True})
        lines = answer.lines()
        next(lines)
        os.kill(llama.wait_engine("--alias"), signal.SIGKILL)
        last = [line for _, line in lines if line.strip()][-1]
    assert "error" in json.loads(last)
    assert llama.said("tiny/one")["eval_count"] == 4
    assert not llama.process.ended()


def test_a_file_that_is_no_model(llama, hub):
    hub.commit("tiny/broken", {"broken-Q4_0.gguf": b"GGUF" + bytes(4000)})
    llama.serve()
    llama.pull("tiny/broken")
    refused = llama.chat("tiny/broken")
    assert refused.status == 503 and "llama" in refused.json["error"] and refused.header("retry-after")
    failed = llama.ask("GET", "/status").json["failed"]
    assert [row["model"] for row in failed] == ["tiny/broken"] and failed[0]["reasons"]
