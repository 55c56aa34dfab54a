"""Each client waits for several heartbeats and gets the whole text; each takes an error for an error, whenever it comes.

All clients ask at the same time, once for each case; what they saw is judged one by one, and is the table of docs/clients.md.
"""
import shutil
import tempfile

import pytest
from cases import BEATS, CASES, CLIENTS, MODELS, WORDS, beats, judge, wanted
from outcomes import write_outcomes
from sidecar import Sidecar

ANSWER_S = 20


@pytest.fixture(scope="module")
def outcomes(askers):
    """{case: {mode: {client: {api: word}}}}, written to a file in the end."""
    found: dict = {}
    yield found
    write_outcomes(askers.versions, found)


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.name)
def ran(request, askers, outcomes):
    """(case, what each client saw in it)"""
    case, folder = request.param, tempfile.mkdtemp(prefix="sc-")
    sidecar = Sidecar(folder)
    sidecar.configure("proxy", **case.proxy)
    sidecar.configure("models", load_cooldown="0")  # many ask for one that can't be loaded: each is to see how that is told
    sidecar.installed = ",".join(MODELS)
    sidecar.backend.script(tokens=WORDS, **case.script)
    try:
        sidecar.start()
        if case.is_asked_early:
            sidecar.process.wait_log(" listening ")
        else:
            sidecar.wait_ready()
        saw = askers.ask_all(case, sidecar.port, ANSWER_S)()
    finally:
        complaints = sidecar.clean_up()
        shutil.rmtree(folder, ignore_errors=True)
    assert not complaints, "\n".join(complaints + [sidecar.process.tail()])
    for (client, api, mode), one in saw.items():
        outcomes.setdefault(case.name, {}).setdefault(mode, {}).setdefault(client, {})[api] = judge(case, one)
    return case, saw


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_that_waits_proxy_scenarios_25_26_27_28(ran, client):
    case, saw = ran
    if client not in {name for name, _, _ in saw}:
        pytest.skip("it is not installed, or not for this case")
    for (name, api, mode), one in saw.items():
        if name != client:
            continue
        outcome = judge(case, one)
        assert outcome in wanted(case, client), f"{api} {mode}: {outcome}: {one}"
        if case.begins:
            assert "".join(one["parts"]), f"{api} {mode}: nothing arrived before the error: {one}"
        elif case.is_slow and one["raw"]:
            assert beats(case, mode, one) >= BEATS, f"{api} {mode}: {one['raw'][:300]!r}"
