"""The preload list: how it is read, that it costs nothing twice, and what becomes of pulls that fail."""
import os
import signal

import pytest

import standin
from waiting import SLACK, until

MB = 1 << 20


def list_file(sidecar, content, name="preload-models.txt"):
    """Use a list file instead of [preload] models."""
    path = sidecar.write(name, content)
    sidecar.configure("preload", models=None, file=name)
    return path


def pulled(sidecar):
    """Names of the models that the backend was asked to pull, in order."""
    return [entry["model"] for entry in sidecar.backend.journal("pull_start")]


def small(sidecar, **keys):
    sidecar.backend.script(tokens=1, pull_bytes=100_000, pull_rate_bytes_s=10 * MB, **keys)


# reading

@pytest.mark.parametrize("content, expected", [
    ("# a comment\n\nllama3.2:1b  # the small one\r\n\r\n\tqwen3:0.6b\t\n   # end", ["llama3.2:1b", "qwen3:0.6b"]),
    ("\ufeffx\n", ["x:latest"]),
    ("x\nx:latest\nX\n", ["x:latest"]),
    ("hf.co/Org/Some-Model-GGUF:Q4_K_M\norg/model\n", ["hf.co/Org/Some-Model-GGUF:Q4_K_M", "org/model:latest"]),
    ("", []), ("# nothing on purpose\n", []),
])
def test_list_file(sidecar, content, expected):
    list_file(sidecar, content.encode())
    small(sidecar)
    sidecar.start()
    sidecar.wait_ready()
    assert pulled(sidecar) == expected


BAD = ["-leading-dash", "../escape", "https://ollama.com/library/x", "a b", "a:b:c", "x/", "/x", "x@", "a/b/c/d/e",
       "n" * 81, "ü", "x:\x01"]


@pytest.mark.parametrize("name", BAD)
def test_bad_name_is_refused_with_its_line(sidecar, name):
    path = list_file(sidecar, f"# comment\ngood\n{name}\n")
    process = sidecar.start()
    assert process.wait() == 100
    assert process.logged(rf"{os.path.basename(path)}:3\b"), process.tail()
    assert not sidecar.backend.journal("started")


def test_all_bad_names_are_listed(sidecar):
    list_file(sidecar, "-a\ngood\n../b\r\n\nhttp://c\n")
    sidecar.write_ini()
    run = sidecar.run("ollama-supervisor", "-c", sidecar.ini, "--check")
    assert run.returncode == 100
    for line in (1, 3, 5):
        assert f"preload-models.txt:{line}:" in run.stdout + run.stderr
    assert "preload-models.txt:2:" not in run.stdout + run.stderr


def test_ten_thousand_lines(sidecar):
    list_file(sidecar, "".join(f"m{number}\n" for number in range(10_000)) + "-bad\n")
    sidecar.write_ini()
    run = sidecar.run("ollama-supervisor", "-c", sidecar.ini, "--check")
    assert run.returncode == 100 and "preload-models.txt:10001:" in run.stdout + run.stderr


def test_directory_in_place_of_the_file(sidecar):
    os.mkdir(os.path.join(sidecar.directory, "preload-models.txt"))
    sidecar.configure("preload", models=None, file="preload-models.txt")
    process = sidecar.start()
    assert process.wait() == 100 and process.logged("preload-models.txt")


@pytest.mark.parametrize("value, expected", [
    ("a,b", ["a:latest", "b:latest"]), ("a b:1", ["a:latest", "b:1"]),
    (" a ,, b\tc ", ["a:latest", "b:latest", "c:latest"]),
    ("none", []), ("", ["fromfile:latest"])])
def test_environment_wins(sidecar, value, expected):
    list_file(sidecar, "fromfile\n")
    sidecar.env["OLLAMA_PRELOAD_MODELS"] = value
    small(sidecar)
    sidecar.start()
    sidecar.wait_ready()
    assert pulled(sidecar) == expected


def test_bad_name_in_the_environment(sidecar):
    sidecar.env["OLLAMA_PRELOAD_MODELS"] = "good,-bad"
    process = sidecar.start()
    assert process.wait() == 100 and process.logged("OLLAMA_PRELOAD_MODELS.*-bad")


# idempotence

