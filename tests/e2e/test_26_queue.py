"""Slots and the line for them: order, leaving, bounds, and that no way to end keeps a slot."""
import json
import os
import signal
import time

import pytest

import standin
from client import ask
from waiting import SLACK, until

CHAT = {"messages": [{"role": "user", "content": "x"}]}


def ask_for(sidecar, prompt="x", model="m"):
    """A request in the background."""
    return sidecar.background("POST", "/api/generate", {"model": model, "prompt": prompt, "stream": False})


def line_of(sidecar, count, model="m"):
    """So many, each when the one before stands in line (or is served, for longer than this takes)."""
    calls, already = [], sidecar.health()["requests"]["in_flight"]
    for number in range(count):
        calls.append(ask_for(sidecar, f"p{number}", model))
        wait_requests(sidecar, in_flight=already + number + 1)
    return calls


def occupy(sidecar, model="m", **script):
    """A client whose request is at the backend, and stays there until it leaves; the script is for those behind it."""
    sidecar.backend.script(tokens=2, token_delay_ms=1, hang_after_tokens=1)
    connection = sidecar.connect(timeout=20)
    connection.send("POST", "/api/generate", {"model": model, "prompt": "first"})
    sidecar.backend.wait("first_token")
    sidecar.backend.script(**script)
    return connection


def wait_requests(sidecar, **wanted):
    """Until /health counts so many."""
    return sidecar.wait_health(lambda health: wanted.items() <= health["requests"].items(), what=f"requests {wanted}")


def prompts(sidecar, path="/api/generate"):
    """What has reached the backend, in order."""
    return [json.loads(entry["body"])["prompt"] for entry in sidecar.backend.requests(path)]


def most_at_once(sidecar):
    """How many requests that are work the backend had at the same time, at the most; but for the one that it learns late that it is
    gone."""
    most, now = 0, set()
    for entry in sidecar.backend.journal():
        if entry["event"] == "request" and entry["method"] == "POST" and entry["path"] != "/api/show" and '"first"' not in entry["body"]:
            now.add((entry["pid"], entry["id"]))
        elif entry["event"] in ("done", "answered", "cancelled"):
            now.discard((entry["pid"], entry["id"]))
        most = max(most, len(now))
    return most


def one_slot(sidecar, models="m", **script):
    """Our own default. At the end nobody waits for those who stand in line."""
    sidecar.configure("environment", OLLAMA_NUM_PARALLEL=None)
    sidecar.configure("supervisor", shutdown_timeout="1s")
    return sidecar.boot(models, **script)


# order

def test_twenty_requests_for_one_slot_are_served_one_by_one_in_order(sidecar):
    one_slot(sidecar)
    first = occupy(sidecar, tokens=2, token_delay_ms=10)
    calls = line_of(sidecar, 20)
    wait_requests(sidecar, queued=20)
    first.close()
    answers = [call.result() for call in calls]
    assert [answer.status for answer in answers] == [200] * 20
    assert prompts(sidecar) == ["first"] + [f"p{number}" for number in range(20)]
    assert most_at_once(sidecar) == 1
    waits = [int(answer.header("X-Sidecar-Queue-Ms")) for answer in answers]
    assert waits[-1] > 19 * 20 and all(0 < wait < 20000 * SLACK for wait in waits)
    alone = sidecar.generate()
    assert alone.header("X-Sidecar-Queue-Ms") is None and alone.header("X-Sidecar-Wait-Ms") is None


def test_the_line_is_shown_by_health_and_sidecarctl(sidecar):
    one_slot(sidecar, tokens=1, first_token_delay_ms=60000)
    line_of(sidecar, 3)
    assert wait_requests(sidecar, queued=2)["requests"]["held"] == 0
    assert "; 2 in line" in sidecar.ctl("health").stdout


