"""The contract with clients (tests/clients/contract_cases.py) before the real Ollama, whose model says what comes to its mind."""
import json
import os
import shutil
import sys
import tempfile

import pytest

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "clients"))

from contract_cases import AI_SDK, CASES, PENDING, TEXTS, V1, asks, tag_of  # noqa: E402
from contract_run import Contract, expect_pending, has_clients, judge_error  # noqa: E402
from sidecar import Sidecar  # noqa: E402
from waiting import until  # noqa: E402

pytestmark = pytest.mark.skipif(not has_clients(), reason="the clients are not installed: make check-deps")

MODELS = ("caller:latest", "me/tiny:v1", "slow:latest", "thinker:latest", "tiny:latest")
TEMPLATE = "{{ .Tools }}{{ range .Messages }}{{ .Role }}: {{ .Content }}{{ range .ToolCalls }}{{ .Function.Name }}{{ .Function.Arguments }}{{ end }}\n{{ end }}"


def is_text(value):
    """Some words, and why they ended."""
    return isinstance(value["text"], str) and value.get("finish", "stop") in ("stop", "length") and value.get("out", 1) >= 1


def is_counted(value):
    """The same, with all counts."""
    return is_text(value) and value["in"] > 0 and value["sum"] == value["in"] + value["out"]


def is_stream(value):
    """Some words in several pieces."""
    return is_text(value) and value["parts_n"] > 1


def is_sight(value):
    """What the schema lets through."""
    return value["object"]["kind"] in ("cat", "dog") and isinstance(value["object"]["is_tame"], bool)


def answers_calls(value):
    """A model that speaks at random calls nothing; and answers."""
    return isinstance(value["calls"], list) and isinstance(value["text"], str)


LOOKS = {
    "chat": is_text, "stream": is_stream, "usage": is_counted, "length": lambda value: value["out"] <= 3 and value["finish"] in ("stop", "length"),
    "tools": answers_calls, "tools_stream": answers_calls, "tool_none": answers_calls, "tool_choice": lambda value: value["names"] in ([], ["add"]),
    "schema": is_sight, "schema_stream": is_sight, "text": is_text, "text_stream": is_counted, "thinking": is_text,
    "models": lambda value: value["ids"] == sorted(MODELS), "retrieve": lambda value: value["id"] == "me/tiny:v1",
    "embed": lambda value: len(value["vectors"]) == len(TEXTS), "embed_float": lambda value: len(value["vectors"]) == len(TEXTS),
}
# No "cancel": a client that leaves while Ollama 0.9.5 hands on a token may leave its model occupied for ever (ChatHandler's `ch <- res` has no
# reader then), until stall_timeout ends that. What our clients' leaving does is seen before the stand-in.
# These look themselves whether what they asked for has been done, which such a model does not.
THEIR_OWN = {("openai (Python)", "tools_stream"), *((client, "tool_choice") for client in AI_SDK)}
TRIED = [(client, case) for client, case in asks() if (case.name in LOOKS or case.error > 0) and (client, case.name) not in THEIR_OWN]


@pytest.fixture(scope="module", name="ready")
def _ready(models):
    """A sidecar with copies of `tiny` by the names that the cases have."""
    folder = tempfile.mkdtemp(prefix="sc-")
    shutil.copytree(os.path.join(models.directory, "models"), os.path.join(folder, "models"))
    made = Sidecar(folder)
    models.use(made)
    made.env["OLLAMA_MODELS"] = os.path.join(folder, "models")
    made.configure("proxy", access_log="json", heartbeat_after="60s")  # errors have their status, however busy the machine is
    made.configure("pin:*", num_thread=1, use_mmap="client")  # several threads would wait for each other on a busy machine
    made.start()
    made.wait_ready(timeout=30)
    assert made.ask("POST", "/api/create", {"model": "caller", "from": "tiny", "template": TEMPLATE, "stream": False}).status == 200
    for name in ("me/tiny:v1", "slow", "thinker"):
        assert made.ask("POST", "/api/copy", {"source": "tiny", "destination": name}).status == 200
    yield made
    complaints = made.clean_up()
    shutil.rmtree(folder, ignore_errors=True)
    assert not complaints, "\n".join(complaints)


@pytest.fixture(scope="module", name="seen")
def _seen(ready):
    """{(client, name of the case): what it saw}; all is asked at once."""
    contract = Contract()
    try:
        return contract.ask_all(ready, [case.name for _, case in TRIED])
    finally:
        contract.close()


def access_of(sidecar, tag: str) -> list:
    """The lines of the access log of one question."""
    entries = [json.loads(text) for text in sidecar.process.log if '"event":"access"' in text]
    return [entry for entry in entries if entry["id"] == tag]


@pytest.mark.parametrize("client, case", TRIED, ids=lambda value: getattr(value, "name", value))
def test_r4_1_each_client_sees_what_it_is_to_see(request, ready, seen, client, case):
    if case.error:
        expect_pending(request, client, case)
    saw = seen[client, case.name]
    if case.error:
        judge_error(case, client, saw)
        return
    if case.name == "thinking" and client not in V1:
        assert "does not support thinking" in saw["error"]["message"]  # who asks for steps of it by /v1 gives a hint
        return
    assert not saw["error"], saw["error"]
    assert LOOKS[case.name](saw["value"]), saw["value"]
    if case.name.startswith("embed"):
        direct = ready.ask("POST", "/api/embed", {"model": "tiny", "input": TEXTS}).json["embeddings"]
        assert saw["value"]["vectors"] == [pytest.approx(vector, abs=1e-6) for vector in direct]
    if case.is_left:
        (entry,) = until(lambda: access_of(ready, tag_of(client, case)), 5, "the line of who left")
        assert entry["ended"].startswith("client") and entry["status"] == 200, entry


@pytest.mark.parametrize("client", V1)
def test_r4_5_every_answer_is_valid_by_openais_own_types(seen, client):
    from contract_shapes import judge_answer  # here, as without the clients there is nothing to judge by
    by_name = {case.name: case for case in CASES}
    for (who, name), saw in seen.items():
        for record in saw["wire"] if who == client and name not in PENDING else ():
            judge_answer(record, by_name[name].is_left)
