"""Loads belong to nobody: shared, told to all when they fail, not ended by who leaves; and options ride on what is loaded."""
import json
import os
import signal
import time

import pytest

from played_backend import END, LAST, chunk, head, line
from waiting import SLACK, until

GENERATE, CHAT, EMBED = "/api/generate", "/api/chat", "/api/embed"


def body_for(path, model="m", **more):
    """A request with something to infer."""
    said = {GENERATE: {"prompt": "hello"}, CHAT: {"messages": [{"role": "user", "content": "hello"}]}, EMBED: {"input": "hello"},
            "/api/embeddings": {"prompt": "hello"}, "/v1/chat/completions": {"messages": [{"role": "user", "content": "hello"}]},
            "/v1/completions": {"prompt": "hello"}, "/v1/embeddings": {"input": "hello"}}[path]
    return {"model": model, "stream": False, **said, **more}


def loads(sidecar, model=None) -> list:
    """The requests that only load, as the stand-in got them."""
    bodies = [json.loads(entry["body"]) for entry in sidecar.backend.requests(EMBED)]
    return [body for body in bodies if body.get("input") == [] and model in (None, body["model"])]


def loaded(sidecar) -> list:
    """What each load that came to its end was loaded with, mapping left out, which all have."""
    return [{key: value for key, value in entry["options"].items() if key != "use_mmap"}
            for entry in sidecar.backend.journal("loaded")]


def inferred(sidecar, path=GENERATE) -> list:
    """The bodies of the requests that infer."""
    return [body for body in (json.loads(entry["body"]) for entry in sidecar.backend.requests(path)) if body.get("input") != []]


def waiting(sidecar, held):
    """Until so many are held."""
    return sidecar.wait_health(lambda health: health["requests"]["held"] == held, what=f"{held} held")


def leave_while_loading(sidecar, path=GENERATE, **more):
    """A client that asks, and leaves when its model is being loaded."""
    count = len(loads(sidecar))
    with sidecar.connect() as connection:
        connection.send("POST", path, body_for(path, **more))
        until(lambda: len(loads(sidecar)) > count, 5, "a load")
    waiting(sidecar, 0)


# who waits, who leaves

def test_the_first_client_leaves_and_the_second_is_served_by_its_load_proxy_scenario_24(sidecar):
    sidecar.boot(tokens=2, load_s=1.5 * SLACK)
    leave_while_loading(sidecar)
    answer = sidecar.generate()
    assert answer.status == 200 and int(answer.header("X-Sidecar-Load-Ms")) > 0
    assert len(loads(sidecar)) == 1 and loaded(sidecar) == [{}]
    assert not sidecar.backend.journal("cancelled") and not sidecar.backend.journal("load_aborted")
    assert len(inferred(sidecar)) == 1
    assert sidecar.generate().header("X-Sidecar-Load-Ms") is None
    assert len(loads(sidecar)) == 1


def test_health_says_what_is_being_loaded(sidecar):
    sidecar.boot(tokens=1, load_s=1.5 * SLACK)
    leave_while_loading(sidecar)
    health = sidecar.health()
    assert (health["code"], health["state"], health["models"]["loading"]) == (200, "loading", ["m"])
    assert "loading" in sidecar.ctl("health").stdout
    health = sidecar.wait_health(lambda health: health["state"] == "ready")
    assert health["models"]["loading"] == []


def test_a_load_goes_on_when_all_have_left_and_nothing_sleeps_meanwhile_proxy_scenario_24(sidecar):
    sidecar.configure("supervisor", idle_timeout="300ms")
    sidecar.boot(tokens=2, load_s=1.5 * SLACK)
    leave_while_loading(sidecar)
    sidecar.backend.wait("loaded", timeout=10)
    assert sidecar.process.wait(10) == 0  # and then it does
    assert not sidecar.backend.journal("load_aborted")


@pytest.mark.limit(60)
def test_twenty_clients_of_all_routes_share_one_load_proxy_scenario_24(sidecar):
    sidecar.boot(tokens=2, load_s=3 * SLACK)
    paths = [GENERATE, CHAT, EMBED, "/api/embeddings", "/v1/chat/completions", "/v1/completions", "/v1/embeddings"]
    calls = [sidecar.background("POST", paths[n % len(paths)], body_for(paths[n % len(paths)])) for n in range(20)]
    waiting(sidecar, 20)
    for call in calls:
        assert call.result().status == 200
    assert len(loads(sidecar)) == 1 and len(loaded(sidecar)) == 1


