"""GET /sidecar/status and /sidecar/requests, DELETE /sidecar/requests/ID: what is under way, what was, and an end to it. (R5.3)"""
import json
import socket

import pytest

from looking import access_line, live, wait_live
from played_backend import single
from test_52_asleep import starts, wait_asleep
from waiting import until

STATUS, REQUESTS = "/sidecar/status", "/sidecar/requests"
MEMBERS = {"version", "at", "uptime_s", "rights", "health", "supervisor", "requests", "errors", "series", "backends", "queue", "models", "pulls"}
ROW = {"id", "method", "path", "model", "client", "key", "backend", "phase", "phase_ms", "age_ms", "wait_ms", "queue_ms", "load_ms", "first_token_ms", "tokens",
       "priority", "place"}
SERIES = {"tokens", "requests", "errors", "first_token_ms", "in_flight", "held"}


def status(sidecar, headers=()):
    """The object, whose answer is as it should be."""
    answer = sidecar.ask("GET", STATUS, headers=headers)
    assert answer.status == 200, answer.body
    assert answer.header("Cache-Control") == "no-store" and answer.header("X-Content-Type-Options") == "nosniff"
    return answer.json


@pytest.mark.parametrize("method, path, code", [("POST", STATUS, 405), ("GET", "/sidecar/nothing", 404), ("DELETE", "/sidecar/requests/x", 404), ("GET", "/sidecar/logs?lines=x", 400),
                                               ("POST", "/sidecar/models/load", 400)])
def test_a_refusal_is_kept_by_nobody(sidecar, method, path, code):
    sidecar.boot()
    answer = sidecar.ask(method, path)
    assert answer.status == code and answer.header("Cache-Control") == "no-store" and answer.header("X-Content-Type-Options") == "nosniff"


def test_the_first_line_of_a_pull_is_no_first_token(sidecar):
    sidecar.boot()
    assert sidecar.ask("POST", "/api/pull", {"model": "new"}).status == 200
    said = status(sidecar)
    assert [(row["path"], row["first_token_ms"]) for row in said["requests"]["recent"]] == [("/api/pull", None)]
    assert set(said["series"]["first_token_ms"]) == {None}


def test_all_of_it_is_there_and_what_is_not_known_is_null(sidecar):
    sidecar.boot()
    said = status(sidecar)
    assert set(said) == MEMBERS
    assert said["health"]["state"] == "ready" and said["version"] == said["health"]["version"]
    assert said["rights"] == {"inference": True, "observe": True, "manage": True, "key": None, "why": None}
    assert {program["name"] for program in said["supervisor"]["programs"]} >= {"ollama", "proxy"}
    assert said["requests"] == {"in_flight": 0, "held": 0, "queued": 0, "live": [], "more": 0, "recent": []}
    assert said["series"]["step_s"] == 5 and {len(said["series"][name]) for name in SERIES} == {120}
    assert set(said["series"]["first_token_ms"]) == {None}
    assert said["backends"] == [] and said["pulls"] == [] and said["errors"] == [] and said["queue"] == {"waiting": 0, "by_priority": {}}
    assert [(m["name"], m["where"], m["state"]) for m in said["models"]] == [("m:latest", "ollama", "on disk")]
    with sidecar.connect() as connection:
        head = connection.request("HEAD", STATUS)
        assert head.status == 200 and int(head.header("Content-Length")) > 0


def test_a_request_is_live_while_it_streams_and_recent_behind(sidecar):
    sidecar.boot(tokens=400, token_delay_ms=50)
    with sidecar.connect() as connection:
        connection.send("POST", "/api/generate", {"model": "m", "prompt": "x"}, headers=[("X-Request-Id", "my-own.id_1")])
        row = wait_live(sidecar, phase="streaming")
        assert set(row) == ROW
        assert (row["id"], row["method"], row["path"], row["model"], row["client"]) == ("my-own.id_1", "POST", "/api/generate", "m", "127.0.0.1")
        until(lambda: (live(sidecar)[0]["tokens"] or 0) > 2, 10, "tokens")
        assert status(sidecar)["requests"]["in_flight"] == 1
    until(lambda: not live(sidecar), 10, "the end of it")
    ended = until(lambda: status(sidecar)["requests"]["recent"], 10, "a request that has ended")[0]
    assert (ended["id"], ended["ended"], ended["model"]) == ("my-own.id_1", "client_gone", "m") and ended["first_token_ms"] >= 0
    assert sum(status(sidecar)["series"]["requests"]) == 1