def test_what_is_there_costs_no_pull_and_works_offline(sidecar):
    sidecar.configure("preload", models="LLAMA3.2:1b, other")
    sidecar.boot("llama3.2:1b,other", tokens=1, pull_error="dead_network")
    assert sidecar.backend.requests("/api/pull") == []
    assert sorted(name.lower() for name in sidecar.health()["models"]["ready"]) == ["llama3.2:1b", "other:latest"]


def test_second_start_pulls_nothing(sidecar):
    sidecar.configure("preload", models="a b")
    small(sidecar)
    sidecar.start()
    sidecar.wait_ready()
    assert sidecar.stop() == 0
    sidecar.start()
    sidecar.wait_ready()
    assert len(sidecar.backend.requests("/api/pull")) == 2


# failing

def test_pull_that_fails_at_half_is_resumed(sidecar):
    sidecar.configure("preload", models="m")
    sidecar.backend.script(tokens=1, pull_bytes=MB, pull_rate_bytes_s=8 * MB, pull_fail_at=0.5)
    sidecar.start()
    sidecar.wait_ready()
    starts = sidecar.backend.journal("pull_start")
    assert len(starts) == 2 and starts[1]["resumed_at"] >= MB // 2
    assert sidecar.health()["models"]["ready"] == ["m:latest"]


def test_stalled_pull_is_tried_again(sidecar):
    sidecar.configure("preload", models="m")
    sidecar.configure("program:preload", stall_timeout="1s")
    sidecar.backend.script(tokens=1, pull_bytes=MB, pull_rate_bytes_s=8 * MB, pull_stall_at=0.5)
    sidecar.start()
    sidecar.wait_ready(20)
    assert len(sidecar.backend.journal("pull_start")) == 2


