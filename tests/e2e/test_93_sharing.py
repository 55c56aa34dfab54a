"""R4.6: identical optimised requests in flight, of one key or address, share one generation; each hears it as if it were alone."""
import json
import threading

import pytest

from played_backend import CLOSE, END, RESET, Held, chunk, head, single
from raw_client import sock_to
from sharing import (BOTH, PATH, SECRETS, STREAM, HeldGood, connect, entries, error_of, hear, line, listens,
                     optimizer, sends)  # noqa: F401
from test_92_map_reduce import boot, complete
from waiting import until

# ---- who shares ----

@BOTH
def test_two_identical_requests_make_one_generation_r4_6(sidecar, optimizer, body):
    play = HeldGood()
    backend = optimizer(play=play)
    first, second = sends(sidecar, 2, body)
    play.go.set()
    one, other = hear(first), hear(second)
    assert one.status == other.status == 200 and one.clean and other.clean
    assert b"ken" in one.body and one.body == other.body
    assert one.header("X-Request-Id") != other.header("X-Request-Id")
    assert one.header("X-Sidecar-Shared") is None and other.header("X-Sidecar-Shared") == "yes"
    if body is STREAM:
        assert one.header("Content-Type") == "text/event-stream" and one.header("X-Accel-Buffering") == "no" and one.body.endswith(b"data: [DONE]\n\n")
    else:
        assert one.header("Content-Length") and one.json["choices"][0]["message"]["content"] == "token"
    assert sorted(str(entry["shared"]) for entry in entries(sidecar, 2)) == ["None", "yes"]
    for entry in entries(sidecar, 2):
        assert (entry["status"], entry["ended"], entry["prompt_tokens"], entry["generated_tokens"], entry["model"]) == (200, "done", 3, 2, "qwen3:4b")
    assert len(backend.requests) == 1 and backend.cuts == 0
    first.send("POST", PATH, body)
    assert hear(first).body and len(backend.requests) == 2, "what has ended is nobody's any more; the connection serves on"


@pytest.mark.parametrize("what", ["body", "key", "address", "unknown address", "strategy", "off", "chance", "model"])
def test_what_is_never_shared_r4_6(sidecar, optimizer, what):
    """Another body, key, address or strategy; nothing where it is off; with chance in it where only the deterministic are; other models."""
    play = HeldGood()
    if what == "key":
        for name, secret in SECRETS.items():
            sidecar.configure(f"key:{name}", secret=secret)
    keys = {"trusted_proxies": "127.0.0.1", "open": "yes"} if what == "unknown address" else {}
    backend = optimizer(play=play, more={"share": {"off": "off", "chance": "deterministic"}.get(what, "all")}, **keys)
    one, other = {}, {}
    if what == "key":
        one, other = ({"headers": [("Authorization", f"Bearer {secret}")]} for secret in SECRETS.values())
    elif what == "body":
        other = {"body": {**STREAM, "user": "x"}}
    elif what == "address":
        other = {"source": "127.0.0.2"}
    elif what == "unknown address":
        one = other = {"headers": [("X-Forwarded-For", "unknown")]}
    elif what == "strategy":
        other = {"headers": [("X-Sidecar-Strategy", "A")]}
    elif what == "model":
        one = other = {"body": {**STREAM, "model": "other"}}
    clients = []
    for how in (one, other):
        before = len(backend.requests)
        client = connect(sidecar, how.get("source", "127.0.0.1"))
        client.send("POST", PATH, how.get("body", STREAM), how.get("headers", ()))
        until(lambda: len(backend.requests) > before, 5, "a request of its own", sidecar.process.tail)
        clients.append(client)
    play.go.set()
    answers = [hear(client) for client in clients]
    assert all(answer.clean and answer.status == 200 and answer.header("X-Sidecar-Shared") is None for answer in answers)


@pytest.mark.parametrize("more", [{"temperature": 0}, {"temperature": 0.0, "top_p": 1}, {"seed": 7}], ids=str)
def test_without_chance_it_is_shared_r4_6(sidecar, optimizer, more):
    play = HeldGood()
    backend = optimizer(play=play, more={"share": "deterministic"})
    clients = sends(sidecar, 2, {**STREAM, **more})
    play.go.set()
    assert hear(clients[0]).body == hear(clients[1]).body and len(backend.requests) == 1


