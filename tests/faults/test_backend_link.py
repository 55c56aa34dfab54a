"""Faults on the way between the proxy and its backend, at every kind of place of an answer: each request ends honestly, and nothing is left of it."""
import json
import os

import pytest

from client import Connection
from shim import WAYS
from waiting import SLACK, until

HELLO = [{"role": "user", "content": "hello"}]
ROUTES = {
    "generate, streamed": ("POST", "/api/generate", {"model": "m", "prompt": "x"}),
    "generate": ("POST", "/api/generate", {"model": "m", "prompt": "x", "stream": False}),
    "chat, streamed": ("POST", "/api/chat", {"model": "m", "messages": HELLO}),
    "openai, streamed": ("POST", "/v1/chat/completions", {"model": "m", "messages": HELLO, "stream": True}),
    "openai": ("POST", "/v1/chat/completions", {"model": "m", "messages": HELLO}),
    "a list": ("GET", "/api/tags", None),
}


def text_of(body: bytes) -> str:
    """What the model said, in any of the forms; of a list what it has."""
    said = ""
    for line in body.decode("utf-8", "replace").splitlines():
        line = line.removeprefix("data: ").strip()
        if not line.startswith("{"):
            continue
        value = json.loads(line)
        choice = (value.get("choices") or [{}])[0]
        said += value.get("response") or value.get("message", {}).get("content") or choice.get("delta", choice.get("message", {})).get("content") or ""
        said += ",".join(model["name"] for model in value.get("models", []))
    return said


def ask(sidecar, route):
    """(status, whether it ended as its framing demands, body); a connection that breaks before its answer is (0, False, b"")."""
    method, path, body = route
    try:
        with Connection(sidecar.port, timeout=20) as connection:
            answer = connection.request(method, path, body)
            whole = answer.body
            return answer.status, answer.clean, whole
    except (EOFError, ConnectionError):
        return 0, False, b""


def leave(sidecar, route) -> None:
    """Ask, and go when nothing has come for a while, as it never will."""
    method, path, body = route
    with Connection(sidecar.port, timeout=1 / SLACK) as connection:
        try:
            connection.request(method, path, body).body  # pylint: disable=expression-not-assigned
        except (TimeoutError, EOFError, ConnectionError):
            pass


def complaint(way, answer, expected: str) -> str:
    """"" where it is honest: whole, or an error, or no proper end. What garbage is within a text nobody can tell."""
    status, is_clean, body = answer
    if status >= 400:
        return "" if b"error" in body else f"{status} without a word"
    if not is_clean or status == 0 or way == "garbage":
        return ""
    return "" if text_of(body) == expected else f"it ended properly with {text_of(body)!r}, all is {expected!r}"


def descriptors(pid: int) -> int:
    """How many it has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def assert_nothing_is_left(sidecar, before: int, place) -> None:
    """No request, no slot, no descriptor; and the next one is served."""
    def rests():
        health = sidecar.health()
        return health and not any(health["requests"][name] for name in ("in_flight", "held", "queued") if name in health["requests"])

    until(rests, 10, f"{place}: no request to be left", lambda: f"{sidecar.health()}\n{sidecar.process.tail()}")
    until(lambda: descriptors(sidecar.process.pid) <= before, 10, f"{place}: no more than {before} descriptors", sidecar.process.tail)
    assert ask(sidecar, ROUTES["generate"])[0] == 200, place


@pytest.mark.limit(120)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("route", ROUTES)
def test_each_end_is_honest_and_nothing_is_left(sidecar, shim, route, way):
    ask(sidecar, ROUTES[route])  # what is done once is done
    shim.arm()
    status, is_clean, body = ask(sidecar, ROUTES[route])
    expected, whole_n = text_of(body), shim.passed
    assert status == 200 and is_clean and expected
    before = descriptors(sidecar.process.pid) + 2  # connections that are kept, for which there may be more of them
    complaints = []
    for at in sorted({0, 1, whole_n // 4, whole_n // 2, whole_n - 16, whole_n - 3}):
        shim.arm(way, at)
        if way == "half-open":
            leave(sidecar, ROUTES[route])
        else:
            wrong = complaint(way, ask(sidecar, ROUTES[route]), expected)
            complaints += [f"{way} behind {at} of {whole_n} bytes: {wrong}"] if wrong else []
        assert shim.hits == 1 or at == whole_n - 3, f"behind {at} of {whole_n} bytes nothing has happened"  # times in an answer have more digits or fewer
        shim.arm()
        assert_nothing_is_left(sidecar, before, (way, at))
    assert not complaints, "\n".join(complaints)
    assert sidecar.process.stop() == 0
