"""R4.9: [optimizer] cache = memory. An optimised answer that was made once is told again to who asks the same (R4.6: of the same key, or
address), as long as the models that made it are the same: byte by byte, without a generation, and without waking anybody."""
import json

import pytest

import prometheus_text
from client import ask
from raw_client import all_of, sock_to
from test_52_asleep import starts, wait_asleep
from waiting import SLACK, until

PATH = "/v1/chat/completions"
CHAT = {"model": "qwen3:4b", "messages": [{"role": "user", "content": "hi"}], "temperature": 0}
STREAM = {**CHAT, "stream": True}
MODELS = "qwen3:4b,qwen3:0.6b,other"


@pytest.fixture
def cached(sidecar):
    """start(more={…}, **script): a sidecar whose optimizer keeps answers; more: of its keys."""
    def start(more=None, pull_missing="yes", **script):
        sidecar.configure("optimizer", **{"enabled": "yes", "cache": "memory", **(more or {})})
        sidecar.configure("proxy", pull_missing=pull_missing)  # yes: so that the list of models is there before the first answer, which is kept only then
        sidecar.installed = MODELS
        sidecar.backend.script(**script)
        sidecar.start()
        sidecar.wait_ready()

    return start


def say(sidecar, body=None, headers=()):
    answer = sidecar.ask("POST", PATH, body or CHAT, headers)
    answer.body  # pylint: disable=pointless-statement
    return answer


def told(sidecar, body=None, headers=()):
    """Whether it was a hit, a miss, or none of the cache's."""
    answer = say(sidecar, body, headers)
    assert answer.status == 200 and answer.clean, answer.body
    return answer.header("X-Sidecar-Cache")


def generations(sidecar):
    return len(sidecar.backend.requests("/api/chat"))


def counted(sidecar):
    """(hits, misses) by /metrics."""
    metrics = prometheus_text.read(sidecar.ask("GET", "/metrics").body)
    return tuple(metrics.of(f"sidecar_optimizer_cache_{what}_total") for what in ("hits", "misses"))


def raw(sidecar, body, version="1.1", source="127.0.0.1", receive_bytes=0, more=""):
    """A request by hand; its socket."""
    sock, text = sock_to(sidecar, receive_bytes, source=source), json.dumps(body)
    sock.sendall(f"POST {PATH} HTTP/{version}\r\nHost: localhost\r\nConnection: close\r\n{more}Content-Length: {len(text)}\r\n\r\n{text}".encode())
    return sock


@pytest.mark.parametrize("body", [CHAT, STREAM], ids=["whole", "stream"])
def test_r4_9_a_hit_is_the_same_bytes_and_no_generation(sidecar, cached, body):
    sidecar.configure("proxy", access_log="json")
    cached(tokens=5)
    first = say(sidecar, body)
    assert (first.status, first.header("X-Sidecar-Cache"), first.header("Age")) == (200, "miss", None)
    second = say(sidecar, body)
    assert (second.status, second.header("X-Sidecar-Cache")) == (200, "hit") and 0 <= int(second.header("Age")) < 20 * SLACK
    assert second.body == first.body and second.clean and second.header("Content-Type") == first.header("Content-Type")
    assert second.header("X-Request-Id") != first.header("X-Request-Id") and not second.header("X-Sidecar-Shared")
    assert generations(sidecar) == 1 and counted(sidecar) == (1, 1)
    sidecar.process.wait_log(r'"event":"access".*"cache":"hit"')
    rows = [json.loads(text) for text in sidecar.process.logged(rf'"event":"access".*"path":"{PATH}"')]
    assert [(row["cache"], row["model"], row["status"]) for row in rows] == [("miss", "qwen3:4b", 200), ("hit", "qwen3:4b", 200)]


def test_r4_9_what_is_not_the_same_request_is_another_answer(sidecar, cached):
    cached(tokens=1)
    others = [CHAT, STREAM, {**CHAT, "seed": 1}, {**CHAT, "model": "qwen3:0.6b"}, {**CHAT, "messages": [{"role": "user", "content": "ho"}]},
              {**CHAT, "tools": []}, {**CHAT, "response_format": {"type": "json_object"}}, {**CHAT, "max_tokens": 5}]
    for body in others:
        assert told(sidecar, body) == "miss", body
    for body in others:
        assert told(sidecar, body) == "hit", body
    assert generations(sidecar) == len(others) and counted(sidecar) == (len(others), len(others))