def test_who_waits_goes_on_in_the_order_of_arrival(sidecar):
    sidecar.configure("environment", OLLAMA_NUM_PARALLEL=None)
    sidecar.boot(tokens=1, load_s=1.5 * SLACK)
    calls = []
    for number in range(6):
        calls.append(sidecar.background("POST", GENERATE, body_for(GENERATE, prompt=f"p{number}")))
        waiting(sidecar, number + 1)
    assert [call.result().status for call in calls] == [200] * 6
    assert [body["prompt"] for body in inferred(sidecar)] == [f"p{number}" for number in range(6)]


def test_models_load_side_by_side_and_names_of_one_are_one(sidecar):
    sidecar.boot("a,b", tokens=1, load_s=2 * SLACK)
    calls = [sidecar.background("POST", GENERATE, body_for(GENERATE, name)) for name in ("a", "b", "A:latest", "library/b")]
    waiting(sidecar, 4)
    assert {call.result().status for call in calls} == {200}
    assert len(loads(sidecar)) == 2


def test_max_queue_and_hold_timeout_hold_for_loads(sidecar):
    sidecar.configure("proxy", max_queue="1", hold_timeout=f"{int(1000 * SLACK)}ms")
    sidecar.boot(tokens=1, load_s=60)
    first = sidecar.background("POST", GENERATE, body_for(GENERATE))
    waiting(sidecar, 1)
    second = sidecar.background("POST", GENERATE, body_for(GENERATE))
    waiting(sidecar, 2)
    third = sidecar.generate()
    assert third.status == 503 and third.header("Retry-After") and "max_queue" in third.json["error"]
    for call in (first, second):
        answer = call.result()
        assert answer.status == 503 and "hold_timeout" in answer.json["error"]
    waiting(sidecar, 0)


# failures

@pytest.mark.parametrize("path, told", [
    (GENERATE, lambda answer: answer.json["error"]), (CHAT, lambda answer: answer.json["error"]),
    (EMBED, lambda answer: answer.json["error"]), ("/v1/chat/completions", lambda answer: answer.json["error"]["message"]),
    ("/v1/completions", lambda answer: answer.json["error"]["message"])])
def test_a_load_that_fails_tells_all_who_wait_why(sidecar, path, told):
    sidecar.boot(tokens=1, load_s=2 * SLACK, load_fails="model requires more system memory (99 GiB)")
    calls = [sidecar.background("POST", path, body_for(path)) for _ in range(5)]
    waiting(sidecar, 5)
    for call in calls:
        answer = call.result()
        assert answer.status == 500 and told(answer) == "model requires more system memory (99 GiB)"
    assert len(loads(sidecar)) == 1 and not inferred(sidecar, path if path != EMBED else GENERATE)
    sidecar.process.wait_log(r" load_end .*result=failed")
    assert len(sidecar.process.logged(r" load_end .*result=failed")) == 1


def test_who_asked_for_other_options_is_not_told_but_tries_them(sidecar):
    sidecar.boot(tokens=1, load_s=2 * SLACK, load_fails=True, load_fails_times=1)
    first = sidecar.background("POST", GENERATE, body_for(GENERATE, options={"num_ctx": 100000}))
    waiting(sidecar, 1)
    same = sidecar.background("POST", CHAT, body_for(CHAT, options={"num_ctx": 1e5}))
    other = sidecar.background("POST", GENERATE, body_for(GENERATE, options={"num_ctx": 2048}))
    waiting(sidecar, 3)
    assert [call.result().status for call in (first, same, other)] == [500, 500, 200]
    assert loaded(sidecar) == [{"num_ctx": 2048}]


def test_busy_is_told_as_it_is(sidecar):
    sidecar.boot(busy=True)
    answer = sidecar.generate()
    assert answer.status == 503 and answer.json["error"].startswith("server busy")


@pytest.mark.parametrize("body, status, word", [
    ({"model": "nosuch", "prompt": "x"}, 404, "model 'nosuch' not found"),
    ({"model": "a b", "prompt": "x"}, 404, "not found"),
    ({"model": "m", "prompt": "x", "options": {"num_ctx": "many"}}, 500, "must be of type integer"),
    (b'{"model": "m", "prompt": 7}', 400, "cannot unmarshal")])
