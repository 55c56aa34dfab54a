"""Sleep before the real Ollama: it is stopped alone and woken by who needs it, or everything ends."""
import json
import os

import pytest

from test_real import runners
from waiting import until


def status(sidecar):
    """What `sidecarctl --json status` says."""
    return json.loads(sidecar.ctl("--json", "status").stdout)


def asleep(sidecar, count):
    """Until it sleeps for this time, and neither Ollama nor a runner of its is left."""
    until(lambda: len(sidecar.process.logged(r" asleep action=stop")) >= count, 30, "sleep", sidecar.process.tail)
    until(lambda: not [name for name in sidecar.programs().values() if "ollama-" not in name and "ollama" in name], 15, "Ollama's end",
          lambda: str(sidecar.programs()))
    assert not runners(sidecar)


@pytest.mark.limit(120)
def test_it_is_stopped_and_woken_by_a_held_request_again_and_again(sidecar):
    sidecar.configure("supervisor", idle_timeout="1s", idle_action="stop")
    sidecar.configure("preload", models="tiny")
    sidecar.start()
    sidecar.wait_ready(timeout=40)
    assert sidecar.generate("tiny", options={"num_predict": 4}).json["done"]
    for count in (1, 2):
        asleep(sidecar, count)
        assert sorted(os.path.basename(name.split()[0]) for name in sidecar.programs().values()) == ["ollama-proxy", "ollama-supervisor"]
        answer = sidecar.generate("tiny", options={"num_predict": 4})
        assert answer.status == 200 and answer.json["done"] and answer.json["eval_count"] > 0
        assert int(answer.header("X-Sidecar-Wait-Ms")) > 0
        boot = status(sidecar)["boots"][-1]
        assert boot["cause"] == "wake" and boot["first_token_ms"] > 0
    sleep = status(sidecar)["sleep"]
    assert sleep["wakes"] == 2 and sleep["cold_starts"] == 3
    assert sidecar.stop() == 0


@pytest.mark.limit(120)
def test_many_who_come_to_one_that_sleeps_wait_for_one_start_and_one_load(sidecar):
    sidecar.configure("supervisor", idle_timeout="1s", idle_action="stop")
    sidecar.start()
    sidecar.wait_ready(timeout=40)
    asleep(sidecar, 1)
    body = {"model": "tiny", "prompt": "hello", "stream": False, "options": {"num_predict": 4}}
    calls = [sidecar.background("POST", "/api/generate", body, 60) for _ in range(8)]
    assert [call.result(60).status for call in calls] == [200] * 8
    assert len(sidecar.process.logged(r" exec program=ollama ")) == 2


@pytest.mark.limit(120)
def test_it_ends_when_idle_and_a_kept_connection_is_told_so(sidecar):
    sidecar.configure("supervisor", idle_timeout="1s")
    sidecar.start()
    sidecar.wait_ready(timeout=40)
    with sidecar.connect(timeout=30) as kept:
        assert kept.request("POST", "/api/generate", {"model": "tiny", "prompt": "hello", "stream": False}).json["done"]
        kept.sock.settimeout(20)
        assert kept.sock.recv(1) == b""  # an orderly end, no reset
    assert sidecar.process.wait(timeout=15) == 0
    assert not sidecar.programs()
