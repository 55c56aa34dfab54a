"""Clients of OpenAI's API before the optimizer, one strategy each: they see what they see without it, however long it takes."""
import json
import shutil
import tempfile

import pytest

from contract_cases import CALLS, CASES, V1, WORDS_N, tag_of
from contract_shapes import events_of, judge_answer
from sidecar import Sidecar
from waiting import until

LARGE, SMALL = "qwen3:4b", "qwen3:0.6b"
STRATEGIES = {
    "A": {"model": LARGE, "tools": "native"},
    "B": {"model": SMALL},
    "C": {"map_model": SMALL, "reduce_model": LARGE, "chunk_tokens": "256"},
    "late": {"model": LARGE, "timeout": "1s"},
}
NAMES = ("chat", "stream", "conversation", "tools", "tools_stream", "schema", "bad_value")
TRIED = [(client, case) for case in CASES if case.name in NAMES for client in case.clients if client in V1]
COUNTS = ("in", "sum")  # of the prompt that the model got
SCRIPT = {"tokens": WORDS_N, "token_delay_ms": 5, "tool_calls": [{"function": {"name": name, "arguments": arguments}} for name, arguments in CALLS]}
# The larger model alone has a template for tools; each part takes the smaller one a while.
MODELS = {LARGE: {"show": {"capabilities": ["completion", "tools"]}}, SMALL: {"first_token_delay_ms": 400}}


def used_by(name: str) -> str:
    """The model that answers."""
    return SMALL if name == "B" else LARGE


class Optimizer:
    """A Sidecar with one strategy, and what the clients saw of it."""

    def __init__(self, name: str, contract):
        self.folder = tempfile.mkdtemp(prefix="sc-")
        self.name, self.sidecar = name, Sidecar(self.folder)
        self.sidecar.configure("optimizer", enabled="yes")
        self.sidecar.configure(f"strategy:{name}", **STRATEGIES[name])
        is_late = name == "late"
        self.sidecar.configure("proxy", access_log="json", heartbeat_after="60s" if is_late else "150ms", heartbeat_interval="100ms")
        models = {**MODELS, LARGE: {"first_token_delay_ms": 20000}} if is_late else MODELS
        self.sidecar.installed = f"{LARGE},{SMALL}"
        self.sidecar.backend.script(**SCRIPT, models=models)
        self.sidecar.start()
        self.sidecar.wait_ready()
        names = ("chat", "stream", "conversation") if is_late else NAMES
        waits = {(client, case.name): contract.ask(client, case.name, self.sidecar, model="auto", tag=tag_of(client, case))
                 for client, case in TRIED if case.name in names}
        self.saw = {key: wait() for key, wait in waits.items()}

    def entries(self, client: str, case) -> list:
        """The lines of the access log of one question."""
        found = (json.loads(text) for text in self.sidecar.process.log if '"event":"access"' in text)
        return [entry for entry in found if entry["id"] == tag_of(client, case)]

    def close(self) -> None:
        """The end of it."""
        complaints = self.sidecar.clean_up()
        shutil.rmtree(self.folder, ignore_errors=True)
        assert not complaints, "\n".join(complaints)


@pytest.fixture(scope="module", name="by")
def _by(contract):
    """by(name): the optimizer with that strategy."""
    made = {}

    def get(name):
        if name not in made:
            made[name] = Optimizer(name, contract)
        return made[name]

    yield get
    for one in made.values():
        one.close()


@pytest.mark.parametrize("name", ["A", "B", "C"])
@pytest.mark.parametrize("client, case", TRIED, ids=lambda value: getattr(value, "name", value))
def test_r4_2_each_client_sees_what_it_sees_without(by, name, client, case):
    saw = by(name).saw[client, case.name]
    if case.error:
        assert saw["error"]["status_code"] == case.error and all(word in saw["error"]["message"] for word in case.words), saw
        return
    assert not saw["error"], saw["error"]
    wanted = {key: value for key, value in {**case.sees, **case.sees_otherwise.get(client, {})}.items() if key not in COUNTS}
    assert {key: saw["value"][key] for key in wanted if key in saw["value"]} == {key: value for key, value in wanted.items() if key in saw["value"]}
    for entry in until(lambda: by(name).entries(client, case), 5, "a line of the access log"):
        assert (entry["status"], entry["ended"], entry["strategy"], entry["model"]) == (200, "done", name, used_by(name)), entry
        assert (entry["parts"] or 0) >= 2 * (name == "C" and case.name == "conversation"), entry


@pytest.mark.parametrize("name", ["A", "B", "C"])
def test_r4_2_the_answers_name_the_model_that_was_used(by, name):
    for (client, case), saw in by(name).saw.items():
        for record in saw["wire"]:
            if record["status"] == 200:
                text = record["body"].strip()
                values = [value for value in events_of(text) if value != "[DONE]"] if "data: " in text else [json.loads(text)]
                assert {value["model"] for value in values} == {used_by(name)}, (client, case)


@pytest.mark.parametrize("name", ["A", "B", "C"])
def test_r4_5_every_answer_is_valid_by_openais_own_types(by, name):
    for saw in by(name).saw.values():
        for record in saw["wire"]:
            judge_answer(record, False)


def test_r4_2_progress_was_told_meanwhile(by):
    """The clients read over comments."""
    for client in V1:
        (record,) = by("C").saw[client, "conversation"]["wire"]
        assert "\n: mapped " in "\n" + record["body"], (client, record["body"][:500])


@pytest.mark.parametrize("client, name", [(client, case.name) for client, case in TRIED if case.name in ("chat", "stream", "conversation")])
def test_r4_2_a_strategys_time_limit_is_an_error_to_each_client(by, client, name):
    error = by("late").saw[client, name]["error"]
    assert error and error["status_code"] == 504 and "1s" in error["message"].replace("1 s", "1s"), by("late").saw[client, name]
