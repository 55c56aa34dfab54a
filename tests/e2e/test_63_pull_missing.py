"""A model that is not there is pulled when somebody asks for it, if [proxy] pull_missing says so; its clients wait for that."""
import json
import os
import signal

import pytest

from client import ask
from played_backend import CLOSE, END, LAST, RESET, chunk, head
from waiting import SLACK, until

MB = 1 << 20
CHAT = [{"role": "user", "content": "hi"}]


def boot(sidecar, installed="", mode="yes", **script):
    """One that may pull, before a stand-in with these models."""
    sidecar.configure("proxy", pull_missing=mode)
    sidecar.installed = installed
    sidecar.backend.script(**{"tokens": 2, "token_delay_ms": 1, "pull_bytes": 100_000, "pull_rate_bytes_s": 10 * MB, **script})
    sidecar.start()
    sidecar.wait_ready()
    return sidecar


def pulled(sidecar) -> list:
    """The models that the stand-in was asked to pull, in order."""
    return [entry["model"].removesuffix(":latest") for entry in sidecar.backend.journal("pull_start")]


def lists(sidecar) -> int:
    """How often a proxy has asked for the list of models; the supervisor's probes, which have no Via, do not count."""
    return len([entry for entry in sidecar.backend.requests("/api/tags") if "via" in {name.lower() for name, _ in entry["headers"]}])


@pytest.mark.parametrize("path, body", [
    ("/api/generate", {"prompt": "hi", "stream": False}), ("/api/chat", {"messages": CHAT, "stream": False}),
    ("/api/embed", {"input": "hi"}), ("/api/embeddings", {"prompt": "hi"}), ("/v1/chat/completions", {"messages": CHAT}),
    ("/v1/completions", {"prompt": "hi"}), ("/v1/embeddings", {"input": "hi"})])
def test_every_inference_route_pulls_and_then_answers(sidecar, path, body):
    boot(sidecar)
    answer = sidecar.ask("POST", path, {"model": "m", **body})
    assert answer.status == 200 and "error" not in answer.json and pulled(sidecar) == ["m"]
    assert int(answer.header("X-Sidecar-Wait-Ms")) > 0
    sidecar.process.wait_log(r" info proxy pull_begin model=m try=1")
    sidecar.process.wait_log(r" info proxy pull_end model=m result=pulled ms=\d+ bytes=\d+")


def test_what_is_there_costs_one_list_and_no_more(sidecar):
    boot(sidecar, "m")
    for _ in range(5):
        assert sidecar.generate().status == 200
    assert pulled(sidecar) == [] and lists(sidecar) == 1
    assert sidecar.generate("M:latest").status == 200 and lists(sidecar) == 1


def test_those_who_come_while_the_list_is_asked_for_share_it(sidecar):
    boot(sidecar, "m")
    sidecar.backend.script(tokens=1, tags_delay_s=0.5 * SLACK)
    clients = [sidecar.background("POST", "/api/generate", {"model": "m", "prompt": "hi", "stream": False}) for _ in range(8)]
    assert [client.result().status for client in clients] == [200] * 8 and lists(sidecar) == 1


@pytest.mark.parametrize("mode", ["presets", "no"])
def test_a_model_that_the_client_names_is_not_pulled_and_nothing_asked(sidecar, mode):
    boot(sidecar, "", mode)
    answer = sidecar.generate()
    assert answer.status == 404 and "not found" in answer.json["error"]
    assert pulled(sidecar) == [] and lists(sidecar) == 0


def test_all_who_wait_share_one_pull_and_health_tells_it(sidecar):
    boot(sidecar, pull_bytes=2 * MB, pull_rate_bytes_s=MB)
    clients = [sidecar.background("POST", "/api/chat", {"model": "m", "messages": CHAT, "stream": False}) for _ in range(5)]
    health = sidecar.wait_health(lambda health: any(m["completed"] > 0 for m in health["models"]["pulling"]))
    (row,) = health["models"]["pulling"]
    assert row["name"] == "m" and row["total"] >= 2 * MB and health["requests"]["held"] == 5
    assert (health["code"], health["status"], health["state"]) == (200, "ok", "pulling")
    assert health["waiting_for"][0].startswith("model m: ")
    assert [client.result().status for client in clients] == [200] * 5
    assert pulled(sidecar) == ["m"]
    assert sidecar.health()["models"]["pulling"] == [] and sidecar.health()["state"] == "ready"


