"""Boot: the socket is there at once, requests wait instead of failing, and each goes on as soon as it can."""
import contextlib
import os
import socket
import time

import pytest

import ports
from client import Connection
from waiting import SLACK


def test_connection_is_accepted_before_ollama_is_up(sidecar):
    sidecar.backend.script(start_delay_s=60)
    sidecar.start()
    sidecar.process.wait_log(r" exec .*program=ollama")
    with Connection(sidecar.port, timeout=2):
        assert not sidecar.backend.journal("listening")
    health = sidecar.wait_health(lambda health: health["code"] == 503)
    assert health["status"] == "starting" and health["state"] == "starting" and health["error"]
    assert sidecar.ask("GET", "/live").status == 200
    assert sidecar.ask("GET", "/ready").status == 200  # it would be held


def test_r0_9_health_goes_from_503_with_reasons_to_200(sidecar):
    sidecar.installed = "m"
    sidecar.backend.script(start_delay_s=1 * SLACK)
    sidecar.start()
    waiting = sidecar.wait_health(lambda health: health["code"] == 503)
    assert waiting["waiting_for"] and all(isinstance(text, str) for text in waiting["waiting_for"])
    ready = sidecar.wait_ready()
    assert ready["status"] == "ok" and ready["state"] == "ready" and ready["waiting_for"] == []
    assert ready["version"] and ready["uptime_s"] >= 0 and "requests" in ready
    sidecar.process.wait_log(r"info supervisor ready after_ms=\d+")


