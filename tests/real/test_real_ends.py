"""How answers of a real Ollama end, and that the access log counts what its clients are told."""
import json
import os
import signal

import pytest

from waiting import until

pytestmark = pytest.mark.limit(60)

OPTIONS = {"num_predict": 5, "num_thread": 1}  # several threads wait for each other by spinning: slow on a busy machine
CHAT = {"model": "tiny", "messages": [{"role": "user", "content": "hi there"}], "options": OPTIONS}
GENERATE = {"model": "tiny", "prompt": "hi there", "options": OPTIONS}
PICTURE = ("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")

# path, body, how it ends
REQUESTS = {
    "generate": ("/api/generate", GENERATE, "length"),
    "generate, one object": ("/api/generate", {**GENERATE, "stream": False}, "length"),
    "generate, one token": ("/api/generate", {**GENERATE, "options": {**OPTIONS, "num_predict": 1}}, "length"),
    "generate, raw": ("/api/generate", {**GENERATE, "raw": True}, "length"),
    "generate, nothing": ("/api/generate", {"model": "tiny"}, "load"),
    "generate, an empty prompt": ("/api/generate", {"model": "tiny", "prompt": "", "stream": True}, "load"),
    "generate, unload": ("/api/generate", {"model": "tiny", "keep_alive": 0}, "unload"),
    "generate, an image": ("/api/generate", {**GENERATE, "images": [PICTURE]}, "length"),
    "chat": ("/api/chat", CHAT, "length"),
    "chat, one object": ("/api/chat", {**CHAT, "stream": False}, "length"),
    "chat, nothing": ("/api/chat", {"model": "tiny", "messages": []}, "load"),
    "v1": ("/v1/chat/completions", {**CHAT, "max_tokens": 3}, "length"),
    "v1, streamed": ("/v1/chat/completions", {**CHAT, "max_tokens": 3, "stream": True}, "length"),
    "v1, streamed, usage": ("/v1/chat/completions", {**CHAT, "max_tokens": 3, "stream": True,
                                                     "stream_options": {"include_usage": True}}, "length"),
    "v1 completions, usage": ("/v1/completions", {**GENERATE, "max_tokens": 3, "stream": True,
                                                  "stream_options": {"include_usage": True}}, "length"),
    "v1 completions, nothing": ("/v1/completions", {"model": "tiny", "prompt": "", "stream": True}, "load"),
    "embed": ("/api/embed", {"model": "tiny", "input": ["hi", "there"]}, None),
    "embeddings of v1": ("/v1/embeddings", {"model": "tiny", "input": "hi"}, None),
}

UNTOLD = ("v1, streamed",)  # Ollama tells us, and the client does not want to know


def told_to_the_client(body: bytes):
    """Prompt tokens, generated tokens: of the last object that has any, as a client finds them."""
    objects = []
    try:
        objects = [json.loads(body)]
    except ValueError:
        for text in body.splitlines():
            text = text.removeprefix(b"data: ")
            if text.startswith(b"{"):
                objects.append(json.loads(text))
    for value in reversed(objects):
        if value.get("usage"):
            return value["usage"].get("prompt_tokens"), value["usage"].get("completion_tokens")
        if "prompt_eval_count" in value or "eval_count" in value:
            return value.get("prompt_eval_count"), value.get("eval_count")
    return None, None


def access_line(sidecar, request_id):
    """The one line of this request."""
    def look():
        return [json.loads(text) for text in sidecar.process.log if f'"id":"{request_id}"' in text and '"access"' in text]
    (entry,) = until(look, 5, "an access line", sidecar.process.tail)
    return entry


