"""Clients that listen to one optimised answer, and a backend that makes it when the test says so."""
import json

import pytest

from client import Connection
from played_backend import END, Held, chunk, head
from raw_client import sock_to
from waiting import until

CHAT = {"model": "qwen3:4b", "messages": [{"role": "user", "content": "hi"}]}
STREAM = {**CHAT, "stream": True}
PATH = "/v1/chat/completions"
BOTH = pytest.mark.parametrize("body", [STREAM, CHAT], ids=["stream", "whole"])
SECRETS = {"a": "sesame-a-0123456789", "b": "sesame-b-0123456789"}


def line(text, done=False, **more):
    """A line of /api/chat."""
    return json.dumps({"model": "qwen3:4b", "created_at": "2026-01-01T00:00:00Z", "message": {"role": "assistant", "content": text},
                       **more, "done": done}, separators=(",", ":")).encode() + b"\n"


LAST = line("", True, done_reason="stop", total_duration=9, prompt_eval_count=3, eval_count=2)
WHOLE = line("token", True, done_reason="stop", total_duration=9, prompt_eval_count=3, eval_count=2)


def good(request):
    """A short answer, as it was asked for."""
    if b'"stream":true' in request[1]:
        yield from (head(), chunk(line("to")), chunk(line("ken")), chunk(LAST), END)
    else:
        yield from (head("application/json"), chunk(WHOLE), END)


class HeldGood(Held):
    """… when the test says so."""

    def __call__(self, request):
        self.steps = [self.go, *good(request)]
        return super().__call__(request)


@pytest.fixture
def optimizer(sidecar, before):
    """start(*steps, play=, optimizer={…}, **keys of [proxy]) puts a proxy with the optimizer before a played backend."""
    def start(*steps, play=None, more=None, **keys):
        sidecar.configure("supervisor", log_level="debug")
        sidecar.configure("optimizer", enabled="yes", **(more or {}))
        return before(*steps, play=play, **keys)

    return start


def connect(sidecar, source="127.0.0.1", receive_bytes=0):
    """From this address; receive_bytes: how much the kernel may take for us, about."""
    connection = Connection.__new__(Connection)
    connection.__dict__.update(sock=sock_to(sidecar, receive_bytes, source=source), host=f"127.0.0.1:{sidecar.port}", _buffer=b"", _method="")
    return connection


def listens(sidecar, count):
    """That so many requests have come to listen, in all."""
    until(lambda: len(sidecar.process.logged(r" to=listen\b")) >= count, 5, f"{count} listeners", sidecar.process.tail)


def sends(sidecar, count=1, body=None, headers=(), **how):
    """So many clients, each with its request sent, one after the other."""
    before = len(sidecar.process.logged(r" to=listen\b"))
    clients = []
    for nth in range(count):
        client = connect(sidecar, **how)
        client.send("POST", PATH, body or STREAM, headers)
        listens(sidecar, before + nth + 1)
        clients.append(client)
    return clients


def hear(client):
    """An answer to its end."""
    answer = client.receive()
    answer.body  # pylint: disable=pointless-statement
    return answer


def error_of(answer):
    """What an answer ends with, or is, that broke."""
    return json.loads(answer.body.rstrip().split(b"data: ")[-1])["error"]


def entries(sidecar, count):
    """The access lines, once there are so many."""
    def look():
        found = [json.loads(text) for text in sidecar.process.log if '"event":"access"' in text]
        return found if len(found) >= count else None

    return until(look, 5, f"{count} access lines", sidecar.process.tail)