def test_r4_2_what_was_told_of_its_strategy_is_told_again(sidecar, cached):
    sidecar.configure("proxy", access_log="json")
    cached(tokens=1)
    for asked, expected in (("A", "qwen3:4b"), ("B", "qwen3:0.6b"), (None, "qwen3:4b")):
        headers = [("X-Sidecar-Strategy", asked)] if asked else []
        answers = [say(sidecar, {**CHAT, "model": "auto"}, headers) for _ in range(2)]
        assert [answer.header("X-Sidecar-Cache") for answer in answers] == ["miss", "hit"], asked
        assert {(answer.header("X-Sidecar-Strategy"), answer.json["model"]) for answer in answers} == {(asked or "A", expected)}
    until(lambda: len(sidecar.process.logged(r'"event":"access".*"cache":"hit"')) == 3, 5, "three lines", sidecar.process.tail)
    rows = [json.loads(text) for text in sidecar.process.logged(r'"cache":"(hit|miss)"')]
    assert [row["strategy"] for row in rows] == ["A", "A", "B", "B", "A", "A"] and len({row["tokens_received"] for row in rows}) == 1
    metrics = prometheus_text.read(sidecar.ask("GET", "/metrics").body)
    assert [metrics.of("llm_optimizer_requests_total", strategy=name) for name in "AB"] == [4, 2]


def test_r4_9_only_what_leaves_nothing_to_chance_is_kept_unless_all_is(sidecar, cached):
    cached(tokens=1)
    free = {name: value for name, value in CHAT.items() if name != "temperature"}
    for body in (free, {**free, "temperature": 0.7}, {**free, "temperature": None}):
        assert [told(sidecar, body), told(sidecar, body)] == [None, None], body
    for body in ({**free, "temperature": 0.0}, {**free, "seed": 7}, {**free, "temperature": 0.7, "seed": 7}):
        assert [told(sidecar, body), told(sidecar, body)] == ["miss", "hit"], body


def test_r4_9_cache_requests_all(sidecar, cached):
    cached(more={"cache_requests": "all"}, tokens=1)
    body = {**CHAT, "temperature": 0.7}
    assert [told(sidecar, body), told(sidecar, body)] == ["miss", "hit"]


def test_r4_9_without_it_nothing_is_kept(sidecar):
    sidecar.configure("optimizer", enabled="yes")
    sidecar.boot(MODELS, tokens=1)
    assert [told(sidecar), told(sidecar)] == [None, None] and generations(sidecar) == 2


def test_r4_9_who_wants_none_of_it(sidecar, cached):
    cached(tokens=1)
    assert told(sidecar) == "miss"
    for value in ("no-cache", "No-Cache", "max-age=0", "foo, no-cache"):
        assert told(sidecar, headers=[("Cache-Control", value)]) == "miss", value
    assert generations(sidecar) == 5 and told(sidecar) == "hit"
    other = {**CHAT, "seed": 9}
    for value in ("no-store", "no-cache, NO-STORE"):
        assert told(sidecar, other, [("Cache-Control", value)]) is None, value
    assert told(sidecar, other) == "miss" and told(sidecar, other, [("Cache-Control", "no-store")]) is None
    assert told(sidecar, other, [("Cache-Control", "max-age=600")]) == "hit"


def test_r4_9_there_is_nothing_to_revalidate(sidecar, cached):
    cached(tokens=1)
    for _ in range(2):
        answer = say(sidecar, headers=[("If-None-Match", "*"), ("If-Modified-Since", "Sat, 29 Oct 2050 19:43:31 GMT")])
        assert answer.status == 200 and not answer.header("ETag") and not answer.header("Last-Modified")


def test_r4_6_never_across_keys(sidecar, cached):
    for name in ("one", "two"):
        sidecar.configure(f"key:{name}", secret=name * 8)
    sidecar.configure("proxy", open="no")
    cached(tokens=1)
    by = {name: [("Authorization", f"Bearer {name * 8}")] for name in ("one", "two")}
    assert [told(sidecar, headers=by[name]) for name in ("one", "two", "one", "two")] == ["miss", "miss", "hit", "hit"]
    assert generations(sidecar) == 2


