"""Each client, of Ollama's API and of OpenAI's, before a model of a hub's cache that an engine serves: it sees no difference."""
import shutil
import tempfile

import pytest

from contract_cases import CASES, OLLAMA, OPENAI, V1
from contract_shapes import judge_answer
from engines import Engines
from sidecar import Sidecar

MODEL = "org/far"
NAMES = ("chat", "stream", "text")
TRIED = [(client, case.name) for case in CASES if case.name in NAMES for client in case.clients]
SEES = {"text": "token", "finish": "stop", "out": 2}


@pytest.fixture(scope="module", name="ready")
def _ready():
    """A model server without Ollama, whose one model is in the cache."""
    folder = tempfile.mkdtemp(prefix="sc-")
    made = Sidecar(folder)
    made.configure("proxy", heartbeat_after="60s")  # errors have their status, however busy the machine is
    made.configure("program:ollama", autostart="no")
    engines = Engines(made)
    engines.add()
    engines.cache.model(MODEL)
    engines.script(tokens=["to", "ken"])
    made.start()
    made.wait_ready()
    yield made
    complaints = made.clean_up()
    shutil.rmtree(folder, ignore_errors=True)
    assert not complaints, "\n".join(complaints)


@pytest.fixture(scope="module", name="seen")
def _seen(contract, ready):
    waits = {(client, name): contract.ask(client, name, ready, model=MODEL, tag="far") for client, name in TRIED}
    return {key: wait() for key, wait in waits.items()}


@pytest.mark.parametrize("client, name", TRIED)
def test_each_client_sees_what_it_is_to_see(seen, client, name):
    saw = seen[client, name]
    assert not saw["error"], saw["error"]
    told = {key: value for key, value in SEES.items() if key in saw["value"]}
    assert {key: saw["value"][key] for key in told} == told and told["text"]
    for record in saw["wire"] if client in V1 else ():
        judge_answer(record, False)


@pytest.mark.parametrize("client", (*OPENAI, *OLLAMA))
def test_lists_have_it(contract, ready, client):
    assert MODEL in [name.removesuffix(":latest") for name in contract.ask(client, "models", ready, model=MODEL, tag="far")()["value"]["ids"]]


@pytest.mark.parametrize("client", (*OPENAI, *OLLAMA))
def test_one_that_was_not_pulled_is_the_clients_own_404(contract, ready, client):
    told = contract.ask(client, "unknown", ready, model="org/absent", tag="far")()["error"]
    assert told and told["status_code"] == 404 and "Use the /pull endpoint" in told["message"], told
