"""Each client, of Ollama's API too, before a backend that speaks OpenAI's: it sees no difference."""
import shutil
import tempfile

import pytest

from contract_cases import CASES, CLIENTS, OLLAMA, OPENAI, V1
from contract_shapes import judge_answer
from played_openai import PlayedOpenai, error
from sidecar import Sidecar

NAMES = ("chat", "stream", "text", "embed")
TRIED = [(client, case.name) for case in CASES if case.name in NAMES for client in case.clients]
SEES = {
    "chat": {"text": "token", "finish": "stop", "in": 3, "out": 2},
    "text": {"text": "token", "finish": "stop", "in": 3, "out": 2},
    "stream": {"text": "token", "finish": "stop", "parts_n": 2},
    "embed": {"vectors": [[0.5, -0.25], [0.5, -0.25]]},
}
KEY = "backend-0123456789abcdef"


@pytest.fixture(scope="module", name="backend")
def _backend():
    made = PlayedOpenai(models=("far",), key=KEY)
    yield made
    made.close()


@pytest.fixture(scope="module", name="ready")
def _ready(backend):
    """A sidecar with Ollama's model `tiny`, and the backend's `far`."""
    folder = tempfile.mkdtemp(prefix="sc-")
    made = Sidecar(folder)
    made.configure("proxy", heartbeat_after="60s")  # errors have their status, however busy the machine is
    made.configure("backend:far", url=backend.url, api="openai", key=KEY, models="far, absent")
    made.boot("tiny")
    yield made
    complaints = made.clean_up()
    shutil.rmtree(folder, ignore_errors=True)
    assert not complaints, "\n".join(complaints)


@pytest.fixture(scope="module", name="seen")
def _seen(contract, ready):
    waits = {(client, name): contract.ask(client, name, ready, model="far", tag="far", key="clients-0123456789abcdef") for client, name in TRIED}
    return {key: wait() for key, wait in waits.items()}


@pytest.mark.parametrize("client, name", TRIED)
def test_each_client_sees_what_it_is_to_see(seen, client, name):
    saw = seen[client, name]
    assert not saw["error"], saw["error"]
    told = {key: value for key, value in SEES[name].items() if key in saw["value"]}
    assert {key: saw["value"][key] for key in told} == told and next(iter(SEES[name])) in told
    for record in saw["wire"] if client in V1 else ():
        judge_answer(record, False)


@pytest.mark.parametrize("client", (*OPENAI, *OLLAMA))
def test_lists_have_the_models_of_both(contract, ready, client):
    ids = contract.ask(client, "models", ready, model="far", tag="far")()["value"]["ids"]
    assert {name.removesuffix(":latest") for name in ids} >= {"tiny", "far"}


@pytest.mark.parametrize("client", CLIENTS)
def test_an_error_of_the_backend_is_the_clients_own(contract, ready, backend, client):
    backend.answers["/v1/chat/completions"] = error("404 Not Found", "absent: not found", code="model_not_found")
    try:
        told = contract.ask(client, "unknown", ready, model="absent", tag="far")()["error"]
    finally:
        del backend.answers["/v1/chat/completions"]
    assert told and told["status_code"] == 404 and "not found" in told["message"], told


def test_no_key_of_a_client_reaches_the_backend(seen, backend):
    assert seen and {request.headers["authorization"] for request in backend.journal} == {f"Bearer {KEY}"}
    assert not any("clients-0123456789abcdef" in str(request.headers) for request in backend.journal)
