"""The stand-in itself: the tests rest on it, so it is held to what Ollama 0.9.5 answers."""
import hashlib
import os
import signal
import subprocess
import time

import pytest

from client import Background, Connection, ask
from standin import PROGRAM
from test_42_output import cpu_s

GENERATE = {"model": "m", "prompt": "hi"}


def read_objects(answer):
    return [value for _, value in answer.objects()]


def pull(port, model, **more):
    with Connection(port) as connection:
        return read_objects(connection.request("POST", "/api/pull", {"model": model, **more}))


@pytest.mark.parametrize("method, path, body, status, text", [
    ("GET", "/", None, 200, "Ollama is running"),
    ("GET", "/nope", None, 404, "404 page not found"),
    ("POST", "/api/tags", {}, 405, "405 method not allowed"),
    ("GET", "/api/generate", None, 405, "405 method not allowed"),
    ("GET", "/api/version", None, 200, '{"version":"0.9.5-standin"}'),
    ("GET", "/api/tags", None, 200, '{"models":[]}'),
    ("GET", "/api/ps", None, 200, '{"models":[]}'),
    ("POST", "/api/generate", {"model": "x"}, 404, "{\"error\":\"model 'x' not found\"}"),
    ("POST", "/api/generate", {}, 404, "{\"error\":\"model '' not found\"}"),
    ("POST", "/api/generate", b"", 400, '{"error":"missing request body"}'),
    ("POST", "/api/generate", b"{bad", 400,
     '{"error":"invalid character \'b\' looking for beginning of object key string"}'),
    ("POST", "/api/chat", {"model": "x", "messages": []}, 404,
     '{"error":"model \\"x\\" not found, try pulling it first"}'),
    ("POST", "/api/chat", {}, 400, '{"error":"model is required"}'),
    ("POST", "/api/show", {"model": "x"}, 404, "{\"error\":\"model 'x' not found\"}"),
    ("POST", "/api/embed", {"model": "x"}, 404, '{"error":"model \\"x\\" not found, try pulling it first"}'),
    ("POST", "/api/pull", {"model": "../x"}, 400, '{"error":"invalid model name"}'),
    ("DELETE", "/api/delete", {"model": "x"}, 404, "{\"error\":\"model 'x' not found\"}"),
    ("POST", "/api/copy", {"source": "x", "destination": "y"}, 404, '{"error":"model \\"x\\" not found"}'),
    ("POST", "/api/blobs/sha256:00", b"x", 400, '{"error":"invalid digest format"}'),
    ("GET", "/v1/models", None, 200, '{"object":"list","data":null}'),
    ("POST", "/v1/chat/completions", {}, 400,
     '{"error":{"message":"[] is too short - \'messages\'","type":"invalid_request_error","param":null,"code":null}}'),
    ("POST", "/v1/completions", {"model": "x"}, 404,
     '{"error":{"message":"model \'x\' not found","type":"api_error","param":null,"code":null}}'),
])
def test_answers_like_ollama(standin, method, path, body, status, text):
    backend, _ = standin()
    answer = ask(backend.port, method, path, body)
    assert (answer.status, answer.body.decode()) == (status, text)


def test_head_and_methods(standin):
    backend, _ = standin()
    for path in ("/", "/api/version", "/api/tags"):
        answer = ask(backend.port, "HEAD", path)
        assert answer.status == 200 and int(answer.header("content-length")) > 0
    assert ask(backend.port, "POST", "/api/tags", {}).header("allow") == "HEAD, GET"


def test_generate_streams_tokens_one_by_one(standin):
    backend, _ = standin("m", tokens=6, token_delay_ms=50)
    with Connection(backend.port) as connection:
        answer = connection.request("POST", "/api/generate", GENERATE)
        pieces = list(answer.pieces())
    assert answer.header("content-type") == "application/x-ndjson" and answer.clean
    assert len(pieces) == 7 and pieces[5][0] - pieces[0][0] >= 0.2
    assert pieces[0][1].endswith(b',"response":"t0 ","done":false}\n')


