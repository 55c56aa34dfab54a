"""Answers of /v1: each is a valid object of OpenAI's, whole and streamed, and so is each error."""
import importlib.util
import json

import pytest

import openai_schema as schema
from played_backend import BROKEN, END, Held, chunk, head, single
from waiting import until

CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
TEXT = {"model": "m", "prompt": "hi"}
EMBED = {"model": "m", "input": ["a", "b"]}
ALL = pytest.mark.parametrize("path, body", [("/v1/chat/completions", CHAT), ("/v1/completions", TEXT), ("/v1/embeddings", EMBED)])


def ask(sidecar, path, body=None, method="POST"):
    """An answer, read to its end."""
    with sidecar.connect() as connection:
        answer = connection.request(method, path, body)
        answer.body  # pylint: disable=pointless-statement
        return answer


def error_of(answer, status):
    """The members of a whole error object, but for its message."""
    error = valid(answer.json, schema.ERROR)["error"]
    assert answer.clean and answer.status == status and set(answer.json) == {"error"} and isinstance(error["message"], str) and error["message"]
    assert set(error) == {"message", "type", "param", "code"}
    return error["type"], error["param"], error["code"]


def valid(value, wanted, model=None):
    """The same value, which is just what OpenAI's reference demands, and what its client makes its objects of. model: the client's, by
    its place there."""
    assert not schema.faults(value, wanted)
    if model and importlib.util.find_spec("openai"):
        place, name = model.rsplit(".", 1)
        getattr(importlib.import_module(f"openai.types.{place}".rstrip(".")), name).model_validate(value, strict=True)
    return value


def events(answer, wanted, model):
    """The objects of a stream, which ends with [DONE]; the first and the last are what they must be among others."""
    pieces = answer.body.decode().split("\n\n")
    assert answer.status == 200 and answer.clean and answer.header("Content-Type") == "text/event-stream" and pieces[-2:] == ["data: [DONE]", ""]
    return [valid(json.loads(piece.removeprefix("data: ")), wanted, model) for piece in pieces[:-2]]


def says(text="", done=False, **more):
    """A line of Ollama's, of /api/chat and /api/generate; tool_calls and thinking are in its message."""
    message = {"role": "assistant", "content": text, **{name: more.pop(name) for name in ("tool_calls", "thinking") if name in more}}
    return {"model": "m", "created_at": "2026-01-01T00:00:00Z", "message": message, "response": text, **more, "done": done}


LAST = {"done_reason": "stop", "total_duration": 9, "prompt_eval_count": 3, "eval_count": 2}
CALL = {"function": {"name": "look", "arguments": {"at": "it"}}}
PROBABLE = [{"token": "t", "logprob": -0.25, "bytes": [116], "top_logprobs": [{"token": "t", "logprob": -0.25}, {"token": "x", "logprob": -2}]}]
ANSWERS = {  # what Ollama says, line by line
    "text": [says("to"), says("ken"), says(done=True, **LAST)],
    "nothing": [says(done=True, **LAST)],
    "no counts": [says("x"), says(done=True, done_reason="length")],
    "a load": [says(done=True, done_reason="load")],
    "a strange reason": [says("x"), says(done=True, **{**LAST, "done_reason": "tired"})],
    "thinking": [says(thinking="hm"), says("so", thinking="!"), says("."), says(done=True, **LAST)],
    "logprobs": [says("t", logprobs=PROBABLE), says("t", logprobs=[{"token": "t", "logprob": 0}]), says(done=True, **LAST)],
}
CALLS = {"a call": [says(tool_calls=[CALL]), says(done=True, **LAST)],
         "calls": [says("I'll look.", tool_calls=[CALL, {**CALL, "id": "x"}]), says(tool_calls=[CALL]), says(done=True, **LAST)],
         "a call at the end": [says("t"), says(done=True, tool_calls=[CALL], **LAST)],
         "thought and called": [says(thinking="hm", tool_calls=[CALL]), says(done=True, **LAST)]}
KINDS = {"/v1/chat/completions": (CHAT, schema.CHAT, "chat.ChatCompletion", schema.CHAT_CHUNK, "chat.ChatCompletionChunk"),
         "/v1/completions": (TEXT, schema.COMPLETION, ".Completion", schema.COMPLETION_CHUNK, None)}  # its client has no object for pieces
CASES = [(path, name) for path in KINDS for name in {**ANSWERS, **(CALLS if "chat" in path else {})}]
EACH = pytest.mark.parametrize("path, name", CASES)


def whole(lines):
    """What Ollama says where it does not stream."""
    said = {**lines[-1], "response": "".join(line["response"] for line in lines)}
    message = {"role": "assistant", "content": said["response"]}
    for member in ("tool_calls", "thinking"):
        values = [line["message"][member] for line in lines if member in line["message"]]
        if values:
            message[member] = sum(values, []) if member == "tool_calls" else "".join(values)
    return {**said, "message": message, **{"logprobs": sum((line.get("logprobs", []) for line in lines), []) or None}}


