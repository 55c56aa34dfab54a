"""The engine that is played, by itself: the tests of the model server rest on it."""
import shlex
import uuid

import pytest

import ports
from client import Connection, ask
from process import MARK, Process, clean_up

MODEL = "org/name"
JSON = [("Content-Type", "application/json")]
CHAT = {"model": MODEL, "messages": [{"role": "user", "content": "three short words"}]}


@pytest.fixture
def play(engines):
    """start(path, *more, **script) gives (port, process) of an engine of the class Engines, played alone."""
    started, mark = [], uuid.uuid4().hex

    def start(path, *more, **script):
        engines.script(**script)
        port = ports.free()
        values = {"path": path, "model": MODEL, "port": port, "length": 512}
        process = Process([word % values for word in shlex.split(engines.command("alone"))] + list(more),
                          {**engines.sidecar.env, MARK: mark}, engines.sidecar.directory)
        started.append(process)
        engines.sidecar.process = process  # whose log a failed wait shows
        return port, process

    yield start
    assert not clean_up(started, {mark})


def test_chats_whole_and_streamed(engines, play):
    port, _ = play(engines.cache.model(MODEL))
    engines.wait("loaded")
    whole = ask(port, "POST", "/v1/chat/completions", CHAT, JSON).json
    assert whole["choices"][0]["message"]["content"] == "I am org/name" and whole["usage"] == \
        {"prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6}
    streamed = ask(port, "POST", "/v1/chat/completions", {**CHAT, "stream": True, "max_tokens": 2, "stream_options": {"include_usage": True}}, JSON)
    assert streamed.body.endswith(b"data: [DONE]\n\n")
    assert b'"finish_reason": "length"' in streamed.body and b'"completion_tokens": 2' in streamed.body
    assert ask(port, "POST", "/v1/completions", {"model": MODEL, "prompt": "a b"}, JSON).json["choices"][0]["text"] == "I am org/name"
    assert engines.journal("started")[0]["argv"][-2:] == ["--length", "512"]
    assert [entry["path"] for entry in engines.journal("request")] == ["/v1/chat/completions"] * 2 + ["/v1/completions"]


def test_is_ready_when_it_has_loaded(engines, play):
    port, _ = play(engines.cache.model(MODEL), load_s=0.3)
    engines.wait("listening")
    assert ask(port, "GET", "/health").status == 503 and ask(port, "POST", "/v1/chat/completions", CHAT, JSON).status == 503
    engines.wait("loaded")
    assert ask(port, "GET", "/health").status == 200 and ask(port, "GET", "/v1/models").json["data"][0]["id"] == MODEL
    engines.script(no_health=True)
    assert ask(port, "GET", "/health").status == 404


def test_has_the_manners_of_transformers(engines, play):
    port, _ = play(engines.cache.model(MODEL), manners="transformers")
    engines.wait("loaded")
    refused = ask(port, "POST", "/v1/chat/completions", {**CHAT, "top_k": 3}, JSON)
    assert refused.status == 422 and "top_k" in refused.json["detail"]
    streamed = ask(port, "POST", "/v1/chat/completions", {**CHAT, "stream": True}, JSON).body
    assert streamed.strip().splitlines()[-1].startswith(b"data: {") and b'"completion_tokens": 3' in streamed.splitlines()[-2]


def test_refuses_what_a_real_one_refuses(engines, play):
    port, _ = play(engines.cache.model(MODEL, template=None))
    engines.wait("loaded")
    assert ask(port, "POST", "/v1/chat/completions", CHAT, JSON).status == 400  # no chat template
    assert ask(port, "POST", "/v1/completions", {**CHAT, "model": "other", "prompt": "a"}, JSON).status == 404
    form = ask(port, "POST", "/v1/completions", b'{"model":"org/name","prompt":"a"}', [("Content-Type", "application/x-www-form-urlencoded")])
    assert form.status == 400 and b"Unsupported Media Type" in form.body
    engines.script(fails={"status": 500, "message": "out", "times": 1})
    assert [ask(port, "POST", "/v1/completions", {"model": MODEL, "prompt": "a"}, JSON).status for _ in range(2)] == [500, 200]


@pytest.mark.parametrize("script, more, code", [
    ({"exit_while_loading": {"code": 3, "says": ["no memory"]}}, [], 3),
    ({"exit_while_loading": {"signal": "KILL"}}, [], -9),
    ({"refuses_flag": {"flag": "--quantization", "says": ["no memory"]}}, ["--quantization", "bitsandbytes"], 1),
])
def test_ends_while_it_loads(engines, play, script, more, code):
    _, process = play(engines.cache.model(MODEL), *more, **script)
    assert process.wait() == code and (code < 0 or process.logged("no memory"))


def test_needs_a_model(engines, play):
    _, process = play(engines.cache.path)
    assert process.wait() == 1 and process.logged("config.json")
    snapshot = engines.cache.gguf("org/gguf")
    port, _ = play(f"{snapshot}/model-Q4_K_M.gguf")
    engines.wait("loaded")
    assert ask(port, "POST", "/v1/chat/completions", CHAT, JSON).status == 200


def test_notes_who_leaves_and_dies_in_mid_stream(engines, play):
    port, process = play(engines.cache.model(MODEL), hang_after_tokens=1)
    engines.wait("loaded")
    with Connection(port) as connection:
        answer = connection.request("POST", "/v1/chat/completions", {**CHAT, "stream": True}, JSON)
        assert any(b'"I"' in line for _, line in answer.lines())
    assert engines.wait("cancelled")["tokens"] == 1
    engines.script(crash_after_tokens=1, crash_times=1)
    with Connection(port) as connection:
        answer = connection.request("POST", "/v1/chat/completions", {**CHAT, "stream": True}, JSON)
        assert b'"I"' in answer.body and not answer.clean
    assert process.wait() == -9