def test_a_client_that_leaves_does_not_end_it(sidecar):
    boot(sidecar, pull_bytes=2 * MB, pull_rate_bytes_s=2 * MB)
    client = sidecar.connect()
    client.send("POST", "/api/generate", {"model": "m", "prompt": "hi"})
    sidecar.backend.wait("pull_start")
    client.close()
    sidecar.wait_health(lambda health: health["requests"]["held"] == 0 and health["models"]["pulling"])
    sidecar.backend.wait("pull_done", model="m:latest")
    assert sidecar.generate().status == 200 and pulled(sidecar) == ["m"]


def test_heartbeats_while_it_is_pulled(sidecar):
    sidecar.configure("proxy", heartbeat_after="100ms", heartbeat_interval="100ms")
    boot(sidecar, pull_bytes=2 * MB, pull_rate_bytes_s=2 * MB)
    with sidecar.connect() as client:
        answer = client.request("POST", "/api/generate", {"model": "m", "prompt": "hi"})
        assert answer.body.startswith(b"   ") and answer.clean and b'"done":true' in answer.body.replace(b" ", b"")


def test_hold_timeout_limits_the_wait_and_the_pull_goes_on(sidecar):
    sidecar.configure("proxy", hold_timeout="300ms")
    boot(sidecar, pull_bytes=2 * MB, pull_rate_bytes_s=2 * MB)
    answer = sidecar.generate()
    assert answer.status == 503 and "hold_timeout" in answer.json["error"]
    sidecar.backend.wait("pull_done", model="m:latest")
    until(lambda: sidecar.generate().status == 200, 10, "an answer")
    assert pulled(sidecar) == ["m"]


def test_no_more_than_max_queue_wait_for_it(sidecar):
    sidecar.configure("proxy", max_queue="1")
    boot(sidecar, pull_bytes=2 * MB, pull_rate_bytes_s=2 * MB)
    first = sidecar.background("POST", "/api/generate", {"model": "m", "prompt": "hi", "stream": False})
    sidecar.backend.wait("pull_start")
    answer = sidecar.generate("other")
    assert answer.status == 503 and "max_queue" in answer.json["error"] and answer.header("Retry-After")
    assert first.result().status == 200 and pulled(sidecar) == ["m"]


# failing

def test_a_model_that_the_registry_has_not_is_told_so_and_not_asked_for_again_at_once(sidecar):
    boot(sidecar, pull_error="unknown_model")
    for _ in range(3):
        answer = sidecar.generate("nonsense")
        assert answer.status == 404
        for words in ("'nonsense' is not installed", "the registry has no such model", "pull model manifest: file does not exist",
                      "`ollama pull nonsense`"):
            assert words in answer.json["error"]
    assert pulled(sidecar) == ["nonsense"]
    (failed,) = sidecar.health()["models"]["failed"]
    assert failed["name"] == "nonsense" and "no such model" in failed["reason"] and sidecar.health()["code"] == 200
    sidecar.process.wait_log(r" warning proxy pull_end model=nonsense result=failed cause=unknown_model .*rests_ms=10000")


@pytest.mark.parametrize("error, status, words", [
    ("disk_full", 503, "the disk is full"), ("dead_network", 503, "the registry can't be reached"),
    ("success_but_absent", 502, "the model is not listed"), ("pull model manifest: 401: unauthorized", 502, "access was refused"),
    ("pull model manifest: 412: this model requires a newer version of Ollama", 502, "needs a newer Ollama")])