def test_r4_6_nor_addresses_nor_where_nobody_knows_who_asks(sidecar, cached):
    cached(tokens=1)
    for source, expected in (("127.0.0.1", b"miss"), ("127.0.0.2", b"miss"), ("127.0.0.1", b"hit"), ("127.0.0.2", b"hit")):
        with raw(sidecar, CHAT, source=source) as sock:
            assert b"X-Sidecar-Cache: " + expected in all_of(sock), source
    for _ in range(2):
        assert told(sidecar, headers=[("X-Forwarded-For", "192.0.2.7")]) is None  # through a proxy that is not trusted


def test_r4_9_it_is_kept_for_so_long(sidecar, cached):
    cached(more={"cache_ttl": "1s"}, tokens=1)
    assert [told(sidecar), told(sidecar)] == ["miss", "hit"]
    until(lambda: told(sidecar) == "miss", 5, "its end")  # about this second
    assert told(sidecar) == "hit" and generations(sidecar) == 2


def test_r4_9_it_takes_so_many_bytes_and_what_was_not_asked_for_the_longest_goes(sidecar, cached):
    cached(more={"cache_bytes": "16K"}, tokens=2, token_bytes=600)
    bodies = [{**CHAT, "seed": seed} for seed in range(20)]
    for body in bodies:
        assert told(sidecar, body) == "miss"
        assert told(sidecar, bodies[0]) == "hit"
    assert told(sidecar, bodies[-1]) == "hit" and told(sidecar, bodies[1]) == "miss"
    metrics = prometheus_text.read(sidecar.ask("GET", "/metrics").body)
    assert 8000 < metrics.of("sidecar_optimizer_cache_bytes") <= 16384
    sidecar.backend.script(tokens=2, token_bytes=3000)  # more than a quarter
    large = {**CHAT, "seed": 99}
    assert [told(sidecar, large), told(sidecar, large)] == ["miss", "miss"]


BROKEN = [{"close_after_tokens": 2}, {"reset_after_tokens": 2}, {"error_after_tokens": 2}, {"refuses": "no"}, {"garbage_answer": "truncated"},
          {"garbage_answer": "status_500"}]


@pytest.mark.parametrize("body, script", [(body, script) for body in (CHAT, STREAM) for script in BROKEN] + [(STREAM, {"garbage_answer": "no_done"})],
                         ids=lambda value: ("stream" if "stream" in value else "whole") if "model" in value else "-".join(str(word) for pair in value.items() for word in pair))
def test_r4_9_errors_and_what_broke_are_never_kept(sidecar, cached, body, script):
    cached(tokens=5, **script)
    broken = say(sidecar, body)
    assert broken.status != 200 or not broken.clean
    sidecar.backend.script(tokens=5)
    assert [told(sidecar, body), told(sidecar, body)] == ["miss", "hit"]


def test_r4_9_nor_what_stands_for_an_error(sidecar, cached):
    sidecar.configure("proxy", fallback_answer="yes")
    cached(tokens=5, refuses="no")
    for body in (CHAT, STREAM):
        assert [told(sidecar, body), told(sidecar, body)] == ["miss", "miss"]
    sidecar.backend.script(tokens=5)
    assert [told(sidecar), told(sidecar)] == ["miss", "hit"]


def test_r4_9_nor_what_its_client_did_not_wait_for(sidecar, cached):
    cached(tokens=50, token_delay_ms=20)
    with raw(sidecar, STREAM) as sock:
        sock.recv(100)
    sidecar.backend.wait("cancelled")
    sidecar.backend.script(tokens=2)
    assert [told(sidecar, STREAM), told(sidecar, STREAM)] == ["miss", "hit"]


def test_r4_9_calls_of_tools_are(sidecar, cached):
    calls = [{"function": {"name": "read_file", "arguments": {"path": "a"}}}]
    tools = [{"type": "function", "function": {"name": "read_file", "parameters": {"type": "object", "properties": {"path": {"type": "string"}}}}}]
    cached(tool_calls=calls)
    for body in ({**CHAT, "tools": tools}, {**STREAM, "tools": tools}):
        answers = [say(sidecar, body) for _ in range(2)]
        assert [answer.header("X-Sidecar-Cache") for answer in answers] == ["miss", "hit"]
        assert answers[0].body == answers[1].body and b"read_file" in answers[1].body