@EACH
def test_r4_5_one_object_is_valid(sidecar, before, path, name):
    lines = {**ANSWERS, **CALLS}[name]
    before(*single(whole(lines)))
    value = valid(ask(sidecar, path, KINDS[path][0]).json, *KINDS[path][1:3])
    (choice,) = value["choices"]
    assert value["usage"]["total_tokens"] == (5 if "eval_count" in lines[-1] else 0)
    if name in CALLS:
        assert choice["finish_reason"] == "tool_calls" and all("index" not in call for call in choice["message"]["tool_calls"])
        assert choice["message"]["content"] == (whole(lines)["message"]["content"] or None)
    else:
        assert choice["finish_reason"] == ("length" if name == "no counts" else "stop")
    assert bool(choice["logprobs"]) == (name == "logprobs")


@EACH
@pytest.mark.parametrize("has_usage", [True, False])
def test_r4_5_each_chunk_of_a_stream_is_valid(sidecar, before, path, name, has_usage):
    lines = {**ANSWERS, **CALLS}[name]
    before(head(), *(chunk(json.dumps(line).encode() + b"\n") for line in lines), END)
    options = {"stream_options": {"include_usage": True}} if has_usage else {}
    values = events(ask(sidecar, path, {**KINDS[path][0], "stream": True, **options}), *KINDS[path][3:])
    if has_usage:
        assert values[-1]["choices"] == [] and values.pop()["usage"]["prompt_tokens"] == (3 if "eval_count" in lines[-1] else 0)
    assert all(value.get("usage", "absent") == (None if has_usage else "absent") and len(value["choices"]) == 1 for value in values)
    choices = [value["choices"][0] for value in values]
    assert len({value["id"] for value in values}) == 1 and len({value["created"] for value in values}) == 1
    assert not any(choice["finish_reason"] for choice in choices[:-1])
    assert choices[-1]["finish_reason"] == ("tool_calls" if name in CALLS else "length" if name == "no counts" else "stop")
    if "chat" in path:
        deltas = [choice["delta"] for choice in choices]
        assert [delta.get("role") for delta in deltas] == ["assistant"] + [None] * (len(deltas) - 1)
        indices = [call["index"] for delta in deltas for call in delta.get("tool_calls", [])]
        assert indices == list(range(len(indices))) and bool(indices) == (name in CALLS)
        assert "".join(delta.get("reasoning", "") for delta in deltas) == "".join(delta.get("reasoning_content", "") for delta in deltas)
    assert any(choice.get("logprobs") for choice in choices) == (name == "logprobs")


@pytest.mark.parametrize("encoding", ["float", "base64", None])
def test_r4_5_embeddings_are_valid(sidecar, before, encoding):
    before(*single({"model": "m", "embeddings": [[0.5, -1e-7], [1, 2]], "prompt_eval_count": 4}))
    value = ask(sidecar, "/v1/embeddings", {**EMBED, **({"encoding_format": encoding} if encoding else {})}).json
    valid(value, schema.EMBEDDINGS, ".CreateEmbeddingResponse" if encoding != "base64" else None)
    assert [item["index"] for item in value["data"]] == [0, 1]
    assert isinstance(value["data"][0]["embedding"], str) == (encoding == "base64")


@pytest.mark.parametrize("path, body, param", [
    ("/v1/chat/completions", {"messages": []}, "model"),
    ("/v1/chat/completions", {"model": "m", "messages": [{"role": "user", "content": "a"}, {"role": "user", "content": [{"type": "image_url"}, 7]}]},
     "messages[1].content[0].image_url"),
    ("/v1/chat/completions", {**CHAT, "response_format": {"type": "x"}, "stop": [1]}, "stop[0]"),
    ("/v1/completions", {"model": "m"}, "prompt"),
    ("/v1/embeddings", {"model": "m", "input": ["a", 3]}, "input[1]"),
    ("/v1/embeddings", b"no json", None),
])
def test_an_error_names_the_first_mistake(sidecar, before, path, body, param):
    backend = before(*single({}))
    assert error_of(ask(sidecar, path, body), 400) == ("invalid_request_error", param, "invalid_request")
    assert not backend.requests