@pytest.mark.parametrize("slots, environment, wanted", [(4, None, 4), (2, "8", 2), (0, "3", 3)])
def test_so_many_slots(sidecar, slots, environment, wanted):
    sidecar.configure("proxy", slots=slots)
    sidecar.configure("environment", OLLAMA_NUM_PARALLEL=environment)
    sidecar.boot(tokens=1, first_token_delay_ms=300)
    assert {call.result().status for call in [ask_for(sidecar) for _ in range(9)]} == {200}
    assert most_at_once(sidecar) == wanted


def test_slots_follow_what_ollama_alone_was_told(sidecar):
    """Not what the proxy's own environment says, and also from a file that the proxy may not read."""
    sidecar.write("ollama.env", "OLLAMA_NUM_PARALLEL=2\n")
    sidecar.configure("environment", OLLAMA_NUM_PARALLEL=None)
    sidecar.configure("program:ollama", env_file="ollama.env")
    sidecar.configure("program:proxy", environment="OLLAMA_NUM_PARALLEL=7")
    sidecar.boot(tokens=1, first_token_delay_ms=300)
    for call in [ask_for(sidecar) for _ in range(5)]:
        assert call.result().status == 200
    assert most_at_once(sidecar) == 2


@pytest.mark.parametrize("slots, wanted", [(None, 6), (2, 2)])
def test_a_bare_backend_has_no_limit_but_ours(sidecar, slots, wanted):
    sidecar.backend.script(tokens=1, first_token_delay_ms=700)
    sidecar.processes.append(standin.start(sidecar.backend, sidecar.mark, "m"))
    sidecar.backend.wait("listening")
    sidecar.configure("program:ollama", autostart="no")
    sidecar.env["OLLAMA_HOST"] = "127.0.0.1:1"
    sidecar.env["OLLAMA_NUM_PARALLEL"] = "1"
    sidecar.configure("proxy", backend=f"http://127.0.0.1:{sidecar.backend.port}", slots=slots)
    sidecar.start()
    sidecar.wait_ready()
    for call in [ask_for(sidecar) for _ in range(6)]:
        assert call.result().status == 200
    assert most_at_once(sidecar) == wanted


def test_models_are_served_side_by_side_and_names_of_one_are_one(sidecar):
    one_slot(sidecar, "llama3.2,b")
    first = occupy(sidecar, "llama3.2:latest", tokens=1)
    assert sidecar.generate("b").status == 200
    behind = [ask_for(sidecar, model=name) for name in ("llama3.2", "LLAMA3.2", "library/llama3.2:latest")]
    wait_requests(sidecar, queued=3)
    assert sidecar.generate("b").status == 200
    first.close()
    assert {call.result().status for call in behind} == {200}


@pytest.mark.parametrize("method, path, body", [
    ("GET", "/api/tags", None), ("GET", "/api/ps", None), ("GET", "/v1/models", None), ("GET", "/health", None),
    ("POST", "/api/show", {"model": "m"}), ("POST", "/api/pull", {"model": "new", "stream": False}),
    ("POST", "/api/copy", {"source": "m", "destination": "n"}), ("POST", "/api/generate", {"prompt": "no model"}),
    ("POST", "/api/generate", {"model": 7}), ("POST", "/api/chat", b'{"model": "m'), ("POST", "/api/generate", b""),
    ("OPTIONS", "/api/generate", None)])
def test_what_needs_no_model_does_not_wait_in_line(sidecar, method, path, body):
    one_slot(sidecar, tokens=1, first_token_delay_ms=60000, pull_bytes=1000, pull_rate_bytes_s=10**9)
    line_of(sidecar, 2)
    answer = sidecar.ask(method, path, body, timeout=5)
    assert answer.status < 500 and answer.header("X-Sidecar-Queue-Ms") is None


@pytest.mark.parametrize("path, body, asked", [
    ("/api/chat", {"messages": []}, "/api/chat"), ("/api/generate", {"prompt": "", "keep_alive": 0}, "/api/generate"),
    ("/api/embed", {"input": "x"}, "/api/embed"), ("/api/embeddings", {"prompt": "x"}, "/api/embeddings"),
    ("/v1/chat/completions", CHAT, "/api/chat"), ("/v1/completions", {"prompt": "x"}, "/api/generate"),
    ("/v1/embeddings", {"input": "x"}, "/api/embed")])
