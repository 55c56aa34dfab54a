"""The contract with clients: each of them does what its users do, and sees what it is to see."""
import os
import shutil
import tempfile

import pytest

from asking import ROOT
from client import ask
from contract_cases import CASES, MODELS, PENDING, PICTURE, SCRIPT, TEXTS, V1, asks, tag_of
from contract_run import expect_pending, judge_error
from contract_shapes import judge_answer
from contract_table import with_contract_table
from sidecar import Sidecar


@pytest.fixture(scope="module", name="ready")
def _ready():
    """A sidecar before the stand-in, with all models of the cases."""
    folder = tempfile.mkdtemp(prefix="sc-")
    made = Sidecar(folder)
    made.configure("proxy", access_log="json", heartbeat_after="60s")  # errors have their status, however busy the machine is
    made.installed = ",".join(MODELS)
    made.backend.script(**SCRIPT)
    made.start()
    made.wait_ready()
    yield made
    complaints = made.clean_up()
    shutil.rmtree(folder, ignore_errors=True)
    assert not complaints, "\n".join(complaints)


@pytest.fixture(scope="module", name="seen")
def _seen(contract, ready):
    """{(client, name of the case): what it saw}; all is asked at once."""
    return contract.ask_all(ready)


def asked_of_ollama(sidecar, client, case) -> list:
    """What came of it to the stand-in."""
    return [entry for entry in sidecar.backend.journal("request")
            if ["x-request-id", tag_of(client, case)] in [[name.lower(), value] for name, value in entry["headers"]]]


def judge_backend(sidecar, client, case) -> None:
    """What Ollama was asked, and that it stopped where the client went."""
    requests = asked_of_ollama(sidecar, client, case)
    if case.is_left:
        sidecar.backend.wait("cancelled", id=requests[-1]["id"])
    if case.name == "image":
        assert requests[-1]["images"] == [PICTURE]
    if case.name.startswith("tools"):
        last = requests[-1]["body"]
        assert '"42"' in last and '"rain"' in last and last.count('"role":"tool"') == 2
        assert last.count('"tool_name":"add"') == last.count('"tool_name":"weather"') == 1 or "langchain-ollama" == client


@pytest.mark.parametrize("client, case", asks(), ids=lambda value: getattr(value, "name", value))
def test_r4_1_each_client_sees_what_it_is_to_see(request, ready, seen, client, case):
    expect_pending(request, client, case)
    saw = seen[client, case.name]
    if case.error:
        judge_error(case, client, saw)
    else:
        assert not saw["error"], saw["error"]
        wanted, value = {**case.sees, **case.sees_otherwise.get(client, {})}, saw["value"]
        if "vectors" in wanted:
            direct = ask(ready.backend.port, "POST", "/api/embed", {"model": "tiny", "input": TEXTS}).json["embeddings"]
            wanted = {**wanted, "vectors": [pytest.approx(vector, abs=1e-6) for vector in direct]}
        assert next(iter(wanted)) in value
        assert {name: value[name] for name in wanted if name in value} == {name: wanted[name] for name in wanted if name in value}
    judge_backend(ready, client, case)


@pytest.mark.parametrize("client", V1)
def test_r4_5_every_answer_is_valid_by_openais_own_types(seen, client):
    by_name = {case.name: case for case in CASES}
    for (who, name), saw in seen.items():
        if who == client and name not in PENDING:
            assert saw["wire"] or name == "timeout"
            for record in saw["wire"]:
                judge_answer(record, by_name[name].is_left)


def test_the_table_of_the_documents_is_that_of_the_cases():
    with open(os.path.join(ROOT, "docs", "clients.md"), encoding="utf-8") as file:
        page = file.read()
    assert page == with_contract_table(page), "docs/clients.md is stale: run scripts/clients-table"
