"""The real Ollama's own /v1 as a backend that speaks OpenAI's API, and Ollama's own clients before it: its command, and requests whose answers
are those that it gives itself."""
import json
import os
import subprocess

import pytest

from client import ask
from real_ollama import serving

pytestmark = pytest.mark.limit(60)

SURE = {"temperature": 0, "seed": 1, "num_predict": 6, "top_p": 1}
HI = [{"role": "user", "content": "hi there"}]
TOOL = {"type": "function", "function": {"name": "f", "description": "d", "parameters": {
    "type": "object", "required": [], "properties": {"a": {"type": "string", "description": "x"}}}}}
CALL = {"function": {"name": "f", "arguments": {"a": "b"}}}

CHATS = {
    "one message": {"messages": HI},
    "a conversation": {"messages": [{"role": "system", "content": "be kind"}, *HI, {"role": "assistant", "content": "hello"},
                                    {"role": "user", "content": "more"}]},
    "signs": {"messages": [{"role": "user", "content": "\u0000 \u2028 \U0001F600 \" \\ / \u00e9"}]},
    "calls of tools": {"messages": [*HI, {"role": "assistant", "content": "", "tool_calls": [CALL]},
                                    {"role": "tool", "tool_name": "f", "content": "5"}]},
    "stops": {"messages": HI, "options": {**SURE, "stop": ["a", "o"]}},
    "penalties": {"messages": HI, "options": {**SURE, "frequency_penalty": 1.5, "presence_penalty": 0.5, "top_p": 0.5}},
    "a schema": {"messages": HI, "format": {"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"]}},
}


@pytest.fixture
def far(sidecar, models):
    """(the sidecar's port, that of the other Ollama): a proxy whose only Ollama is that one, by its /v1."""
    with serving(models.path, models.directory) as env:
        host, port = env["OLLAMA_HOST"].split(":")
        sidecar.configure("backend:far", url=f"http://{host}:{port}/v1", api="openai")
        sidecar.configure("program:ollama", autostart="no", required="no")
        sidecar.configure("preload", models="none")
        sidecar.start()
        sidecar.process.wait_log(" listening ")
        yield sidecar.port, int(port)
        assert " wanted " not in sidecar.process.tail(10**6)  # nobody has had to do with another Ollama


def post(port, path, body):
    """The objects of an answer, and its status."""
    answer = ask(port, "POST", path, body)
    return answer.status, [json.loads(line) for line in answer.body.splitlines()]


@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("name", CHATS)
def test_chats_are_as_its_own(far, name, is_stream):
    ours, its = far
    body = {"model": "tiny", "stream": is_stream, "options": SURE, **CHATS[name]}
    status, told = post(ours, "/api/chat", body)
    its_status, its_told = post(its, "/api/chat", body)
    assert status == its_status == 200
    assert "".join(one["message"]["content"] for one in told) == "".join(one["message"]["content"] for one in its_told)
    last, its_last = told[-1], its_told[-1]
    for member in ("model", "done", "done_reason", "prompt_eval_count", "eval_count"):
        assert last[member] == its_last[member], member
    assert set(its_last) <= set(last) and last["total_duration"] > 0
    assert set(its_told[0]) <= set(told[0])


def test_prompts_and_embeddings_are_as_its_own(far):
    ours, its = far
    for body in ({"prompt": "hi there", "raw": True}, {"prompt": "hi", "system": "be kind"}):
        body = {"model": "tiny", "stream": False, "options": SURE, **body}
        (_, (told,)), (_, (its_told,)) = post(ours, "/api/generate", body), post(its, "/api/generate", body)
        assert told["response"] == its_told["response"] and told["eval_count"] == its_told["eval_count"]
    for path, body in (("/api/embed", {"input": ["a", "b"]}), ("/api/embeddings", {"prompt": "a"})):
        body = {"model": "tiny", **body}
        (_, (told,)), (_, (its_told,)) = post(ours, path, body), post(its, path, body)
        flat = [sum(one.get("embeddings", [one.get("embedding")]), []) for one in (told, its_told)]
        assert len(flat[0]) == len(flat[1]) > 0
        if path == "/api/embed":  # the older one is not of unit length there
            assert flat[0] == pytest.approx(flat[1], abs=1e-5)
    assert post(ours, "/api/generate", {"model": "tiny"})[1][0]["done_reason"] == "load"


def test_errors_are_its_own(far):
    ours, its = far
    body = {"model": "tiny", "messages": HI, "tools": [TOOL]}
    (status, (told,)), (its_status, (its_told,)) = post(ours, "/api/chat", body), post(its, "/api/chat", body)
    assert status == its_status == 400 and told["error"] == its_told["error"]


def command(sidecar, models, *words, text=""):
    """What Ollama's command says."""
    env = {"PATH": os.environ["PATH"], "HOME": sidecar.directory, "OLLAMA_HOST": f"127.0.0.1:{sidecar.port}", "TERM": "dumb"}
    return subprocess.run([models.path, *words], env=env, input=text, capture_output=True, text=True, timeout=60, check=False)


def test_its_command_works(far, sidecar, models):
    listed = command(sidecar, models, "list")
    assert listed.returncode == 0 and "tiny" in listed.stdout, listed
    name = next(line.split()[0] for line in listed.stdout.splitlines() if line.startswith("tiny"))
    shown = command(sidecar, models, "show", name)
    assert shown.returncode == 0 and "completion" in shown.stdout and "library" in shown.stdout, shown
    ran = command(sidecar, models, "run", name, "hi there")
    assert ran.returncode == 0 and ran.stdout.strip(), ran
    stopped = command(sidecar, models, "stop", name)
    assert stopped.returncode == 0, stopped
    assert command(sidecar, models, "ps").returncode == 0