def test_whatever_needs_a_model_stands_in_line(sidecar, path, body, asked):
    one_slot(sidecar)
    first = occupy(sidecar, tokens=1)
    call = sidecar.background("POST", path, {"model": "m", **body})
    wait_requests(sidecar, queued=1)
    before = len(sidecar.backend.requests(asked))
    first.close()
    assert call.result().status == 200 and len(sidecar.backend.requests(asked)) == before + 1


# leaving

def test_who_leaves_the_line_is_forgotten_and_the_next_moves_up_proxy_scenario_22(sidecar):
    one_slot(sidecar)
    first = occupy(sidecar, tokens=1)
    leavers = []
    for number in (0, 1):
        leavers.append(sidecar.connect())
        leavers[-1].send("POST", "/api/generate", {"model": "m", "prompt": f"leaver {number}"})
        wait_requests(sidecar, queued=number + 1)
    stayer = ask_for(sidecar, "stayer")
    wait_requests(sidecar, queued=3)
    began = time.monotonic()
    for leaver in leavers:
        leaver.close()
    wait_requests(sidecar, queued=1)
    assert time.monotonic() - began < 0.1 + 0.2 * SLACK
    first.close()
    assert stayer.result().status == 200
    assert prompts(sidecar) == ["first", "stayer"]
    wait_requests(sidecar, queued=0, in_flight=0)


# every end gives its slot back

def end_done(sidecar, connection):
    assert b'"done":true' in connection.receive().body


def end_unread(sidecar, connection):
    connection.receive()
    connection.close()


def end_left(sidecar, connection):
    sidecar.backend.wait("request", path="/api/generate")
    connection.close()
    sidecar.backend.wait("cancelled")


def end_left_while_loading(sidecar, connection):
    sidecar.backend.wait("request", path="/api/embed")
    wait_requests(sidecar, held=1)
    connection.close()


def end_killed(sidecar, connection):
    """Ollama dies under it: one more try."""
    sidecar.backend.wait("loaded")
    sidecar.backend.script(tokens=1)
    os.kill(sidecar.pid_of("ollama"), 9)
    assert connection.receive().status == 200
    sidecar.wait_ready()


def end_killed_and_left(sidecar, connection):
    """The client goes while Ollama is away."""
    sidecar.backend.wait("loaded")
    sidecar.backend.script(tokens=1, start_delay_s=1)
    os.kill(sidecar.pid_of("ollama"), 9)
    wait_requests(sidecar, held=1)
    connection.close()
    sidecar.wait_ready()


def end_timeout(sidecar, connection):
    """hold_timeout passes while Ollama is away, with the slot taken."""
    sidecar.backend.wait("loaded")
    sidecar.backend.script(tokens=1, start_delay_s=3)
    os.kill(sidecar.pid_of("ollama"), 9)
    answer = connection.receive()
    assert answer.status == 503 and "hold_timeout" in answer.json["error"]
    assert int(answer.header("X-Sidecar-Wait-Ms")) >= 1000
    sidecar.wait_ready()


def end_error(sidecar, connection):
    assert connection.receive().status in (500, 502, 503)


def end_broken(sidecar, connection):
    answer = connection.receive()
    assert answer.body is not None and (answer.status == 502 or not answer.clean or b'"error"' in answer.body)


def end_twice_lost(sidecar, connection):
    """Two tries, both lost before a byte."""
    answer = connection.receive()
    assert answer.status == 502 and len(sidecar.backend.requests("/api/generate")) >= 2


