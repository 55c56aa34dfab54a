"""The optimizer before a real Ollama, with two tiny models by the names of its strategies: what a coding agent gets of it."""
import json
import os
import random
import shutil
import tempfile
import time

import pytest

import tiny_model
from client import ask
from real_ollama import RealModels, real_ollama
from sidecar import Sidecar
from test_real import runners
from waiting import until

pytestmark = pytest.mark.limit(150)

PATH = "/v1/chat/completions"
TALK = "{{ range .Messages }}<|{{ .Role }}|>{{ .Content }}{{ range .ToolCalls }}{{ .Function.Name }}{{ .Function.Arguments }}{{ end }}\n{{ end }}"
TOOLS = "{{ if .Tools }}{{ .Tools }}\n{{ end }}"
TOOL = {"type": "function", "function": {"name": "read_file", "description": "reads a file", "parameters": {
    "type": "object", "required": ["path"], "properties": {"path": {"type": "string", "description": "where it is"}}}}}
# The same three at a tenth of their sizes, as a real model takes its time even where it is tiny.
SMALL = {"A": {"max_tokens": "199", "model": "qwen3:4b", "tools": "native", "options": "num_ctx=2048"},
         "B": {"min_tokens": "200", "max_tokens": "599", "model": "qwen3:0.6b", "options": "num_ctx=2048"},
         "C": {"min_tokens": "600", "map_model": "qwen3:0.6b", "reduce_model": "qwen3:4b", "chunk_tokens": "300", "options": "num_ctx=2048"}}
SYSTEM = {"role": "system", "content": "be kind"}


