"""[proxy] requests_per_minute and tokens_per_minute: who is counted, what he is told, and when he may go on."""
import json
import time

import pytest

from played_backend import END, HANG, LAST, chunk, head, line, single
from waiting import SLACK, until

ASK = {"model": "m", "prompt": "x", "messages": [{"role": "user", "content": "x"}], "input": "x", "max_tokens": 5}
SSE = "text/event-stream"
COUNTS = {"done": True, "done_reason": "stop", "prompt_eval_count": 3, "eval_count": 2}  # as LAST: five tokens
WHOLE = single({"model": "m", "response": "t", "message": {"role": "assistant", "content": "t"}, "embeddings": [[1]], **COUNTS})
KINDS = ("requests", "tokens")


def ask(sidecar, path="/api/generate", body=None, headers=(), method="POST"):
    """An answer, read to its end."""
    with sidecar.connect() as connection:
        answer = connection.request(method, path, {**ASK, "stream": False, **(body or {})} if method == "POST" else None, headers)
        answer.body  # pylint: disable=pointless-statement
        return answer


def told(answer, kind="requests"):
    """(limit, remaining, reset) of an answer's head; None where nothing is told."""
    values = [answer.header(f"x-ratelimit-{what}-{kind}") for what in ("limit", "remaining", "reset")]
    return None if values == [None, None, None] else (int(values[0]), int(values[1]), values[2])


SHAPES = {
    "/api/generate": lambda value: isinstance(value["error"], str) and value["error"],
    "/api/chat": lambda value: isinstance(value["error"], str) and value["error"],
    "/generate": lambda value: isinstance(value["error"], str) and value["error"],
    "/api/pull": lambda value: isinstance(value["error"], str) and value["error"],
    "/v1/chat/completions": lambda value: value["error"]["type"] == "rate_limit_error"
                            and value["error"]["code"] == "rate_limit_exceeded" and value["error"]["message"],
    "/v1/embeddings": lambda value: value["error"]["code"] == "rate_limit_exceeded" and value["error"]["message"],
    "/v1/responses": lambda value: value["error"]["code"] == "rate_limit_exceeded" and value["error"]["message"],
    "/v1/messages": lambda value: value["type"] == "error" and value["error"]["type"] == "rate_limit_error" and value["error"]["message"],
}


def test_r4_9_limits_beyond_so_many_requests_a_minute_429_in_every_dialect(sidecar, before):
    backend = before(*WHOLE, requests_per_minute=2)
    assert told(ask(sidecar)) == (2, 1, "30s")
    assert told(ask(sidecar))[:2] == (2, 0)
    for path, message in SHAPES.items():
        answer = ask(sidecar, path)
        assert answer.status == 429, path
        assert message(answer.json).endswith(f"try again in {answer.header('Retry-After')} s"), path
        assert "[proxy] requests_per_minute" in message(answer.json) and 20 <= int(answer.header("Retry-After")) <= 30, path
        assert told(answer)[:2] == (2, 0)
    assert len(backend.requests) == 2
    sidecar.process.wait_log(r'"path":"/v1/messages"')
    logged = [json.loads(text) for text in sidecar.process.logged(r'"event":"access"')]
    assert [row["code"] for row in logged] == [None] * 2 + ["rate_limit_exceeded"] * len(SHAPES)
    assert {row["ended"] for row in logged[2:]} == {"refused"}


def test_a_body_that_is_refused_for_it_need_not_be_sent(sidecar, before):
    before(*WHOLE, requests_per_minute=1)
    ask(sidecar)
    with sidecar.connect() as connection:
        connection.send("POST", "/api/generate", b"", [("Content-Length", "1000000"), ("Expect", "100-continue")])
        assert connection.receive().status == 429


STREAMS = {
    "lines": ("/api/generate", [head(), chunk(line()), chunk(LAST), END]),
    "events": ("/v1/responses", [head(SSE), chunk(b'data: {"type":"response.completed","response":{}}\n\n'), END]),
    "translated": ("/v1/completions", [head(), chunk(line()), chunk(LAST), END]),
    "messages": ("/v1/messages", [head(SSE), chunk(b'event: message_stop\ndata: {"type":"message_stop"}\n\n'), END]),
}