ENDS = {
    "done": (end_done, {}),
    "unread": (end_unread, {"tokens": 500, "token_delay_ms": 50}),
    "left in prefill": (end_left, {"first_token_delay_ms": 60000}),
    "left while loading": (end_left_while_loading, {"load_s": 1}),
    "killed": (end_killed, {"first_token_delay_ms": 60000}),
    "killed and left": (end_killed_and_left, {"first_token_delay_ms": 60000}),
    "hold_timeout": (end_timeout, {"first_token_delay_ms": 60000}),
    "load fails": (end_error, {"load_fails": True}),
    "busy": (end_error, {"busy": True}),
    "html": (end_error, {"garbage_answer": "html"}),
    "bad http": (end_error, {"garbage_answer": "bad_http"}),
    "lost twice": (end_twice_lost, {"garbage_answer": "empty"}),
    "reset": (end_error, {"garbage_answer": "reset"}),
    "truncated": (end_broken, {"garbage_answer": "truncated"}),
    "no done": (end_broken, {"close_after_tokens": 2}),
    "reset in the middle": (end_broken, {"reset_after_tokens": 2}),
    "error in the middle": (end_broken, {"error_after_tokens": 2}),
    "crash in the middle": (end_broken, {"crash_after_tokens": 2}),
}


@pytest.mark.limit(60)
@pytest.mark.parametrize("end", ENDS)
def test_no_end_keeps_a_slot_proxy_scenario_22(sidecar, end):
    finish, script = ENDS[end]
    sidecar.configure("proxy", hold_timeout="1s" if end == "hold_timeout" else "10s")
    one_slot(sidecar, **{"tokens": 3, "token_delay_ms": 5, **script})
    with sidecar.connect(timeout=20) as connection:
        connection.send("POST", "/api/generate", {"model": "m", "prompt": "x"})
        finish(sidecar, connection)
    sidecar.backend.script(tokens=1, first_token_delay_ms=100)
    wait_requests(sidecar, in_flight=0, queued=0, held=0)
    sidecar.wait_ready()
    before = len(sidecar.backend.journal())
    for call in [ask_for(sidecar) for _ in range(3)]:  # one at a time: not none, and not two
        assert call.result().status == 200
    running = 0
    entries = sidecar.backend.journal()[before:]
    if entries[0]["event"] == "done":  # of the one before, whose client has its answer a moment before it is noted
        entries.pop(0)
    for entry in entries:
        running += (entry["event"] == "request" and entry["path"] == "/api/generate") - (entry["event"] == "done")
        assert running in (0, 1)


def test_no_connection_at_all_gives_the_slot_back(sidecar):
    """Of a backend that nobody watches: 502 after the second try, for each in line."""
    sidecar.configure("proxy", backend=f"http://127.0.0.1:{sidecar.backend.port}", slots=1)
    sidecar.start("ollama-proxy")
    sidecar.process.wait_log("listening")
    calls = [ask_for(sidecar) for _ in range(4)]
    assert {call.result().status for call in calls} == {502}
    assert sidecar.health()["requests"] | {"total": 0} == {"in_flight": 0, "held": 0, "queued": 0, "total": 0, "tool_calls_repaired": 0}


def test_a_client_that_leaves_between_two_tries_gives_the_slot_back_proxy_scenario_22(sidecar):
    sidecar.configure("supervisor", log_level="debug")
    sidecar.configure("proxy", backend=f"http://127.0.0.1:{sidecar.backend.port}", slots=1)
    proxy = sidecar.start("ollama-proxy")
    proxy.wait_log("listening")

    def tries(way):
        return len(proxy.logged(rf" exchange .*\b{way}=pause"))

    while tries("to") == tries("from"):  # a pause is short, and may be over before the client goes
        before = tries("to")
        with sidecar.connect() as connection:
            connection.send("POST", "/api/generate", {"model": "m", "prompt": "x"})
            until(lambda n=before: tries("to") > n, 5, "the first try is refused")
        wait_requests(sidecar, in_flight=0, held=0, queued=0)
    sidecar.backend.script(tokens=1)
    sidecar.processes.append(standin.start(sidecar.backend, sidecar.mark, "m"))
    sidecar.backend.wait("listening")
    assert [sidecar.generate().status for _ in range(2)] == [200, 200]


