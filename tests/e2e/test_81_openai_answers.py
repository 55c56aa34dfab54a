"""Answers of /v1: each is a valid object of OpenAI's, whole and streamed, and so is each error."""
import json

import pytest

from played_backend import END, chunk, head, single

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
    error = answer.json["error"]
    assert answer.clean and answer.status == status and set(answer.json) == {"error"} and isinstance(error["message"], str) and error["message"]
    assert set(error) == {"message", "type", "param", "code"}
    return error["type"], error["param"], error["code"]


@pytest.mark.parametrize("path, body, param", [
    ("/v1/chat/completions", {"messages": []}, "model"),
    ("/v1/chat/completions", {"model": "m", "messages": [{"role": "user", "content": "a"}, {"role": "user", "content": [{"type": "x"}, 7]}]},
     "messages[1].content[0].type"),
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