@pytest.mark.parametrize("name", STREAMS)
def test_streams_tell_what_is_left(sidecar, before, name):
    path, steps = STREAMS[name]
    before(*steps, requests_per_minute=6, tokens_per_minute=100)
    answer = ask(sidecar, path, {"stream": True})
    assert answer.status == 200 and answer.clean
    assert told(answer) == (6, 5, "10s") and told(answer, "tokens") == (100, 100, "0s")


def test_what_only_reads_is_not_counted(sidecar, before):
    before(*single({"models": []}), requests_per_minute=1)
    for path in 2 * ("/api/tags", "/v1/models", "/health", "/live"):
        answer = ask(sidecar, path, method="GET")
        assert answer.status == 200 and told(answer) is None
    assert ask(sidecar, "/api/show").status == 200
    assert ask(sidecar, "/v1/chat/completions", method="OPTIONS").status == 204
    assert ask(sidecar, "/nothing").status == 404
    assert told(ask(sidecar))[:2] == (1, 0)
    assert ask(sidecar, "/api/copy").status == 429  # what changes models is


def test_without_a_limit_nothing_is_told(sidecar, before):
    before(*WHOLE)
    assert [told(ask(sidecar), kind) for kind in KINDS] == [None, None]


def test_what_a_backend_says_of_its_limits_passes_where_there_is_none_of_ours(sidecar, before):
    steps = [head("application/json", "x-ratelimit-limit-requests: 7", "X-RateLimit-Remaining-Tokens: 9", framing="Content-Length: 2"), b"{}"]
    before(*steps)
    assert ask(sidecar, "/v1/responses").header("x-ratelimit-limit-requests") == "7"
    sidecar.stop()
    before(*steps, requests_per_minute=60)
    answer = ask(sidecar, "/v1/responses")
    assert [value for name, value in answer.headers if name.lower() == "x-ratelimit-limit-requests"] == ["60"]
    assert told(answer, "tokens") is None


USED = {
    "lines": ("/api/generate", True, [head(), chunk(line()), chunk(LAST), END]),
    "one object": ("/api/generate", False, WHOLE),
    "chat completions": ("/v1/chat/completions", True, [head(), chunk(b'{"message":{"content":"t"},"done":false}\n'), chunk(LAST), END]),
    "a chat completion": ("/v1/chat/completions", False, WHOLE),
    "embeddings": ("/v1/embeddings", False, WHOLE),
    "responses": ("/v1/responses", True, [head(SSE), chunk(
        b'event: response.completed\ndata: {"type":"response.completed","response":{"usage":{"input_tokens":3,"output_tokens":2}}}\n\n'), END]),
    "a response": ("/v1/responses", False, single({"output": [], "usage": {"input_tokens": 3, "output_tokens": 2}})),
    "messages": ("/v1/messages", True, [head(SSE), chunk(
        b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"input_tokens":3,"output_tokens":2}}\n\n'
        b'event: message_stop\ndata: {"type":"message_stop"}\n\n'), END]),
    "a message": ("/v1/messages", False, single({"type": "message", "usage": {"input_tokens": 3, "output_tokens": 2}})),
}


@pytest.mark.parametrize("name", USED)
def test_r4_9_limits_tokens_are_what_the_answer_says(sidecar, before, name):
    path, is_stream, steps = USED[name]
    before(*steps, tokens_per_minute=60, access_log="off")
    assert told(ask(sidecar, path, {"stream": is_stream}), "tokens")[1] == 60
    assert told(ask(sidecar, path, {"stream": is_stream}), "tokens")[1] in (55, 56)


def test_embeddings_of_one_prompt_take_tokens_though_their_answer_tells_none(sidecar, before):
    before(*single({"embedding": [0.5]}), tokens_per_minute=60, access_log="off")
    assert told(ask(sidecar, "/api/embeddings", {"prompt": "x" * 4000}), "tokens")[1] == 60
    answer = ask(sidecar, "/api/embeddings")
    assert answer.status == 429 and 940 <= int(answer.header("Retry-After")) <= 1000


@pytest.mark.parametrize("is_stream", [True, False])
@pytest.mark.parametrize("path", ["/api/chat", "/v1/chat/completions"])
def test_tokens_of_a_backend_beside_ollama_count_too(sidecar, before, openai_backend, path, is_stream):
    openai_backend(models=["theirs"])
    before(*WHOLE, tokens_per_minute=60, access_log="off")
    body = {"model": "theirs", "stream": is_stream, **({"stream_options": {"include_usage": True}} if is_stream else {})}
    assert told(ask(sidecar, path, body), "tokens")[1] == 60
    assert told(ask(sidecar, path, body), "tokens")[1] in (55, 56)