@ALL
@pytest.mark.parametrize("status, text, told", [
    ("404 Not Found", "model \"m\" not found, try pulling it first", (404, "not_found_error", "model", "model_not_found")),
    ("400 Bad Request", "the prompt is longer than the context length of the model", (400, "invalid_request_error", None, "context_length_exceeded")),
    ("500 Oh", "input length exceeds maximum context length", (400, "invalid_request_error", None, "context_length_exceeded")),
    ("400 Bad Request", "options: what is that", (400, "invalid_request_error", None, None)),
    ("500 Oh", "out of memory", (500, "api_error", None, None)),
])
def test_errors_of_the_backend_have_a_type_and_a_code(sidecar, before, path, body, status, text, told):
    before(*single({"error": text}, status))
    answer = ask(sidecar, path, body)
    assert error_of(answer, told[0]) == told[1:] and answer.json["error"]["message"] == text


@pytest.mark.parametrize("stream", [True, False])
def test_a_prompt_that_is_too_long_as_older_ones_tell_it(sidecar, before, stream):
    """With status 200, in the first line."""
    error = {"error": "the request exceeds the available context size"}
    before(*(head(), chunk(json.dumps(error).encode() + b"\n"), END) if stream else single(error))
    assert error_of(ask(sidecar, "/v1/chat/completions", {**CHAT, "stream": stream}), 400)[2] == "context_length_exceeded"


def test_other_refusals_of_ours_have_a_type(sidecar, before):
    before(*single({}), max_body="1K")
    assert error_of(ask(sidecar, "/v1/chat/completions", {"model": "m" * 2000}), 413) == ("invalid_request_error", None, "body_too_large")
    assert error_of(ask(sidecar, "/v1/nothing"), 404)[:2] == ("not_found_error", None)


NAMES = ("m", "M:latest", "library/m", "library%2Fm:latest", "hf.co/who/what:q4", "hf.co%2Fwho%2Fwhat:Q4", "me/mine:1b", "nosuch", "m:1b", "me/m", "library/nosuch")


def test_models_are_the_same_awake_and_asleep(sidecar):
    sidecar.configure("supervisor", idle_action="stop", idle_timeout="300ms")
    sidecar.boot("m,hf.co/who/what:q4,me/mine:1b")
    paths = ["/v1/models", *(f"/v1/models/{name}" for name in NAMES)]
    awake = {path: ask(sidecar, path, method="GET") for path in paths}
    listed = valid(awake["/v1/models"].json, schema.MODELS)
    assert {model["id"]: model["owned_by"] for model in listed["data"]} == {"m:latest": "library", "hf.co/who/what:q4": "who", "me/mine:1b": "me"}
    assert all(model["created"] > 1_600_000_000 for model in listed["data"])
    for name in NAMES[:7]:
        one = valid(awake[f"/v1/models/{name}"].json, schema.MODEL, ".Model")
        assert one["id"] == name.replace("%2F", "/") and one["created"] in [model["created"] for model in listed["data"]]
    for name in NAMES[7:]:
        assert error_of(awake[f"/v1/models/{name}"], 404) == ("not_found_error", "model", "model_not_found")
    sidecar.wait_health(lambda health: health["state"] == "asleep")
    for path in paths:
        asleep = ask(sidecar, path, method="GET")
        assert asleep.header("X-Sidecar-State") == "asleep"
        assert (asleep.status, asleep.header("Content-Type"), asleep.body) == (awake[path].status, awake[path].header("Content-Type"), awake[path].body)


def test_a_list_that_is_none_is_an_error(sidecar, before):
    before(*single([1, 2]))
    assert error_of(ask(sidecar, "/v1/models", method="GET"), 502)[0] == "api_error"


# errors as answers

OLLAMA_CHAT = {"model": "m", "messages": CHAT["messages"]}
FALLS_BACK = pytest.mark.parametrize("path, body", [("/v1/chat/completions", CHAT), ("/v1/completions", TEXT), ("/api/chat", OLLAMA_CHAT),
                                                    ("/api/generate", TEXT)])


def told(answer, path):
    """(text, reason) of a whole and valid answer, in whatever form."""
    assert answer.status == 200 and answer.clean
    kind = answer.header("Content-Type")
    if path.startswith("/api"):
        values = [json.loads(one) for one in answer.body.splitlines()]
        assert all(value["model"] == "m" and value["created_at"] for value in values) and [value["done"] for value in values] == [False] * (len(values) - 1) + [True]
        return "".join(value["message"]["content"] if path == "/api/chat" else value["response"] for value in values), values[-1]["done_reason"]
    _, one, name, piece, piece_name = KINDS[path]
    if kind == "text/event-stream":
        choices = [value["choices"][0] for value in events(answer, piece, piece_name) if value["choices"]]
    else:
        choices = valid(answer.json, one, name)["choices"]
    text = "".join(choice.get("text") or choice.get("delta", choice.get("message", {})).get("content") or "" for choice in choices)
    return text, choices[-1]["finish_reason"]


def logged(sidecar):
    """(status, ended, code) of the one request."""
    def look():
        return [json.loads(text) for text in sidecar.process.log if '"event":"access"' in text]
    (one,) = until(look, 5, "an access line", sidecar.process.tail)
    return one["status"], one["ended"], one["code"]


