"""/api/generate and /api/chat, and the way of every answer that consists of tokens."""
import time

from . import generate, names, runners, script, skills, store
from .api import BUSY, Refuse, body_of, installed, loaded, unloads
from .wire import dumps


class Native:
    """NDJSON as Ollama's own API has it."""

    content_type = "application/x-ndjson"

    def __init__(self, request: dict, chat: bool):
        self.model = request["model"]
        self.streams = request.get("stream") is not False
        self.chat = chat
        self.top_n = (request.get("top_logprobs") or 0) if request.get("logprobs") else None

    def _object(self, said: list, done: bool, reason: str = "") -> dict:
        value = {"model": self.model, "created_at": store.stamp(time.time())}
        text = "".join(part for part in said if type(part) is str)  # pylint: disable=unidiomatic-typecheck
        thought = "".join(part for part in said if isinstance(part, skills.Thought))
        calls = [call for part in said if isinstance(part, skills.Calls) for call in part]
        beside = {**({"thinking": thought} if thought else {}), **({"tool_calls": calls} if calls else {})}
        if self.top_n is not None and text:
            value["logprobs"] = skills.logprobs([part for part in said if isinstance(part, str)], self.top_n)
        if self.chat:
            value["message"] = {"role": "assistant", "content": text, **beside}
            if reason:
                value["done_reason"] = reason
            value["done"] = done
        else:
            value.update(response=text, **beside, done=done)
            if reason:
                value["done_reason"] = reason
        return value

    def piece(self, text) -> bytes:
        """One token."""
        return dumps(self._object([text], False)) + b"\n"

    def whole(self, said: list, facts: dict) -> dict:
        """The last line of a stream (nothing is said), or the answer as one object."""
        value = self._object(said, True, facts["done_reason"])
        if not self.chat:
            value["context"] = list(range(1, min(64, facts["prompt_eval_count"] + facts["eval_count"]) + 1))
        for key in ("total_duration", "load_duration", "prompt_eval_count", "prompt_eval_duration", "eval_count",
                    "eval_duration"):
            value[key] = facts[key]
        return value

    def last(self, facts: dict) -> list:
        """What ends a stream."""
        return [dumps(self.whole([], facts)) + b"\n"]

    def error(self, text: str) -> bytes:
        """An error after the beginning."""
        return dumps({"error": text}) + b"\n"

    def nothing(self, reason: str) -> dict:
        """The answer to a request that only loads or unloads."""
        return self._object([], True, reason)


def generate_handler(conn):
    """POST /api/generate"""
    request = body_of(conn)
    request.setdefault("model", "")
    name = installed(request, "plain")
    shape, prompt = Native(request, chat=False), request.get("prompt") or ""
    if not prompt and unloads(request):
        runners.expire(name)
        return conn.json(200, shape.nothing("unload"))
    return answer(conn, request, shape, name, prompt)


def chat_handler(conn):
    """POST /api/chat"""
    request = body_of(conn)
    request.setdefault("model", "")
    if names.parse(request["model"]) is None:
        raise Refuse(400, "model is required")
    name = installed(request, "quoted")
    shape = Native(request, chat=True)
    if not request.get("messages") and unloads(request):
        runners.expire(name)
        return conn.json(200, shape.nothing("unload"))
    return answer(conn, request, shape, name, prompt_of(request.get("messages") or []))


def prompt_of(messages: list) -> str:
    """The text of the last message: enough for an echo."""
    last = messages[-1] if messages else {}
    content = last.get("content") if isinstance(last, dict) else ""
    return content if isinstance(content, str) and content else " " if messages else ""


def answer(conn, request: dict, shape, name, prompt: str) -> None:
    """Load the model, then say something in the given shape; without a prompt only load it."""
    started = time.monotonic_ns()
    rules = script.for_model(name)
    if rules.get("busy"):
        raise Refuse(503, BUSY)
    if rules.get("refuses"):
        raise Refuse(400, rules["refuses"])
    fails = rules.get("fails_at")
    if fails and fails["text"] in prompt and script.strikes(fails, "fails_at", fails["text"], fails.get("times")):
        raise Refuse(fails.get("status", 500), "scripted failure")
    if rules.get("garbage_answer") and generate.garbage(conn, rules["garbage_answer"]):
        return
    try:
        with loaded(conn, name, request, bool(prompt)) as runner:
            took = time.monotonic_ns() - started
            if not prompt:
                conn.json(200, shape.nothing("load"))
                return
            source = _timed(generate.tokens(conn, runner, rules, prompt, request), started, took)
            if shape.streams:
                _stream(conn, shape, source, rules.get("garbage_answer"))
            else:
                _gather(conn, shape, source)
    except runners.LoadError as error:
        raise Refuse(500, str(error)) from error


def _timed(source, started: int, load: int):
    """Add the durations that only the handler knows."""
    for item in source:
        if isinstance(item, dict):
            item.update(total_duration=time.monotonic_ns() - started, load_duration=max(1, load))
        yield item


def _stream(conn, shape, source, twist) -> None:
    """Every token in a chunk of its own."""
    conn.start_chunks(shape.content_type)
    try:
        for item in source:
            if not isinstance(item, dict):
                conn.chunk(shape.piece(item))
            elif twist != "no_done":
                for part in shape.last(item) * (2 if twist == "done_twice" else 1):
                    conn.chunk(part)
    except generate.MidStreamError as error:
        conn.chunk(shape.error(str(error)))
    if twist == "bytes_after_done":
        conn.chunk(b"bytes that nobody asked for\n")
    conn.end_chunks()


def _gather(conn, shape, source) -> None:
    """Everything at once, when it is complete."""
    texts, facts = [], {}
    try:
        for item in source:
            if isinstance(item, dict):
                facts = item
            else:
                texts.append(item)
    except generate.MidStreamError as error:
        raise Refuse(500, str(error)) from error
    conn.json(200, shape.whole(texts, facts))
