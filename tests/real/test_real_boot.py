"""Cold starts of a real Ollama: what a held request waits, and the phases that are told of it."""
import json
import os
import sys

import pytest

from sidecar import BUILD, ROOT
from waiting import SLACK, until

sys.path.insert(0, os.path.join(ROOT, "bench", "lib"))
import coldstart  # noqa: E402  pylint: disable=wrong-import-position

pytestmark = pytest.mark.limit(90)


def test_a_held_request_costs_at_most_30_ms_more_than_by_hand(models, folder):
    """In one round of many: what the machine adds to the others is not ours."""
    world = coldstart.World(models.path, "tiny", {"OLLAMA_MODELS": os.path.join(models.directory, "models")}, folder)
    by_hand, ours = coldstart.ByHand(world), coldstart.OursWithList(world, BUILD)
    starts = []
    while len(starts) < 20:
        starts.append((by_hand.measure().first_token_ms, ours.measure()))
        hand_ms, start = starts[-1]
        assert start.phases["api_ms"] < start.phases["first_token_ms"] <= start.first_token_ms
        if start.first_token_ms <= hand_ms + 30 * SLACK:
            return
    raise AssertionError([(hand_ms, start.first_token_ms) for hand_ms, start in starts])


def loaded(sidecar) -> list:
    """What Ollama itself says that it has in memory."""
    return [model["name"] for model in sidecar.ask("GET", "/api/ps").json["models"]]


def runners_n(sidecar) -> int:
    """How many runners it has started so far."""
    return len(sidecar.process.logged(r" info ollama runner "))


def test_the_last_model_is_loaded_as_it_was_before_anybody_asks(sidecar):
    sidecar.configure("preload", load="last")
    sidecar.start()
    sidecar.wait_ready()
    assert not loaded(sidecar)
    assert sidecar.generate("tiny", options={"num_ctx": 777, "num_predict": 1}).status == 200
    assert sidecar.stop() == 0
    sidecar.start()
    runner = sidecar.process.wait_log(r" ollama runner .*model=tiny.* context=(\d+)", timeout=20)
    assert runner.group(1) == "777"
    until(lambda: loaded(sidecar) == ["tiny:latest"], 20, "tiny in memory")
    assert sidecar.process.logged(r" first_load model=tiny$")
    assert sidecar.generate("tiny", options={"num_ctx": 777, "num_predict": 1}).status == 200
    assert runners_n(sidecar) == 1
    boot = json.loads(sidecar.ctl("--json", "status").stdout)["boots"][-1]
    assert boot["exec_ms"] <= boot["api_ms"] <= boot["load_ms"] <= boot["first_token_ms"]
