"""The main sentences of the product against a real Ollama."""
import os
import subprocess

import pytest

from waiting import until

pytestmark = pytest.mark.limit(60)


def ollama(sidecar, *args):
    """The real command-line client, through the proxy."""
    env = {**sidecar.env, "OLLAMA_HOST": f"127.0.0.1:{sidecar.port}"}
    return subprocess.run(["ollama", *args], env=env, capture_output=True, text=True, timeout=30, check=False)


def command_lines(sidecar):
    """{pid: words} of what runs for this sidecar."""
    lines = {}
    for pid in sidecar.programs():
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                lines[pid] = file.read().decode(errors="replace").split("\0")
        except OSError:
            pass
    return lines


def runners(sidecar):
    """The model runners that Ollama has started."""
    return {pid: words for pid, words in command_lines(sidecar).items() if "runner" in words}


def test_a_listed_model_that_is_there_is_ready_without_a_pull(sidecar):
    sidecar.start()
    health = sidecar.wait_ready()
    assert health["models"]["ready"] == ["tiny:latest"] and not sidecar.process.logged("pull_started")


def test_a_held_request_is_answered_by_tokens_one_by_one(sidecar):
    sidecar.start()
    sidecar.process.wait_log(r" exec .*program=proxy")
    with sidecar.connect(timeout=30) as connection:
        answer = connection.request("POST", "/api/generate", {"model": "tiny", "prompt": "hi"})
        objects = [value for _, value in answer.objects()]
    assert answer.status == 200 and answer.clean
    assert len(objects) > 5 and objects[-1]["done"] and objects[-1]["eval_count"] == 40


def test_runner_has_one_slot(sidecar):
    sidecar.start()
    sidecar.wait_ready()
    assert sidecar.generate("tiny").status == 200
    (words,) = runners(sidecar).values()
    assert words[words.index("--parallel") + 1] == "1"


@pytest.mark.parametrize("use_mmap, said", [(True, "yes"), (False, "no")])
def test_one_line_of_the_quiet_log_for_a_runner(sidecar, use_mmap, said):
    """R0.2: parallel 1 and mmap can be confirmed in the log, which has nothing else of Ollama's."""
    sidecar.configure("pin:tiny", use_mmap="client")
    sidecar.start()
    sidecar.wait_ready()
    for _ in range(2):  # the second one finds it loaded
        assert sidecar.generate("tiny", options={"use_mmap": use_mmap, "num_ctx": 512, "num_predict": 2}).status == 200
    assert sidecar.generate("absent").status == 404
    line = sidecar.process.wait_log(r" info ollama (runner .*)").group(1)
    assert line.startswith(f"runner model=tiny:latest parallel=1 mmap={said} context=512")
    assert len(sidecar.process.logged(r"^\S+ \w+ ollama ")) == 1, sidecar.process.tail()


@pytest.mark.parametrize("path, body", [
    ("/api/generate", {"prompt": "x", "options": {"use_mmap": False, "num_predict": 2}}),
    ("/api/generate", {"prompt": "x", "OPTIONS": {"use_mmap": False, "num_predict": 2}}),
    ("/api/chat", {"messages": [{"role": "user", "content": "x"}], "options": {"num_predict": 2}}),
    ("/api/embed", {"input": "x"})])
def test_no_client_makes_the_runner_read_its_model_into_memory(sidecar, path, body):
    """R0.2: the runner never runs with --no-mmap."""
    sidecar.start()
    sidecar.wait_ready()
    assert sidecar.ask("POST", path, {"model": "tiny", "stream": False, **body}, timeout=30).status == 200
    (words,) = runners(sidecar).values()
    assert "--model" in words and "--no-mmap" not in words
    assert " mmap=yes " in sidecar.process.wait_log(r" info ollama (runner .*)").group(1)


def test_clients_that_ask_for_other_contexts_do_not_make_it_load_again_proxy_scenario_36(sidecar):
    """num_ctx absent, 8192, 4096: one load only."""
    sidecar.configure("pin:tiny", num_ctx="1024", num_batch="128", keep_alive="10m")
    sidecar.start()
    sidecar.wait_ready()
    for options in ({}, {"num_ctx": 8192}, {"num_ctx": 4096}, {"num_ctx": 8192, "num_batch": 32, "use_mmap": False}):
        assert sidecar.generate("tiny", options={"num_predict": 2, **options}, keep_alive=0).status == 200
    assert len(sidecar.process.logged(r" info ollama runner ")) == 1, sidecar.process.tail()
    assert " context=1024" in sidecar.process.wait_log(r" info ollama (runner .*)").group(1)
    (loaded,) = sidecar.ask("GET", "/api/ps").json["models"]
    assert loaded["name"] == "tiny:latest"  # though each client asked to have it unloaded


