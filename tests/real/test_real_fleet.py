"""Two real Ollamas behind one proxy: balanced, and when one is killed nobody who waits is lost."""
import json
import os
import signal

import pytest

import ports
from client import ask
from process import MARK, Process
from waiting import until

pytestmark = pytest.mark.limit(120)


@pytest.fixture
def two(sidecar, models):
    """{name: (port, process)} of two that answer, and a proxy before them."""
    made = {}
    for name in ("one", "two"):
        port = ports.free()
        env = {"PATH": os.environ["PATH"], "HOME": models.directory, "OLLAMA_HOST": f"127.0.0.1:{port}", MARK: sidecar.mark,
               "OLLAMA_MODELS": os.path.join(models.directory, "models"), "OLLAMA_NUM_PARALLEL": "1"}
        process = Process([models.path, "serve"], env, sidecar.directory)
        sidecar.processes.append(process)
        made[name] = port, process
        sidecar.configure(f"backend:{name}", url=f"http://127.0.0.1:{port}", api="ollama", slots=1)
    sidecar.configure("balancer", probe_interval="500ms", slow_start="0", rise=1)
    sidecar.configure("proxy", access_log="json", heartbeat_after="2m")
    sidecar.start("ollama-proxy")
    for name in made:
        sidecar.process.wait_log(f" member_up .*backend={name}", timeout=30)
    return made


def parent_of(pid: int) -> int:
    """0: it has gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return int(file.read().rsplit(")", 1)[1].split()[1])
    except OSError:
        return 0


def generate(sidecar, prompt, **options):
    """In the background."""
    body = {"model": "tiny", "prompt": prompt, "stream": False, "options": {"num_predict": 8, "temperature": 0, **options}}
    return sidecar.background("POST", "/api/generate", body, timeout=60)


def test_both_answer_and_what_they_do_is_learnt(sidecar, two):
    answers = [call.result(60) for call in [generate(sidecar, f"hello {number}") for number in range(8)]]
    assert [answer.status for answer in answers] == [200] * 8 and all(answer.json["done"] for answer in answers)
    assert {answer.header("X-Sidecar-Backend") for answer in answers} == set(two)
    status = ask(sidecar.port, "GET", "/status").json
    assert all(backend["speeds"][0]["decode_per_s"] > 0 for backend in status["backends"])
    assert [model["name"] for model in sidecar.ask("GET", "/api/tags").json["models"]] == ["tiny:latest"]
    with sidecar.connect(timeout=60) as connection:
        answer = connection.request("POST", "/v1/chat/completions", {"model": "tiny", "stream": True, "max_tokens": 5,
                                                                     "messages": [{"role": "user", "content": "hi"}]})
        assert answer.status == 200 and answer.body.endswith(b"data: [DONE]\n\n")


def test_one_is_killed_and_nobody_who_has_no_byte_is_lost(sidecar, two):
    assert generate(sidecar, "warm").result(60).status == 200
    calls = [generate(sidecar, f"wait {number}", num_predict=8) for number in range(10)]
    sidecar.wait_health(lambda health: health["requests"]["in_flight"] == 10, what="ten under way")
    one = two["one"][1]
    runners = [pid for pid in sidecar.programs() if parent_of(pid) == one.pid]
    one.kill(signal.SIGKILL)
    for pid in runners:  # it is left behind, and goes on
        os.kill(pid, signal.SIGKILL)
    answers = [call.result(60) for call in calls]
    assert [answer.status for answer in answers] == [200] * 10, [json.loads(answer.body) for answer in answers if answer.status != 200]
    sidecar.process.wait_log(" member_down .*backend=one", timeout=20)
    until(lambda: ask(sidecar.port, "GET", "/health").json["status"] == "degraded", 10, "one to be missed")
    assert generate(sidecar, "after").result(60).header("X-Sidecar-Backend") == "two"