def test_one_key_shares_from_anywhere_r4_6(sidecar, optimizer):
    sidecar.configure("key:a", secret=SECRETS["a"])
    play = HeldGood()
    backend = optimizer(play=play)
    bearer = [("Authorization", f"Bearer {SECRETS['a']}")]
    clients = sends(sidecar, 1, headers=bearer) + sends(sidecar, 1, headers=bearer, source="127.0.0.2")
    play.go.set()
    assert hear(clients[0]).body == hear(clients[1]).body and len(backend.requests) == 1


# ---- how it ends ----

FAILURES = {
    "an error": (single({"error": "boom"}, "500 Internal Server Error"), 500, "boom"),
    "no such model": (single({"error": "model 'qwen3:4b' not found"}, "404 Not Found"), 404, "not found"),
    "nothing": ([CLOSE], 502, "did not answer"),
    "garbage": ([head(), chunk(b"<html>\n"), END], 502, "the backend"),
}


@pytest.mark.parametrize("name", FAILURES)
@BOTH
def test_an_error_is_shared_and_the_next_asks_anew_r4_6(sidecar, optimizer, name, body):
    steps, status, text = FAILURES[name]
    play = Held(*steps)
    backend = optimizer(play=play)
    clients = sends(sidecar, 2, body)
    play.go.set()
    for answer in map(hear, clients):
        assert (answer.status, answer.clean) == (status, True) and text in answer.json["error"]["message"]
        assert answer.header("Content-Type") == "application/json"
    asked = len(backend.requests)
    assert asked == (2 if name == "nothing" else 1), "and one more try, for both"
    again, = sends(sidecar, 1, body)
    assert hear(again).status == status and len(backend.requests) > asked


ENDS = {"error": [chunk(b'{"error":"gone"}\n'), END], "reset": [RESET], "close": [CLOSE], "no end": [END]}


@pytest.mark.parametrize("end", ENDS)
def test_an_answer_that_breaks_breaks_for_all_r4_6(sidecar, optimizer, end):
    breaks = threading.Event()
    play = Held(head(), chunk(line("to")), breaks, *ENDS[end])
    optimizer(play=play)
    clients = sends(sidecar, 2)
    play.go.set()
    answers = [client.receive() for client in clients]
    pieces = [answer.pieces() for answer in answers]
    heard = [next(mine)[1] for mine in pieces]
    assert heard[0] == heard[1] and b'"to"' in heard[0]
    breaks.set()
    rests = [b"".join(data for _, data in mine) for mine in pieces]
    assert rests[0] == rests[1] and not any(answer.clean for answer in answers)
    assert rests[0].startswith(b'data: {"error":{"message":"') and rests[0].endswith(b"\n\n") and b"[DONE]" not in rests[0]
    assert {entry["ended"] for entry in entries(sidecar, 2)} == {
        {"error": "backend_error", "no end": "backend_unfinished"}.get(end, "backend_broken")}


@BOTH
def test_fallback_answers_are_each_ones_own_r4_5_r4_6(sidecar, optimizer, body):
    """An error becomes an answer for whoever listens: before a byte of it, and behind what was said."""
    for is_said in (False, True) if body is STREAM else (False,):
        is_heard = threading.Event()
        said = [head(), chunk(line("to")), is_heard, chunk(b'{"error":"boom"}\n'), END]
        play = Held(*(said if is_said else single({"error": "boom"}, "500 Internal Server Error")))
        optimizer(play=play, fallback_answer="yes")
        clients = sends(sidecar, 2, body)
        play.go.set()
        answers = [client.receive() for client in clients]
        is_heard.set()
        for answer in answers:
            assert answer.status == 200 and b"Error: boom" in answer.body and answer.clean
            assert (answer.header("X-Sidecar-Error") is None) == is_said
            if body is STREAM:
                objects = [json.loads(text[6:]) for text in answer.body.decode().split("\n\n")[:-2]]
                assert answer.body.endswith(b"data: [DONE]\n\n") and (b'"to"' in answer.body) == is_said
                assert len({value["id"] for value in objects}) == 1
                assert sum("role" in choice["delta"] for value in objects for choice in value["choices"]) == 1
        sidecar.process.stop()


def test_http_1_0_hears_it_beside_others_r4_6(sidecar, optimizer):
    play = HeldGood()
    backend = optimizer(play=play)
    usual, = sends(sidecar)
    old = sock_to(sidecar)
    text = json.dumps(STREAM).encode()
    old.sendall(b"POST %s HTTP/1.0\r\nContent-Length: %d\r\n\r\n%s" % (PATH.encode(), len(text), text))
    listens(sidecar, 2)
    play.go.set()
    answer, data = hear(usual), b""
    while more := old.recv(1 << 16):
        data += more
    top, body = data.split(b"\r\n\r\n", 1)
    assert body == answer.body and b"Transfer-Encoding" not in top and b"Connection: close" in top and len(backend.requests) == 1