def test_what_is_not_about_loading_is_told_by_the_request_itself(sidecar, body, status, word):
    sidecar.boot(tokens=1)
    answer = sidecar.ask("POST", GENERATE, body)
    assert len(sidecar.backend.requests(GENERATE)) == 1
    assert answer.status == status and word in answer.json["error"]


def test_an_error_behind_a_heartbeat_is_told_in_the_answer(sidecar):
    sidecar.configure("proxy", heartbeat_after="100ms", heartbeat_interval="100ms")
    sidecar.boot(load_s=0.6 * SLACK, load_fails="no memory at all")
    answer = sidecar.generate(stream=True)
    assert answer.status == 200 and not answer.clean
    assert answer.body.lstrip(b" ").startswith(b'{"error":"no memory at all"') and answer.body.startswith(b" ")


def test_a_crash_in_the_middle_of_a_load_is_tried_once_more(sidecar):
    sidecar.boot(tokens=2, load_s=60)
    calls = [sidecar.background("POST", GENERATE, body_for(GENERATE)) for _ in range(4)]
    waiting(sidecar, 4)
    until(lambda: len(loads(sidecar)) == 1, 5, "the load with Ollama", sidecar.process.tail)
    sidecar.backend.script(tokens=2)
    os.kill(sidecar.pid_of("ollama"), signal.SIGKILL)
    assert [call.result().status for call in calls] == [200] * 4
    assert len(loads(sidecar)) == 2 and len(loaded(sidecar)) == 1


def test_who_waits_for_a_load_outlives_more_than_one_death_of_ollama(sidecar):
    sidecar.configure("models", load_cooldown="0")  # else three are enough: test_58_cooldown.py
    sidecar.configure("program:ollama", backoff_min="10ms")
    sidecar.boot(tokens=1, load_s=60)
    call = sidecar.background("POST", GENERATE, body_for(GENERATE), timeout=40)
    for count in range(1, 5):
        until(lambda wanted=count: len(loads(sidecar)) >= wanted, 10, f"load {count}", sidecar.process.tail)
        sidecar.backend.script(tokens=1, load_s=60 if count < 4 else 0)
        os.kill(sidecar.pid_of("ollama"), signal.SIGKILL)
    assert call.result().status == 200


def test_a_load_that_is_answered_without_end_holds_nobody_up(sidecar, before):
    backend = before(head(), chunk(line()), chunk(LAST), END)
    backend.loaded, backend.hangs_loading = head("application/json", framing="Content-Length: 100"), True
    answer = sidecar.ask("POST", GENERATE, body_for(GENERATE), timeout=20)
    assert answer.status == 200 and len(backend.loads) == 1 and len(backend.requests) == 1


def test_what_a_backend_that_restarts_had_loaded_is_loaded_again(sidecar):
    sidecar.boot(tokens=2)
    assert sidecar.generate().status == 200
    assert sidecar.ctl("restart", "ollama").returncode == 0
    sidecar.backend.wait("listening", count=2)
    sidecar.wait_ready()
    assert sidecar.generate().status == 200
    assert len(loads(sidecar)) == 2


# what is known

def test_a_model_that_is_there_costs_one_load_request_and_then_none(sidecar):
    sidecar.boot(tokens=1)
    for path in (GENERATE, CHAT, EMBED, GENERATE):
        assert sidecar.ask("POST", path, body_for(path)).status == 200
    assert len(loads(sidecar)) == 1


def test_another_model_may_have_taken_its_place(sidecar):
    sidecar.boot("a,b", tokens=1, load_s=0.05)
    for name in ("a", "b", "a", "a"):
        assert sidecar.generate(name).status == 200
    assert [body["model"] for body in loads(sidecar)] == ["a", "b", "a"]


@pytest.mark.parametrize("method, path, body", [
    ("POST", GENERATE, {"model": "m", "keep_alive": 0}), ("POST", CHAT, {"model": "m", "messages": [], "keep_alive": "0"}),
    ("DELETE", "/api/delete", {"model": "n"}), ("POST", "/api/copy", {"source": "m", "destination": "o"}),
    ("POST", "/api/create", {"model": "p", "from": "m", "stream": False})])
def test_what_changes_models_forgets_them_and_an_unload_loads_nothing(sidecar, method, path, body):
    sidecar.boot("m,n", tokens=1)
    assert sidecar.generate().status == 200
    assert sidecar.ask(method, path, body).status == 200
    assert len(loads(sidecar)) == 1
    assert sidecar.generate().status == 200
    assert len(loads(sidecar)) == 2


