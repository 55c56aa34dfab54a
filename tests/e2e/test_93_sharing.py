"""R4.6: identical optimised requests in flight, of one key or address, share one generation; each hears it as if it were alone."""
import json
import threading

import pytest

from client import Background, Connection, ask
from played_backend import CLOSE, END, HANG, RESET, Held, chunk, head, single
from raw_client import sock_to
from waiting import SLACK, until

CHAT = {"model": "qwen3:4b", "messages": [{"role": "user", "content": "hi"}]}
STREAM = {**CHAT, "stream": True}
PATH = "/v1/chat/completions"
ON = {"enabled": "yes"}


def line(text, done=False, **more):
    """A line of /api/chat."""
    return json.dumps({"model": "qwen3:4b", "created_at": "2026-01-01T00:00:00Z", "message": {"role": "assistant", "content": text},
                       **more, "done": done}, separators=(",", ":")).encode() + b"\n"


LAST = line("", True, done_reason="stop", total_duration=9, prompt_eval_count=3, eval_count=2)
GOOD = [chunk(line("to")), chunk(line("ken")), chunk(LAST), END]


@pytest.fixture
def optimizer(sidecar, before):
    """start(*steps, play=, optimizer={…}, **keys of [proxy]) puts a proxy with the optimizer before a played backend."""
    def start(*steps, play=None, more=None, **keys):
        sidecar.configure("optimizer", **{**ON, **(more or {})})
        return before(*steps, play=play, **keys)

    return start


def say(sidecar, body=None, headers=()):
    return ask(sidecar.port, "POST", PATH, body or STREAM, headers)


def together(sidecar, count, body=None, headers=()):
    """So many clients at once, each with its request sent."""
    clients = []
    for _ in range(count):
        client = sidecar.connect()
        client.send("POST", PATH, body or STREAM, headers)
        clients.append(client)
    return clients


def joined(sidecar, count):
    """That so many requests listen."""
    sidecar.process.wait_log(r"to=listen", count=count)


def test_an_answer_is_heard_r4_6(sidecar, optimizer):
    backend = optimizer(head(), *GOOD)
    for body in (STREAM, CHAT):
        answer = say(sidecar, body)
        assert answer.status == 200 and answer.clean, answer.body
        assert b"ken" in answer.body
    assert len(backend.requests) == 2