def test_who_listens_is_told_why_ollama_died_r4_6(sidecar):
    """Before a byte, both are served by the next one; behind some, both are told the reason that the supervisor knows."""
    sidecar.configure("supervisor", log_level="debug")
    sidecar.configure("optimizer", enabled="yes")
    sidecar.boot("qwen3:4b", crash_while_answering={"signal": "KILL", "after_tokens": 2}, token_delay_ms=100)
    answers = [hear(client) for client in sends(sidecar, 2)]
    for answer in answers:
        assert answer.status == 200 and not answer.clean and b'"role":"assistant"' in answer.body
        assert "SIGKILL" in error_of(answer)["message"] or "signal 9" in error_of(answer)["message"], error_of(answer)
    sidecar.wait_ready()
    again, = sends(sidecar)
    assert hear(again).body.endswith(b"data: [DONE]\n\n")


def test_other_backends_are_not_asked_r4_6(sidecar, optimizer, openai_backend):
    """What is optimised goes to Ollama, whoever else has a model of that name; what is not goes its way."""
    other = openai_backend(models=["qwen3:4b", "other"])
    play = HeldGood()
    backend = optimizer(play=play)
    clients = sends(sidecar, 2)
    play.go.set()
    assert [hear(client).status for client in clients] == [200, 200] and other.journal == []
    assert len([top for top, _ in backend.requests if top.startswith(b"POST /api/chat ")]) == 1


# ---- heartbeats ----

@pytest.mark.parametrize("form", ["comment", "chunk", "off"])
def test_each_has_its_own_heartbeats_r4_6(sidecar, optimizer, form):
    """By its key; they stand between events, and what they are apart all hear the same."""
    sidecar.configure("key:a", secret=SECRETS["a"], heartbeat=form)
    play = HeldGood()
    optimizer(play=play, heartbeat_after="100ms", heartbeat_interval="100ms")
    first, second = sends(sidecar, 2, headers=[("Authorization", f"Bearer {SECRETS['a']}")])
    if form == "off":
        play.go.set()
        assert hear(first).body == hear(second).body
        return
    answers = [first.receive(), second.receive()]
    assert [answer.header("X-Sidecar-Shared") for answer in answers] == [None, "yes"]
    pieces = [answer.pieces() for answer in answers]
    begun = [b"".join(next(mine)[1] for _ in range(2)) for mine in pieces]
    play.go.set()
    bodies = [start + b"".join(data for _, data in mine) for start, mine in zip(begun, pieces)]
    assert all(answer.clean for answer in answers)
    if form == "comment":
        assert all(body.startswith(b": ping\n: ping\n") for body in bodies)
        told = [body.replace(b": ping\n", b"") for body in bodies]
    else:
        told = [b"\n\n".join(event for event in body.split(b"\n\n") if b'"delta":{},"finish_reason":null' not in event) for body in bodies]
        ids = {json.loads(event[6:])["id"] for body in bodies for event in body.split(b"\n\n")[:-2]}
        assert len(ids) == 1
    assert told[0] == told[1] and told[0].endswith(b"data: [DONE]\n\n")


def test_chunks_that_say_nothing_name_the_model_that_will_answer_r4_2(sidecar):
    """Also while parts are mapped; they are chunks of the answer that comes behind them."""
    sidecar.configure("proxy", heartbeat="chunk", heartbeat_after="100ms", heartbeat_interval="100ms")
    boot(sidecar, small={"first_token_delay_ms": 500})
    answer = complete(sidecar, stream=True)
    objects = [json.loads(event[6:]) for event in answer.body.split(b"\n\n")[:-2]]
    assert answer.clean and objects[0]["choices"] == [{"index": 0, "delta": {}, "finish_reason": None}]
    assert {value["model"] for value in objects} == {"qwen3:4b"} and len({value["id"] for value in objects}) == 1


@BOTH
def test_an_error_behind_a_heartbeat_is_told_inside_r4_6(sidecar, optimizer, body):
    play = Held(*single({"error": "boom"}, "500 Internal Server Error"))
    optimizer(play=play, heartbeat_after="100ms", heartbeat_interval="100ms")
    clients = sends(sidecar, 2, body)
    answers = [client.receive() for client in clients]
    play.go.set()
    for answer in answers:
        assert answer.status == 200 and b"boom" in answer.body and not answer.clean
        assert error_of(answer)["message"] == "boom"