def test_what_goes_wrong_is_told_in_words_with_what_to_do(sidecar):
    sidecar.boot()
    assert sidecar.generate(model="none").status == 404
    error = until(lambda: status(sidecar)["errors"], 10, "an error")[0]
    assert error["from"] == "request" and "not found" in error["what"] and error["id"] and error["times"] == 1
    assert "pull" in error["do"]  # Ollama's own words tell which error it is, also where they pass as they are
    assert status(sidecar)["requests"]["recent"][0]["error"] == error["what"]


def test_who_looks_for_paths_that_are_not_there_hides_no_errors(sidecar):
    sidecar.boot()
    assert sidecar.ask("POST", "/api/generate", {"model": "nosuch", "prompt": "x"}).status == 404
    for number in range(40):
        assert sidecar.ask("GET", f"/wp-login-{number}.php").status == 404
    [error] = status(sidecar)["errors"]
    assert "nosuch" in error["what"]


def errors_of(sidecar, kind):
    """The errors of this kind, as soon as there is one."""
    return until(lambda: [row for row in status(sidecar)["errors"] if row["from"] == kind], 20, f"an error of a {kind}")


def test_programs_that_end_are_errors_too(sidecar):
    sidecar.boot(crash_at_start={"times": 1, "code": 3})
    [error] = errors_of(sidecar, "program")
    assert error["what"] == "ollama has ended: exit code 3" and error["times"] == 1 and error["id"] is None
    assert "sidecarctl tail" in error["do"]


def test_a_model_that_is_not_to_be_had_is_an_error(sidecar):
    sidecar.configure("preload", models="bad", retries="0")
    sidecar.backend.script(models={"bad": {"pull_error": "unknown_model"}})
    sidecar.start()
    [failed] = sidecar.wait_health(lambda health: health["models"]["failed"], 20)["models"]["failed"]
    [error] = errors_of(sidecar, "preload")
    assert error["what"] == f"the model bad:latest is not there: {failed['reason']}" and error["times"] == 1


def test_a_backend_that_can_not_be_used_is_an_error(sidecar, standin):
    good, _ = standin(installed="m")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        sidecar.configure("backend:gone", url=f"http://127.0.0.1:{nobody.getsockname()[1]}", api="openai")
        sidecar.configure("proxy", backend=f"http://127.0.0.1:{good.port}")
        sidecar.start("ollama-proxy")
        sidecar.process.wait_log(" listening ")
        [error] = errors_of(sidecar, "backend")
    assert error["what"].startswith("the backend gone can't be used: ") and error["do"]


def test_texts_of_clients_are_cut_and_stay_texts(sidecar):
    sidecar.boot(tokens=400, token_delay_ms=50)
    name = "<script>alert(1)</script>\u00e9" * 20
    with sidecar.connect() as connection:
        connection.send("POST", "/api/generate", {"model": name, "prompt": "x"})
        connection.receive()
    ended = until(lambda: status(sidecar)["requests"]["recent"], 10, "a request that has ended")[0]
    assert len((ended["model"] or "").encode()) <= 240 and len((ended["error"] or "").encode()) <= 240


def test_it_wakes_nobody_and_keeps_nobody_awake(sidecar):
    sidecar.configure("supervisor", idle_action="stop", idle_timeout="300ms")
    sidecar.boot()
    while not sidecar.process.logged(r" asleep action=stop"):
        status(sidecar)
    wait_asleep(sidecar)
    for _ in range(5):
        said = status(sidecar)
    assert said["health"]["state"] == "asleep" and starts(sidecar) == 1
    until(lambda: status(sidecar)["supervisor"]["sleep"]["state"] == "asleep", 10, "a supervisor that says so")
    assert [(m["name"], m["state"]) for m in said["models"]] == [("m:latest", "on disk")]


def test_a_proxy_alone_has_no_supervisor(sidecar, standin):
    backend, _ = standin(installed="m")
    sidecar.configure("proxy", backend=f"http://127.0.0.1:{backend.port}")
    sidecar.start("ollama-proxy")
    sidecar.process.wait_log(" listening ")
    said = status(sidecar)
    assert said["supervisor"] is None and said["health"]["state"] == "ready"
    assert [(m["name"], m["where"], m["state"]) for m in said["models"]] == [("m:latest", "ollama", "on disk")]


