"""Models that take turns in memory: requests wait for theirs, share a start, and none is stopped that answers."""
import pytest

from client import Background, Connection, ask
from waiting import until

HELLO = [{"role": "user", "content": "hello"}]


@pytest.fixture
def server(sidecar, engines):
    """start(max_cache_models, **keys of the engine): a model server without Ollama; the models a/a, b/b and c/c are in its cache."""
    def start(models_n=1, **keys):
        for model in ("a/a", "b/b", "c/c"):
            engines.cache.model(model)
        engines.add(**keys)
        sidecar.configure("program:ollama", autostart="no")
        sidecar.configure("models", max_cache_models=str(models_n))
        sidecar.start()
        until(lambda: ready(sidecar), 10, "the proxy answers", sidecar.process.tail)
        return sidecar.port

    return start


def ready(sidecar) -> bool:
    """Whether the proxy takes requests."""
    try:
        return ask(sidecar.port, "GET", "/live").status == 200
    except OSError:
        return False


def chat(port, model, timeout=60, **more):
    """An answer of /v1/chat/completions."""
    return ask(port, "POST", "/v1/chat/completions", {"model": model, "messages": HELLO, **more}, timeout=timeout)


def said(answer):
    """What the model said."""
    assert answer.status == 200, answer.body
    return answer.json["choices"][0]["message"]["content"]


def running(engines) -> list:
    """The models of engines that run, by the journal."""
    up: dict = {}
    for entry in engines.journal():
        if entry["event"] == "started":
            up[entry["pid"]] = entry["model"]
        elif entry["event"] in ("stopping", "exits"):
            up.pop(entry["pid"], None)
    return sorted(up.values())


def most_at_once(engines) -> int:
    """How many ran at once, at the most."""
    up, most = set(), 0
    for entry in engines.journal():
        if entry["event"] == "started":
            up.add(entry["pid"])
        elif entry["event"] in ("stopping", "exits"):
            up.discard(entry["pid"])
        most = max(most, len(up))
    return most


def test_the_first_request_starts_its_model_and_the_next_finds_it(server, engines):
    engines.script(load_s=0.3)
    port = server()
    answer = chat(port, "a/a")
    assert said(answer) == "I am a/a"
    assert answer.header("X-Sidecar-Backend") == "played"
    assert int(answer.header("X-Sidecar-Load-Ms")) >= 250
    again = chat(port, "a/a")
    assert said(again) == "I am a/a" and again.header("X-Sidecar-Load-Ms") is None
    assert len(engines.starts()) == 1
    assert engines.journal("request")[0]["body"]["model"] == "a/a"


@pytest.mark.parametrize("name", ["a/a:latest", "A/A"])
def test_a_model_is_found_as_clients_write_it(server, engines, name):
    port = server()
    assert said(chat(port, name)) == "I am a/a"
    told = ask(port, "POST", "/api/chat", {"model": name, "messages": HELLO, "stream": False}).json
    assert told["model"] == name and told["message"]["content"] == "I am a/a"
    assert {entry["body"]["model"] for entry in engines.journal("request")} == {"a/a"}


def test_all_who_want_a_model_share_one_start(server, engines):
    engines.script(load_s=0.5)
    port = server()
    waiting = [Background(chat, port, "a/a") for _ in range(10)]
    assert [said(one.result(60)) for one in waiting] == ["I am a/a"] * 10
    assert len(engines.starts()) == 1


def test_who_waits_has_heartbeats_and_one_who_leaves_ends_nothing(sidecar, server, engines):
    engines.script(load_s=1.5)
    sidecar.configure("proxy", heartbeat_after="100ms", heartbeat_interval="200ms")
    port = server()
    body = {"model": "a/a", "messages": HELLO, "stream": True}
    with Connection(port, timeout=30) as one, Connection(port, timeout=30) as two:
        one.send("POST", "/v1/chat/completions", body)
        two.send("POST", "/v1/chat/completions", body)
        engines.wait("listening", timeout=20)
        one.close()  # the other waits on
        answer = two.receive()
        pieces = [data for _, data in answer.pieces()]
    assert answer.status == 200
    text = b"".join(pieces)
    assert text[:text.index(b"data: ")].count(b": ") >= 2, text
    assert text.rstrip().endswith(b"data: [DONE]")
    assert len(engines.starts()) == 1


def test_r1_6_the_least_recently_used_makes_room(server, engines):
    port = server(2)
    for model in ("a/a", "b/b", "a/a", "c/c"):
        assert said(chat(port, model)) == f"I am {model}"
    assert running(engines) == ["a/a", "c/c"]
    assert most_at_once(engines) == 2