def test_what_is_unloaded_while_it_is_loaded_or_answers_is_loaded_again_by_us(sidecar):
    unload = {"model": "m", "keep_alive": 0}
    sidecar.boot(tokens=200, token_delay_ms=20, load_s=1 * SLACK)
    call = sidecar.background("POST", GENERATE, body_for(GENERATE))
    sidecar.backend.wait("request", timeout=10, path=GENERATE)  # the load has ended, and it answers
    assert sidecar.ask("POST", GENERATE, unload).status == 200
    sidecar.backend.script(tokens=1, load_s=1 * SLACK)
    assert call.result().status == 200
    call = sidecar.background("POST", GENERATE, body_for(GENERATE))
    until(lambda: len(loads(sidecar)) == 2, 5, "a load")
    assert sidecar.ask("POST", GENERATE, unload).status == 200
    assert call.result().status == 200
    assert len(loads(sidecar)) == 3


@pytest.mark.parametrize("path", [CHAT, "/v1/chat/completions"])
def test_a_keep_alive_that_was_refused_is_not_what_the_model_has(sidecar, path):
    sidecar.configure("environment", OLLAMA_KEEP_ALIVE="2s")
    sidecar.boot(tokens=1)
    assert sidecar.generate(keep_alive="1500ms").status == 200
    sidecar.backend.script(tokens=1, refuses="no such thing")
    assert sidecar.ask("POST", path, {**body_for(path), "keep_alive": -1}).status == 400
    sidecar.backend.script(tokens=1)
    until(lambda: not sidecar.ask("GET", "/api/ps").json["models"], 5, "an unloaded model")
    assert sidecar.generate().status == 200
    assert len(loads(sidecar)) == 2


def test_an_unload_before_anything_was_loaded_loads_nothing(sidecar):
    sidecar.boot(tokens=1)
    assert sidecar.ask("POST", GENERATE, {"model": "m", "keep_alive": 0}).json["done_reason"] == "unload"
    assert not loads(sidecar) and not loaded(sidecar)


def expires_in(sidecar) -> float:
    """How long the stand-in will keep its model."""
    at = sidecar.ask("GET", "/api/ps").json["models"][0]["expires_at"]
    return time.mktime(time.strptime(at[:19], "%Y-%m-%dT%H:%M:%S")) - time.mktime(time.gmtime())


def test_a_keep_alive_that_is_too_short_does_not_lose_the_model_before_its_request(sidecar):
    sidecar.boot(tokens=1, load_s=0.05)
    assert sidecar.generate(keep_alive="1ms").status == 200
    assert [body.get("keep_alive") for body in loads(sidecar)] == ["10000ms"]
    assert len(loaded(sidecar)) == 1
    assert until(lambda: not sidecar.ask("GET", "/api/ps").json["models"], 5, "an unloaded model")
    leave_while_loading(sidecar, keep_alive=0)
    sidecar.backend.wait("loaded", count=2)
    assert sidecar.generate().status == 200  # who says nothing has Ollama's own, not what the load had
    assert inferred(sidecar)[-1]["keep_alive"] == "300000ms" and 200 < expires_in(sidecar) <= 301


def test_the_load_asks_for_what_the_request_asks_for(sidecar):
    sidecar.boot(tokens=1)
    options = {"num_ctx": 4096.0, "num_batch": 64, "num_gpu": 0, "main_gpu": 0, "num_thread": 2, "temperature": 0.5}
    assert sidecar.generate(keep_alive="1h", options=options).status == 200
    assert loads(sidecar) == [{"model": "m", "input": [], "keep_alive": "3600000ms",
                               "options": {"num_ctx": 4096, "num_batch": 64, "num_gpu": 0, "main_gpu": 0, "num_thread": 2, "use_mmap": True}}]
    assert sidecar.generate(keep_alive=-1).status == 200
    assert len(loads(sidecar)) == 1 and len(loaded(sidecar)) == 1


# riding

@pytest.mark.parametrize("order, wanted", [
    ((8192, None, 4096), [8192]), ((8192, 4096, None), [8192]), ((4096, 8192, None), [4096, 8192]),
    ((None, 8192, 4096), [None, 8192]), ((4096, None, 8192), [4096, 8192]), ((None, 4096, 8192), [None, 4096, 8192])])