def test_last_chunk_has_the_counts(standin):
    backend, _ = standin("m", tokens=3, token_delay_ms=0)
    for path, body in (("/api/generate", GENERATE),
                       ("/api/chat", {"model": "m", "messages": [{"role": "user", "content": "a b"}]})):
        answer = ask(backend.port, "POST", path, {**body, "stream": False}).json
        assert answer["done"] and answer["done_reason"] == "stop" and answer["eval_count"] == 3
        for key in ("total_duration", "load_duration", "prompt_eval_count", "prompt_eval_duration", "eval_duration"):
            assert answer[key] > 0, key


def test_a_model_thinks_calls_tools_and_keeps_to_a_schema_as_its_script_says(standin):
    call = {"function": {"name": "f", "arguments": {"a": 1}}}
    backend, _ = standin("m", tokens=2, token_delay_ms=0, thinking="hm well", tool_calls=[call, call])
    chat = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "tools": [{"type": "function", "function": {"name": "f"}}],
            "stream": False}
    answer = ask(backend.port, "POST", "/api/chat", chat).json
    assert answer["message"] == {"role": "assistant", "content": "", "thinking": "hm well ", "tool_calls": [call, call]}
    answer = ask(backend.port, "POST", "/api/chat", {**chat, "think": False, "messages": [{"role": "tool", "content": "5"}]}).json
    assert answer["message"] == {"role": "assistant", "content": "t0 t1 "}
    told = [{"role": "system", "content": 'Call "f" by <tool_call>'}, {"role": "user", "content": "hi"}]
    answer = ask(backend.port, "POST", "/api/chat", {**chat, "tools": [], "think": False, "messages": told}).json
    words = '<tool_call>{"name": "f", "arguments": {"a": 1}}</tool_call>'
    assert answer["message"] == {"role": "assistant", "content": words * 2}
    for more in ({"role": "assistant", "content": words}, {"role": "user", "content": "[tool result: f]\n5"}):
        answer = ask(backend.port, "POST", "/api/chat", {**chat, "tools": [], "think": False, "messages": [*told, more]}).json
        assert answer["message"]["content"] == "t0 t1 "
    schema = {"type": "object", "properties": {"a": {"type": "array", "items": {"enum": ["x", "y"]}}, "b": {"type": "integer"}}}
    answer = ask(backend.port, "POST", "/api/generate", {**GENERATE, "format": schema, "think": False, "stream": False}).json
    assert answer["response"] == '{"a": ["x"], "b": 7}' and "thinking" not in answer
    answer = ask(backend.port, "POST", "/api/chat", {**chat, "tools": [], "logprobs": True, "think": False}).json
    assert [one["token"] for one in answer["logprobs"]] == ["t0 ", "t1 "] and "top_logprobs" not in answer["logprobs"][0]


def test_load_and_unload(standin):
    backend, _ = standin("m", load_s=0.2)
    began = time.monotonic()
    assert ask(backend.port, "POST", "/api/generate", {"model": "m"}).json["done_reason"] == "load"
    assert time.monotonic() - began >= 0.2
    (loaded,) = ask(backend.port, "GET", "/api/ps").json["models"]
    assert loaded["name"] == "m:latest" and loaded["expires_at"]
    chat = {"model": "m", "messages": [], "keep_alive": 0}
    assert ask(backend.port, "POST", "/api/chat", chat).json["done_reason"] == "unload"
    assert ask(backend.port, "GET", "/api/ps").json == {"models": []}


def test_pull_reports_and_persists(standin):
    backend, process = standin(pull_bytes=1 << 20, pull_rate_bytes_s=4 << 20)
    lines = pull(backend.port, "Org/Some.Model:Q4")
    assert lines[0] == {"status": "pulling manifest"} and lines[-1] == {"status": "success"}
    big = [line for line in lines if line.get("total") == 1 << 20]
    assert len(big) >= 3 and big[-1]["completed"] == 1 << 20
    assert all(line["status"] == "pulling " + line["digest"][7:19] for line in big)
    assert process.stop() == 0
    backend, _ = standin()
    assert [m["name"] for m in ask(backend.port, "GET", "/api/tags").json["models"]] == ["Org/Some.Model:Q4"]
    assert ask(backend.port, "POST", "/api/show", {"model": "org/some.model:q4"}).status == 200
    assert len(pull(backend.port, "ORG/some.model:q4")) < 8


