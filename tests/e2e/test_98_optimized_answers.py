"""Answers of the optimizer: in each strategy each is a valid object of OpenAI's, whole and streamed, and so is each failure. (R4.5)"""
import json
import re

import pytest

import openai_schema as schema
from played_backend import BROKEN, END, HANG, Held, chunk, head, single
from test_81_openai_answers import ANSWERS, CALLS, error_of, events, says, told, valid, whole
from waiting import until

PATH = "/v1/chat/completions"
TALK = {"model": "auto", "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "what was it?"},
                                      {"role": "assistant", "content": "a file"}, {"role": "user", "content": "which?"}]}
SUMMARY = single(says("they spoke of a file", True, done_reason="stop"))
EACH_STRATEGY = pytest.mark.parametrize("strategy", ["A", "B", "C"])
SAID = {**ANSWERS, **CALLS}


@pytest.fixture(name="optimised")
def _optimised(sidecar, before):
    """start(steps, summary, **keys) puts a proxy with three strategies before a backend whose m answers by these steps, its small one by
    that summary; ask(strategy, **more) asks it."""
    sidecar.configure("optimizer", enabled="yes", models="auto")
    sidecar.configure("strategy:A", max_tokens=1999, model="m", tools="native")
    sidecar.configure("strategy:B", min_tokens=2000, max_tokens=6000, model="m")
    sidecar.configure("strategy:C", min_tokens=6001, map_model="small", reduce_model="m")

    class Optimised:
        """What a test needs."""

        @staticmethod
        def start(steps, summary=None, **keys):
            def play(request):
                return (SUMMARY if summary is None else summary) if b'"model":"small"' in request[1] else steps(request) if callable(steps) else steps
            return before(play=play, **keys)

        @staticmethod
        def ask(strategy, **more):
            with sidecar.connect() as connection:
                answer = connection.request("POST", PATH, {**TALK, **more}, headers=[("X-Sidecar-Strategy", strategy)])
                answer.body  # pylint: disable=pointless-statement
                return answer

    return Optimised


def streamed(lines):
    """The steps of Ollama's stream."""
    return [head(), *(chunk(json.dumps(line).encode() + b"\n") for line in lines), END]


@EACH_STRATEGY
@pytest.mark.parametrize("name", SAID)
def test_r4_5_an_object_is_valid_in_each_strategy(optimised, strategy, name):
    backend = optimised.start(single(whole(SAID[name])))
    answer = optimised.ask(strategy)
    value = valid(answer.json, schema.CHAT, "chat.ChatCompletion")
    assert answer.status == 200 and value["model"] == "m" and answer.header("X-Sidecar-Strategy") == strategy
    assert (value["choices"][0]["finish_reason"] == "tool_calls") == (name in CALLS)
    assert [json.loads(body)["model"] for _, body in backend.requests] == (["small", "m"] if strategy == "C" else ["m"])


@EACH_STRATEGY
@pytest.mark.parametrize("name", SAID)
def test_r4_5_a_stream_is_valid_in_each_strategy(optimised, strategy, name):
    optimised.start(streamed(SAID[name]))
    answer = optimised.ask(strategy, stream=True, stream_options={"include_usage": True})
    values = events(answer, schema.CHAT_CHUNK, "chat.ChatCompletionChunk")
    assert {value["model"] for value in values} == {"m"} and answer.header("X-Sidecar-Strategy") == strategy
    assert values[-1]["usage"] and (values[-2]["choices"][0]["finish_reason"] == "tool_calls") == (name in CALLS)


FAILURES = {  # steps, its status, its code
    "no memory": (single({"error": "no memory"}, "500 Oh"), 500, None),
    "no such model": (single({"error": "model \"m\" not found"}, "404 Not Found"), 404, "model_not_found"),
    "what is that": (single({"error": "what is that"}, "400 Bad Request"), 400, None),
    "too long": (single({"error": "input length exceeds maximum context length"}, "500 Oh"), 400, "context_length_exceeded"),
    "no object": (single([1]), 502, "backend_error"),
    "a page": ([head("text/html"), chunk(b"<html>"), END], 502, "backend_error"),
    "nothing": (single({}), 502, "backend_error"),
}


@EACH_STRATEGY
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("name", FAILURES)
def test_r4_5_a_failure_is_an_error_object_in_each_strategy(optimised, strategy, stream, name):
    steps, status, code = FAILURES[name]
    optimised.start(steps)
    answer = optimised.ask(strategy, stream=stream)
    assert error_of(answer, status)[2] == code and answer.header("Content-Type") == "application/json"
    assert answer.header("X-Sidecar-Strategy") == strategy


@EACH_STRATEGY
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("name", FAILURES)
def test_r4_5_or_an_answer_as_configured(optimised, strategy, stream, name):
    steps, _, code = FAILURES[name]
    optimised.start(steps, fallback_answer="yes")
    answer = optimised.ask(strategy, stream=stream)
    text, reason = told(answer, PATH)
    assert text.startswith("Error: ") and reason == "stop" and answer.header("X-Sidecar-Error") == (code or "backend_error")
    assert answer.header("X-Sidecar-Strategy") == strategy
    assert (answer.header("Content-Type") == "text/event-stream") == stream


