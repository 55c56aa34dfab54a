"""Keys and limits, as each client sees them: its own kinds of errors, and its own way to try again."""
import shutil
import tempfile

import pytest

from contract_cases import CLIENTS, OLLAMA, OPENAI, SCRIPT, V1, WHOLE
from sidecar import Sidecar

AGENT, READER, NARROW = "agent-0123456789abcdef", "reader-0123456789abcdef", "narrow-0123456789abcdef"
NAMES = {401: "AuthenticationError", 403: "PermissionDeniedError", 404: "NotFoundError", 429: "RateLimitError"}

ROUNDS, AGAIN_N = 3, 20


def secret_of(kind: str, client: str) -> str:
    """Of a key that one client alone has."""
    return f"{kind}-{CLIENTS.index(client)}-0123456789abcdef"


@pytest.fixture(scope="module", name="ready")
def _ready():
    """A sidecar with keys."""
    folder = tempfile.mkdtemp(prefix="sc-")
    made = Sidecar(folder)
    made.configure("proxy", heartbeat_after="60s")  # errors have their status, however busy the machine is
    made.configure("key:agent", secret=AGENT, rights="inference, observe")
    made.configure("key:reader", secret=READER, rights="observe")
    made.configure("key:narrow", secret=NARROW, rights="inference, observe", models="tiny")
    for number, client in enumerate(CLIENTS):
        made.configure(f"key:once-{number}", secret=secret_of("once", client), requests_per_minute=1)
        made.configure(f"key:again-{number}", secret=secret_of("again", client), requests_per_minute=AGAIN_N)
    made.installed = "tiny,caller"
    made.backend.script(**SCRIPT)
    made.start()
    made.wait_ready()
    yield made
    complaints = made.clean_up()
    shutil.rmtree(folder, ignore_errors=True)
    assert not complaints, "\n".join(complaints)


@pytest.fixture(name="ask")
def _ask(contract, ready):
    """ask(client, key, …): what it saw of a chat, or of another case."""
    def ask(client, key, case="chat", model="tiny", **more):
        return contract.ask(client, case, ready, model=model, tag=f"key-{CLIENTS.index(client)}", **{**({"key": key} if key else {}), **more})()

    return ask


def judge(client, saw, status) -> str:
    """Its own kind of error; the words."""
    error = saw["error"]
    assert error and error["status_code"] == status, saw
    if client in OPENAI:
        assert error["name"] == NAMES[status]
    return error["message"]


each = pytest.mark.parametrize("client", CLIENTS)


@each
def test_r4_9_a_right_key_lets_a_client_in(ask, client):
    saw = ask(client, AGENT)
    assert not saw["error"] and saw["value"]["text"] == WHOLE, saw["error"]


@each
def test_r4_9_a_wrong_key_is_the_clients_own_error(ready, ask, client):
    before_n = len(ready.backend.journal("request"))
    message = judge(client, ask(client, "wrong-0123456789abcdef"), 401)
    assert "key" in message and "wrong" not in message
    assert not [entry for entry in ready.backend.journal("request")[before_n:] if entry["path"] == "/api/chat"]


@each
def test_r4_9_a_missing_right_is_the_clients_own_error(ask, client):
    assert "inference" in judge(client, ask(client, READER), 403)


@each
def test_r4_9_another_model_than_the_key_s_is_not_found(ask, client):
    assert "caller" in judge(client, ask(client, NARROW, model="caller"), 404)


@pytest.mark.parametrize("client", (*OPENAI, *OLLAMA))
def test_r4_9_a_key_sees_its_models_alone(ask, client):
    assert ask(client, NARROW, case="models")["value"]["ids"] == ["tiny:latest"]
    assert ask(client, AGENT, case="models")["value"]["ids"] == ["caller:latest", "tiny:latest"]


def test_r4_9_ollama_for_python_takes_its_key_from_the_environment(ask):
    saw = ask("ollama (Python)", None, variable=AGENT)
    assert not saw["error"] and saw["value"]["text"] == WHOLE
    judge("ollama (Python)", ask("ollama (Python)", None, variable="wrong-0123456789abcdef"), 401)


@each
def test_r4_9_a_limit_is_the_clients_own_error(ask, client):
    assert not ask(client, secret_of("once", client))["error"]
    assert "1 request" in judge(client, ask(client, secret_of("once", client)), 429)


def empty(sidecar, client) -> None:
    """Use up what a client's key may have."""
    head = [("Authorization", "Bearer " + secret_of("again", client))]
    asked = (sidecar.ask("POST", "/api/embed", {"model": "tiny", "input": "x"}, head) for _ in range(AGAIN_N + 5))
    assert any(answer.status == 429 for answer in asked)


def test_r4_9_clients_try_again_when_they_are_told_to(contract, ready):
    """The bucket is empty when a client asks, unless that takes it so long that a request has come back."""
    left = set(V1)
    for _ in range(ROUNDS):
        waits = {}
        for client in left:
            empty(ready, client)
            waits[client] = contract.ask(client, "chat", ready, model="tiny", tag="again", key=secret_of("again", client), retries=2)
        saw = {client: wait() for client, wait in waits.items()}
        assert all(one["value"] and one["value"]["text"] == WHOLE for one in saw.values()), saw
        statuses = {client: [record["status"] for record in one["wire"]] for client, one in saw.items()}
        left = {client for client in left if statuses[client] == [200]}
        assert all(statuses[client] == [429, 200] for client in statuses if client not in left), statuses
    assert not left


def test_r4_9_no_key_of_a_client_reaches_ollama(ready):
    journal = ready.backend.journal("request")
    assert journal and not any(secret in str(entry) for entry in journal for secret in ("0123456789abcdef", "Bearer", "x-api-key"))
    assert not any("0123456789abcdef" in line for line in ready.process.log)