@FALLS_BACK
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("status, text, code", [("404 Not Found", "model \"m\" not found", "model_not_found"), ("500 Oh", "out of memory", "backend_error"),
                                                ("400 Bad Request", "what is that", "backend_error")])
def test_r4_5_an_error_is_told_as_an_answer(sidecar, before, path, body, stream, status, text, code):
    before(*single({"error": text}, status), fallback_answer="yes")
    answer = ask(sidecar, path, {**body, "stream": stream})
    assert told(answer, path) == (f"Error: {text}", "stop") and answer.header("X-Sidecar-Error") == code
    assert (answer.header("Content-Type") in ("text/event-stream", "application/x-ndjson")) == stream
    assert logged(sidecar)[0] == int(status.split()[0])


@FALLS_BACK
def test_an_error_of_ours_too(sidecar, before, path, body):
    backend = before(fallback_answer="yes")
    backend.close()
    answer = ask(sidecar, path, {**body, "stream": True})
    text, reason = told(answer, path)
    assert text.startswith("Error: the backend at ") and reason == "stop" and answer.header("X-Sidecar-Error") == "backend_error"
    assert logged(sidecar) == (502, "backend_unreachable", "backend_error")


def test_mistakes_of_a_request_too(sidecar, before):
    before(*single({}), fallback_answer="yes")
    for stream in (True, False):
        answer = ask(sidecar, "/v1/chat/completions", {"model": "m", "stream": stream})
        text, reason = told(answer, "/v1/chat/completions")
        assert text.startswith("Error: messages: ") and reason == "stop" and answer.header("X-Sidecar-Error") == "invalid_request"


@FALLS_BACK
@pytest.mark.parametrize("name", [name for name in BROKEN if name != "no object"])
def test_in_the_middle_of_a_stream_it_comes_behind_what_was_said(sidecar, before, path, body, name):
    steps, words, ended = BROKEN[name]
    play = Held(*steps)
    play.steps = [head(), chunk(json.dumps(says("to")).encode() + b"\n"), *play.steps]
    before(play=play, fallback_answer="yes")
    with sidecar.connect() as connection:
        answer = connection.request("POST", path, {**body, "stream": True})
        pieces = answer.pieces()
        first = next(pieces)[1]
        assert b'"to"' in first
        play.go.set()
        answer._body = first + b"".join(data for _, data in pieces)  # pylint: disable=protected-access
        text, reason = told(answer, path)
    assert text.startswith(f"to\n\nError: {words}") and reason == "stop"
    assert logged(sidecar)[1] == ended


def test_a_call_before_the_error_is_not_to_be_run(sidecar, before):
    call = {"model": "m", "message": {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "look", "arguments": {}}}]}, "done": False}
    before(head(), chunk(json.dumps(call).encode() + b"\n"), chunk(b'{"error":"out of memory"}\n'), END, fallback_answer="yes")
    answer = ask(sidecar, "/v1/chat/completions", {**CHAT, "stream": True})
    text, reason = told(answer, "/v1/chat/completions")
    assert b'"tool_calls"' in answer.body and text.endswith("Error: out of memory") and reason == "stop"


def test_behind_a_heartbeat_the_promised_object_comes(sidecar, before):
    play = Held(*single({"error": "out of memory"}, "500 Oh"))
    before(play=play, fallback_answer="yes", heartbeat_after="50ms")
    with sidecar.connect() as connection:
        answer = connection.request("POST", "/v1/chat/completions", CHAT)
        pieces = answer.pieces()
        assert next(pieces)[1] == b" "
        play.go.set()
        body = b"".join(data for _, data in pieces)
    assert answer.clean and valid(json.loads(body), schema.CHAT)["choices"][0]["message"]["content"] == "Error: out of memory"


def test_what_is_no_inference_stays_an_error(sidecar, before):
    before(*single({"error": "model 'm' not found"}, "404 Not Found"), fallback_answer="yes")
    for path, body in (("/v1/embeddings", EMBED), ("/api/embed", EMBED)):
        answer = ask(sidecar, path, body)
        assert answer.status == 404 and "error" in answer.json and not answer.header("X-Sidecar-Error")


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/api/chat"])
def test_who_is_not_let_in_gets_an_error(sidecar, before, path):
    before(*single({}), fallback_answer="yes")
    with sidecar.connect() as connection:
        answer = connection.request("POST", path, CHAT, headers=[("Origin", "https://elsewhere.example")])
        assert answer.status == 403 and "error" in answer.json


def test_it_is_off_by_default(sidecar, before):
    before(*single({"error": "out of memory"}, "500 Oh"))
    assert error_of(ask(sidecar, "/v1/chat/completions", CHAT), 500)[0] == "api_error"