def test_contexts_ride_on_the_largest_that_was_asked_for_proxy_scenario_36(sidecar, order, wanted):
    sidecar.boot(tokens=1)
    for _ in range(3):
        for num_ctx in order:
            options = {} if num_ctx is None else {"num_ctx": num_ctx}
            assert sidecar.generate(options=options).status == 200
    asked = [body["options"].get("num_ctx") for body in loads(sidecar)]
    assert asked == wanted
    assert len(loaded(sidecar)) <= len(wanted)
    assert loaded(sidecar)[-1] == ({"num_ctx": wanted[-1]} if wanted[-1] != 4096 else {})


def test_other_options_ride_too_and_an_explicit_one_loads_once(sidecar):
    sidecar.boot(tokens=1)
    wishes = [{"num_ctx": 8192, "num_gpu": 3}, {}, {"num_gpu": -1}, {"num_ctx": 2048}, {"num_batch": 64}, {}, {"num_ctx": 4096, "num_batch": 64}]
    for path in (GENERATE, CHAT, EMBED):
        for wish in wishes:
            assert sidecar.ask("POST", path, body_for(path, options=wish)).status == 200
    assert loaded(sidecar) == [{"num_ctx": 8192, "num_gpu": 3}, {"num_ctx": 8192, "num_gpu": 3, "num_batch": 64}]


def test_what_changes_other_models_does_not_load_again_what_others_asked_for(sidecar):
    sidecar.boot("m,other", tokens=1, load_s=0.05)
    assert sidecar.generate(options={"num_ctx": 8192}).status == 200
    assert sidecar.ask("POST", "/api/copy", {"source": "other", "destination": "another"}).status == 200
    assert sidecar.generate().status == 200
    assert sidecar.generate("other").status == 200
    assert sidecar.generate(options={"num_ctx": 4096}).status == 200
    assert loaded(sidecar) == [{"num_ctx": 8192}, {}]


def test_bodies_are_spliced_and_not_rewritten(sidecar):
    sidecar.boot(tokens=1)
    assert sidecar.generate(options={"num_ctx": 8192}).status == 200
    body = b'{ "model":"m", "stream" : false,"prompt":"a\\u0000b\\ud83d\\ude00", "seed":12345678901234567890 , "options": {"num_ctx" : 512 }}'
    assert sidecar.ask("POST", GENERATE, body).status == 200
    wanted = body.replace(b'"num_ctx" : 512 }', b'"num_ctx" : 8192,"use_mmap":true }')
    assert sidecar.backend.requests(GENERATE)[-1]["body"].encode() == wanted


def test_a_pin_beats_the_client_and_is_loaded_once_proxy_scenario_36(sidecar):
    sidecar.configure("pin:m", num_ctx="2048")
    sidecar.boot(tokens=1)
    for path in (GENERATE, CHAT, EMBED, "/v1/chat/completions"):
        for options in ({"num_ctx": 8192}, {}, {"num_ctx": 512}):
            assert sidecar.ask("POST", path, body_for(path, options=options)).status == 200
    assert loaded(sidecar) == [{"num_ctx": 2048}]


def test_two_who_differ_share_the_machine_one_after_the_other(sidecar):
    sidecar.boot(tokens=3, load_s=0.1)
    calls = [sidecar.background("POST", GENERATE, body_for(GENERATE, options={"num_gpu": n % 2})) for n in range(10)]
    assert {call.result().status for call in calls} == {200}
    assert not sidecar.backend.journal("load_aborted")


# restarts of ours

def test_a_restart_of_the_proxy_lets_a_load_end_that_nobody_waits_for(sidecar):
    sidecar.boot(tokens=1, load_s=2 * SLACK)
    leave_while_loading(sidecar)
    assert sidecar.ctl("restart", "proxy").returncode == 0
    sidecar.process.wait_log(r"supervisor draining ")
    assert sidecar.generate().status == 200
    assert not sidecar.backend.journal("load_aborted") and len(loaded(sidecar)) == 1
    sidecar.process.wait_log(r"supervisor drained ")


def test_a_stop_does_not_wait_for_a_load_that_nobody_waits_for(sidecar):
    sidecar.boot(tokens=1, load_s=60)
    leave_while_loading(sidecar)
    began = time.monotonic()
    assert sidecar.stop() == 0
    assert time.monotonic() - began < 4 * SLACK


def test_a_stop_serves_who_waits_for_a_load(sidecar):
    sidecar.boot(tokens=1, load_s=1)
    call = sidecar.background("POST", GENERATE, body_for(GENERATE))
    waiting(sidecar, 1)
    assert sidecar.stop() == 0
    assert call.result().status == 200
