"""While Ollama sleeps, what only reads is answered from what is known of it, wakes nobody and keeps nobody awake."""
import json
import os
import re
import signal
import threading

import pytest

from client import Background
from waiting import until

READS = ("/", "/api/version", "/api/tags", "/v1/models", "/v1/models/m", "/v1/models/m:latest", "/v1/models/M:latest")
SHOW = {"model": "m"}


def sleeps(sidecar, models="m", idle_timeout="300ms", **script):
    """Booted, so that it will sleep soon."""
    sidecar.configure("supervisor", idle_action="stop", idle_timeout=idle_timeout)
    return sidecar.boot(models, tokens=1, **script)


def wait_asleep(sidecar, count=1):
    """Until it has fallen asleep so often, and Ollama is gone."""
    until(lambda: len(sidecar.process.logged(r" asleep action=stop")) >= count, 10, "sleep", sidecar.process.tail)
    until(lambda: len(sidecar.process.logged(r" exited program=ollama")) >= count, 10, "Ollama's end", sidecar.process.tail)
    sidecar.wait_health(lambda health: health["state"] == "asleep")


def starts(sidecar):
    """How often Ollama was started."""
    return len(sidecar.process.logged(r" exec program=ollama "))


def read(sidecar, path, method="GET", body=None, headers=()):
    """(status, type, body) of an answer."""
    answer = sidecar.ask(method, path, body, headers)
    return answer.status, answer.header("Content-Type"), answer.body


def known_file(sidecar):
    return os.path.join(sidecar.directory, "state", "known-answers")


def wait_known_by_new_proxy(sidecar, how):
    """Another proxy, by a restart or a death."""
    before = sidecar.pid_of("proxy")
    if how == "restart":
        assert sidecar.ctl("restart", "proxy").returncode == 0
        sidecar.process.wait_log(r" drained ")
    else:
        os.kill(before, signal.SIGKILL)
    until(lambda: sidecar.pid_of("proxy") != before, 5, "another proxy")
    sidecar.wait_health(lambda health: True)


def test_reads_are_answered_as_while_it_was_awake_and_wake_nobody(sidecar):
    sleeps(sidecar, "m,other")
    awake = {path: read(sidecar, path) for path in READS}
    shown = read(sidecar, "/api/show", "POST", SHOW)
    assert {status for status, _, _ in awake.values()} == {200} and shown[0] == 200
    wait_asleep(sidecar)
    started, asked = starts(sidecar), len(sidecar.backend.journal("request"))  # who reads slowly may have woken it in between
    for path in READS:
        answer = sidecar.ask("GET", path)
        assert (answer.status, answer.header("Content-Type"), answer.body) == awake[path], path
        assert answer.header("X-Sidecar-State") == "asleep" and answer.header("X-Request-Id")
        assert answer.header("Content-Length") == str(len(answer.body))
    for body in (SHOW, {"model": "m:latest"}, {"name": "library/M"}, {"model": "m", "verbose": False, "system": None}):
        assert read(sidecar, "/api/show", "POST", body) == shown
    assert read(sidecar, "/api/ps") == (200, "application/json; charset=utf-8", b'{"models":[]}')
    assert starts(sidecar) == started and len(sidecar.backend.journal("request")) == asked


def test_nobody_needs_to_have_asked_before(sidecar):
    """But for what is shown of a model: there are too many ways to ask."""
    sleeps(sidecar)
    wait_asleep(sidecar)
    assert [model["name"] for model in sidecar.ask("GET", "/api/tags").json["models"]] == ["m:latest"]
    assert "version" in sidecar.ask("GET", "/api/version").json
    assert sidecar.ask("GET", "/").body == b"Ollama is running"
    assert sidecar.ask("GET", "/v1/models").json["data"][0]["id"] == "m:latest"
    assert starts(sidecar) == 1


