"""A machine that is suspended with a real model in memory: it is as it was, and nobody has noticed."""
import os
import threading

import pytest

from freezing import Freezer, Signals
from machine_api import OK, MachineApi
from test_45_adversity import pass_time
from waiting import SLACK

pytestmark = pytest.mark.limit(90)
GENERATE = {"model": "tiny", "prompt": "hi", "options": {"num_predict": 40}}


@pytest.fixture
def freezer(sidecar):
    """Of a control group where there can be one, else by signals."""
    try:
        way = Freezer()
    except OSError:
        way = Signals()
    way.enter(sidecar)
    yield way
    way.thaw([pid for pid in sidecar.programs() if os.path.exists(f"/proc/{pid}")])
    sidecar.clean_up()
    way.close()


def runners(sidecar) -> list:
    """The pids of Ollama's runners."""
    return sorted(pid for pid, words in sidecar.programs().items() if " runner " in words)


def test_a_suspended_machine_goes_on_with_its_model(sidecar, freezer):
    frozen = threading.Event()

    def answer(connection, n):
        connection.sendall(OK)
        if n == 0:
            sidecar.process.wait_log(r" suspending ")
            freezer.freeze(list(sidecar.programs()))
            frozen.set()

    api = MachineApi(sidecar, answer)
    sidecar.start()
    sidecar.wait_ready()
    assert sidecar.generate("tiny", options={"num_predict": 2}).status == 200
    before = runners(sidecar)
    assert len(before) == 1
    assert frozen.wait(20 * SLACK), sidecar.process.tail()
    asked = sidecar.background("POST", "/api/generate", {**GENERATE, "stream": False}, 60)
    pass_time(4)
    freezer.thaw(list(sidecar.programs()))
    result = asked.result(30)
    assert result.status == 200 and result.json["eval_count"] == 40
    sidecar.process.wait_log(r" suspended by_ms=\d+")
    assert runners(sidecar) == before
    assert not sidecar.process.logged(r"suspend_refused|cause=hung|program=(ollama|proxy) .*cause=exited")
    api.close()


def test_a_stream_goes_on_behind_a_gap(sidecar, freezer):
    sidecar.start()
    sidecar.wait_ready()
    with sidecar.connect(timeout=60) as client:
        answer = client.request("POST", "/api/generate", {**GENERATE, "options": {"num_predict": 200}})
        objects = answer.objects()
        next(objects)
        freezer.freeze(list(sidecar.programs()))
        pass_time(4)
        freezer.thaw(list(sidecar.programs()))
        values = [value for _, value in objects]
    assert answer.clean and values[-1]["done"], sidecar.process.tail()
    assert not sidecar.process.logged(r"cause=hung|retry id=|answer_broken")
