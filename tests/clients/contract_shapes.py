"""Whether answers are what OpenAI's own types say, strictly; and what no type says of a stream."""
import functools
import json

import openai.types as types
import openai.types.chat as chat
import openai.types.shared as shared
import pydantic

WHOLE = {"/v1/chat/completions": chat.ChatCompletion, "/v1/completions": types.Completion,
         "/v1/embeddings": types.CreateEmbeddingResponse}
CHUNK = {"/v1/chat/completions": chat.ChatCompletionChunk, "/v1/completions": types.Completion}


class Models(pydantic.BaseModel):
    """A list of models."""

    object: str
    data: list[types.Model]


_adapter = functools.cache(pydantic.TypeAdapter)


def _is_valid(kind, value) -> None:
    _adapter(kind).validate_json(json.dumps(value), strict=True)


def _is_chunk(path: str, value) -> None:
    """A completion's chunks have the type of the whole, which leaves out that most have no reason to end yet."""
    if path == "/v1/completions":
        value = {**value, "choices": [{**choice, "finish_reason": choice["finish_reason"] or "stop"} for choice in value["choices"]]}
    _is_valid(CHUNK[path], value)


def _unpacked(value):
    """Embeddings in base64 are not in the types, though the client asks for them."""
    for entry in value["data"]:
        if isinstance(entry["embedding"], str):
            entry["embedding"] = [0.0]
    return value


def events_of(text: str) -> list:
    """The objects of a stream, and what else stands in a data line."""
    pieces = [line.removeprefix("data: ") for line in text.split("\n") if line.startswith("data: ")]
    return [piece if piece == "[DONE]" else json.loads(piece) for piece in pieces]


def _judge_stream(path: str, text: str) -> None:
    *chunks, done = events_of(text)
    assert done == "[DONE]"
    for chunk in chunks:
        _is_chunk(path, chunk)
    assert len({(chunk["id"], chunk["created"], chunk["object"], chunk["model"]) for chunk in chunks}) == 1
    reasons = [choice["finish_reason"] for chunk in chunks for choice in chunk["choices"]]
    assert reasons[-1] in ("stop", "length", "tool_calls") and not any(reasons[:-1])
    if "chat" in path:
        roles = [choice["delta"].get("role") for chunk in chunks for choice in chunk["choices"]]
        assert roles[0] == "assistant" and not any(roles[1:])


def judge_answer(record: dict, is_left: bool) -> None:
    """One answer of /v1, as it was on the wire."""
    path, text = record["path"], record["body"].encode("latin-1").decode()
    if record["status"] >= 400:
        value = json.loads(text)
        assert set(value) == {"error"} and {"message", "type", "param", "code"} == set(value["error"]) and value["error"]["message"]
        _is_valid(shared.ErrorObject, value["error"])
    elif is_left:
        for chunk in events_of(text[:text.rfind("\n\n") + 2]):
            _is_chunk(path, chunk)
    elif record["type"].startswith("text/event-stream"):
        _judge_stream(path, text)
    elif path in WHOLE:
        value = json.loads(text)
        _is_valid(WHOLE[path], _unpacked(value) if "embeddings" in path else value)
    elif path == "/v1/models":
        _is_valid(Models, json.loads(text))
    else:
        assert path.startswith("/v1/models/"), path
        _is_valid(types.Model, json.loads(text))