def test_head_has_no_body_and_the_same_length(sidecar):
    sleeps(sidecar)
    wait_asleep(sidecar)
    for path in ("/", "/api/version", "/api/tags"):
        with sidecar.connect() as connection:
            connection.send("HEAD", path)
            head = connection.receive()
            connection.send("GET", path)
            whole = connection.receive()
            assert (head.status, head.body) == (200, b"") and whole.body
            assert head.header("Content-Length") == whole.header("Content-Length") == str(len(whole.body))
            assert head.header("X-Sidecar-State") == "asleep"
    assert starts(sidecar) == 1


def test_a_model_that_is_not_there_is_404_of_openai(sidecar):
    sleeps(sidecar)
    wait_asleep(sidecar)
    for name in ("nosuch", "hf.co/who/what:q4", "hf.co%2Fwho%2Fwhat"):
        answer = sidecar.ask("GET", f"/v1/models/{name}")
        assert answer.status == 404 and "not found" in answer.json["error"]["message"]
        assert answer.header("X-Sidecar-State") == "asleep"
    assert starts(sidecar) == 1


def test_names_with_slashes_are_found_in_both_forms(sidecar):
    sleeps(sidecar, "hf.co/who/what:q4")
    wait_asleep(sidecar)
    for name in ("hf.co/who/what:q4", "hf.co%2Fwho%2Fwhat:Q4", "hf.co%2fwho/what%3aq4"):
        answer = sidecar.ask("GET", f"/v1/models/{name}")
        assert answer.status == 200 and answer.json["object"] == "model", name
    assert starts(sidecar) == 1


@pytest.mark.parametrize("body", [{"model": "m"}, {"model": "m", "verbose": True}, {"model": "m", "system": "be short"},
                                  {"model": "nosuch"}, b"{", {"model": "m", "options": {"num_ctx": 1}}])
def test_a_show_that_was_never_seen_wakes_it_and_waits(sidecar, body):
    sleeps(sidecar, idle_timeout="1s")
    if body != SHOW:
        assert sidecar.ask("POST", "/api/show", SHOW).status == 200
    awake = None if body == SHOW or isinstance(body, dict) and body.get("verbose") else read(sidecar, "/api/show", "POST", body)
    wait_asleep(sidecar)
    answer = sidecar.ask("POST", "/api/show", body)
    assert awake is None or (answer.status, answer.header("Content-Type"), answer.body) == awake
    assert starts(sidecar) == 2 and answer.header("X-Sidecar-State") is None
    assert int(answer.header("X-Sidecar-Wait-Ms")) > 0
    assert answer.status == (200 if awake is None else awake[0])


def test_what_was_seen_once_is_known_in_each_sleep_that_follows(sidecar):
    sleeps(sidecar, idle_timeout="500ms")
    wait_asleep(sidecar)
    shown = read(sidecar, "/api/show", "POST", {"model": "m", "verbose": True})
    assert starts(sidecar) == 2
    for count in (2, 3):
        wait_asleep(sidecar, count)
        assert read(sidecar, "/api/show", "POST", {"model": "m", "verbose": True}) == shown
        assert starts(sidecar) == count
        assert sidecar.generate().status == 200


@pytest.mark.parametrize("method, path, body", [("GET", path, None) for path in (*READS, "/api/ps", "/health", "/ready", "/live")] +
                         [("POST", "/api/show", SHOW), ("HEAD", "/api/tags", None), ("OPTIONS", "/api/chat", None)])
def test_a_monitor_that_asks_all_the_time_does_not_keep_it_awake(sidecar, method, path, body):
    sleeps(sidecar, idle_timeout="700ms")
    is_over, codes = threading.Event(), []

    def monitor():
        while not is_over.is_set():
            codes.append(sidecar.ask(method, path, body).status)
            is_over.wait(0.02)

    watching = Background(monitor)
    try:
        wait_asleep(sidecar)
        seen = len(codes)
        until(lambda: len(codes) > seen + 5, 5, "more questions")
    finally:
        is_over.set()
        watching.result()
    assert set(codes) == {204 if method == "OPTIONS" else 200} and starts(sidecar) == 1