def test_the_client_is_told_why_a_pull_failed(sidecar, error, status, words):
    sidecar.configure("preload", retries="0")
    boot(sidecar, pull_error=error)
    answer = sidecar.generate()
    assert answer.status == status and words in answer.json["error"] and "`ollama pull m`" in answer.json["error"]
    assert (answer.header("Retry-After") is not None) == (status == 503)
    answer = sidecar.ask("POST", "/v1/chat/completions", {"model": "m", "messages": CHAT})
    assert answer.status == status and words in answer.json["error"]["message"] and pulled(sidecar) == ["m"]


def test_behind_a_heartbeat_it_is_told_in_the_answer(sidecar):
    sidecar.configure("proxy", heartbeat_after="0", heartbeat_interval="100ms")
    boot(sidecar, pull_error="disk_full", pull_bytes=MB, pull_rate_bytes_s=MB)
    answer = sidecar.generate(stream=True)
    assert answer.status == 200 and not answer.clean and b"the disk is full" in answer.body


def test_a_pull_that_breaks_off_is_tried_again_and_resumed(sidecar):
    boot(sidecar, pull_bytes=MB, pull_rate_bytes_s=8 * MB, pull_fail_at=0.5)
    assert sidecar.generate().status == 200
    starts = sidecar.backend.journal("pull_start")
    assert len(starts) == 2 and starts[1]["resumed_at"] >= MB // 2
    sidecar.process.wait_log(r" warning proxy pull_again model=m cause=broken_off in_ms=\d+")


@pytest.mark.parametrize("silent", [True, False])
def test_a_pull_that_stands_still_is_tried_again(sidecar, silent):
    sidecar.configure("program:preload", stall_timeout="1s")
    boot(sidecar, pull_bytes=MB, pull_rate_bytes_s=8 * MB, pull_stall_at=0.5, pull_stall_silent=silent)
    assert sidecar.generate().status == 200 and len(pulled(sidecar)) == 2
    sidecar.process.wait_log(r" pull_again model=m cause=stalled")