def test_an_answer_may_take_more_than_there_is_and_the_next_is_told_when(sidecar, before):
    before(*single({**COUNTS, "response": "t", "eval_count": 600 - 3}), tokens_per_minute=60)
    assert ask(sidecar).status == 200
    answer = ask(sidecar)
    assert answer.status == 429 and told(answer, "tokens")[1] == 0 and told(answer) is None
    assert 530 <= int(answer.header("Retry-After")) <= 541 and "[proxy] tokens_per_minute" in answer.json["error"]
    assert ask(sidecar, "/api/copy").status == 200  # has no tokens


DELTA = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"t"}}\n\n'
LEFT = {  # what is sent, and how many tokens of it are known
    "lines": ("/api/generate", head(), b"", line(), 0),
    "events": ("/v1/responses", head(SSE), b"", b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"t"}\n\n', 0),
    "messages": ("/v1/messages", head(SSE), b'event: message_start\ndata: {"type":"message_start","message":{"usage":{"input_tokens":25}}}\n\n', DELTA, 25),
}


@pytest.mark.parametrize("name", LEFT)
def test_who_leaves_before_the_counts_has_taken_what_he_got(sidecar, before, name):
    """Estimated from the bytes of the stream: 128 for a token."""
    path, begin, first, token, known = LEFT[name]
    steps = [begin, *([chunk(first)] if first else []), *(10000 // len(token)) * [chunk(token)], HANG]
    backend = before(play=lambda request: steps if b'"stream": true' in request[1] else WHOLE, tokens_per_minute=60)
    with sidecar.connect() as connection:
        pieces = connection.request("POST", path, {**ASK, "stream": True}).pieces()
        got = 0
        while got < len(first) + 10000 // len(token) * len(token):
            got += len(next(pieces)[1])
    until(lambda: backend.cuts, 5, "the backend to be left")
    answer = ask(sidecar)
    owed = got // 128 + known - 60
    assert answer.status == 429 and owed - 2 <= int(answer.header("Retry-After")) <= owed + 1


@pytest.mark.parametrize("path, kind", [("/v1/chat/completions", None), ("/api/chat", None), ("/v1/messages", SSE)])
def test_heartbeats_are_no_tokens(sidecar, before, path, kind):
    backend = before(head(*([kind] if kind else [])), HANG, tokens_per_minute=1, heartbeat="chunk", heartbeat_after="100ms",
                     heartbeat_interval="100ms")
    with sidecar.connect() as connection:
        pieces, got = connection.request("POST", path, {**ASK, "stream": True}).pieces(), 0
        while got < 500:
            got += len(next(pieces)[1])
    until(lambda: backend.cuts, 5, "the backend to be left")
    with sidecar.connect() as connection:
        answer = connection.request("POST", path, {**ASK, "stream": True})
        assert answer.status == 200 and told(answer, "tokens")[:2] == (1, 1)


def test_each_address_behind_a_trusted_proxy_counts_for_itself(sidecar, before):
    before(*WHOLE, requests_per_minute=1, trusted_proxies="loopback", open="yes")

    def status(address):
        return ask(sidecar, headers=[("X-Forwarded-For", address)]).status

    assert [status("192.0.2.1"), status("192.0.2.1"), status("192.0.2.2")] == [200, 429, 200]
    assert [status("2001:db8::1"), status("2001:db8::2"), status("2001:db8:0:1::1")] == [200, 429, 200]
    assert [status("unknown"), status("nonsense")] == [200, 429]  # whom it does not name counts for the proxy itself
    assert ask(sidecar).status == 429


def test_whom_nobody_trusts_may_say_what_he_likes(sidecar, before):
    before(*WHOLE, requests_per_minute=1)
    assert ask(sidecar, headers=[("X-Forwarded-For", "192.0.2.1")]).status == 200
    assert ask(sidecar, headers=[("X-Forwarded-For", "192.0.2.2")]).status == 429


def test_r4_9_limits_a_key_has_its_own_and_no_other(sidecar, before):
    sidecar.configure("key:alice", secret="alice-s-own-key-16", requests_per_minute=2, tokens_per_minute=60)
    sidecar.configure("key:bob", secret="bob-s-own-key-of-16", rights="inference, manage")
    backend = before(*WHOLE, requests_per_minute=1, trusted_proxies="loopback", open="yes")
    alice, bob = ("Authorization", "Bearer alice-s-own-key-16"), ("x-api-key", "bob-s-own-key-of-16")
    assert told(ask(sidecar, headers=[alice])) == (2, 1, "30s")
    again = ask(sidecar, "/v1/chat/completions", headers=[alice, ("X-Forwarded-For", "192.0.2.7")])
    assert told(again)[:2] == (2, 0) and told(again, "tokens")[:2] in ((60, 55), (60, 56))
    answer = ask(sidecar, "/v1/messages", headers=[("x-api-key", "alice-s-own-key-16"), ("X-Forwarded-For", "192.0.2.8")])
    assert answer.status == 429 and "this key may have 2 requests a minute ([key:alice] requests_per_minute)" in answer.json["error"]["message"]
    for _ in range(3):
        answer = ask(sidecar, headers=[bob])
        assert answer.status == 200 and told(answer) is None and told(answer, "tokens") is None
    assert [ask(sidecar).status, ask(sidecar).status] == [200, 429]
    wrong = ask(sidecar, headers=[("Authorization", "Bearer nobody-s")])  # counts for nothing
    assert wrong.status == 401 and told(wrong) is None
    assert len(backend.requests) == 6


def test_a_web_page_may_read_what_is_left(sidecar, before):
    before(*WHOLE, requests_per_minute=1)
    for wanted in (200, 429):
        answer = ask(sidecar, headers=[("Origin", "http://localhost:5173")])
        assert answer.status == wanted and answer.header("Access-Control-Allow-Origin") == "http://localhost:5173"
        exposed = ", ".join(value for name, value in answer.headers if name.lower() == "access-control-expose-headers")
        assert "x-ratelimit-remaining-requests" in exposed and "Retry-After" in exposed


def test_r4_9_limits_openai_s_client_waits_as_it_is_told_and_succeeds(sidecar, openai, before):
    backend = before(*WHOLE, requests_per_minute=60)
    while ask(sidecar).status == 200:
        pass
    began = time.monotonic()
    with openai.OpenAI(base_url=f"http://127.0.0.1:{sidecar.port}/v1", api_key="none", max_retries=2, timeout=30 * SLACK) as client:
        answer = client.chat.completions.create(model="m", messages=ASK["messages"])
    assert answer.choices[0].message.content == "t" and 0.2 < time.monotonic() - began
    assert b"POST /api/chat" in backend.requests[-1][0]
    with openai.OpenAI(base_url=f"http://127.0.0.1:{sidecar.port}/v1", api_key="none", max_retries=0) as client:
        while ask(sidecar).status == 200:
            pass
        with pytest.raises(openai.RateLimitError) as caught:
            client.chat.completions.create(model="m", messages=ASK["messages"])
    assert caught.value.code == "rate_limit_exceeded" and caught.value.response.headers["x-ratelimit-remaining-requests"] == "0"


def test_a_reload_that_is_not_the_proxy_s_business_forgets_nothing(sidecar):
    sidecar.configure("proxy", requests_per_minute="2")
    sidecar.boot("m")
    assert sidecar.generate().status == 200 and sidecar.generate().status == 200
    for section, key, value, status in (("supervisor", "shutdown_timeout", "9s", 429), ("proxy", "requests_per_minute", "3", 200)):
        sidecar.configure(section, **{key: value})
        sidecar.write_ini()
        assert sidecar.ctl("reload").returncode == 0
        if section == "proxy":  # another one serves: it begins anew
            sidecar.process.wait_log(" drained ")
        assert sidecar.generate().status == status


def test_who_is_refused_wakes_nobody(sidecar):
    sidecar.configure("proxy", requests_per_minute="1")
    sidecar.configure("supervisor", idle_timeout="500ms", idle_action="stop")
    sidecar.boot("m")
    assert sidecar.generate().status == 200
    sidecar.process.wait_log(" asleep ")
    assert sidecar.generate().status == 429
    assert sidecar.health()["state"] == "asleep"