def test_r4_9_another_model_of_the_same_name_makes_another_answer(sidecar, cached):
    cached(tokens=1)
    assert [told(sidecar), told(sidecar)] == ["miss", "hit"]
    assert sidecar.ask("POST", "/api/copy", {"source": "other", "destination": "qwen3:4b"}).status == 200
    assert [told(sidecar), told(sidecar)] == ["miss", "hit"]
    assert sidecar.ask("POST", "/api/copy", {"source": "other", "destination": "more"}).status == 200
    assert told(sidecar) == "hit"  # that is none of this one's business
    assert sidecar.ask("DELETE", "/api/delete", {"model": "qwen3:4b"}).status == 200
    assert told(sidecar) == "miss"  # it is pulled for that
    until(lambda: told(sidecar) == "hit", 5, "an answer by the model that was pulled")


def test_r4_9_of_a_model_that_is_gone_nothing_is_told(sidecar, cached):
    cached(pull_missing="no", tokens=1)
    until(lambda: told(sidecar) == "hit", 5, "a list of models")
    assert sidecar.ask("DELETE", "/api/delete", {"model": "qwen3:4b"}).status == 200
    assert say(sidecar).status == 404


def test_r4_9_a_model_that_is_pulled_anew_is_another_one_where_it_is(sidecar, cached):
    cached(tokens=1, pull_bytes=1000)
    for expected in ("miss", "miss", "hit"):  # as it was installed; the registry has another; which is pulled once more
        assert told(sidecar) == expected
        pulled = sidecar.ask("POST", "/api/pull", {"model": "qwen3:4b", "stream": False})
        assert pulled.status == 200 and pulled.json["status"] == "success"
    assert generations(sidecar) == 2


def test_r4_9_an_answer_during_which_models_changed_is_not_kept(sidecar, cached):
    cached(tokens=10, token_delay_ms=50)
    with raw(sidecar, STREAM) as sock:
        sock.recv(1)
        assert sidecar.ask("POST", "/api/copy", {"source": "other", "destination": "qwen3:4b"}).status == 200
        all_of(sock)
    assert [told(sidecar, STREAM), told(sidecar, STREAM)] == ["miss", "hit"]


def test_r4_9_another_proxy_knows_nothing_and_who_is_being_told_hears_the_end(sidecar, cached):
    cached(tokens=60, token_bytes=40000, token_delay_ms=0)
    first = say(sidecar, STREAM)
    with raw(sidecar, STREAM, "1.0", receive_bytes=4096) as slow:
        start = slow.recv(1000)
        assert b"X-Sidecar-Cache: hit" in start
        assert sidecar.ctl("restart", "proxy").returncode == 0
        assert told(sidecar) == "miss"
        assert (start + all_of(slow)).partition(b"\r\n\r\n")[2] == first.body


@pytest.mark.limit(60)
def test_r4_9_also_where_it_was_changed_past_us(sidecar, cached):
    cached(tokens=1)
    assert [told(sidecar), told(sidecar)] == ["miss", "hit"]
    change(sidecar)
    until(lambda: told(sidecar) == "miss", 10, "a look at the list of models")  # about these seconds
    assert told(sidecar) == "hit"


def change(sidecar):
    """Past the proxy."""
    assert ask(sidecar.backend.port, "POST", "/api/copy", {"source": "other", "destination": "qwen3:4b"}).status == 200


LONG = {"model": "auto", "temperature": 0, "messages": [{"role": "user", "content": "a line of words\n" * 3000}, {"role": "user", "content": "hi"}]}


