"""A model whose load fails again and again is not tried again and again: who asks is told why, and when it is tried."""
import json
import os
import re
import signal

import pytest

from waiting import SLACK, until

EMBED = "/api/embed"
PULL = {"model": "other", "stream": False}


def tries(sidecar, model=None) -> int:
    """How often a load was asked of the stand-in."""
    bodies = [json.loads(entry["body"]) for entry in sidecar.backend.requests(EMBED)]
    return len([body for body in bodies if body.get("input") == [] and model in (None, body["model"])])


def fail_thrice(sidecar, **more):
    """Until it rests; the answers were Ollama's own."""
    for _ in range(3):
        answer = sidecar.generate(**more)
        assert answer.status == 500 and answer.json["error"] == "no good file"
    sidecar.process.wait_log(r" cooldown_begin ")


def boot_with(sidecar, installed, rules):
    """One whose stand-in has rules for some models."""
    sidecar.installed = installed
    sidecar.backend.script(tokens=1, models=rules)
    sidecar.start()
    sidecar.wait_ready()
    return sidecar


def boot(sidecar, models="m", **script):
    """A sidecar before which every load of m fails."""
    return boot_with(sidecar, models, {"m": {"load_fails": "no good file", **script}})


def test_behind_the_third_failure_nobody_tries_and_all_are_told(sidecar):
    boot(sidecar)
    fail_thrice(sidecar)
    for _ in range(5):
        answer = sidecar.generate()
        assert answer.status == 503 and 0 < int(answer.header("Retry-After")) <= 10
        assert re.fullmatch(r"model 'm' could not be loaded 3 times in a row: no good file; it is tried again in \d+ s", answer.json["error"])
    assert tries(sidecar) == 3
    (line,) = sidecar.process.logged(r" warning proxy cooldown_begin ")
    assert 'model=m failures=3 for_ms=10000 reason="no good file"' in line


@pytest.mark.parametrize("path, body, told", [
    ("/v1/chat/completions", {"messages": [{"role": "user", "content": "hi"}]}, lambda answer: answer.json["error"]["message"]),
    ("/v1/embeddings", {"input": "hi"}, lambda answer: answer.json["error"]["message"]),
    ("/api/chat", {"messages": [{"role": "user", "content": "hi"}]}, lambda answer: answer.json["error"])])
def test_each_dialect_is_told_in_its_own_words(sidecar, path, body, told):
    boot(sidecar)
    for _ in range(3):
        assert sidecar.ask("POST", path, {"model": "m", **body}).status == 500
    answer = sidecar.ask("POST", path, {"model": "m", **body})
    assert answer.status == 503 and answer.header("Retry-After") and "no good file; it is tried again in" in told(answer)


def test_behind_a_heartbeat_it_is_told_in_the_answer(sidecar):
    sidecar.configure("proxy", heartbeat_after="0", heartbeat_interval="100ms", slots="1")
    boot(sidecar, load_s=0.3 * SLACK)
    answers = [sidecar.generate(stream=True) for _ in range(4)]
    assert tries(sidecar) == 3 and b"it is tried again in" in answers[3].body
    assert all(b"no good file" in answer.body for answer in answers)


def test_health_and_other_models_are_as_ever(sidecar):
    boot(sidecar, "m,other")
    fail_thrice(sidecar)
    health = sidecar.health()
    assert (health["code"], health["status"]) == (200, "ok")
    (failed,) = health["models"]["failed"]
    assert failed["name"] == "m" and "3 times in a row: no good file" in failed["reason"]
    assert sidecar.generate("other").status == 200


def test_other_load_options_are_tried_at_once(sidecar):
    boot(sidecar, load_fails_times=3)
    fail_thrice(sidecar, options={"num_ctx": 100000})
    assert sidecar.generate(options={"num_ctx": 100000}).status == 503
    assert sidecar.generate(options={"num_ctx": 2048}).status == 200
    assert sidecar.generate(options={"num_ctx": 100000}).status == 503  # which is no better for that
    assert sidecar.generate(options={"num_ctx": 1024}).status == 200    # and what is loaded serves on
    assert len(sidecar.backend.journal("loaded")) == 1


def test_when_the_time_is_over_it_is_tried_once_and_rests_on(sidecar):
    sidecar.configure("models", load_cooldown="1s")
    boot(sidecar)
    fail_thrice(sidecar)
    assert sidecar.generate().status == 503
    until(lambda: sidecar.generate().status == 500, 10, "one try")
    assert sidecar.generate().status == 503 and tries(sidecar) == 4
    until(lambda: len(sidecar.process.logged(r" cooldown_begin ")) == 2, 5, "both of its lines")