def test_a_drain_serves_the_line_and_its_end_tells_all(sidecar):
    sidecar.configure("proxy", slots=1, backend=f"http://127.0.0.1:{sidecar.backend.port}")
    sidecar.processes.append(standin.start(sidecar.backend, sidecar.mark, "m"))
    sidecar.backend.wait("listening")
    proxy = sidecar.start("ollama-proxy")
    sidecar.wait_ready()
    first = occupy(sidecar, tokens=1)
    served = line_of(sidecar, 2)
    proxy.kill(signal.SIGTERM)
    proxy.wait_log("drain cause=signal clients=3")
    first.close()
    assert [call.result().status for call in served] == [200, 200]
    assert proxy.wait() == 0


def test_what_a_drain_can_not_serve_is_told_so(sidecar):
    sidecar.configure("proxy", slots=1, backend=f"http://127.0.0.1:{sidecar.backend.port}")
    sidecar.processes.append(standin.start(sidecar.backend, sidecar.mark, "m"))
    sidecar.backend.wait("listening")
    proxy = sidecar.start("ollama-proxy")
    sidecar.wait_ready()
    first = occupy(sidecar)
    calls = line_of(sidecar, 3)
    proxy.kill(signal.SIGTERM)
    proxy.wait_log("drain cause=signal clients=4")
    proxy.kill(signal.SIGTERM)
    assert [call.result().status for call in calls] == [503] * 3
    broken = first.receive()
    assert broken.status == 200 and b'"error"' in broken.body and not broken.clean
    assert proxy.wait() == 0
    assert prompts(sidecar) == ["first"]


# a retry keeps its place

@pytest.mark.limit(60)
def test_nobody_loses_his_place_while_ollama_restarts_proxy_scenario_32(sidecar):
    one_slot(sidecar, tokens=1, first_token_delay_ms=60000)
    calls = line_of(sidecar, 6)
    sidecar.backend.wait("loaded")
    sidecar.backend.script(tokens=1, token_delay_ms=30, start_delay_s=1)
    os.kill(sidecar.pid_of("ollama"), 9)
    sidecar.process.wait_log(r"exited .*program=ollama")
    late = ask_for(sidecar, "late")
    wait_requests(sidecar, in_flight=7)
    assert [call.result().status for call in [*calls, late]] == [200] * 7
    assert prompts(sidecar) == ["p0", "p0", "p1", "p2", "p3", "p4", "p5", "late"]
    assert int(calls[0].result().header("X-Sidecar-Wait-Ms")) > 500
    assert calls[0].result().header("X-Sidecar-Queue-Ms") is None
    assert int(calls[5].result().header("X-Sidecar-Queue-Ms")) > 500


@pytest.mark.limit(60)
def test_when_ollama_has_failed_the_whole_line_is_told_at_once(sidecar):
    sidecar.configure("program:ollama", max_restarts=0, required="no")
    one_slot(sidecar, tokens=1, first_token_delay_ms=60000)
    calls = line_of(sidecar, 30)
    os.kill(sidecar.pid_of("ollama"), 9)
    answers = [call.result() for call in calls]
    assert {answer.status for answer in answers} == {503}
    assert all("ollama has failed" in answer.json["error"] for answer in answers)
    assert len(sidecar.backend.requests("/api/generate")) == 1


# bounds

def test_beyond_max_queue_503_says_when_to_come_back_proxy_scenario_32(sidecar):
    sidecar.configure("proxy", max_queue=2)
    one_slot(sidecar, tokens=1, first_token_delay_ms=1500)
    assert sidecar.generate().status == 200  # it takes 1.5 s: known from now on
    sidecar.backend.script(tokens=1, first_token_delay_ms=60000)
    line_of(sidecar, 3)
    native = sidecar.ask("POST", "/api/generate", {"model": "m", "prompt": "x"})
    assert native.status == 503 and "max_queue" in native.json["error"]
    assert native.header("Content-Type") == "application/json"
    assert 4 <= int(native.header("Retry-After")) <= 10 * SLACK  # two wait, and it would be the third
    openai = sidecar.ask("POST", "/v1/chat/completions", {"model": "m", **CHAT})
    assert openai.status == 503 and openai.json["error"]["code"] == "queue_full" and openai.header("Retry-After")
    assert openai.json["error"]["type"] == "api_error" and "max_queue" in openai.json["error"]["message"]
    anthropic = sidecar.ask("POST", "/v1/messages", {"model": "m", "max_tokens": 1, **CHAT})
    assert anthropic.status == 503 and anthropic.json["error"]["type"] == "overloaded_error"
    assert sidecar.ask("GET", "/api/tags").status == 200
    assert wait_requests(sidecar, queued=2)["code"] == 200