def test_an_ollama_that_dies_meanwhile_is_waited_for(sidecar):
    boot(sidecar, pull_bytes=2 * MB, pull_rate_bytes_s=MB)
    client = sidecar.background("POST", "/api/generate", {"model": "m", "prompt": "hi", "stream": False})
    sidecar.wait_health(lambda health: any(m["completed"] > MB // 4 for m in health["models"]["pulling"]))
    os.kill(sidecar.pid_of("ollama"), signal.SIGKILL)
    assert client.result().status == 200
    assert sidecar.backend.journal("pull_start")[-1]["resumed_at"] > MB // 8


def test_a_registry_that_has_it_later_is_asked_when_the_rest_is_over_or_models_have_changed(sidecar):
    boot(sidecar, "other", models={"m": {"pull_error": "unknown_model"}})
    assert sidecar.generate().status == 404
    sidecar.backend.script(tokens=1, pull_bytes=1000, pull_rate_bytes_s=MB)
    assert sidecar.generate().status == 404 and pulled(sidecar) == ["m"]
    assert sidecar.ask("DELETE", "/api/delete", {"model": "other"}).status == 200
    assert sidecar.generate().status == 200 and pulled(sidecar) == ["m", "m"]


# backends that answer in odd ways

LAYER = b'{"status":"pulling","digest":"sha256:1","total":9,"completed":9}\n'
ODD = {
    "a page": ([head("text/html", framing="Content-Length: 12"), b"<html>\x1b[2Jhi"], 502, "makes no sense: is what answers at the backend's address"),
    "a status": ([head(status="502 Bad Gateway", framing="Content-Length: 0")], 503, "the pull failed (HTTP 502)"),
    "no end": ([head(), chunk(LAYER), END], 503, "without success and without an error"),
    "an endless line": ([head(), chunk(b'{"status":"' + b"x" * 200_000), END], 502, "makes no sense"),
    "an encoding": ([head("application/x-ndjson", "Content-Encoding: gzip"), chunk(LAYER), END], 502, "it is encoded"),
    "no HTTP": ([b"220 ready\r\n\r\n"], 502, "makes no sense"),
    "a reset": ([head(), chunk(LAYER), RESET], 503, "the connection to Ollama was lost"),
    "a close": ([CLOSE], 503, "the connection to Ollama was lost"),
}


def play_pull(steps, listed=b'{"models":[]}'):
    """A backend without models that answers a pull by these steps, and all else well."""
    def play(request):
        if b"GET /api/tags " in request[0]:
            return [head("application/json", framing=f"Content-Length: {len(listed)}"), listed]
        return steps if b" /api/pull " in request[0] else [head(), chunk(LAST), END]

    return play


@pytest.mark.parametrize("name", ODD)
def test_a_pull_that_is_answered_in_an_odd_way_has_failed(sidecar, before, name):
    steps, status, words = ODD[name]
    sidecar.configure("preload", retries="0")
    backend = before(play=play_pull(steps), pull_missing="yes")
    answer = sidecar.generate()
    assert answer.status == status and words in answer.json["error"] and "\x1b" not in answer.json["error"]
    asked_n = len(backend.requests)
    assert sidecar.generate().status == status and len(backend.requests) == asked_n


@pytest.mark.parametrize("listed", [b"<html>", b'{"models":{}}', b"[]", b""])
def test_a_backend_without_a_list_is_asked_itself(sidecar, before, listed):
    backend = before(play=play_pull([], listed), pull_missing="yes")
    assert sidecar.generate(stream=True).status == 200
    assert not [text for text, _ in backend.requests if b"/api/pull" in text]


# who else changes models

def test_a_model_that_was_deleted_through_us_is_pulled_again(sidecar):
    boot(sidecar, "m")
    assert sidecar.generate().status == 200
    assert sidecar.ask("DELETE", "/api/delete", {"model": "m"}).status == 200
    assert sidecar.generate().status == 200 and pulled(sidecar) == ["m"]


def test_a_model_that_was_deleted_behind_our_back_is_pulled_again(sidecar):
    boot(sidecar, "m,other")
    assert sidecar.generate("other").status == 200
    assert ask(sidecar.backend.port, "DELETE", "/api/delete", {"model": "m"}).status == 200
    assert sidecar.generate().status == 200 and pulled(sidecar) == ["m"]


def test_a_model_of_the_preload_list_is_not_pulled_twice(sidecar):
    sidecar.configure("preload", models="m")
    sidecar.configure("proxy", pull_missing="yes")
    sidecar.backend.script(tokens=1, pull_bytes=2 * MB, pull_rate_bytes_s=2 * MB)
    sidecar.start()
    sidecar.wait_health(lambda health: health["models"]["pulling"])
    assert sidecar.generate().status == 200 and pulled(sidecar) == ["m"]


def test_two_are_pulled_at_once_and_the_third_when_one_has_ended(sidecar):
    boot(sidecar, pull_bytes=MB, pull_rate_bytes_s=MB)
    clients = [sidecar.background("POST", "/api/generate", {"model": name, "prompt": "hi", "stream": False}) for name in "abc"]
    health = sidecar.wait_health(lambda health: len(health["models"]["pulling"]) == 3 and len(pulled(sidecar)) >= 2)
    assert len(pulled(sidecar)) == 2 and health["requests"]["held"] == 3
    assert [client.result().status for client in clients] == [200] * 3
    assert sorted(pulled(sidecar)) == ["a", "b", "c"]


# sleep, and ends

def begin_a_pull_and_leave(sidecar):
    """Of some seconds; without it all would fall asleep after one."""
    sidecar.configure("supervisor", idle_timeout="1s", idle_action="stop")
    boot(sidecar, pull_bytes=4 * MB, pull_rate_bytes_s=MB)
    client = sidecar.connect()
    client.send("POST", "/api/generate", {"model": "m", "prompt": "hi"})
    sidecar.backend.wait("pull_start")
    client.close()


def test_nothing_falls_asleep_while_it_is_pulled(sidecar):
    begin_a_pull_and_leave(sidecar)
    sidecar.backend.wait("pull_done", timeout=10, model="m:latest")
    assert not sidecar.process.logged(r" supervisor asleep ")
    sidecar.process.wait_log(r" supervisor asleep ", timeout=10 * SLACK)


def test_a_stop_does_not_wait_for_it(sidecar):
    boot(sidecar, pull_bytes=64 * MB, pull_rate_bytes_s=MB)
    client = sidecar.background("POST", "/api/generate", {"model": "m", "prompt": "hi", "stream": False})
    sidecar.backend.wait("pull_start")
    assert sidecar.stop() == 0
    assert client.result().status == 503


def test_a_restarted_proxy_finishes_for_its_clients(sidecar):
    boot(sidecar, pull_bytes=2 * MB, pull_rate_bytes_s=MB)
    client = sidecar.background("POST", "/api/generate", {"model": "m", "prompt": "hi", "stream": False})
    sidecar.backend.wait("pull_start")
    assert sidecar.ctl("restart", "proxy").returncode == 0
    sidecar.process.wait_log(r" proxy drain ")
    assert sidecar.generate().status == 200 and client.result().status == 200
    assert len(sidecar.backend.journal("pull_done")) >= 1


@pytest.mark.parametrize("verb", ["reload", "restart proxy"])
def test_what_is_pulled_for_nobody_any_more_goes_on_over_another_proxy(sidecar, verb):
    begin_a_pull_and_leave(sidecar)
    sidecar.configure("proxy", hold_timeout="9m")
    sidecar.write_ini()
    assert sidecar.ctl(*verb.split()).returncode == 0
    sidecar.process.wait_log(r" proxy drain .*clients=0")
    sidecar.backend.wait("pull_done", timeout=10, model="m:latest")
    assert not sidecar.process.logged(r" supervisor asleep ")
    sidecar.process.wait_log(r" supervisor drained ")
    sidecar.process.wait_log(r" supervisor asleep ", timeout=10 * SLACK)


def test_a_stop_does_not_wait_for_what_an_old_proxy_pulls(sidecar):
    boot(sidecar, pull_bytes=64 * MB, pull_rate_bytes_s=MB)
    client = sidecar.connect()
    client.send("POST", "/api/generate", {"model": "m", "prompt": "hi"})
    sidecar.backend.wait("pull_start")
    client.close()
    assert sidecar.ctl("restart", "proxy").returncode == 0
    sidecar.process.wait_log(r" proxy drain .*clients=0")
    assert not sidecar.process.logged(r" supervisor drained ")
    assert sidecar.stop() == 0


# presets

GIF = "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
PRESETS = {
    "cheap_text": {"model": "cheap", "options": {"num_ctx": 1024}},
    "vision": {"model": ["eyes", "llava:7b"], "options": {"num_ctx": 2048}},
}
SEE = {"prompt": "what is it?", "images": [GIF], "stream": False}


def boot_presets(sidecar, installed="", mode="presets", **script):
    """The same with models.json."""
    sidecar.write("models.json", json.dumps(PRESETS))
    return boot(sidecar, installed, mode, **script)


def test_the_first_curl_of_a_first_run_works(sidecar):
    boot_presets(sidecar)
    answer = sidecar.ask("POST", "/generate", {"prompt": "hi"})
    assert answer.status == 200 and b'"done":true' in answer.body.replace(b" ", b"") and pulled(sidecar) == ["cheap"]
    answer = sidecar.ask("POST", "/generate", SEE)
    assert answer.status == 200 and answer.json["model"] == "eyes" and pulled(sidecar) == ["cheap", "eyes"]


@pytest.mark.parametrize("installed, used", [("eyes,llava:7b", "eyes"), ("llava:7b", "llava:7b")])
def test_the_first_that_is_installed(sidecar, installed, used):
    boot_presets(sidecar, installed)
    for _ in range(3):
        assert sidecar.ask("POST", "/generate", SEE).json["model"] == used
    assert pulled(sidecar) == [] and lists(sidecar) == 1


def test_the_second_where_the_registry_has_not_the_first_with_its_own_pin(sidecar):
    sidecar.configure("pin:eyes", num_ctx="512")
    sidecar.configure("pin:llava:7b", num_thread="3")
    boot_presets(sidecar, models={"eyes": {"pull_error": "unknown_model"}})
    assert sidecar.ask("POST", "/generate", SEE).json["model"] == "llava:7b"
    assert pulled(sidecar) == ["eyes", "llava:7b"]
    body = [json.loads(entry["body"]) for entry in sidecar.backend.requests("/api/generate")][-1]
    assert body["options"] == {"num_ctx": 2048, "num_thread": 3, "use_mmap": True} and body["model"] == "llava:7b"


def test_all_of_them_are_told_where_none_can_be_had(sidecar):
    boot_presets(sidecar, pull_error="unknown_model")
    answer = sidecar.ask("POST", "/generate", SEE)
    assert answer.status == 404 and pulled(sidecar) == ["eyes", "llava:7b"]
    for words in ("'eyes', 'llava:7b' of preset 'vision'", "eyes: the registry has no such model", "llava:7b: the registry", "`ollama pull eyes`"):
        assert words in answer.json["error"]


def test_presets_of_more_models_than_are_remembered_to_have_failed_come_to_an_end(sidecar):
    sidecar.write("models.json", json.dumps({f"p{i}": {"model": [f"p{i}-{k}" for k in range(8)]} for i in range(3)}))
    boot(sidecar, mode="presets", pull_error="unknown_model")
    clients = [sidecar.background("POST", "/generate", {"preset": f"p{i}", "prompt": "hi", "stream": False}) for i in range(3)]
    assert [client.result().status for client in clients] == [404] * 3
    assert sorted(pulled(sidecar)) == [f"p{i}-{k}" for i in range(3) for k in range(8)]


@pytest.mark.parametrize("body, model", [({"prompt": "hi", "stream": False}, "cheap"), (SEE, "eyes")])
def test_without_leave_it_says_how_to_pull_it(sidecar, body, model):
    boot_presets(sidecar, "other", "no")
    answer = sidecar.ask("POST", "/generate", body)
    assert answer.status == 404 and pulled(sidecar) == []
    assert f"`ollama pull {model}` gets it" in answer.json["error"] and "pull_missing = no" in answer.json["error"]


def test_without_leave_one_of_several_is_found(sidecar):
    boot_presets(sidecar, "llava:7b", "no")
    assert sidecar.ask("POST", "/generate", SEE).json["model"] == "llava:7b"


def test_a_preset_s_model_of_the_preload_list_is_waited_for(sidecar):
    sidecar.write("models.json", json.dumps({"vision": {"model": ["eyes", "llava:7b"]}}))
    sidecar.configure("preload", models="llava:7b")
    sidecar.backend.script(tokens=1, pull_bytes=2 * MB, pull_rate_bytes_s=2 * MB, models={"eyes": {"pull_error": "unknown_model"}})
    sidecar.start()
    sidecar.wait_health(lambda health: health["models"]["pulling"])
    assert sidecar.ask("POST", "/generate", SEE, timeout=20).json["model"] == "llava:7b"
    assert sorted(pulled(sidecar)) == ["eyes", "llava:7b"]  # /health tells of a pull before Ollama is asked for it


def test_a_preset_s_model_that_was_deleted_behind_our_back_gives_way_to_the_next(sidecar):
    boot_presets(sidecar, "eyes,llava:7b")
    assert sidecar.ask("POST", "/generate", {**SEE, "keep_alive": 0}).json["model"] == "eyes"
    assert ask(sidecar.backend.port, "DELETE", "/api/delete", {"model": "eyes"}).status == 200
    assert sidecar.ask("POST", "/generate", SEE).json["model"] == "llava:7b" and pulled(sidecar) == []


def test_names_that_nobody_has_cost_others_no_list(sidecar):
    boot_presets(sidecar, "llava:7b")
    for _ in range(3):
        assert sidecar.ask("POST", "/generate", SEE).status == 200
        assert sidecar.generate("nobody").status == 404
    assert lists(sidecar) == 1