def test_pull_fails_at_half_and_resumes(standin):
    backend, _ = standin(pull_bytes=1 << 20, pull_rate_bytes_s=4 << 20, pull_fail_at=0.5)
    assert "unexpected EOF" in pull(backend.port, "m")[-1]["error"]
    assert pull(backend.port, "m")[-1] == {"status": "success"}
    assert backend.journal("pull_start")[1]["resumed_at"] == 1 << 19


def test_partial_files_survive_a_restart_only_without_pruning(standin):
    for no_prune, resumed in (("1", 1 << 19), ("", 0)):
        backend, process = standin(pull_bytes=1 << 20, pull_rate_bytes_s=8 << 20, pull_fail_at=0.5, pull_fail_times=9)
        pull(backend.port, "m")
        process.stop()
        backend, process = standin(env={"OLLAMA_NOPRUNE": no_prune}, pull_bytes=1 << 20, pull_rate_bytes_s=8 << 20)
        pull(backend.port, "m")
        assert backend.journal("pull_start")[-1]["resumed_at"] == resumed
        ask(backend.port, "DELETE", "/api/delete", {"model": "m"})
        process.stop()


def test_pull_goes_on_from_a_client_that_left(standin):
    backend, _ = standin(pull_bytes=1 << 20, pull_rate_bytes_s=2 << 20)
    with Connection(backend.port) as connection:
        answer = connection.request("POST", "/api/pull", {"model": "m"})
        next(value for _, value in answer.objects() if value.get("completed", 0) > 1 << 18)
    backend.wait("cancelled")
    pull(backend.port, "m")
    assert backend.journal("pull_start")[-1]["resumed_at"] > 1 << 18


@pytest.mark.parametrize("kind, text", [
    ("disk_full", "no space left on device"), ("unknown_model", "pull model manifest: file does not exist"),
    ("dead_network", "no such host"), ("a text of my own", "a text of my own")])
def test_pull_errors(standin, kind, text):
    backend, _ = standin(pull_bytes=1 << 20, pull_rate_bytes_s=16 << 20, pull_error=kind)
    assert text in pull(backend.port, "m")[-1]["error"]
    assert ask(backend.port, "GET", "/api/tags").json == {"models": []}


def test_success_but_absent(standin):
    backend, _ = standin(pull_bytes=1000, pull_error="success_but_absent")
    assert pull(backend.port, "m")[-1] == {"status": "success"}
    assert ask(backend.port, "GET", "/api/tags").json == {"models": []}


def test_pull_stalls_with_and_without_lines(standin):
    backend, _ = standin(pull_bytes=1 << 20, pull_rate_bytes_s=16 << 20, pull_stall_at=0.5)
    with Connection(backend.port) as connection:
        stuck = [value for _, value in zip(range(12), read_some(connection))]
    assert stuck[-1]["completed"] == stuck[-4]["completed"] == 1 << 19
    assert pull(backend.port, "m")[-1] == {"status": "success"}


def read_some(connection):
    answer = connection.request("POST", "/api/pull", {"model": "m"})
    return (value for _, value in answer.objects())


def test_notices_at_once_that_the_client_has_gone(standin):
    backend, _ = standin("m", tokens=100, token_delay_ms=3000, first_token_delay_ms=0)
    with Connection(backend.port) as connection:
        answer = connection.request("POST", "/api/generate", GENERATE)
        next(answer.pieces())
    left = time.time()
    gone = backend.wait("cancelled", timeout=1)
    assert gone["t"] - left < 0.05 and gone["tokens"] == 1


@pytest.mark.parametrize("keys, clean, last", [
    ({"close_after_tokens": 2}, False, b'"done":false'), ({"reset_after_tokens": 2}, False, b'"done":false'),
    ({"error_after_tokens": 2, "error_text": "boom"}, True, b'{"error":"boom"}'),
    ({"garbage_answer": "no_done"}, True, b'"response":"t4 ","done":false'),
    ({"garbage_answer": "bytes_after_done"}, True, b"nobody asked")])
def test_broken_streams(standin, keys, clean, last):
    backend, _ = standin("m", tokens=5, token_delay_ms=1, **keys)
    with Connection(backend.port) as connection:
        answer = connection.request("POST", "/api/generate", GENERATE)
        pieces = list(answer.pieces())
    assert answer.clean is clean and last in pieces[-1][1]