def test_gate_and_line_are_bounded_together(sidecar):
    sidecar.configure("proxy", max_queue=3)
    sidecar.configure("preload", models="slow")
    sidecar.configure("environment", OLLAMA_NUM_PARALLEL=None)
    sidecar.installed = "m"
    sidecar.backend.script(tokens=1, first_token_delay_ms=60000, pull_rate_bytes_s=1)
    sidecar.start()
    sidecar.wait_health(lambda health: health["state"] == "pulling")
    line_of(sidecar, 2)
    line_of(sidecar, 2, model="slow")
    wait_requests(sidecar, queued=1, held=2)
    for model in ("m", "slow"):
        answer = sidecar.generate(model)
        assert answer.status == 503 and "max_queue" in answer.json["error"] and answer.header("Retry-After")


def test_hold_timeout_limits_the_line(sidecar):
    sidecar.configure("proxy", hold_timeout="1s")
    one_slot(sidecar, tokens=1, first_token_delay_ms=60000)
    line_of(sidecar, 1)
    began = time.monotonic()
    answer = sidecar.generate()
    assert answer.status == 503 and "hold_timeout" in answer.json["error"] and answer.header("Retry-After")
    assert 0.9 < time.monotonic() - began < 3 * SLACK
    assert 1000 <= int(answer.header("X-Sidecar-Queue-Ms")) < 3000 * SLACK
    assert wait_requests(sidecar, queued=0)["requests"]["in_flight"] == 1


def test_who_stands_in_line_keeps_everything_awake(sidecar):
    sidecar.configure("supervisor", idle_timeout="1s")
    one_slot(sidecar, tokens=1, first_token_delay_ms=2500)
    calls = [ask_for(sidecar) for _ in range(2)]
    assert [call.result(20).status for call in calls] == [200, 200]
    assert sidecar.process.wait(timeout=10) == 0


# a hand-over

def test_a_new_proxy_has_a_line_of_its_own(sidecar):
    one_slot(sidecar, tokens=1, first_token_delay_ms=2000)
    before = line_of(sidecar, 3)
    assert sidecar.ctl("restart", "proxy").returncode == 0
    sidecar.process.wait_log(r"draining pid=")
    wait_requests(sidecar, in_flight=0, queued=0)
    assert before[2].finished is None
    new = ask_for(sidecar, "new")
    assert [call.result(20).status for call in [*before, new]] == [200] * 4
    assert most_at_once(sidecar) <= 2


def test_a_reload_changes_the_slots(sidecar):
    sidecar.configure("proxy", slots=1)
    sidecar.boot(tokens=1, first_token_delay_ms=400)
    sidecar.configure("proxy", slots=3)
    sidecar.write_ini()
    assert sidecar.ctl("reload").returncode == 0
    sidecar.process.wait_log(r"drained ")
    assert {call.result().status for call in [ask_for(sidecar) for _ in range(6)]} == {200}
    assert most_at_once(sidecar) == 3


def test_answers_are_those_of_ollama_but_for_the_lines_that_tell_the_wait(sidecar):
    one_slot(sidecar, tokens=2)
    direct = ask(sidecar.backend.port, "POST", "/api/generate", {"model": "m", "prompt": "x", "stream": False})
    names = {name.lower() for name, _ in sidecar.generate().headers}
    assert names - {name.lower() for name, _ in direct.headers} == {"via", "x-request-id", "x-sidecar-load-ms"}
    again = {name.lower() for name, _ in sidecar.generate().headers}  # its model is there
    assert again - {name.lower() for name, _ in direct.headers} == {"via", "x-request-id"}
