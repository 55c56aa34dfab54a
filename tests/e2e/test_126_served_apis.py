"""The models of a hub's cache under the APIs that others have: lists, shows, chats of /api and /v1."""
import json
import re

import pytest

from served import CHAT, served  # noqa: F401


@pytest.fixture(name="both")
def fixture_both(served):  # noqa: F811
    """org/model has a chat template, org/base has none and is GGUF's."""
    served.engines.cache.model("org/model")
    served.engines.cache.model("org/base", template=None)
    return served.boot()


def test_api_tags_lists_them(both):
    models = {row["name"]: row for row in both.ask("GET", "/api/tags").json["models"]}
    assert set(models) == {"org/model", "org/base"}
    row = models["org/model"]
    assert row["model"] == "org/model" and row["size"] > 0 and re.fullmatch("[0-9a-f]{64}", row["digest"])
    assert (row["details"]["format"], row["details"]["family"]) == ("safetensors", "LlamaForCausalLM")
    assert row["modified_at"]


def test_v1_models_lists_them_and_shows_one(both):
    told = both.ask("GET", "/v1/models").json
    assert told["object"] == "list" and {row["id"]: row["owned_by"] for row in told["data"]} == {"org/model": "org", "org/base": "org"}
    assert both.ask("GET", "/v1/models/org/model").json["id"] == "org/model"
    assert both.ask("GET", "/v1/models/org%2Fmodel").json["id"] == "org/model"
    answer = both.ask("GET", "/v1/models/org/other")
    assert answer.status == 404 and answer.json["error"]["code"] == "model_not_found"


def test_api_show_shows_them(both):
    told = both.ask("POST", "/api/show", {"model": "org/model"}).json
    assert told["capabilities"] == ["completion", "tools"] and told["details"]["format"] == "safetensors"
    assert told["model_info"]["openai.context_length"] == 4096
    assert both.ask("POST", "/api/show", {"name": "org/base:latest"}).json["capabilities"] == ["completion"]
    answer = both.ask("POST", "/api/show", {"model": "org/other"})
    assert answer.status == 404 and answer.json == {"error": "Model 'org/other' not available locally. Use the /pull endpoint"}


def test_api_ps_lists_those_that_are_loaded(both):
    assert both.ask("GET", "/api/ps").json == {"models": []}
    assert both.chat().status == 200
    row, = both.ask("GET", "/api/ps").json["models"]
    assert row["name"] == row["model"] == "org/model" and row["size"] > 0 and row["size_vram"] == 0
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", row["expires_at"])


@pytest.mark.parametrize("path", ["/api/tags", "/v1/models", "/api/ps"])
def test_a_key_sees_its_own(served, path):  # noqa: F811
    served.sidecar.configure("key:team", secret="sesame-team-0123456789", rights="observe", models="org/model")
    served.sidecar.configure("key:all", secret="sesame-all-0123456789", rights="inference")
    served.engines.cache.model("org/model")
    served.engines.cache.model("org/base")
    served.boot()
    for model in ("org/model", "org/base"):
        assert served.ask("POST", "/chat", {"model": model, **CHAT}, [("Authorization", "Bearer sesame-all-0123456789")]).status == 200
    told = served.ask("GET", path, headers=[("Authorization", "Bearer sesame-team-0123456789")]).json
    assert [row.get("name", row.get("id")) for row in told.get("models", told.get("data"))] == ["org/model"]


@pytest.mark.parametrize("model, path", [("org/model", "/v1/chat/completions"), ("org/base", "/v1/completions")])
def test_ollamas_chat_and_generate_are_answered_by_the_engine(both, model, path):
    told = both.ask("POST", "/api/chat", {"model": model, "stream": False, **CHAT}).json
    assert told["message"]["content"] == f"I am {model}" and told["done"] is True and told["load_duration"] > 0
    told = both.ask("POST", "/api/generate", {"model": model, "stream": False, "prompt": "Hi"}).json
    assert told["response"] == f"I am {model}" and told["done"] is True
    assert {entry["path"] for entry in both.engines.journal("request")} == {path}


