"""The OpenAI-shaped handlers, with what Ollama makes of them (and loses: a mid-stream error has no words here)."""
import calendar
import time

from . import api, infer, names, store
from .api import Refuse, body_of, installed
from .wire import dumps


class Sse:
    """chat.completion or text_completion, as one object or as server-sent events."""

    content_type = "text/event-stream"

    def __init__(self, request: dict, chat: bool, number: int):
        self.model = request.get("model", "")
        self.streams = request.get("stream") is True
        self.usage = bool((request.get("stream_options") or {}).get("include_usage"))
        self.chat = chat
        self.id = f"{'chatcmpl' if chat else 'cmpl'}-{number}"

    def _object(self, choices: list) -> dict:
        kind = ("chat.completion.chunk" if self.streams else "chat.completion") if self.chat else "text_completion"
        return {"id": self.id, "object": kind, "created": int(time.time()), "model": self.model,
                "system_fingerprint": "fp_ollama", "choices": choices}

    def _choice(self, text: str, reason=None) -> dict:
        if not self.chat:
            return {"text": text, "index": 0, "finish_reason": reason}
        message = {"role": "assistant", "content": text}
        return {"index": 0, "delta" if self.streams else "message": message, "finish_reason": reason}

    @staticmethod
    def _usage(facts: dict) -> dict:
        asked, said = facts["prompt_eval_count"], facts["eval_count"]
        return {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said}

    def piece(self, text: str) -> bytes:
        """One token."""
        return b"data: " + dumps(self._object([self._choice(text)])) + b"\n\n"

    def last(self, facts: dict) -> list:
        """The finish reason, the usage where asked for, and [DONE]."""
        parts = [b"data: " + dumps(self._object([self._choice("", facts["done_reason"])])) + b"\n\n"]
        if self.usage:
            parts.append(b"data: " + dumps({**self._object([]), "usage": self._usage(facts)}) + b"\n\n")
        return parts + [b"data: [DONE]\n\n"]

    def whole(self, said: list, facts: dict) -> dict:
        """The answer as one object."""
        return {**self._object([self._choice("".join(said), facts["done_reason"])]), "usage": self._usage(facts)}

    def error(self, _text: str) -> bytes:
        """Ollama turns it into an empty delta; the stream then ends without [DONE]."""
        return self.piece("")

    def nothing(self, reason: str) -> dict:
        """An empty prompt loads the model here, too."""
        return self.whole([], {"done_reason": reason, "prompt_eval_count": 0, "eval_count": 0})


def _body(conn) -> dict:
    try:
        return body_of(conn)
    except Refuse as error:
        text = "EOF" if str(error) == "missing request body" else str(error)
        raise Refuse(error.status, text) from error


def chat(conn):
    """POST /v1/chat/completions"""
    request = _body(conn)
    messages = request.get("messages") or []
    if not messages:
        raise Refuse(400, "[] is too short - 'messages'")
    if names.parse(request.get("model")) is None:
        raise Refuse(400, "model is required")
    shape = Sse(request, True, conn.request.id)
    infer.answer(conn, _native(request), shape, installed(request, "quoted"), _text(messages))


def completions(conn):
    """POST /v1/completions"""
    request = _body(conn)
    shape = Sse(request, False, conn.request.id)
    infer.answer(conn, _native(request), shape, installed(request, "plain"), request.get("prompt") or "")


def _native(request: dict) -> dict:
    """max_tokens is the one option that shows in an answer of ours; what is thought has no place in it."""
    limit = request.get("max_tokens")
    return {"think": False, **({"options": {"num_predict": limit}} if isinstance(limit, int) else {})}


def _text(messages: list) -> str:
    content = messages[-1].get("content") if isinstance(messages[-1], dict) else ""
    if isinstance(content, list):
        content = " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content or " "


def embeddings(conn):
    """POST /v1/embeddings"""
    request = _body(conn)
    given = request.get("input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts:
        raise Refuse(400, "invalid input")
    if any(not isinstance(text, str) for text in texts):
        raise Refuse(400, "invalid input type")
    with api.loaded(conn, installed(request, "quoted"), {}):
        data = [{"object": "embedding", "embedding": api.vector(text), "index": index}
                for index, text in enumerate(texts)]
    count = sum(max(1, len(text.split())) for text in texts)
    conn.json(200, {"object": "list", "data": data, "model": request["model"],
                    "usage": {"prompt_tokens": count, "total_tokens": count}})


def models(conn):
    """GET /v1/models; an empty list is null, as Go has it."""
    data = [_model(facts["name"], facts["name"], facts) for facts in store.listing()]
    conn.json(200, {"object": "list", "data": data or None})


def model(conn):
    """GET /v1/models/:model"""
    text = conn.request.path[len("/v1/models/"):]
    name = store.find(text)
    if name is None:
        raise Refuse(404, f"model '{text}' not found")
    conn.json(200, _model(text, name.short, store.facts(name)))


def _model(shown: str, short: str, facts: dict) -> dict:
    created = calendar.timegm(time.strptime(facts["modified_at"][:19], "%Y-%m-%dT%H:%M:%S"))
    return {"id": shown, "object": "model", "created": created, "owned_by": names.parse(short).namespace}


def refuse(conn, error: Refuse) -> None:
    """OpenAI's shape of an error. Ollama says api_error for all that its native handlers refuse."""
    complaint = error.status == 400 and str(error) != "model is required"
    kind = "invalid_request_error" if complaint else "api_error"
    conn.json(error.status, {"error": {"message": str(error), "type": kind, "param": None, "code": None}})