def test_many_who_read_without_a_pause_do_not_keep_it_awake_either_and_none_fails(sidecar):
    sleeps(sidecar, idle_timeout="500ms")
    is_over = threading.Event()
    codes = []

    def ask_on():
        with sidecar.connect() as connection:
            while not is_over.is_set():
                connection.send("GET", "/api/tags")
                answer = connection.receive()
                codes.append((answer.status, len(answer.json["models"])))

    readers = [Background(ask_on) for _ in range(4)]
    try:
        wait_asleep(sidecar)
    finally:
        is_over.set()
        for reader in readers:
            reader.result()
    assert set(codes) == {(200, 1)} and starts(sidecar) == 1


@pytest.mark.parametrize("method, path, body, status", [
    ("POST", "/api/pull", {"model": "new", "stream": False}, 200), ("POST", "/api/copy", {"source": "m", "destination": "n"}, 200),
    ("DELETE", "/api/delete", {"model": "m"}, 200), ("HEAD", "/api/blobs/sha256:" + "0" * 64, None, 404),
    ("POST", "/api/create", {"model": "mine", "from": "m", "stream": False}, 200)])
def test_what_changes_models_wakes_it_and_is_told_afterwards(sidecar, method, path, body, status):
    sleeps(sidecar, idle_timeout="500ms", pull_bytes=1000)
    assert sidecar.ask("POST", "/api/show", SHOW).status == 200
    wait_asleep(sidecar)
    assert sidecar.ask(method, path, body, timeout=20).status == status
    assert starts(sidecar) == 2
    awake = read(sidecar, "/api/tags")
    wait_asleep(sidecar, 2)
    answer = sidecar.ask("GET", "/api/tags")
    assert answer.header("X-Sidecar-State") == "asleep" and answer.body == awake[2]
    names = {model["name"] for model in answer.json["models"]}
    assert ("m:latest" in names) == (path != "/api/delete")
    for name in ("m", "new", "n", "mine"):
        assert sidecar.ask("GET", f"/v1/models/{name}").status == (200 if f"{name}:latest" in names else 404)
    assert starts(sidecar) == 2
    shown = sidecar.ask("POST", "/api/show", SHOW)  # of one that is gone nothing is told, but by Ollama itself
    is_known = path != "/api/delete"
    assert (shown.header("X-Sidecar-State") == "asleep", starts(sidecar)) == (is_known, 2 if is_known else 3)


@pytest.mark.parametrize("how", ["restart", "kill"])
def test_it_outlives_the_proxy_while_ollama_sleeps(sidecar, how):
    sleeps(sidecar, "m,other")
    awake = {path: read(sidecar, path) for path in READS}
    shown = read(sidecar, "/api/show", "POST", SHOW)
    wait_asleep(sidecar)
    wait_known_by_new_proxy(sidecar, how)
    for path in READS:
        assert read(sidecar, path) == awake[path]
    assert read(sidecar, "/api/show", "POST", SHOW) == shown
    assert sidecar.health()["state"] == "asleep" and starts(sidecar) == 1
    assert os.stat(known_file(sidecar)).st_mode & 0o777 == 0o600


@pytest.mark.parametrize("damage", ["lost", "garbage", "cut", "changed"])
def test_a_proxy_that_knows_nothing_asks_ollama_once(sidecar, damage):
    """Rather than to tell a lie; and says once that the file was none."""
    sleeps(sidecar, idle_timeout="500ms")
    awake = read(sidecar, "/api/tags")
    wait_asleep(sidecar)
    path = known_file(sidecar)
    with open(path, "rb") as file:
        good = file.read()
    os.unlink(path)
    if damage != "lost":
        sidecar.write(path, {"garbage": b"\0" * 300, "cut": good[:-30], "changed": good.replace(b"m:latest", b"n:latest")}[damage])
    wait_known_by_new_proxy(sidecar, "kill")
    assert read(sidecar, "/api/tags") == awake
    assert starts(sidecar) == 2
    assert len(sidecar.process.logged(r" warning proxy known_ignored ")) == (damage != "lost")
    wait_asleep(sidecar, 2)
    assert read(sidecar, "/api/tags") == awake and starts(sidecar) == 2


