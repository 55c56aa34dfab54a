"""Cold starts of a real Ollama: what a held request waits, and the phases that are told of it."""
import os
import sys

import pytest

from sidecar import BUILD, ROOT
from waiting import SLACK

sys.path.insert(0, os.path.join(ROOT, "bench", "lib"))
import coldstart  # noqa: E402  pylint: disable=wrong-import-position

pytestmark = pytest.mark.limit(90)


def test_a_held_request_costs_at_most_30_ms_more_than_by_hand(models, folder):
    """The best of some rounds: the rest is the machine's."""
    world = coldstart.World(models.path, "tiny", {"OLLAMA_MODELS": os.path.join(models.directory, "models")}, folder)
    by_hand, ours = coldstart.ByHand(world), coldstart.Ours(world, BUILD)
    starts = [(by_hand.measure().first_token_ms, ours.measure()) for _ in range(6)]
    assert min(start.first_token_ms for _, start in starts) <= min(hand_ms for hand_ms, _ in starts) + 30 * SLACK
    assert all(start.phases["api_ms"] < start.phases["first_token_ms"] <= start.first_token_ms for _, start in starts)
