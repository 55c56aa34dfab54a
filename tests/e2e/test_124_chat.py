"""R1.2, R1.3: POST /chat: what it answers, whole and as a stream, with and without a chat template."""
import pytest

from served import CHAT, refused, served  # noqa: F401

MEMBERS = ["model", "created_at", "message", "done", "done_reason", "total_duration", "load_duration", "prompt_eval_count", "prompt_eval_duration",
           "eval_count", "eval_duration"]


@pytest.fixture(name="chatting")
def fixture_chatting(served):  # noqa: F811
    """org/model has a chat template, org/base has none."""
    served.engines.cache.model("org/model")
    served.engines.cache.model("org/base", template=None)
    return served.boot()


def asked(served, path):  # noqa: F811
    """What the engine was asked last."""
    return served.engines.journal("request", path=path)[-1]["body"]


def test_r1_2_only_pull_downloads(served):  # noqa: F811
    served.commit()
    served.boot()
    assert refused(served.chat(), 404, "model_not_found") == "Model 'org/model' not available locally. Use the /pull endpoint"
    assert not served.hub.requests and not served.engines.starts()
    assert served.pull().status == 200 and served.chat().status == 200


def test_r1_2_what_is_in_the_cache_counts_as_pulled(chatting):
    assert chatting.chat().status == 200 and not chatting.hub.requests


def test_r1_3_an_answer_is_as_ollamas(chatting):
    answer = chatting.chat()
    assert answer.status == 200 and list(answer.json) == MEMBERS, answer.body
    told = answer.json
    assert (told["model"], told["message"], told["done"], told["done_reason"]) == (
        "org/model", {"role": "assistant", "content": "I am org/model"}, True, "stop")
    assert (told["prompt_eval_count"], told["eval_count"], told["prompt_eval_duration"]) == (1, 3, None)
    assert told["load_duration"] > 0 and told["eval_duration"] > 0 and told["total_duration"] >= told["load_duration"] + told["eval_duration"]
    assert chatting.chat().json["load_duration"] == 0
    assert asked(chatting, "/v1/chat/completions") == {"model": "org/model", "stream": False, "temperature": 0.7, "max_tokens": 512,
                                                       "messages": [{"role": "user", "content": "Hi"}]}


def test_r1_3_what_nobody_says_is_null(chatting):
    chatting.engines.script(no_usage=True)
    told = chatting.chat().json
    assert list(told) == MEMBERS
    assert told["prompt_eval_count"] is told["eval_count"] is told["prompt_eval_duration"] is None


def test_r1_3_a_stream_is_lines(chatting):
    chatting.engines.script(first_token_delay_ms=20)  # nothing is as long as what is told in milliseconds
    with chatting.sidecar.connect(timeout=20) as connection:
        answer = connection.request("POST", "/chat", {"model": "org/model", "stream": True, "messages": [{"role": "user", "content": "Hi"}]})
        assert answer.status == 200 and answer.header("Content-Type") == "application/x-ndjson"
        lines = [line for _, line in answer.objects()]
    assert "".join(line["message"]["content"] for line in lines) == "I am org/model"
    assert [line["done"] for line in lines] == [False] * (len(lines) - 1) + [True]
    assert list(lines[-1]) == MEMBERS and lines[-1]["prompt_eval_duration"] > 0


def test_r1_3_what_is_asked_for_reaches_the_engine(chatting):
    answer = chatting.chat(max_tokens=2, temperature=0, top_p=0.5, seed=7, stop=["x"], unknown=1)
    assert (answer.json["done_reason"], answer.json["eval_count"]) == ("length", 2)
    body = asked(chatting, "/v1/chat/completions")
    assert {name: body[name] for name in ("max_tokens", "temperature", "top_p", "seed", "stop")} == {
        "max_tokens": 2, "temperature": 0, "top_p": 0.5, "seed": 7, "stop": ["x"]}
    assert "unknown" not in body


@pytest.mark.parametrize("is_stream", [False, True])
def test_r1_3_without_a_chat_template_it_is_one_prompt(chatting, is_stream):
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"},
                {"role": "user", "content": "Well?"}]
    with chatting.sidecar.connect(timeout=20) as connection:
        answer = connection.request("POST", "/chat", {"model": "org/base", "messages": messages, "stream": is_stream})
        lines = [line for _, line in answer.objects()]
    assert "".join(line["message"]["content"] for line in lines) == "I am org/base" and list(lines[-1]) == MEMBERS
    body = asked(chatting, "/v1/completions")
    assert body["prompt"] == "System: Be brief.\nUser: Hi\nAssistant: Ho\nUser: Well?\nAssistant: "
    assert (body["max_tokens"], body["temperature"], body["stop"]) == (512, 0.7, ["\nUser:"])


def test_a_name_as_ollamas_clients_write_it_is_the_same_model(chatting):
    told = chatting.chat("org/model:latest").json
    assert told["model"] == "org/model:latest" and told["message"]["content"] == "I am org/model"


def test_a_load_that_fails_is_told_with_when_to_come_again(chatting):
    chatting.engines.script(exit_while_loading={"code": 1, "says": ["RuntimeError: no room"]})
    answer = chatting.chat()
    assert "no room" in refused(answer, 503, "load_cooldown") and int(answer.header("Retry-After")) > 0
    assert len(chatting.engines.starts()) == 1
    assert chatting.chat().status == 503 and len(chatting.engines.starts()) == 1


@pytest.mark.parametrize("is_stream", [False, True])
def test_an_error_may_be_told_as_an_answer(served, is_stream):  # noqa: F811
    served.sidecar.configure("proxy", fallback_answer="yes")
    served.boot()
    with served.sidecar.connect(timeout=20) as connection:
        answer = connection.request("POST", "/chat", {"model": "org/none", "stream": is_stream, **CHAT})
        lines = [line for _, line in answer.objects()]
    assert answer.status == 200 and answer.header("X-Sidecar-Error") == "model_not_found"
    assert lines[-1]["model"] == "org/none" and lines[-1]["done"] is True
    assert lines[-1]["message"]["content"] == "Error: Model 'org/none' not available locally. Use the /pull endpoint"


def test_what_the_engine_refuses_is_told_in_our_words(chatting):
    chatting.engines.script(fails={"status": 400, "message": "temperature: must be less than 2"})
    text = refused(chatting.chat(), 400, None)
    assert "temperature: must be less than 2" in text