def test_r4_9_what_was_made_of_summaries_is_the_work_of_both_models(sidecar, cached):
    cached(tokens=2, token_delay_ms=1)
    answers = [say(sidecar, LONG) for _ in range(2)]
    assert [(answer.header("X-Sidecar-Cache"), answer.header("X-Sidecar-Strategy")) for answer in answers] == [("miss", "C"), ("hit", "C")]
    assert len({answer.header("X-Sidecar-Tokens-Saved") for answer in answers}) == 1 and int(answers[1].header("X-Sidecar-Tokens-Saved")) > 1000
    assert answers[0].body == answers[1].body and answers[1].json["model"] == "qwen3:4b"
    assert told(sidecar) == "miss"
    assert sidecar.ask("POST", "/api/copy", {"source": "other", "destination": "qwen3:0.6b"}).status == 200
    assert told(sidecar) == "hit" and told(sidecar, LONG) == "miss"


def test_r4_9_one_with_parts_left_out_is_not_kept(sidecar, cached):
    cached(tokens=2, token_delay_ms=1, models={"qwen3:0.6b": {"refuses": "no"}})
    assert [told(sidecar, LONG), told(sidecar, LONG)] == ["miss", "miss"]
    sidecar.backend.script(tokens=2, token_delay_ms=1)
    assert [told(sidecar, LONG), told(sidecar, LONG)] == ["miss", "hit"]


def test_r4_9_without_a_list_of_models_nothing_is_told_nor_lost(sidecar, cached):
    cached(tokens=1)
    assert [told(sidecar), told(sidecar)] == ["miss", "hit"]
    sidecar.backend.script(tokens=1, tags_garbage="status_500")
    assert sidecar.ask("POST", "/api/copy", {"source": "other", "destination": "more"}).status == 200
    assert told(sidecar) == "miss"
    sidecar.backend.script(tokens=1)
    until(lambda: told(sidecar) == "hit", 5, "a list of models")


def unlisted(sidecar, delay_s):
    """What is known of the models is not believed any more, and the next list takes so long. How many have waited for one so far."""
    assert sidecar.ask("POST", "/api/copy", {"source": "other", "destination": "more"}).status == 200
    sidecar.backend.script(tokens=1, tags_delay_s=delay_s)
    return len(sidecar.process.logged(r"to=pull"))


def waits_for_list(sidecar, count):
    until(lambda: len(sidecar.process.logged(r"to=pull")) == count, 5, "so many who wait for the list", sidecar.process.tail)


def test_r4_9_who_waits_for_the_list_hears_heartbeats(sidecar, cached):
    sidecar.configure("supervisor", log_level="debug")
    sidecar.configure("proxy", heartbeat_after="100ms", heartbeat_interval="100ms", access_log="json")
    cached(tokens=1)
    first = [say(sidecar, CHAT).body.lstrip(b" "), say(sidecar, STREAM).body.replace(b": ping\n", b"")]
    before_n = unlisted(sidecar, 1)
    answers = [sidecar.background("POST", PATH, body) for body in (CHAT, STREAM, CHAT)]
    waits_for_list(sidecar, before_n + 3)
    whole, stream, other = [answer.result().body for answer in answers]
    assert whole != first[0] and whole.lstrip(b" ") == first[0] == other.lstrip(b" ")
    assert stream != first[1] and stream.replace(b": ping\n", b"") == first[1]
    assert generations(sidecar) == 2 and counted(sidecar) == (3, 2)
    row = json.loads(sidecar.process.logged(r'"event":"access".*"cache":"hit"')[-1])
    assert row["wait_ms"] >= 300 and row["queue_ms"] == 0


def test_r4_9_who_waits_for_it_in_vain_is_told_of_both_waits_once(sidecar, cached):
    """Until the list is there, which has another model; and until it is known what that one is able to."""
    sidecar.configure("proxy", access_log="json")
    tools = [{"type": "function", "function": {"name": "read_file", "parameters": {"type": "object", "properties": {}}}}]
    cached(tokens=1)
    assert told(sidecar, {**CHAT, "tools": tools}) == "miss"
    assert sidecar.ask("POST", "/api/copy", {"source": "other", "destination": "qwen3:4b"}).status == 200
    sidecar.backend.script(tokens=1, tags_delay_s=0.5, show_delay_s=0.5)
    answer = say(sidecar, {**CHAT, "tools": tools})
    waits = [int(value) for name, value in answer.headers if name == "X-Sidecar-Wait-Ms"]
    assert answer.status == 200 and answer.header("X-Sidecar-Cache") == "miss" and len(waits) == 1 and waits[0] >= 1000
    sidecar.process.wait_log(rf'"event":"access".*"wait_ms":{waits[0]},')