def test_the_command_line_client_works_through_the_proxy(sidecar):
    sidecar.start()
    sidecar.wait_ready()
    assert "tiny:latest" in ollama(sidecar, "list").stdout
    run = ollama(sidecar, "run", "tiny", "hello")
    assert run.returncode == 0 and run.stdout.strip()
    assert "tiny:latest" in ollama(sidecar, "ps").stdout
    assert "llama" in ollama(sidecar, "show", "tiny").stdout
    assert ollama(sidecar, "cp", "tiny", "copied").returncode == 0
    assert ollama(sidecar, "rm", "copied").returncode == 0
    missing = ollama(sidecar, "show", "absent")
    assert missing.returncode != 0 and "not found" in missing.stderr


def test_ollama_killed_with_a_loaded_model_comes_back_and_leaves_no_runner(sidecar):
    sidecar.start()
    sidecar.wait_ready()
    assert sidecar.generate("tiny").status == 200
    before = set(runners(sidecar))
    assert before
    os.kill(sidecar.pid_of("ollama"), 9)
    sidecar.process.wait_log(r"exited .*program=ollama.*signal=9")
    assert sidecar.generate("tiny").status == 200
    assert not before & set(runners(sidecar))


def test_a_client_that_leaves_ends_the_generation(sidecar):
    sidecar.start()
    sidecar.wait_ready()
    connection = sidecar.connect(timeout=30)
    answer = connection.request("POST", "/api/generate",
                                {"model": "tiny", "prompt": "hi", "options": {"num_predict": 20000}})
    next(iter(answer.objects()))
    connection.close()
    assert sidecar.generate("tiny").status == 200  # the one slot is free again
    until(lambda: sidecar.health()["requests"]["in_flight"] == 0, 10, "nothing in flight")


def test_ten_at_once_are_answered_one_by_one_in_order(sidecar):
    sidecar.start()
    sidecar.wait_ready()
    options = {"num_predict": 100, "num_thread": 1}  # its threads would wait for each other on a busy machine
    first = sidecar.connect(timeout=30)
    answer = first.request("POST", "/api/generate", {"model": "tiny", "prompt": "hi",
                                                     "options": {**options, "num_predict": 20000}})
    next(iter(answer.objects()))
    calls = []
    for number in range(10):
        calls.append(sidecar.background("POST", "/api/generate", {"model": "tiny", "prompt": "hi", "stream": False,
                                                                  "options": options}, timeout=50))
        sidecar.wait_health(lambda health, n=number: health["requests"]["queued"] == n + 1)
    first.close()
    answers = [call.result(50) for call in calls]
    assert {answer.status for answer in answers} == {200}
    ends = [answer.json["created_at"].rstrip("Z").ljust(29, "0") for answer in answers]  # zeros at the end are left out
    assert ends == sorted(ends)
    for answer in answers[1:]:  # the line was here: in Ollama each was worked at all the time
        facts = answer.json
        work = facts["load_duration"] + facts["prompt_eval_duration"] + facts["eval_duration"]
        assert facts["total_duration"] - work < 0.2 * facts["total_duration"] + 50e6
    until(lambda: sidecar.health()["requests"]["in_flight"] == 0, 10, "nothing in flight")


def test_no_network_is_told_and_the_gate_opens(sidecar):
    sidecar.configure("preload", models="tiny, llama3.2:1b", retries=0)
    sidecar.start()
    health = sidecar.wait_ready(timeout=40)
    assert health["models"]["ready"] == ["tiny:latest"]
    (failed,) = health["models"]["failed"]
    assert failed["name"] == "llama3.2:1b" and "network" in failed["reason"].lower()
    answer = sidecar.generate("llama3.2:1b")
    assert answer.status == 404 and "not found" in answer.json["error"]


def test_stop_leaves_nothing(sidecar):
    sidecar.start()
    sidecar.wait_ready()
    assert sidecar.generate("tiny").status == 200 and runners(sidecar)
    assert sidecar.stop() == 0
    assert not sidecar.programs()


def test_idle_exit(sidecar):
    sidecar.env["SIDECAR_SUPERVISOR_IDLE_TIMEOUT"] = "2s"
    sidecar.start()
    sidecar.wait_ready()
    assert sidecar.generate("tiny").status == 200
    assert sidecar.process.wait(timeout=15) == 0