def test_a_list_that_can_not_be_had_for_a_moment_is_told_as_it_was(sidecar, before):
    lists = {"/api/tags": {"models": [{"name": "m:latest", "size": 7}]}, "/api/ps": {"models": [{"name": "m:latest", "size": 9, "size_vram": 5}]}}
    refused = []

    def play(request):
        path = request[0].split()[1].decode()
        if not refused:
            return single(lists.get(path, {}))
        refused.append(path)
        return single({"error": "busy"}, "503 Service Unavailable")
    before(play=play)
    assert status(sidecar)["models"][0]["state"] == "loaded"
    refused.append("from now on")
    until(lambda: (status(sidecar), {*lists} <= {*refused})[1], 10, "both to be asked for again")
    assert [(m["name"], m["state"], m["size_bytes"], m["memory_bytes"], m["vram_bytes"]) for m in status(sidecar)["models"]] == [("m:latest", "loaded", 7, 9, 5)]


def test_rights_say_what_who_asks_may_do_and_why_not(sidecar):
    sidecar.configure("proxy", trusted_proxies="127.0.0.1")
    sidecar.configure("key:watch", secret="sesame-watch-0123456789", rights="observe")
    sidecar.boot()
    stranger = ("X-Forwarded-For", "8.8.8.8")
    assert sidecar.ask("GET", STATUS, headers=[stranger]).status == 401
    rights = status(sidecar, [stranger, ("Authorization", "Bearer sesame-watch-0123456789")])["rights"]
    assert (rights["inference"], rights["observe"], rights["manage"], rights["key"]) == (False, True, False, "watch")
    assert "[key:watch] rights" in rights["why"]
    assert sidecar.ask("GET", STATUS, headers=[("Origin", "https://evil.example")]).status == 403


SOME = ("Authorization", "Bearer sesame-some-0123456789")


def narrow(sidecar, models):
    """A key for these alone, which has all rights."""
    sidecar.configure("key:some", secret="sesame-some-0123456789", rights="observe, inference, manage", models=models)


def test_a_key_for_some_models_sees_no_other(sidecar):
    narrow(sidecar, "m")
    sidecar.configure("preload", models="m,hidden,lost-hidden", retries="0")
    sidecar.installed = "m,hidden"
    sidecar.backend.script(models={"lost-hidden": {"pull_error": "unknown_model"}})
    sidecar.start()
    sidecar.wait_health(lambda health: health["models"]["failed"], 20)
    for model, times in (("hidden", 2), ("m", 1)):
        for _ in range(times):
            assert sidecar.generate(model=model).status == 200
    assert sidecar.generate(model="lost-hidden").status == 404
    until(lambda: len(status(sidecar)["requests"]["recent"]) == 4, 10, "requests that have ended")
    everything, said = status(sidecar), status(sidecar, [SOME])
    assert "hidden" in json.dumps(everything["health"]) and everything["errors"]
    assert set(said) == MEMBERS and "hidden" not in json.dumps(said)
    assert [row["model"] for row in said["requests"]["recent"]] == ["m"]
    assert [model["name"] for model in said["models"]] == ["m:latest"]
    assert said["health"]["state"] == everything["health"]["state"] and said["supervisor"]["memory"] == everything["supervisor"]["memory"]
    told = {program["name"]: program for program in said["supervisor"]["programs"]}
    assert told["ollama"]["state"] == "ready" and told["preload"]["reason"] is None
    assert {name: set(program) for name, program in told.items()} == {program["name"]: set(program) for program in everything["supervisor"]["programs"]}
    assert set(said["supervisor"]) == set(everything["supervisor"])
    for path, words in (("/sidecar/requests", b'"m"'), ("/sidecar/models", b'"m:latest"'), ("/metrics", b'model="m"')):
        assert b"hidden" in sidecar.ask("GET", path).body, path
        answer = sidecar.ask("GET", path, headers=[SOME])
        assert answer.status == 200 and b"hidden" not in answer.body and words in answer.body, path
    for path in ("/sidecar/events", "/sidecar/logs", "/sidecar/settings"):
        refused = sidecar.ask("GET", path, headers=[SOME])
        assert refused.status == 403 and "[key:some] models" in refused.json["error"], path


def test_a_key_for_some_models_sees_their_engines_alone(sidecar, engines):
    for name in ("org/name", "org/hidden"):
        engines.cache.model(name)
    engines.add("one")
    narrow(sidecar, "org/name")
    sidecar.configure("models", max_cache_models="2")
    sidecar.boot()
    for name in ("org/name", "org/hidden"):
        assert sidecar.ask("POST", "/sidecar/models/load", {"model": name}, headers=[("Content-Type", "application/json")], timeout=60).status == 200
    everything, said = status(sidecar), status(sidecar, [SOME])
    for member in ("health", "supervisor"):
        assert sorted(row["model"] for row in everything[member]["instances"]) == ["org/hidden", "org/name"]
        assert [row["model"] for row in said[member]["instances"]] == ["org/name"]
    assert "hidden" not in json.dumps(said)


# cancel