def test_of_another_life_of_the_supervisor_nothing_is_told(sidecar):
    """What was shown is asked for again before the next sleep, and so known in it."""
    sleeps(sidecar, idle_timeout="500ms")
    shown = read(sidecar, "/api/show", "POST", SHOW)
    wait_asleep(sidecar)
    assert sidecar.stop() == 0
    asked = len(sidecar.backend.requests("/api/show"))
    sidecar.start()
    sidecar.wait_ready()
    wait_asleep(sidecar)
    assert len(sidecar.backend.requests("/api/show")) == asked + 1
    assert read(sidecar, "/api/show", "POST", SHOW) == shown and starts(sidecar) == 1


def test_a_state_folder_that_takes_nothing_is_told_once_and_costs_only_the_restart(sidecar):
    sidecar.configure("supervisor", state_dir="/proc/nowhere")
    sleeps(sidecar, idle_timeout="500ms")
    for count in (1, 2):
        wait_asleep(sidecar, count)
        assert sidecar.ask("GET", "/api/tags").header("X-Sidecar-State") == "asleep"
        assert sidecar.generate().status == 200
    assert len(sidecar.process.logged(r" warning proxy known_failed ")) == 1


def test_r0_9_health_says_asleep_then_waking_then_ready(sidecar):
    sleeps(sidecar, idle_timeout="500ms")
    wait_asleep(sidecar)
    health = sidecar.health()
    assert (health["code"], health["status"], health["state"], health["waiting_for"]) == (200, "ok", "asleep", [])
    assert "error" not in health
    assert sidecar.ask("GET", "/ready").status == sidecar.ask("GET", "/live").status == 200
    assert sidecar.ctl("health").returncode == 0 and "asleep" in sidecar.ctl("health").stdout
    sidecar.backend.script(tokens=1, start_delay_s=1)
    held = sidecar.background("POST", "/api/generate", {"model": "m", "prompt": "x", "stream": False})
    health = sidecar.wait_health(lambda now: now["state"] == "waking")
    assert (health["code"], health["status"]) == (503, "starting") and "woken" in health["error"]
    assert sidecar.ask("GET", "/ready").status == sidecar.ask("GET", "/live").status == 200
    assert sidecar.ctl("health").returncode == 1
    assert held.result().status == 200
    assert sidecar.health()["state"] in ("ready", "asleep")


def test_who_reads_while_it_wakes_is_told_what_was_known(sidecar):
    sleeps(sidecar, idle_timeout="500ms")
    awake = {path: read(sidecar, path) for path in READS}
    wait_asleep(sidecar)
    sidecar.backend.script(tokens=1, start_delay_s=60)
    held = sidecar.background("POST", "/api/generate", {"model": "m", "prompt": "x", "stream": False})
    sidecar.wait_health(lambda now: now["state"] == "waking")
    for path in READS:
        answer = sidecar.ask("GET", path)
        assert (answer.status, answer.header("Content-Type"), answer.body) == awake[path]
        assert answer.header("X-Sidecar-State") == "waking"
    assert sidecar.ask("GET", "/api/ps").json == {"models": []}
    sidecar.backend.wait("started", count=2)  # it has a pid, and has read that it is to take so long
    sidecar.backend.script(tokens=1)
    os.kill(sidecar.pid_of("ollama"), signal.SIGKILL)  # the one that takes so long; the next one does not
    assert held.result().status == 200
    assert sidecar.ask("GET", "/api/ps").header("X-Sidecar-State") in (None, "asleep")


def test_rights_and_cors_are_as_ever(sidecar):
    sleeps(sidecar)
    wait_asleep(sidecar)
    page = [("Origin", "http://localhost:3000")]
    answer = sidecar.ask("GET", "/", headers=page)
    assert answer.status == 200 and answer.header("Access-Control-Allow-Origin") == "http://localhost:3000"
    answer = sidecar.ask("GET", "/api/tags", headers=page)
    assert answer.header("Access-Control-Allow-Origin") == "http://localhost:3000" and answer.header("Vary") == "Origin"
    assert sidecar.ask("GET", "/api/tags", headers=[("Origin", "http://evil.example")]).status == 403
    assert sidecar.ask("GET", "/api/tags", headers=[("Host", "evil.example")]).status == 403
    wanted = [*page, ("Access-Control-Request-Method", "GET")]
    answer = sidecar.ask("OPTIONS", "/", headers=wanted)
    assert answer.status == 204 and "GET" in answer.header("Access-Control-Allow-Methods")
    assert sidecar.ask("OPTIONS", "/api/delete", headers=wanted).status == 204
    assert sidecar.ask("OPTIONS", "/api/tags").status == 204
    assert sidecar.ask("POST", "/api/tags", {}).status == 405
    assert starts(sidecar) == 1


