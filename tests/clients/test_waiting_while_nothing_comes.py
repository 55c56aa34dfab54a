"""A stream that pauses for 150 s at its start, or in its middle, completes with every client. The last test of the lane: the pauses began
with the first one (pauses.py). PAUSE_S=900 makes them longer."""
import pytest
from cases import beats, judge
from pauses import CASES, HEARTBEAT_AFTER_S, HEARTBEAT_INTERVAL_S, LATER_S, PAUSE_S

AT_LEAST = ("ollama (Python)", "ollama (Node)", "openai (Python)", "openai (Node)", "curl")


@pytest.mark.limit(PAUSE_S + 2 * LATER_S)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_long_pause_is_survived_by_every_client_proxy_scenario_25(pauses, case):
    saw = pauses.saw(case)
    assert pauses.passed_s() >= PAUSE_S
    assert set(AT_LEAST) <= {client for client, _, _ in saw}
    for key, one in saw.items():
        assert judge(case, one) == "whole", (key, one)
        if one["raw"]:
            assert beats(case, key[2], one) >= (PAUSE_S - HEARTBEAT_AFTER_S) // HEARTBEAT_INTERVAL_S, (key, one["raw"])
    log = pauses.sidecar.process
    assert not log.logged(r" (hung|retry|answer_broken|client_stalled) "), log.tail()
    assert len(log.logged(r" exec program=")) <= 3  # nothing was started anew