def test_hang_after_tokens(standin):
    backend, _ = standin("m", tokens=5, token_delay_ms=1, hang_after_tokens=2)
    with Connection(backend.port) as connection:
        answer = connection.request("POST", "/api/generate", GENERATE)
        assert len(list(zip(range(2), answer.pieces()))) == 2
    assert backend.wait("cancelled")["tokens"] == 2


@pytest.mark.parametrize("after_tokens", [0, 2])
def test_pause_after_tokens(standin, after_tokens):
    backend, process = standin("m", tokens=3, token_delay_ms=1, pause={"after_tokens": after_tokens, "s": 1.2, "works_ms": 200})
    began, before = time.monotonic(), cpu_s(process.pid)
    with Connection(backend.port) as connection:
        times = [when for when, _ in connection.request("POST", "/api/generate", GENERATE).pieces()]
    assert len(times) == 4 and times[-1] - began >= 1.2 and (after_tokens == 0 or times[after_tokens] - times[after_tokens - 1] >= 1.2)
    assert cpu_s(process.pid) - before >= 0.18  # once at least: a machine that is late may leave no time for twice


def test_crash_after_tokens(standin):
    backend, process = standin("m", tokens=5, token_delay_ms=1, crash_after_tokens=3)
    with Connection(backend.port) as connection:
        answer = connection.request("POST", "/api/generate", GENERATE)
        assert len(list(answer.pieces())) == 3 and not answer.clean
    assert process.wait() == -signal.SIGKILL


@pytest.mark.parametrize("kind", ["html", "truncated", "not_json", "status_500", "reset", "empty", "bad_http"])
@pytest.mark.parametrize("where", ["tags_garbage", "garbage_answer"])
def test_garbage(standin, kind, where):
    backend, _ = standin("m", **{where: kind})
    def request():
        return (ask(backend.port, "GET", "/api/tags") if where == "tags_garbage"
                else ask(backend.port, "POST", "/api/generate", GENERATE))
    if kind in ("reset", "empty", "bad_http"):
        with pytest.raises((OSError, EOFError, ValueError, IndexError)):
            request()
    else:
        answer = request()
        assert answer.status == (500 if kind == "status_500" else 200)
        assert answer.clean is (kind != "truncated")


def test_crash_at_start_counts_over_processes(standin):
    for code in (7, 7):
        backend, process = standin(wait=False, crash_at_start={"times": 2, "code": 7})
        assert process.wait() == code
    standin(crash_at_start={"times": 2, "code": 7})
    assert len(backend.journal("started")) == 3


def test_port_taken(standin):
    backend, _ = standin()
    env = {**os.environ, "OLLAMA_HOST": f"127.0.0.1:{backend.port}"}
    run = subprocess.run([PROGRAM, "serve"], env=env, capture_output=True, text=True, check=False)
    words = f"Error: listen tcp 127.0.0.1:{backend.port}: bind: address already in use"
    assert (run.returncode, run.stderr.strip()) == (1, words)


def test_ignore_term_and_interrupt(standin):
    backend, process = standin(ignore_term=True)
    process.kill(signal.SIGTERM)
    backend.wait("term_ignored")
    backend.script()
    assert process.stop(signal.SIGINT) == 0


def test_keep_alive_chunked_body_and_journal(standin):
    backend, _ = standin("m", tokens=1)
    body = b'{"model":"m","prompt":"hi","stream":false}'
    chunked = b"5\r\n" + body[:5] + b"\r\n%x\r\n" % (len(body) - 5) + body[5:] + b"\r\n0\r\n\r\n"
    with Connection(backend.port) as connection:
        for headers, data in (((("X-Odd", "a"), ("x-odd", "b")), body), ((("Transfer-Encoding", "chunked"),), chunked)):
            answer = connection.request("POST", "/api/generate", data, headers)
            assert answer.json["response"] == "t0 "
    first, second = backend.requests("/api/generate")
    assert first["conn"] == second["conn"] and first["body_sha256"] == hashlib.sha256(body).hexdigest()
    assert second["body_sha256"] == first["body_sha256"] and ["X-Odd", "a"] in first["headers"]