def test_v1_chat_completions_pass(both):
    told = both.ask("POST", "/v1/chat/completions", {"model": "org/model:latest", **CHAT}).json
    assert told["choices"][0]["message"]["content"] == "I am org/model" and told["usage"]["completion_tokens"] == 3
    with both.sidecar.connect(timeout=20) as connection:
        answer = connection.request("POST", "/v1/chat/completions", {"model": "org/model", "stream": True, **CHAT})
        body = answer.body.decode()
    assert answer.header("Content-Type").startswith("text/event-stream") and body.rstrip().endswith("data: [DONE]")
    pieces = [json.loads(line[6:]) for line in body.split("\n") if line.startswith("data: {")]
    assert "".join(choice["delta"].get("content") or "" for piece in pieces for choice in piece["choices"]) == "I am org/model"


PARTS = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": [{"type": "text", "text": "Hi"}]}]


@pytest.mark.parametrize("manners", ["vllm", "transformers"])
def test_v1_chat_completions_of_a_model_without_a_chat_template_are_one_prompt(both, manners):
    both.engines.script(manners=manners)
    told = both.ask("POST", "/v1/chat/completions", {"model": "org/base", "messages": PARTS, "max_completion_tokens": 3, "temperature": 0}).json
    assert told["object"] == "chat.completion" and told["model"] == "org/base" and told["usage"]["completion_tokens"] == 3
    assert told["choices"] == [{"index": 0, "message": {"role": "assistant", "content": "I am org/base"}, "logprobs": None, "finish_reason": "stop"}]
    body = both.engines.journal("request", path="/v1/completions")[-1]["body"]
    assert body == {"model": "org/base", "temperature": 0, "max_tokens": 3, "stop": ["\nUser:"], "prompt": "System: Be brief.\nUser: Hi\nAssistant: "}
    with both.sidecar.connect(timeout=20) as connection:
        answer = connection.request("POST", "/v1/chat/completions", {"model": "org/base", "messages": PARTS, "stream": True, "stop": "x"})
        events = [line[6:] for line in answer.body.decode().split("\n") if line.startswith("data: ")]
    assert answer.clean and events[-1] == "[DONE]"
    pieces = [json.loads(event) for event in events[:-1]]
    assert {piece["object"] for piece in pieces} == {"chat.completion.chunk"} and pieces[0]["choices"][0]["delta"]["role"] == "assistant"
    assert "".join(piece["choices"][0]["delta"]["content"] for piece in pieces if piece["choices"]) == "I am org/base"
    assert [piece["choices"][0]["finish_reason"] for piece in pieces if piece["choices"]][-1] == "stop"
    image = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}]
    answer = both.ask("POST", "/v1/chat/completions", {"model": "org/base", "messages": image, "tools": [{"type": "function"}]})
    assert answer.status == 400
    assert answer.json["error"]["message"] == ("tools: not for a model that has no chat template; "
                                               "messages[0].content[0]: must be a text, as the model has no chat template")


def test_an_ollama_beside_it_keeps_its_models(sidecar, engines):
    engines.add()
    engines.cache.model("org/model")
    sidecar.boot("m:latest", tokens=2)
    assert {row["name"] for row in sidecar.ask("GET", "/api/tags").json["models"]} == {"m:latest", "org/model"}
    assert {row["id"] for row in sidecar.ask("GET", "/v1/models").json["data"]} == {"m:latest", "org/model"}
    assert sidecar.ask("POST", "/api/show", {"model": "org/model"}).json["details"]["format"] == "safetensors"
    assert sidecar.generate("m").json["done"] is True
    assert sidecar.ask("POST", "/api/chat", {"model": "org/model", "stream": False, **CHAT}, timeout=20).json["message"]["content"] == "I am org/model"
    assert {row["name"] for row in sidecar.ask("GET", "/api/ps").json["models"]} == {"m:latest", "org/model"}
    answer = sidecar.ask("POST", "/chat", {"model": "m", **CHAT})
    assert answer.status == 404 and answer.json["detail"] == "Model 'm' not available locally. Use the /pull endpoint"
    assert sidecar.ask("GET", "/health").json["status"] == "ok"


def test_what_ollama_lists_is_not_looked_for_in_the_hubs_cache_again_and_again(sidecar, engines):
    engines.add()
    sidecar.configure("supervisor", log_level="debug")
    sidecar.boot("m:latest", tokens=4, token_delay_ms=400)
    jobs = len(sidecar.process.logged(" hub_job "))
    for _ in range(2):  # each takes longer than a list is fresh for who wants another model
        assert sidecar.generate("m").json["done"] is True
    assert len(sidecar.process.logged(" hub_job ")) == jobs
    assert sidecar.ask("POST", "/chat", {"model": "m", **CHAT}).status == 404
    assert len(sidecar.process.logged(" hub_job ")) == jobs + 1