def words(chars_n: int, seed: int = 1) -> str:
    """Syllables, each a token of three characters."""
    dice = random.Random(seed)
    return "".join(" " + dice.choice("bdfglmnprst") + dice.choice("aeiou") for _ in range(chars_n // 3))


def talk(chars_n: int, seed: int = 1, **more) -> dict:
    """A conversation of so many characters, and a short question at its end."""
    third = chars_n // 3
    said = [{"role": role, "content": words(third, seed + n)} for n, role in enumerate(("user", "assistant", "user"))]
    last = [{"role": "assistant", "content": "so"}, {"role": "user", "content": "what is to be done?"}]
    return {"model": "auto", "messages": [SYSTEM, *said, *last], "max_tokens": 8, **more}


A, B, C = (talk(chars_n) for chars_n in (300, 1500, 6000))


@pytest.fixture(scope="module", name="pair")
def _pair():
    """Models by these two names: the larger one has a place for tools."""
    path = real_ollama()
    if not path:
        pytest.skip("no real ollama on PATH")
    with tempfile.TemporaryDirectory(prefix="sc-models-") as directory:
        made = RealModels(path, directory)
        made.create({"qwen3:4b": tiny_model.Shape(layers=3)}, f'TEMPLATE """{TOOLS}{TALK}"""\n')
        made.create({"qwen3:0.6b": tiny_model.Shape()}, f'TEMPLATE """{TALK}"""\n')
        yield made


@pytest.fixture(name="start")
def _start(folder, pair):
    """start(strategies, **keys of [optimizer]): a Sidecar that is ready."""
    made = Sidecar(folder)
    pair.use(made)
    made.configure("preload", models="none")
    made.configure("proxy", access_log="json", heartbeat_after="120s")  # a head is sent when it is known what is in it
    made.configure("pin:*", num_thread=1)  # several would wait for each other on a busy machine

    def start(strategies=SMALL, **optimizer):  # pylint: disable=dangerous-default-value
        made.configure("optimizer", enabled="yes", **optimizer)
        for name, keys in strategies.items():
            made.configure(f"strategy:{name}", **keys)
        made.start()
        made.wait_ready(timeout=30)
        return made

    start.sidecar = made
    yield start
    complaints = made.clean_up()
    assert not complaints, "\n".join(complaints + [process.tail() for process in made.processes])


def chat(sidecar, body, **headers):
    """One answer, whole."""
    answer = sidecar.ask("POST", PATH, body, [(name.replace("_", "-"), value) for name, value in headers.items()], timeout=120)
    assert answer.status == 200 and answer.clean, answer.body
    return answer


def entry_of(sidecar, answer) -> dict:
    """Its line of the access log."""
    tag = answer.header("X-Request-Id")

    def look():
        return [json.loads(text) for text in sidecar.process.log if '"event":"access"' in text and f'"id":"{tag}"' in text]
    (entry,) = until(look, 5, "an access line", sidecar.process.tail)
    return entry


def metric(sidecar, name: str) -> float:
    """A sample of /metrics."""
    for text in sidecar.ask("GET", "/metrics").body.decode().splitlines():
        if text.startswith(name + " "):
            return float(text.rsplit(" ", 1)[1])
    raise AssertionError(f"no {name}")


def loaded(sidecar) -> list:
    """model and context of each runner so far, by the log."""
    lines = (text.split() for text in sidecar.process.logged(r" info ollama runner "))
    return [{word.split("=")[0]: word.split("=")[1] for word in line if "=" in word} for line in lines]


def events(text: str) -> list:
    """The objects of a stream."""
    return [json.loads(line[6:]) for line in text.split("\n") if line.startswith("data: {")]


def wait_for(pieces, text: bytes) -> bytes:
    """What came until this was in it."""
    got = b""
    for _, data in pieces:
        got += data
        if text in got:
            return got
    raise AssertionError(f"{text} is not in {got[-500:]}")


def wait_idle(sidecar) -> None:
    """Until no runner has taken processor time for half a second, and the models answer at once to who asks Ollama itself."""
    seen = {"ticks": None, "since": 0.0}

    def is_idle():
        ticks = 0
        for pid in runners(sidecar):
            with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
                ticks += sum(map(int, file.read().rsplit(")", 1)[1].split()[11:13]))
        if ticks != seen["ticks"]:
            seen.update(ticks=ticks, since=time.monotonic())
        return time.monotonic() - seen["since"] > 0.5

    until(is_idle, 10, "runners that do nothing", sidecar.process.tail)
    port = int(sidecar.env["OLLAMA_HOST"].rsplit(":", 1)[1])
    for model in ("qwen3:0.6b", "qwen3:4b"):
        body = {"model": model, "prompt": "ba", "stream": False, "options": {"num_predict": 1, "num_ctx": 2048, "num_thread": 1}}
        assert ask(port, "POST", "/api/generate", body, timeout=10).status == 200


def test_r4_2_a_b_and_c_by_their_sizes_as_they_are_built_in(start):
    """No section of a strategy: 2,000 and 6,000 tokens are the bounds, num_ctx is 8192, the answer names its model."""
    sidecar = start({})
    for name, chars_n, model in (("A", 1500, "qwen3:4b"), ("B", 9000, "qwen3:0.6b"), ("C", 25500, "qwen3:4b")):
        answer = chat(sidecar, talk(chars_n))
        assert (answer.header("X-Sidecar-Strategy"), answer.json["model"]) == (name, model)
        assert isinstance(answer.json["choices"][0]["message"]["content"], str)  # such a model may end at once
        assert 0 < answer.json["usage"]["completion_tokens"] <= 8
        entry = entry_of(sidecar, answer)
        assert entry["strategy"] == name and (entry["parts"] or 0) >= (2 if name == "C" else 0), entry
        assert not entry["parts_failed"], entry
        if name == "C":
            assert int(answer.header("X-Sidecar-Tokens-Saved")) == entry["tokens_saved"] > 0
    assert {(runner["model"], runner["context"]) for runner in loaded(sidecar)} == {("qwen3:4b", "8192"), ("qwen3:0.6b", "8192")}
    assert len(loaded(sidecar)) == 2  # each was loaded once


def test_r4_2_who_says_off_or_asks_for_another_model_passes(start):
    sidecar = start()
    for body, headers in (({**B, "model": "qwen3:4b"}, {"X_Sidecar_Strategy": "off"}), ({**B, "model": "tiny"}, {})):
        answer = chat(sidecar, body, **headers)
        assert answer.json["model"] == body["model"] and answer.header("X-Sidecar-Strategy") is None
    answer = chat(sidecar, {**A, "model": "qwen3:4b"}, X_Sidecar_Strategy="B")
    assert (answer.header("X-Sidecar-Strategy"), answer.json["model"]) == ("B", "qwen3:0.6b")


def test_r4_4_tools_reach_the_model_natively_in_a_and_as_words_in_b(start):
    """Where they reach it natively the prompt has as many tokens as Ollama's own /v1 makes of it."""
    sidecar = start()
    port = int(sidecar.env["OLLAMA_HOST"].rsplit(":", 1)[1])
    body = {**A, "tools": [TOOL], "temperature": 0, "seed": 1}
    direct = ask(port, "POST", PATH, {**body, "model": "qwen3:4b"}, timeout=60).json["usage"]["prompt_tokens"]
    assert chat(sidecar, body, X_Sidecar_Strategy="A").json["usage"]["prompt_tokens"] == direct
    with_words, without = (chat(sidecar, {**A, **more}, X_Sidecar_Strategy="B").json["usage"]["prompt_tokens"] for more in ({"tools": [TOOL]}, {}))
    assert with_words > without + 50


def test_r4_2_the_estimate_learns_what_the_model_counts(start):
    """Syllables are three characters a token, and none is known before."""
    sidecar = start({"A": {**SMALL["A"], "max_tokens": "0"}})
    errors, told = [], []
    for n in range(8):
        answer = chat(sidecar, talk(900 + 450 * n, seed=10 * n))
        entry = entry_of(sidecar, answer)
        errors.append(abs(entry["tokens_received"] / answer.json["usage"]["prompt_tokens"] - 1))
        told.append(metric(sidecar, 'sidecar_optimizer_estimate_error_ratio{model="qwen3:4b"}'))
    assert errors[0] > 0.1 and max(errors[-2:]) < 0.05, errors
    assert told[-1] < 0.7 * told[1], told  # a mean, which forgets slowly


def test_r4_2_map_reduce_streams_and_says_how_far_it_is(start):
    start.sidecar.configure("proxy", heartbeat_after="100ms", heartbeat_interval="100ms")
    sidecar = start()
    with sidecar.connect(timeout=60) as connection:
        answer = connection.request("POST", PATH, talk(12000, stream=True))
        text = answer.body.decode()
    assert answer.status == 200 and answer.clean and text.endswith("data: [DONE]\n\n")
    chunks = events(text)
    assert {chunk["model"] for chunk in chunks} == {"qwen3:4b"} and len({chunk["id"] for chunk in chunks}) == 1
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks][-1] in ("stop", "length")  # what it says comes by chance, if anything
    comments = [line for line in text.split("\n") if line.startswith(":")]
    parts_n = entry_of(sidecar, answer)["parts"]
    assert parts_n > 5 and any(line.startswith(": mapped ") and line.endswith(f" of {parts_n} parts") for line in comments), comments


@pytest.mark.parametrize("stream", [True, False])
def test_r4_2_a_client_that_leaves_in_the_map_step_leaves_nothing_at_work(start, stream):
    start.sidecar.configure("proxy", heartbeat_after="100ms", heartbeat_interval="100ms")
    sidecar = start()
    with sidecar.connect(timeout=60) as connection:
        pieces = connection.request("POST", PATH, talk(60000, stream=stream)).pieces()
        wait_for(pieces, b": mapped 1 " if stream else b"   ")
    sidecar.wait_health(lambda health: health["requests"]["in_flight"] == 0 and health["requests"]["queued"] == 0)
    wait_idle(sidecar)
    assert entry_of(sidecar, chat(sidecar, A))["queue_ms"] < 1000


def test_r4_2_a_client_that_leaves_in_the_reduce_step_leaves_nothing_at_work(start):
    sidecar = start()
    with sidecar.connect(timeout=60) as connection:
        pieces = connection.request("POST", PATH, talk(4000, stream=True, max_tokens=4000)).pieces()
        wait_for(pieces, b'"content":"')
        wait_for(pieces, b'"content":"')
    sidecar.wait_health(lambda health: health["requests"]["in_flight"] == 0)
    wait_idle(sidecar)
    assert chat(sidecar, A).json["model"] == "qwen3:4b"


def test_r4_6_two_identical_requests_make_one_generation(start):
    sidecar = start()
    for body in ({**A, "max_tokens": 400}, {**C, "stream": True}):
        calls = [sidecar.background("POST", PATH, body, timeout=60) for _ in range(2)]
        answers = [call.result(60) for call in calls]
        assert [answer.status for answer in answers] == [200, 200] and answers[0].body == answers[1].body
        assert sorted(answer.header("X-Sidecar-Shared") or "" for answer in answers) == ["", "yes"]
    assert metric(sidecar, "llm_optimizer_dedup_hits_total") == 2


def test_r4_9_an_answer_is_kept_while_its_models_are_the_same_ones(start, pair):
    """A model that is made anew under its old name is another one."""
    own = os.path.join(start.sidecar.directory, "models")
    shutil.copytree(os.path.join(pair.directory, "models"), own)
    start.sidecar.env["OLLAMA_MODELS"] = own
    sidecar = start(cache="memory")
    for body in ({**A, "temperature": 0}, {**C, "seed": 5, "stream": True}):
        first, second = (chat(sidecar, body) for _ in range(2))
        assert [answer.header("X-Sidecar-Cache") for answer in (first, second)] == ["miss", "hit"] and first.body == second.body
    assert chat(sidecar, A).header("X-Sidecar-Cache") != "hit"  # neither a temperature of 0 nor a seed
    made = sidecar.ask("POST", "/api/create", {"model": "qwen3:4b", "from": "qwen3:4b", "system": "be brief", "stream": False}, timeout=30)
    assert made.status == 200
    for body in ({**A, "temperature": 0}, {**C, "seed": 5, "stream": True}):
        assert chat(sidecar, body).header("X-Sidecar-Cache") == "miss"


def test_r4_9_a_kept_answer_does_not_wake_ollama(start):
    start.sidecar.configure("supervisor", idle_action="stop", idle_timeout="2s")
    sidecar = start(cache="memory")
    body = {**A, "temperature": 0}
    first = chat(sidecar, body)
    sidecar.wait_health(lambda health: health["state"] == "asleep", timeout=40)
    second = chat(sidecar, body)
    assert second.header("X-Sidecar-Cache") == "hit" and second.body == first.body
    assert len(sidecar.process.logged(r" exec program=ollama ")) == 1
    third = chat(sidecar, {**body, "max_tokens": 9})
    assert third.header("X-Sidecar-Cache") == "miss" and len(sidecar.process.logged(r" exec program=ollama ")) == 2


def test_r4_2_one_model_in_memory_at_a_time_is_enough_for_map_reduce(start):
    """They change places between the two steps, once."""
    start.sidecar.env["OLLAMA_MAX_LOADED_MODELS"] = "1"
    sidecar = start()
    answer = chat(sidecar, C)
    assert (answer.header("X-Sidecar-Strategy"), answer.json["model"]) == ("C", "qwen3:4b")
    assert [runner["model"] for runner in loaded(sidecar)] == ["qwen3:0.6b", "qwen3:4b"]
    assert chat(sidecar, {**C, "max_tokens": 9}).json["model"] == "qwen3:4b"
    assert [runner["model"] for runner in loaded(sidecar)] == ["qwen3:0.6b", "qwen3:4b"] * 2