def test_resumes_after_ollama_crashed_in_mid_pull(sidecar):
    sidecar.configure("preload", models="m")
    sidecar.backend.script(tokens=1, pull_bytes=MB, pull_rate_bytes_s=MB)
    sidecar.start()
    sidecar.wait_health(lambda health: any(m["completed"] > MB // 4 for m in health["models"]["pulling"]))
    os.kill(sidecar.pid_of("ollama"), 9)
    sidecar.wait_ready()
    assert sidecar.backend.journal("pull_start")[-1]["resumed_at"] > MB // 8


@pytest.mark.parametrize("kind, words", [
    ("disk_full", ("disk", "space")), ("unknown_model", ("unknown", "not found", "no such model", "does not exist")),
    ("dead_network", ("network", "no such host", "lookup"))])
def test_failures_are_told_apart(sidecar, kind, words):
    sidecar.configure("preload", models="good bad", retries="1")
    small(sidecar, models={"bad": {"pull_error": kind}})
    sidecar.start()
    health = sidecar.wait_health(lambda health: health["models"]["failed"], 20)
    (failed,) = health["models"]["failed"]
    assert failed["name"] == "bad:latest" and any(word in failed["reason"].lower() for word in words), failed


def test_the_three_reasons_differ(sidecar):
    kinds = {"full": "disk_full", "nowhere": "unknown_model", "net": "dead_network"}
    sidecar.configure("preload", models=" ".join(kinds), retries="0")
    small(sidecar, models={name: {"pull_error": kind} for name, kind in kinds.items()})
    sidecar.start()
    health = sidecar.wait_health(lambda health: len(health["models"]["failed"]) == 3, 20)
    assert len({failed["reason"] for failed in health["models"]["failed"]}) == 3


def test_unknown_model_is_not_retried_for_long(sidecar):
    sidecar.configure("preload", models="bad", retries="5")
    small(sidecar, pull_error="unknown_model")
    sidecar.start()
    sidecar.wait_ready(10)
    assert len(sidecar.backend.requests("/api/pull")) <= 2


def test_network_that_comes_back(sidecar):
    sidecar.configure("preload", models="m")
    small(sidecar, pull_error="dead_network", pull_error_times=2)
    sidecar.start()
    sidecar.wait_ready(25)
    assert sidecar.health()["models"]["ready"] == ["m:latest"]
    assert len(sidecar.backend.requests("/api/pull")) == 3


def test_success_but_absent_is_noticed(sidecar):
    sidecar.configure("preload", models="m", retries="0")
    small(sidecar, pull_error="success_but_absent")
    sidecar.start()
    health = sidecar.wait_health(lambda health: health["models"]["failed"], 20)
    assert health["models"]["failed"][0]["name"] == "m:latest" and health["models"]["ready"] == []


def test_another_list_in_mid_pull_loses_no_request(sidecar):
    list_file(sidecar, "a\n", "models.txt")
    sidecar.backend.script(tokens=1, pull_bytes=4_000_000, pull_rate_bytes_s=2_000_000)
    sidecar.start()
    sidecar.wait_health(lambda health: health.get("state") == "pulling")
    held = [sidecar.background("POST", "/api/generate", {"model": "a", "prompt": "x", "stream": False})]
    sidecar.wait_health(lambda health: health["requests"]["held"] == 1)
    sidecar.write("models.txt", "a\nb\n")
    assert sidecar.ctl("reload").returncode == 0
    held.append(sidecar.background("POST", "/api/generate", {"model": "b", "prompt": "x", "stream": False}))
    assert [request.result(20).status for request in held] == [200, 200]
    sidecar.write("models.txt", "")
    assert sidecar.ctl("reload").returncode == 0
    sidecar.wait_health(lambda health: not any(health["models"].values()))


def test_another_list_after_the_preloader_has_failed(sidecar):
    list_file(sidecar, "a\n", "models.txt")
    sidecar.configure("program:preload", max_restarts="0", required="no")
    sidecar.backend.script(tokens=1, pull_bytes=40_000_000, pull_rate_bytes_s=1_000_000)
    sidecar.start()
    sidecar.wait_health(lambda health: health.get("state") == "pulling")
    os.kill(sidecar.pid_of("preload"), signal.SIGKILL)
    sidecar.process.wait_log(r"program=preload .*to=failed")
    sidecar.write("models.txt", "b\n")
    sidecar.backend.script(tokens=1, pull_bytes=4000)
    assert sidecar.ctl("reload").returncode == 0
    sidecar.wait_health(lambda health: health["models"]["ready"] == ["b:latest"])


def test_optional_failure_opens_the_gate_for_the_others(sidecar):
    sidecar.configure("preload", models="bad good", retries="0", required="no")
    small(sidecar, models={"bad": {"pull_error": "unknown_model"}})
    sidecar.start()
    sidecar.process.wait_log(r" exec .*program=proxy")
    held = sidecar.background("POST", "/api/generate", {"model": "good", "prompt": "x", "stream": False})
    refused = sidecar.background("POST", "/api/generate", {"model": "bad", "prompt": "x", "stream": False})
    assert held.result().status == 200
    health = sidecar.wait_ready()
    assert health["status"] == "ok" and [m["name"] for m in health["models"]["failed"]] == ["bad:latest"]
    answer = refused.result()
    assert answer.status in (404, 502, 503) and "bad" in answer.json["error"]


def test_required_failure_ends_the_sidecar(sidecar):
    sidecar.configure("preload", models="bad", retries="0", required="yes")
    small(sidecar, pull_error="unknown_model")
    process = sidecar.start()
    until(lambda: process.popen.poll() is not None or sidecar.health().get("status") == "failed", 15,
          "exit or a failed /health", process.tail)
    if process.popen.poll() is not None:
        assert process.wait() == 1


def test_noprune_until_the_list_is_complete(sidecar):
    sidecar.configure("preload", models="m")
    small(sidecar)
    sidecar.start()
    sidecar.wait_ready()
    assert sidecar.backend.journal("started")[0]["env"]["OLLAMA_NOPRUNE"] == "1"


def test_progress_is_told_now_and_then(sidecar):
    sidecar.configure("preload", models="m")
    sidecar.backend.script(tokens=1, pull_bytes=4 * MB, pull_rate_bytes_s=2 * MB / SLACK)
    sidecar.start()
    sidecar.wait_ready()
    lines = sidecar.process.logged(r" (preload|supervisor) .*(pull|model=).*\bm(:latest)?\b")
    assert 2 <= len(lines) <= 40, sidecar.process.tail()
    assert not any("\x1b" in line or "\r" in line for line in sidecar.process.log if " preload " in line)


def test_preloader_alone(sidecar):
    """ollama-preload -c FILE against an Ollama that runs already, as under systemd."""
    sidecar.configure("preload", models="a b")
    small(sidecar)
    backend = standin.start(sidecar.backend, sidecar.mark)
    sidecar.processes.append(backend)
    sidecar.backend.wait("listening")
    sidecar.write_ini()
    run = sidecar.run("ollama-preload", "-c", sidecar.ini, timeout=20)
    assert run.returncode == 0, run.stderr
    assert pulled(sidecar) == ["a:latest", "b:latest"]
    backend.stop()