def test_r4_9_who_leaves_meanwhile_leaves_nothing(sidecar, cached):
    sidecar.configure("supervisor", log_level="debug")
    cached(tokens=1)
    assert told(sidecar) == "miss"
    before_n = unlisted(sidecar, 1)
    with raw(sidecar, CHAT), raw(sidecar, CHAT):
        waits_for_list(sidecar, before_n + 2)
    until(lambda: len(sidecar.process.logged(r"from=answer to=gone")) == 2, 5, "their ends", sidecar.process.tail)
    assert told(sidecar) == "hit"


def test_r4_9_a_hit_wakes_nobody(sidecar, cached):
    sidecar.configure("supervisor", idle_action="stop", idle_timeout="300ms")
    cached(tokens=1)
    first = say(sidecar)
    wait_asleep(sidecar)
    asked = len(sidecar.backend.journal("request"))
    for _ in range(3):
        answer = say(sidecar)
        assert answer.header("X-Sidecar-Cache") == "hit" and answer.body == first.body
    assert sidecar.health()["state"] == "asleep" and starts(sidecar) == 1 and len(sidecar.backend.journal("request")) == asked
    assert told(sidecar, STREAM) == "miss" and starts(sidecar) == 2
    assert told(sidecar, STREAM) == "hit"


def test_r4_9_nor_is_it_told_of_a_model_that_was_another_when_it_fell_asleep(sidecar, cached):
    sidecar.configure("supervisor", idle_action="stop", idle_timeout="300ms")
    cached(tokens=1)
    assert told(sidecar) == "miss"
    change(sidecar)
    wait_asleep(sidecar)
    assert told(sidecar) == "miss" and starts(sidecar) == 2


def test_r4_9_a_hit_is_a_request_and_takes_no_tokens(sidecar, cached):
    sidecar.configure("proxy", requests_per_minute=3, tokens_per_minute=1000)
    cached(tokens=5)
    left = [say(sidecar) for _ in range(4)]
    assert [answer.header("X-Sidecar-Cache") for answer in left[:3]] == ["miss", "hit", "hit"] and left[3].status == 429
    assert [int(answer.header("x-ratelimit-remaining-requests")) for answer in left[:3]] == [2, 1, 0]
    tokens = [int(answer.header("x-ratelimit-remaining-tokens")) for answer in left[1:3]]
    assert tokens[0] <= tokens[1] < 1000


def test_r4_9_an_old_client_gets_it_too(sidecar, cached):
    cached(tokens=5)
    bodies = []
    for expected in (b"miss", b"hit"):
        with raw(sidecar, STREAM, "1.0") as sock:
            head, _, body = all_of(sock).partition(b"\r\n\r\n")
        assert b"X-Sidecar-Cache: " + expected in head and b"chunked" not in head, head
        bodies.append(body)
    assert bodies[0] == bodies[1] and bodies[0].endswith(b"data: [DONE]\n\n")


@pytest.mark.limit(60)
def test_r4_9_a_slow_client_gets_all_of_it_and_nobody_waits_for_him(sidecar, cached):
    cached(tokens=60, token_bytes=40000, token_delay_ms=0)
    first = say(sidecar, STREAM)
    assert first.header("X-Sidecar-Cache") == "miss" and len(first.body) > 2_000_000
    with raw(sidecar, STREAM, "1.0", receive_bytes=4096) as slow:
        start = slow.recv(1000)
        assert told(sidecar, STREAM) == "hit"
        _, _, body = (start + all_of(slow)).partition(b"\r\n\r\n")
    assert body == first.body and generations(sidecar) == 1


def test_r4_9_who_joins_and_wants_it_not_to_be_kept_is_heard(sidecar, cached):
    cached(tokens=10, token_delay_ms=50)
    with raw(sidecar, STREAM) as first:
        first.recv(1)
        with raw(sidecar, STREAM, more="Cache-Control: no-store\r\n") as second:
            assert b"X-Sidecar-Shared: yes" in all_of(second)
        all_of(first)
    assert told(sidecar, STREAM) == "miss" and generations(sidecar) == 2