@EACH_STRATEGY
@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("fallback", ["no", "yes"])
def test_r4_5_a_stream_that_breaks_ends_with_its_error(sidecar, optimised, strategy, name, fallback):
    steps, words, _ = BROKEN[name]
    held = Held(*steps)
    held.steps = [head(), chunk(json.dumps(says("to")).encode() + b"\n"), *held.steps]
    optimised.start(held, fallback_answer=fallback)
    with sidecar.connect() as connection:
        answer = connection.request("POST", PATH, {**TALK, "stream": True}, headers=[("X-Sidecar-Strategy", strategy)])
        pieces = answer.pieces()
        first = next(pieces)[1]
        held.go.set()
        answer._body = first + b"".join(data for _, data in pieces)  # pylint: disable=protected-access
    assert b'"to"' in first
    if fallback == "yes":
        text, reason = told(answer, PATH)
        assert text.startswith("to") and words in text and reason == "stop"
        return
    assert not answer.clean  # the framing's end is missing
    pieces = [piece for piece in answer.body.decode().split("\n\n") if piece.startswith("data: ")]
    error = valid(json.loads(pieces[-1].removeprefix("data: ")), schema.ERROR)["error"]
    assert words in error["message"] and "[DONE]" not in answer.body.decode()
    for piece in pieces[:-1]:
        valid(json.loads(piece.removeprefix("data: ")), schema.CHAT_CHUNK)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("summary", [single({"error": "no memory"}, "500 Oh"), single([1]), [head("text/html"), chunk(b"<html>"), END]],
                         ids=["an error", "no object", "a page"])
def test_r4_5_where_nothing_could_be_mapped_the_answer_is_valid(optimised, stream, summary):
    backend = optimised.start(streamed(SAID["text"]) if stream else single(whole(SAID["text"])), summary=summary)
    answer = optimised.ask("C", stream=stream)
    assert told(answer, PATH) == ("token", "stop")
    assert [json.loads(body)["model"] for _, body in backend.requests] == ["small", "small", "m"]


@pytest.mark.parametrize("strategy", ["B", "C"])
@pytest.mark.parametrize("stream", [True, False])
def test_r4_5_a_call_in_words_is_a_call(optimised, strategy, stream):
    """Tools reach the model as text in these, and so do its calls."""
    said = [says('<tool_call>{"name": "look", "arguments": {"at": "it"}}</tool_call>'), says(done=True, done_reason="stop")]
    optimised.start(streamed(said) if stream else single(whole(said)))
    tools = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {"at": {"type": "string"}}}}}]
    answer = optimised.ask(strategy, stream=stream, tools=tools)
    if stream:
        deltas = [value["choices"][0] for value in events(answer, schema.CHAT_CHUNK, "chat.ChatCompletionChunk")]
        calls, reason = [call for choice in deltas for call in choice["delta"].get("tool_calls", [])], deltas[-1]["finish_reason"]
    else:
        (choice,) = valid(answer.json, schema.CHAT, "chat.ChatCompletion")["choices"]
        calls, reason = choice["message"]["tool_calls"], choice["finish_reason"]
    assert [call["function"]["name"] for call in calls] == ["look"] and reason == "tool_calls"


@pytest.mark.parametrize("body, param", [({"messages": 7}, "messages"), ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages[0].content[0].image_url")])
@pytest.mark.parametrize("fallback", ["no", "yes"])
def test_r4_5_a_mistake_of_the_request_is_told(optimised, body, param, fallback):
    backend = optimised.start([], fallback_answer=fallback)
    answer = optimised.ask("A", **body)
    if fallback == "yes":
        assert told(answer, PATH)[0].startswith(f"Error: {param}")
    else:
        assert error_of(answer, 400) == ("invalid_request_error", param, "invalid_request")
    assert not backend.requests


@EACH_STRATEGY
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("fallback", ["no", "yes"])
def test_r4_5_where_nobody_answers_it_is_told(optimised, strategy, stream, fallback):
    optimised.start([], fallback_answer=fallback).close()
    answer = optimised.ask(strategy, stream=stream)
    if fallback == "yes":
        text, reason = told(answer, PATH)
        assert text.startswith("Error: the backend at ") and reason == "stop"
    else:
        assert error_of(answer, 502) == ("api_error", None, "backend_error")


@pytest.mark.parametrize("strategy, where", [("A", "answer"), ("B", "answer"), ("C", "answer"), ("C", "map")])
@pytest.mark.parametrize("fallback", ["no", "yes"])
@pytest.mark.parametrize("keys", [{}, {"heartbeat_after": "50ms", "heartbeat_interval": "100ms"}], ids=["silent", "heartbeats"])
@pytest.mark.parametrize("stream", [True, False])
def test_r4_5_a_time_limit_is_told(sidecar, optimised, strategy, where, fallback, keys, stream):
    sidecar.configure(f"strategy:{strategy}", timeout="300ms")
    backend = optimised.start([HANG], summary=[HANG] if where == "map" else None, fallback_answer=fallback, **keys)
    answer = optimised.ask(strategy, stream=stream)
    answer._body = re.sub(rb"^:.*\n", b"", answer.body, flags=re.M)  # pylint: disable=protected-access
    if fallback == "yes":
        text, reason = told(answer, PATH)
        assert "300ms" in text and reason == "stop"
    elif keys:
        assert answer.status == 200 and not answer.clean
        text = answer.body.decode()
        last = text[text.index("{"):] if not stream else text[text.rindex("data: ") + 6:]
        assert valid(json.loads(last), schema.ERROR)["error"]["code"] == "strategy_timeout" and "[DONE]" not in text
    else:
        assert error_of(answer, 504)[2] == "strategy_timeout"
    assert answer.header("X-Sidecar-Strategy") == (None if keys else strategy)  # a heartbeat has sent the head
    until(lambda: backend.cuts >= 1, 5, "its connections are closed")