def test_r1_6_one_that_answers_is_never_stopped(server, engines):
    engines.script(models={"a/a": {"tokens": 30, "token_delay_ms": 100}})
    port = server()
    with Connection(port, timeout=60) as connection:
        connection.send("POST", "/v1/chat/completions", {"model": "a/a", "messages": HELLO, "stream": True})
        answer = connection.receive()
        lines = answer.lines()
        next(lines)
        other = Background(chat, port, "b/b")
        assert sum(b"tok" in line for _, line in lines) == 30 and answer.clean
    assert said(other.result(60)) == "I am b/b"
    assert most_at_once(engines) == 1


def test_two_models_are_swapped_by_twenty_clients_without_a_failed_request(server, engines):
    engines.script(load_s=0.2)
    port = server()

    def client(number):
        return [said(chat(port, model, timeout=120)) == f"I am {model}" for turn in range(6) for model in [("a/a", "b/b")[(number + turn) % 2]]]

    clients = [Background(client, number) for number in range(20)]
    assert all(all(one.result(240)) for one in clients)
    assert len(engines.journal("request")) == 120
    assert most_at_once(engines) == 1
    assert 2 <= len(engines.starts()) <= 40  # it is drained and swapped, and not for each request


def test_who_is_not_used_is_stopped_after_a_while(server, engines):
    port = server(idle_timeout="500ms")
    assert said(chat(port, "a/a")) == "I am a/a"
    engines.wait("stopping", timeout=10, model="a/a")
    assert said(chat(port, "a/a")) == "I am a/a"  # and comes again
    assert len(engines.starts()) == 2


def test_slots_of_an_engine_are_a_line_of_its_own(server, engines):
    engines.script(tokens=4, token_delay_ms=50)
    port = server(slots="1")
    assert all(said(one.result(60)) == "tok " * 4 for one in [Background(chat, port, "a/a") for _ in range(5)])
    answered = [entry["event"] for entry in engines.journal() if entry["event"] in ("request", "answered") and entry.get("path", "").startswith("/v1/chat")]
    assert answered == ["request", "answered"] * 5  # one after the other


def test_a_new_proxy_takes_over_what_runs(sidecar, server, engines):
    port = server(2)
    assert said(chat(port, "a/a")) == "I am a/a"
    assert sidecar.ctl("restart", "proxy").returncode == 0
    assert said(chat(port, "a/a")) == "I am a/a"
    assert len(engines.starts()) == 1
    assert said(chat(port, "b/b")) == "I am b/b"
    assert running(engines) == ["a/a", "b/b"]


def test_reloads_under_load_fail_nobody(sidecar, server, engines):
    """The proxies, those that drain and the one that follows, take turns with the one place."""
    engines.script(load_s=0.1)
    port = server()

    def client(number):
        return [said(chat(port, model, timeout=120)) == f"I am {model}" for turn in range(8) for model in [("a/a", "b/b")[(number + turn) % 2]]]

    clients = [Background(client, number) for number in range(10)]
    for number in range(3):
        engines.wait("answered", timeout=60, count=20 * number + 10, path="/v1/chat/completions")
        sidecar.configure("proxy", heartbeat_interval=f"{5 + number}s")
        sidecar.write_ini()
        assert sidecar.ctl("reload").returncode == 0
    assert all(all(one.result(240)) for one in clients)
    assert most_at_once(engines) <= 2


@pytest.mark.parametrize("is_renamed", [False, True])
def test_who_waits_for_a_place_has_it_after_a_reload_too(sidecar, server, engines, is_renamed):
    """The proxy that drains goes on asking, by the engine's name: its place means another one by now."""
    engines.script(models={"a/a": {"tokens": 30, "token_delay_ms": 100}})
    port = server()
    with Connection(port, timeout=60) as connection:
        connection.send("POST", "/v1/chat/completions", {"model": "a/a", "messages": HELLO, "stream": True})
        answer = connection.receive()
        lines = answer.lines()
        next(lines)
        other = Background(chat, port, "b/b")
        until(lambda: ask(port, "GET", "/health").json["instances"][-1]["waiting"] == 1, 10, "b/b waits")
        sidecar.settings = {"engine:zero": {"command": "zero %(path)s %(port)s"}, **sidecar.settings}
        if is_renamed:
            engines.add("another")
            sidecar.configure("models", engines="another, played")
        sidecar.write_ini()
        since = len(sidecar.process.log)
        assert sidecar.ctl("reload").returncode == 0
        sidecar.process.wait_log(" proxy listening ", since=since)
        assert sum(b"tok" in line for _, line in lines) == 30 and answer.clean
    told = other.result(60)
    assert said(told) == "I am b/b" and told.header("X-Sidecar-Backend") == "played"
    assert most_at_once(engines) == 1


def test_a_model_that_comes_into_the_cache_by_itself_is_found(server, engines):
    port = server()
    missing = chat(port, "d/d")
    assert missing.status == 404
    assert missing.json["error"]["message"] == "Model 'd/d' not available locally. Use the /pull endpoint"
    engines.cache.model("d/d")
    until(lambda: chat(port, "d/d").status == 200, 20, "the model is found")
