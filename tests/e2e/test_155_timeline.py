"""A cold start, phase by phase: in the log, in status, in /metrics; what the supervisor knows there, and what is told while it says nothing."""
import json
import os
import re
import signal
import time

import prometheus_text
from played_proxy import PlayedProxy
from test_52_asleep import wait_asleep
from waiting import SLACK, until

PHASES = ("exec", "api", "models", "load", "first_token")


def scrape(sidecar):
    answer = sidecar.ask("GET", "/metrics")
    assert answer.status == 200, answer.body
    return prometheus_text.read(answer.body)


def wait_for(sidecar, condition, what: str):
    """The first scrape that the condition holds for."""
    found = {}

    def look():
        found["last"] = scrape(sidecar)
        return condition(found["last"])

    until(look, 10, what, lambda: f"{found}\n{sidecar.process.tail()}")
    return found["last"]


def status(sidecar) -> dict:
    return json.loads(sidecar.ctl("--json", "status").stdout)


def phases_of(metrics, name="sidecar_boot_phase_seconds") -> dict:
    return {dict(labels)["phase"]: number for (found, labels), number in metrics.items() if found == name}


def test_a_whole_cold_start_and_its_answer_are_under_ten_lines(sidecar):
    sidecar.configure("preload", models="m")
    sidecar.installed = "m"
    sidecar.backend.script(tokens=3, load_s=0.1)
    sidecar.start()
    sidecar.process.wait_log(r" exec program=")
    answer = sidecar.ask("POST", "/api/generate", {"model": "m", "prompt": "hello", "stream": True})
    assert answer.status == 200 and b'"done":true' in answer.body
    sidecar.process.wait_log(r" supervisor booted cause=start .*first_token_ms=\d+")
    lines = sidecar.process.logged(r"^\S+ \w+ +\w+")
    assert len(lines) < 10, "\n".join(lines)


def test_the_phases_of_a_start_are_the_same_everywhere(sidecar):
    sidecar.configure("preload", models="m")
    sidecar.boot(tokens=1, load_s=0.1)
    before = phases_of(scrape(sidecar))
    assert set(before) == {"exec", "api", "models"} or "load" in before, before
    assert sidecar.generate().status == 200
    line = sidecar.process.wait_log(r" supervisor booted cause=start .*first_token_ms=\d+$").string
    logged = {name: int(value) for name, value in re.findall(r"(\w+)_ms=(\d+)", line)}
    metrics = wait_for(sidecar, lambda metrics: "first_token" in phases_of(metrics), "the first token")
    boot = status(sidecar)["boots"][-1]
    assert set(logged) == set(PHASES)
    assert {phase: boot[f"{phase}_ms"] for phase in PHASES} == logged
    assert {phase: round(seconds * 1000) for phase, seconds in phases_of(metrics).items()} == logged
    parts = status(sidecar)["sleep"]["parts"]
    assert parts == {phase: {"n": 1, "ms": logged[phase]} for phase in PHASES}
    assert phases_of(metrics, "sidecar_cold_start_phases_total") == {phase: 1 for phase in PHASES}


def test_cold_starts_and_their_parts_are_kept_over_sleeps(sidecar):
    sidecar.configure("supervisor", idle_action="stop", idle_timeout="300ms")
    sidecar.boot(tokens=1)
    wait_asleep(sidecar)
    assert sidecar.generate().status == 200
    sidecar.process.wait_log(r" supervisor booted cause=wake .*first_token_ms=\d+$")
    parts = status(sidecar)["sleep"]["parts"]
    assert parts["exec"]["n"] == 2 and parts["first_token"]["n"] == 1 and parts["first_token"]["ms"] > 0
    sidecar.stop()
    with open(os.path.join(sidecar.directory, "state", "sleep.txt"), encoding="utf-8") as file:
        kept = dict(line.split("=") for line in file.read().split())
    assert (kept["cold_starts"], kept["exec_n"], kept["first_token_n"]) == ("2", "2", "1")
    sidecar.start()
    sidecar.wait_ready()
    metrics = scrape(sidecar)
    assert metrics.of("sidecar_cold_starts_total") == 3
    assert metrics.of("sidecar_cold_start_phases_total", phase="first_token") == 1
    assert metrics.of("sidecar_cold_start_phase_seconds_total", phase="first_token") == parts["first_token"]["ms"] / 1000