def test_the_access_log_tells_it(sidecar):
    sidecar.configure("proxy", access_log="json")
    sleeps(sidecar)
    sidecar.ask("GET", "/api/tags")
    wait_asleep(sidecar)
    sidecar.ask("GET", "/api/tags")
    sidecar.ask("GET", "/v1/models/nosuch")
    sidecar.process.wait_log(r'"path":"/v1/models/nosuch"')
    lines = [json.loads(line) for line in sidecar.process.log if '"event":"access"' in line]
    tags = [(line["status"], line["ended"], line["state"]) for line in lines if line["path"] == "/api/tags"]
    assert tags == [(200, "done", None), (200, "done", "asleep")]
    assert [(line["status"], line["ended"], line["state"]) for line in lines if "nosuch" in line["path"]] == [(404, "done", "asleep")]


def test_the_first_load_comes_behind_the_request_that_woke_it_and_nothing_is_loaded_twice(sidecar):
    sidecar.configure("preload", load="last")
    sleeps(sidecar, "m,other", load_s=0.2, idle_timeout="1s")
    assert sidecar.generate("other").status == 200
    wait_asleep(sidecar)
    before = len(sidecar.backend.journal("loaded"))
    assert sidecar.generate("m").status == 200
    assert [entry["model"] for entry in sidecar.backend.journal("loaded")[before:]] == ["m:latest"]
    wait_asleep(sidecar, 2)
    assert sidecar.generate("m").status == 200  # what was loaded before the sleep is not taken for loaded
    assert [entry["model"] for entry in sidecar.backend.journal("loaded")[before:]] == ["m:latest", "m:latest"]


def test_who_waits_for_it_to_wake_hears_heartbeats(sidecar):
    sidecar.configure("proxy", heartbeat_after="200ms", heartbeat_interval="200ms")
    sleeps(sidecar, idle_timeout="500ms")
    wait_asleep(sidecar)
    sidecar.backend.script(tokens=1, start_delay_s=1)
    with sidecar.connect() as connection:
        connection.send("POST", "/api/generate", {"model": "m", "prompt": "x"})
        pieces = [data for _, data in connection.receive().pieces()]
    assert pieces[0] == b" " and len([data for data in pieces if data == b" "]) >= 3 and b'"done":true' in pieces[-1].replace(b" ", b"")


def test_an_ollama_that_hangs_when_it_is_asked_sleeps_all_the_same(sidecar):
    """It is asked for no longer than a moment; what it did not say wakes it."""
    sleeps(sidecar, idle_timeout="1s")
    sidecar.backend.script(tokens=1, tags_delay_s=60)
    wait_asleep(sidecar)
    sidecar.backend.script(tokens=1)
    assert "version" in sidecar.ask("GET", "/api/version").json and starts(sidecar) == 1
    assert sidecar.ask("GET", "/api/tags").status == 200 and starts(sidecar) == 2


def test_a_backend_elsewhere_is_never_asleep(sidecar, standin):
    """Nor is it asked for anything, and nothing is kept of it."""
    sidecar.configure("supervisor", idle_action="stop", idle_timeout="50ms")
    elsewhere, _ = standin("m")
    sidecar.configure("proxy", backend=f"http://127.0.0.1:{elsewhere.port}")
    sidecar.boot(tokens=1)
    before = len(elsewhere.journal("request", path="/api/version"))
    for _ in range(20):
        answer = sidecar.ask("GET", "/api/tags")
        assert answer.status == 200 and answer.header("X-Sidecar-State") is None
    assert sidecar.health()["state"] == "ready"
    asked = elsewhere.journal("request", path="/api/version")[before:]
    assert not asked, asked
    assert sidecar.stop() == 0
    assert not os.path.exists(known_file(sidecar)) and not sidecar.process.logged(" asleep ")