def test_every_way_of_ollamas_to_end_is_whole_and_its_counts_are_logged(sidecar):
    sidecar.configure("proxy", access_log="json")
    sidecar.start()
    sidecar.wait_ready()
    wrong = []
    for number, (name, (path, body, finish)) in enumerate(REQUESTS.items()):
        answer = sidecar.ask("POST", path, body, [("X-Request-Id", f"r{number}")], timeout=30)
        entry = access_line(sidecar, f"r{number}")
        asked, said = told_to_the_client(answer.body)
        if name in UNTOLD:
            assert (asked, said) == (None, None)
            asked, said = entry["prompt_tokens"], entry["generated_tokens"]
        expected = (200, True, "done", finish, asked, said, "tiny")
        got = (answer.status, answer.clean, entry["ended"], entry["finish"], entry["prompt_tokens"], entry["generated_tokens"],
               entry["model"])
        if got != expected or b'"error"' in answer.body:
            wrong.append((name, got, expected, answer.body[-300:]))
        assert finish != "length" or (asked and said), (name, asked, said)
    assert not wrong, "\n".join(map(str, wrong))


def test_streams_about_models_end_as_they_do_without_us(sidecar):
    sidecar.configure("proxy", access_log="json")
    sidecar.start()
    sidecar.wait_ready()
    made = sidecar.ask("POST", "/api/create", {"model": "other", "from": "tiny"}, [("X-Request-Id", "create")], timeout=30)
    assert made.clean and made.body.splitlines()[-1] == b'{"status":"success"}'
    pulled = sidecar.ask("POST", "/api/pull", {"model": "127.0.0.1:1/no/such:one", "insecure": True},
                         [("X-Request-Id", "pull")], timeout=30)
    assert pulled.clean and pulled.body.count(b'"error"') == 1
    assert sidecar.ask("DELETE", "/api/delete", {"model": "other"}).status == 200
    assert [access_line(sidecar, name)["ended"] for name in ("create", "pull")] == ["done", "done"]


def test_a_model_that_repeats_itself_is_no_whole_answer_proxy_scenario_27(sidecar):
    """Ollama gives up behind 30 equal tokens, and ends its stream well; nothing in it says so."""
    sidecar.configure("proxy", access_log="json")
    sidecar.start()
    sidecar.wait_ready()
    with sidecar.connect(timeout=50) as connection:
        answer = connection.request("POST", "/api/generate", {
            "model": "tiny", "prompt": "hi", "raw": True,
            "options": {**OPTIONS, "temperature": 0, "repeat_penalty": 0.001, "num_predict": 200}},
            [("X-Request-Id", "again")])
        lines = answer.body.splitlines()
    assert json.loads(lines[-2])["done"] is False and "without saying that it is done" in json.loads(lines[-1])["error"]
    assert not answer.clean
    entry = access_line(sidecar, "again")
    assert (entry["ended"], entry["finish"], entry["generated_tokens"]) == ("backend_unfinished", None, None)
    sidecar.process.wait_log("answer_broken id=again .*repeats itself")


def test_a_runner_that_is_killed_is_no_whole_answer_proxy_scenario_27(sidecar):
    """Ollama tells an error in its own API; on /v1 it ends the stream as if nothing had happened, and we do not."""
    sidecar.configure("proxy", access_log="json")
    sidecar.start()
    sidecar.wait_ready()
    for number, (path, body) in enumerate([
            ("/api/generate", {**GENERATE, "options": {**OPTIONS, "num_predict": 1900}}),
            ("/v1/chat/completions", {**CHAT, "stream": True, "max_tokens": 1900})]):
        with sidecar.connect(timeout=30) as connection:
            answer = connection.request("POST", path, body, [("X-Request-Id", f"k{number}")])
            pieces = answer.pieces()
            got = next(pieces)[1]
            for pid, command in sidecar.programs().items():
                if " runner " in command:
                    os.kill(pid, signal.SIGKILL)
            got += b"".join(data for _, data in pieces)
        assert not answer.clean and got.count(b'"error"') == 1, got[-500:]
        assert access_line(sidecar, f"k{number}")["ended"] in ("backend_error", "backend_unfinished")