def test_log_lines_have_the_agreed_form(sidecar):
    sidecar.boot()
    assert sidecar.stop() == 0
    own = [line for line in sidecar.process.log if " supervisor " in line or " proxy " in line]
    assert own
    sidecar.process.wait_log(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z info supervisor exec .*program=ollama.* pid=\d+")


def test_request_is_held_while_ollama_starts(sidecar):
    sidecar.installed = "m"
    sidecar.backend.script(start_delay_s=1.5 * SLACK, tokens=3)
    sidecar.start()
    sidecar.process.wait_log(r" exec .*program=proxy")
    held = sidecar.background("POST", "/api/generate", {"model": "m", "prompt": "x", "stream": False})
    early = sidecar.background("GET", "/api/tags")
    answer = held.result()
    assert answer.status == 200 and answer.json["response"] == "t0 t1 t2 "
    assert early.result().json["models"][0]["name"] == "m:latest"
    assert len(sidecar.backend.requests("/api/generate")) == 1


def test_ollama_gets_the_environment(sidecar):
    sidecar.configure("environment", OLLAMA_NUM_PARALLEL=None, OLLAMA_KEEP_ALIVE="7m")
    sidecar.env["OLLAMA_FLASH_ATTENTION"] = "1"
    sidecar.boot()
    env = sidecar.backend.journal("started")[0]["env"]
    assert env["OLLAMA_HOST"] == f"127.0.0.1:{sidecar.backend.port}"
    assert (env["OLLAMA_NUM_PARALLEL"], env["OLLAMA_MAX_QUEUE"]) == ("1", "64")
    assert env["OLLAMA_KEEP_ALIVE"] == "7m" and env["OLLAMA_FLASH_ATTENTION"] == "1"
    assert sidecar.backend.journal("started")[0]["argv"][1:] == ["serve"]


def test_official_images_ollama_host_is_moved_out_of_the_way(sidecar):
    ports.take(11435)  # where it goes
    sidecar.env["OLLAMA_HOST"] = f"0.0.0.0:{sidecar.port}"
    sidecar.installed = "m"
    sidecar.start()
    listening = sidecar.backend.wait("listening")
    assert listening["host"] == "127.0.0.1" and listening["port"] != sidecar.port
    sidecar.wait_ready()
    assert sidecar.process.logged(r"OLLAMA_HOST|ollama_host")


def test_backend_follows_ollama_host_of_any_interface(sidecar):
    sidecar.env["OLLAMA_HOST"] = f"0.0.0.0:{sidecar.backend.port}"
    sidecar.boot(tokens=1)
    assert sidecar.generate().status == 200


def test_list_is_pulled_and_health_shows_it(sidecar):
    sidecar.configure("preload", models="llama3.2:1b")
    sidecar.backend.script(pull_bytes=8 << 20, pull_rate_bytes_s=(8 << 20) / SLACK)
    sidecar.start()
    pulling = sidecar.wait_health(lambda health: health.get("state") == "pulling" and health["models"]["pulling"])
    (model,) = pulling["models"]["pulling"]
    assert pulling["code"] == 503 and model["name"] == "llama3.2:1b"
    moved = sidecar.wait_health(lambda health: any(m.get("total") == 8 << 20 and m["completed"] > 0
                                                   for m in health["models"]["pulling"]))
    assert moved["models"]["pulling"][0]["completed"] <= 8 << 20
    ready = sidecar.wait_ready()
    assert ready["models"]["ready"] == ["llama3.2:1b"] and ready["models"]["failed"] == []
    assert sidecar.generate("llama3.2:1b").status == 200


def test_request_is_answered_when_its_own_model_is_there(sidecar):
    sidecar.configure("preload", models="small big")
    sidecar.backend.script(tokens=1, pull_bytes=1 << 20, pull_rate_bytes_s=(1 << 20) / SLACK,
                           models={"big": {"pull_bytes": 1 << 30, "pull_rate_bytes_s": 1 << 20}})
    sidecar.start()
    sidecar.process.wait_log(r" exec .*program=proxy")
    held = sidecar.background("POST", "/api/generate", {"model": "small", "prompt": "x", "stream": False})
    assert held.result().status == 200
    health = sidecar.health()
    assert health["code"] == 503 and [m["name"] for m in health["models"]["pulling"]] == ["big:latest"]
    assert not sidecar.backend.journal("pull_done", model="big:latest")


def test_unlisted_model_is_refused_by_ollama_not_held(sidecar):
    sidecar.configure("preload", models="big")
    sidecar.backend.script(pull_bytes=1 << 30, pull_rate_bytes_s=1 << 20)
    sidecar.start()
    sidecar.backend.wait("pull_start")
    answer = sidecar.generate("other")
    assert answer.status == 404 and "other" in answer.json["error"]


def test_tokens_arrive_one_by_one(sidecar):
    sidecar.boot(tokens=8, token_delay_ms=60)
    with sidecar.connect() as connection:
        answer = connection.request("POST", "/api/generate", {"model": "m", "prompt": "x"})
        arrived = list(answer.objects())
    assert answer.status == 200 and answer.clean and answer.header("content-type") == "application/x-ndjson"
    assert [value["response"] for _, value in arrived[:-1]] == [f"t{index} " for index in range(8)]
    assert arrived[-1][1]["done"] is True
    gaps = [b[0] - a[0] for a, b in zip(arrived[:7], arrived[1:8])]
    assert min(gaps) > 0.02 and arrived[7][0] - arrived[0][0] >= 0.3, gaps


def test_start_ready_execs_the_proxy_only_when_all_is_there(sidecar):
    sidecar.configure("proxy", start="ready")
    sidecar.configure("preload", models="m")
    sidecar.backend.script(tokens=1, start_delay_s=0.5, pull_bytes=1 << 20, pull_rate_bytes_s=4 << 20)
    sidecar.start()
    sidecar.process.wait_log(r" exec .*program=ollama")
    asked = sidecar.background("POST", "/api/generate", {"model": "m", "prompt": "x", "stream": False})
    assert asked.result().status == 200  # it waited in the backlog
    order = [line for line in sidecar.process.log if " exec " in line]
    assert ["ollama", "preload", "proxy"] == [line.split("program=")[1].split()[0] for line in order]


def test_taken_public_port_is_named(sidecar):
    with socket.create_server(("127.0.0.1", sidecar.port)):
        process = sidecar.start()
        assert process.wait() == 111
    assert any(str(sidecar.port) in line and "use" in line for line in process.log), process.tail()


def test_health_answers_while_ollama_hangs(sidecar):
    sidecar.boot()
    sidecar.backend.script(hang_everything=True)
    began = time.monotonic()
    assert sidecar.health()["code"] in (200, 503)
    assert time.monotonic() - began < 1 * SLACK


def test_stray_descriptors_reach_nobody(sidecar):
    """scenario 58: what was open by chance is closed in the supervisor and in its programs, once the file is read."""
    stray = sidecar.write("stray", "x")
    sidecar.before = ["sh", "-c", f'exec 7<{sidecar.ini} 9<{stray}; exec "$@" -c /dev/fd/7', "sh"]
    sidecar.boot(tokens=1)
    for pid in (sidecar.process.pid, sidecar.pid_of("ollama"), sidecar.pid_of("proxy")):
        open_files = []
        for fd in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(FileNotFoundError):  # one that was closed meanwhile
                open_files.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
        assert not {stray, sidecar.ini} & set(open_files), (pid, open_files)


def test_a_good_configuration_boots_without_a_warning(sidecar):
    sidecar.configure("preload", models="m")
    sidecar.boot(tokens=1)
    assert sidecar.stop() == 0
    assert not [line for line in sidecar.process.log if "warning" in line], sidecar.process.tail()


@pytest.mark.parametrize("preload", [{}, {"autostart": "no"}])
def test_start_ready_waits_for_no_list_where_there_is_none(sidecar, preload):
    sidecar.configure("proxy", start="ready")
    sidecar.configure("program:preload", **preload)
    sidecar.boot("m", tokens=1)
    assert sidecar.generate().status == 200