def test_a_reload_may_be_what_lets_it_sleep(sidecar):
    """The proxy is the same."""
    sidecar.boot(tokens=1)
    sidecar.configure("supervisor", idle_action="stop", idle_timeout="500ms")
    sidecar.write_ini()
    assert sidecar.ctl("reload").returncode == 0
    wait_asleep(sidecar)
    assert sidecar.ask("GET", "/api/tags").header("X-Sidecar-State") == "asleep"
    assert sidecar.ask("POST", "/api/show", SHOW).status == 200 and starts(sidecar) == 2
    wait_asleep(sidecar, 2)
    assert sidecar.ask("POST", "/api/show", SHOW).header("X-Sidecar-State") == "asleep"
    assert starts(sidecar) == 2 and len(sidecar.process.logged(r" exec program=proxy ")) == 1


def test_where_nothing_is_to_sleep_nothing_is_kept(sidecar):
    sidecar.configure("supervisor", idle_action="none", idle_timeout="200ms")
    sidecar.boot(tokens=1)
    assert sidecar.ask("POST", "/api/show", SHOW).status == 200
    assert sidecar.stop() == 0
    assert not os.path.exists(known_file(sidecar))


def pss_kb(pid):
    """Proportional set size, kB."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        return int(re.search(r"^Pss:\s+(\d+)", file.read(), re.M).group(1))


@pytest.mark.skipif("san" in os.environ.get("BUILD_DIR", ""), reason="sanitizers need memory of their own")
def test_supervisor_and_proxy_have_less_than_5_MB_with_all_that_is_known(sidecar):
    """A hundred requests served, and 2 MB of answers kept."""
    sleeps(sidecar, ",".join(f"m{i}" for i in range(60)), idle_timeout="2s", show_bytes=40000)
    for i in range(100):
        assert sidecar.generate(f"m{i % 4}").status == 200
    for i in range(60):
        assert sidecar.ask("POST", "/api/show", {"model": f"m{i}"}).status == 200
    wait_asleep(sidecar)
    for count in range(2, 10):  # a busy machine does not answer all in time: the rest is asked for before the next sleep
        if os.stat(known_file(sidecar)).st_size > 1.9 * 2**20:
            break
        assert sidecar.generate("m0").status == 200
        wait_asleep(sidecar, count)
    assert os.stat(known_file(sidecar)).st_size > 1.9 * 2**20
    assert sidecar.ask("POST", "/api/show", {"model": "m59"}).header("X-Sidecar-State") == "asleep"
    both = [pss_kb(sidecar.process.pid), pss_kb(sidecar.pid_of("proxy"))]
    assert sum(both) < 5000, both


@pytest.mark.parametrize("where", ["environment", "program"])
def test_another_ollama_by_a_reload_is_asked_anew(sidecar, folder, where):
    """Where its models are is changed while it sleeps: what the one before knew is nothing of the next one's."""
    variables = sidecar.backend.environment("m")
    del variables["OLLAMA_MODELS"]  # else it wins over the file's
    sidecar.backend.environment = lambda _models: variables
    sidecar.configure("environment", OLLAMA_MODELS=os.path.join(folder, "models"))
    sleeps(sidecar, idle_timeout="500ms")
    wait_asleep(sidecar)
    assert len(sidecar.ask("GET", "/api/tags").json["models"]) == 1 and starts(sidecar) == 1
    other = os.path.join(folder, "other")
    if where == "environment":
        sidecar.configure("environment", OLLAMA_MODELS=other)
    else:
        sidecar.configure("program:ollama", environment=f'OLLAMA_MODELS="{other}"')
    sidecar.write_ini()
    assert sidecar.ctl("reload").returncode == 0
    answer = sidecar.ask("GET", "/api/tags", timeout=20)
    assert answer.header("X-Sidecar-State") is None and starts(sidecar) == 2