@pytest.mark.parametrize("path, body, words", [
    ("/api/generate", {"prompt": "x"}, lambda text: json.loads(text.split(b"\n")[-2])["error"]),
    ("/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}], "stream": True},
     lambda text: json.loads(text.split(b"data: ")[-1])["error"]["message"]),
])
def test_a_request_that_streams_is_cancelled_in_its_dialect(sidecar, path, body, words):
    sidecar.configure("proxy", access_log="json")
    sidecar.boot(tokens=400, token_delay_ms=50)
    with sidecar.connect() as connection:
        connection.send("POST", path, {"model": "m", **body})
        row = wait_live(sidecar, phase="streaming")
        answer = sidecar.ask("DELETE", f"{REQUESTS}/{row['id']}")
        assert (answer.status, answer.json) == (200, {"status": "success"})
        told = connection.receive()
        assert told.status == 200 and "cancelled by the operator" in words(told.body), told.body
        assert told.clean is False
    assert access_line(sidecar, path)["ended"] == "cancelled"
    until(lambda: not live(sidecar), 10, "no live request")
    ended = until(lambda: status(sidecar)["requests"]["recent"], 10, "a request that has ended")[0]
    assert ended["ended"] == "cancelled"


def test_a_request_that_waits_is_cancelled_with_a_status_that_nobody_tries_again(sidecar):
    sidecar.configure("proxy", access_log="json")
    sidecar.boot(load_s=60)
    background = sidecar.background("POST", "/api/generate", {"model": "m", "prompt": "x"}, timeout=60)
    row = wait_live(sidecar, phase="loading")
    assert sidecar.ask("DELETE", f"{REQUESTS}/{row['id']}").status == 200
    answer = background.result(20)
    assert answer.status == 410 and "cancelled by the operator" in answer.json["error"]
    assert access_line(sidecar, "/api/generate")["ended"] == "cancelled"


def test_all_of_one_id_are_cancelled(sidecar):
    sidecar.configure("proxy", slots="1")
    sidecar.boot(tokens=400, token_delay_ms=50)
    waiting = []
    for _ in range(3):
        waiting.append(sidecar.background("POST", "/api/generate", {"model": "m", "prompt": "x"}, headers=[("X-Request-Id", "one")], timeout=60))
    until(lambda: len(live(sidecar, id="one")) == 3, 10, "all of them")
    wait_live(sidecar, phase="streaming")
    assert sidecar.ask("DELETE", f"{REQUESTS}/one").status == 200
    answers = [one.result(20) for one in waiting]
    assert sorted(answer.status for answer in answers) == [200, 410, 410] and all(b"cancelled by the operator" in answer.body for answer in answers)
    assert not live(sidecar)


def test_a_cancelled_request_gets_no_answer_in_the_place_of_its_error(sidecar):
    sidecar.configure("proxy", fallback_answer="yes", slots="1")
    sidecar.boot(tokens=400, token_delay_ms=50)
    body = {"model": "m", "prompt": "x"}
    with sidecar.connect() as connection:
        connection.send("POST", "/api/generate", body, headers=[("X-Request-Id", "streams")])
        wait_live(sidecar, phase="streaming")
        waiting = sidecar.background("POST", "/api/generate", body, headers=[("X-Request-Id", "waits")], timeout=60)
        wait_live(sidecar, id="waits", phase="queued")
        assert sidecar.ask("DELETE", f"{REQUESTS}/waits").status == 200
        answer = waiting.result(20)
        assert answer.status == 410 and "cancelled by the operator" in answer.json["error"]
        assert sidecar.ask("DELETE", f"{REQUESTS}/streams").status == 200
        told = connection.receive()
        assert "cancelled by the operator" in json.loads(told.body.split(b"\n")[-2])["error"] and told.clean is False


def test_what_can_not_be_cancelled(sidecar):
    sidecar.configure("proxy", trusted_proxies="127.0.0.1")
    sidecar.configure("key:watch", secret="sesame-watch-0123456789", rights="observe")
    sidecar.boot()
    answer = sidecar.ask("DELETE", f"{REQUESTS}/none")
    assert answer.status == 404 and "under way" in answer.json["error"]
    assert sidecar.ask("DELETE", f"{REQUESTS}/none", headers=[("X-Forwarded-For", "8.8.8.8")]).status == 401
    assert sidecar.ask("DELETE", f"{REQUESTS}/none", headers=[("Authorization", "Bearer sesame-watch-0123456789")]).status == 403
    assert sidecar.ask("DELETE", f"{REQUESTS}/none", headers=[("Origin", "https://evil.example")]).status == 403
    assert sidecar.ask("POST", f"{REQUESTS}/none").status == 405