def test_a_try_that_is_well_ends_it(sidecar):
    sidecar.configure("models", load_cooldown="1s")
    boot(sidecar, load_fails_times=3)
    fail_thrice(sidecar)
    until(lambda: sidecar.generate().status == 200, 10, "a load")
    sidecar.process.wait_log(r" info proxy cooldown_end model=m cause=loaded")
    assert not sidecar.health()["models"]["failed"] and tries(sidecar) == 4


@pytest.mark.parametrize("method, path, body", [
    ("POST", "/api/pull", PULL), ("POST", "/api/create", {"model": "p", "from": "m", "stream": False}), ("DELETE", "/api/delete", {"model": "other"})])
def test_a_model_that_was_changed_ends_it_at_once(sidecar, method, path, body):
    boot(sidecar, "m,other", load_fails_times=3)
    fail_thrice(sidecar)
    assert sidecar.ask(method, path, body).status == 200
    assert sidecar.generate().status == 200
    sidecar.process.wait_log(r" info proxy cooldown_end model=\* cause=changed")


def test_an_ollama_that_the_owner_restarted_ends_it_and_a_crash_does_not(sidecar):
    boot(sidecar, load_fails_times=3)
    fail_thrice(sidecar)
    os.kill(sidecar.pid_of("ollama"), signal.SIGKILL)
    sidecar.backend.wait("listening", count=2)
    sidecar.wait_ready()
    assert sidecar.generate().status == 503
    assert sidecar.ctl("restart", "ollama").returncode == 0
    sidecar.backend.wait("listening", count=3)
    sidecar.wait_ready()
    assert sidecar.generate().status == 200
    sidecar.process.wait_log(r" info proxy cooldown_end model=\* cause=restarted")


@pytest.mark.limit(60)
def test_a_model_that_kills_ollama_rests_and_others_are_served(sidecar):
    sidecar.configure("program:ollama", backoff_min="10ms")
    boot_with(sidecar, "killer,good", {"killer": {"crash_while_loading": {"signal": "KILL", "times": 99}, "load_s": 0.4 * SLACK},
                                       "good": {"load_s": 0.6 * SLACK}})
    killers = [sidecar.background("POST", "/api/generate", {"model": "killer", "prompt": "x", "stream": False}, timeout=40) for _ in range(3)]
    good = [sidecar.background("POST", "/api/generate", {"model": "good", "prompt": "x", "stream": False}, timeout=40) for _ in range(3)]
    for call in killers:
        answer = call.result(40)
        assert answer.status == 503 and answer.header("Retry-After"), answer.body
        assert "model 'killer' could not be loaded 3 times in a row: the backend was lost while it loaded it" in answer.json["error"]
    assert [call.result(40).status for call in good] == [200] * 3
    assert tries(sidecar, "killer") == 3
    assert len(sidecar.backend.journal("listening")) == 4


def test_busy_and_missing_are_no_failures(sidecar):
    sidecar.boot("m", tokens=1, busy=True)
    assert {sidecar.generate().status for _ in range(5)} == {503}
    assert "busy" in sidecar.generate().json["error"]
    assert {sidecar.generate("absent").status for _ in range(5)} == {404}
    sidecar.backend.script(tokens=1)
    assert sidecar.generate().status == 200
    assert not sidecar.process.logged(r" cooldown_begin ")


def test_without_a_cooldown_each_is_tried(sidecar):
    sidecar.configure("models", load_cooldown="0")
    boot(sidecar)
    assert {sidecar.generate().status for _ in range(6)} == {500}
    assert tries(sidecar) == 6


def test_a_reload_takes_another_length(sidecar):
    boot(sidecar, load_fails_times=4)
    fail_thrice(sidecar)
    sidecar.configure("models", load_cooldown="0")
    sidecar.write_ini()
    assert sidecar.ctl("reload").returncode == 0
    until(lambda: sidecar.generate().status == 500, 10, "a proxy that tries")
    assert sidecar.generate().status == 200


def test_who_is_told_of_the_pause_is_told_what_ollama_died_of(sidecar):
    sidecar.configure("program:ollama", backoff_min="10ms")
    boot_with(sidecar, "m", {"m": {"crash_while_loading": {"code": 3, "says": ["panic: out of luck"], "times": 3}}})
    for _ in range(2):
        answer = sidecar.ask("POST", "/api/generate", {"model": "m", "prompt": "x", "stream": False}, timeout=25)
        assert answer.status == 503
        assert re.search(r"3 times in a row: .*; it is tried again in \d+ s; ollama has ended: exit code 3: panic: out of luck", answer.json["error"])