def test_openai_stream_and_usage(standin):
    backend, _ = standin("m", tokens=2, token_delay_ms=1)
    request = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    whole = ask(backend.port, "POST", "/v1/chat/completions", request).json
    assert whole["choices"][0]["message"] == {"role": "assistant", "content": "t0 t1 "}
    assert whole["usage"]["completion_tokens"] == 2 and whole["object"] == "chat.completion"
    streamed = ask(backend.port, "POST", "/v1/chat/completions",
                   {**request, "stream": True, "stream_options": {"include_usage": True}})
    events = streamed.body.decode().split("\n\n")
    assert streamed.header("content-type") == "text/event-stream"
    assert events[-2] == "data: [DONE]" and '"choices":[]' in events[-3] and '"finish_reason":"stop"' in events[-4]
    embedded = ask(backend.port, "POST", "/v1/embeddings", {"model": "m", "input": ["a", "b"]}).json
    assert len(embedded["data"]) == 2 and len(embedded["data"][0]["embedding"]) == 8


def test_guards(standin):
    backend, _ = standin()
    assert ask(backend.port, "GET", "/api/tags", headers=[("Host", "evil.example")]).status == 403
    assert ask(backend.port, "GET", "/api/tags", headers=[("Origin", "http://evil.example")]).status == 403
    allowed = ask(backend.port, "GET", "/api/tags", headers=[("Origin", "http://localhost:3000")])
    assert allowed.status == 200 and allowed.header("access-control-allow-origin") == "http://localhost:3000"


def test_busy_load_failure_and_per_model_rules(standin):
    backend, _ = standin("a,b,c", tokens=1, models={"A": {"busy": True}, "b:latest": {"load_fails": "no memory"}})
    answers = [ask(backend.port, "POST", "/api/generate", {"model": model, "prompt": "x"}) for model in "abc"]
    assert [answer.status for answer in answers] == [503, 500, 200]
    assert answers[1].json == {"error": "no memory"}


@pytest.mark.parametrize("form, host", [
    (":{port}", "127.0.0.1"), ("http://127.0.0.1:{port}", "127.0.0.1"), ("0.0.0.0:{port}", "127.0.0.1"),
    ("localhost:{port}", "127.0.0.1"), ("127.0.0.1:{port}/path", "127.0.0.1"), ("[::1]:{port}", "::1"),
    (" \"127.0.0.1:{port}\" ", "127.0.0.1")])
def test_every_form_of_ollama_host(standin, form, host):
    backend, _ = standin(host=form)
    with Connection(backend.port, host) as connection:
        assert connection.request("GET", "/").body == b"Ollama is running"


def test_parallel_limit_and_cancelled_waiter(standin):
    backend, _ = standin("m", parallel=1, tokens=10, token_delay_ms=20)
    first = Background(ask, backend.port, "POST", "/api/generate", GENERATE)
    backend.wait("first_token")
    second = Background(ask, backend.port, "POST", "/api/generate", GENERATE)
    first.result()
    second.result()
    ends = backend.journal("done")
    starts = backend.journal("first_token")
    assert starts[1]["t"] >= ends[0]["t"]


def chat(port, model, *contents, **more):
    return ask(port, "POST", "/api/chat", {"model": model, "stream": False, "messages": [
        {"role": "user", "content": content} for content in contents], **more})


def test_a_model_that_extracts_lines_and_fails_at_a_text(standin):
    backend, _ = standin("small,other", journal_body_bytes=10000, models={"small": {
        "extracts": "FACT", "chars_a_token": 4, "fails_at": {"text": "poison", "times": 1}}})
    text = "x" * 3000 + "\nFACT one\nno\nthe FACT two\n"
    answer = chat(backend.port, "small", "first", text).json
    assert answer["message"]["content"] == "FACT one\nthe FACT two\n"
    assert (answer["prompt_eval_count"], answer["eval_count"]) == ((len(text) + 5) // 4, 2)
    assert chat(backend.port, "small", text, options={"num_predict": 1}).json["message"]["content"] == "FACT one\n"
    assert chat(backend.port, "small", "none").json["message"]["content"] == "nothing"
    assert [chat(backend.port, "small", "poison").status for _ in range(3)] == [500, 200, 200]
    assert chat(backend.port, "other", "poison", "FACT").json["message"]["content"].endswith("You said: FACT ")
    assert text.rstrip("\n").replace("\n", "\\n") in backend.requests("/api/chat")[0]["body"]