def test_programs_memory_and_the_list_are_told(sidecar):
    sidecar.configure("preload", models="m")
    sidecar.script_program("fails", "exit 3", max_restarts="1", backoff_min="1ms", required="no")
    sidecar.script_program("killed", "kill -9 $$", max_restarts="1", backoff_min="1ms", required="no")
    sidecar.installed = "m"
    sidecar.start()
    sidecar.wait_ready()
    metrics = wait_for(sidecar, lambda metrics: all(metrics.of("sidecar_program_state", program=name, state="failed") for name in ("fails", "killed")),
                       "programs that have failed")
    assert metrics.of("sidecar_supervisor_up") == 1
    assert metrics.of("sidecar_program_up", program="proxy") == 1 and metrics.of("sidecar_program_up", program="fails") == 0
    assert metrics.of("sidecar_program_last_exit_code", program="fails") == 3
    assert metrics.of("sidecar_program_last_exit_code", program="killed") == 128 + signal.SIGKILL
    assert metrics.of("sidecar_program_restarts_total", program="fails") >= 1
    assert metrics.of("sidecar_program_memory_bytes", program="proxy") > 1 << 20
    assert ("sidecar_program_memory_bytes", (("program", "fails"),)) not in metrics
    assert metrics.of("sidecar_memory_limit_bytes") > metrics.of("sidecar_memory_used_bytes") > 0
    assert metrics.of("sidecar_oom_kills_total") == 0
    assert metrics.of("sidecar_preload_models", state="ready") == 1 and metrics.of("sidecar_preload_models", state="failed") == 0
    assert ("sidecar_preload_bytes", (("model", "m:latest"),)) in metrics or ("sidecar_preload_bytes", (("model", "m"),)) in metrics, metrics


def test_a_supervisor_that_says_nothing_keeps_no_scrape_waiting(sidecar):
    sidecar.boot(tokens=1)
    assert scrape(sidecar).of("sidecar_supervisor_up") == 1
    sidecar.process.kill(signal.SIGSTOP)
    try:
        silent = wait_for(sidecar, lambda metrics: metrics.of("sidecar_supervisor_up") == 0, "a scrape without it")
        assert not [name for name, _ in silent if name.startswith("sidecar_program_")]
        assert silent.of("sidecar_preload_models", state="ready") == 0 and silent.of("sidecar_requests_in_flight") == 0
        began = time.monotonic()
        scrape(sidecar)
        assert time.monotonic() - began < 2 * SLACK
        assert sidecar.generate().status == 200
    finally:
        sidecar.process.kill(signal.SIGCONT)
    wait_for(sidecar, lambda metrics: metrics.of("sidecar_supervisor_up") == 1, "its answer again")


def test_alone_there_is_nobody_to_ask(sidecar):
    sidecar.start("ollama-proxy")
    until(sidecar.health, 10, "its start")
    metrics = scrape(sidecar)
    assert not [found for found, _ in metrics if "supervisor" in found or "program" in found or "preload" in found]


def test_a_proxy_may_ask_and_change_nothing(sidecar):
    proxy = PlayedProxy(sidecar).start()
    sidecar.script_program("says", "echo one; echo two; exec sleep 1000")
    sidecar.write_ini()
    assert sidecar.ctl("reload").returncode == 0
    until(lambda: '"line":"two"' in proxy.ask(ask="tail says\n")["said"], 5, "its lines")
    found = json.loads(proxy.ask(ask="status\n")["said"])
    assert found["ok"] and {program["name"] for program in found["programs"]} >= {"ollama", "proxy", "says"}
    first, *lines = [json.loads(line) for line in proxy.ask(ask="tail -n 1 says\n")["said"].splitlines()]
    assert first == {"ok": True} and [line["line"] for line in lines] == ["two"]
    for line in ("stop says", "start ollama", "restart proxy", "reload", "dump"):
        refused = json.loads(proxy.ask(ask=line + "\n")["said"])
        assert refused == {"ok": False, "error": f"a proxy may not say {line.split(' ', maxsplit=1)[0]}: status and tail"}
    assert not json.loads(proxy.ask(ask="nonsense\n")["said"])["ok"]
    assert [program["state"] for program in status(sidecar)["programs"] if program["name"] in ("proxy", "says")] == ["ready", "ready"]
