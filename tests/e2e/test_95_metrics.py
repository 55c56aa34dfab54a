"""GET /metrics: what Prometheus gets, who gets it, and that it disturbs nobody. (R4.1, R4.7)"""
import json
import time

import pytest

import openai_schema as schema
import prometheus_text
from client import Background
from mapping import access_line
from played_backend import END, HANG, RESET, Held, chunk, head, single
from test_52_asleep import starts, wait_asleep
from waiting import SLACK, until

STRANGER = ("X-Forwarded-For", "8.8.8.8")


def scrape(sidecar, headers=()):
    """As Prometheus does, and as strictly."""
    answer = sidecar.ask("GET", "/metrics", headers=headers)
    assert answer.status == 200 and answer.clean is not False, answer.body
    assert answer.header("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.header("Cache-Control") == "no-store" and answer.header("Content-Encoding") is None
    return prometheus_text.read(answer.body)


def test_the_version_is_told_where_there_is_no_optimizer_R4_1(sidecar):
    sidecar.boot()
    metrics = scrape(sidecar, [("Accept-Encoding", "gzip"), ("Accept", "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4")])
    assert metrics.of("sidecar_build_info", version=sidecar.health()["version"]) == 1
    assert not [name for name, _ in metrics if "optimizer" in name]


def test_a_head_has_no_body_and_nothing_else_is_allowed(sidecar):
    sidecar.boot()
    with sidecar.connect() as connection:
        head = connection.request("HEAD", "/metrics")
        assert head.status == 200 and int(head.header("Content-Length")) > 0
        refused = connection.request("POST", "/metrics", {})
        assert refused.status == 405 and refused.header("Allow") == "GET, HEAD"


def test_strangers_get_no_metrics_R4_7(sidecar):
    sidecar.configure("proxy", trusted_proxies="127.0.0.1")
    sidecar.configure("key:prometheus", secret="sesame-observe-0123456789", rights="observe")
    sidecar.configure("key:app", secret="sesame-infer-0123456789", rights="inference")
    sidecar.boot()
    refused = sidecar.ask("GET", "/metrics", headers=[STRANGER])
    assert refused.status == 401 and b"sidecar_" not in refused.body
    assert sidecar.ask("GET", "/metrics", headers=[STRANGER, ("Authorization", "Bearer sesame-infer-0123456789")]).status == 403
    assert sidecar.ask("GET", "/metrics", headers=[("Origin", "https://evil.example")]).status == 403
    assert scrape(sidecar, [STRANGER, ("Authorization", "Bearer sesame-observe-0123456789")])
    assert scrape(sidecar)


def test_a_scrape_neither_wakes_nor_keeps_awake(sidecar):
    sidecar.configure("supervisor", idle_action="stop", idle_timeout="300ms")
    sidecar.boot(tokens=1)
    while not sidecar.process.logged(r" asleep action=stop"):
        scrape(sidecar)
    wait_asleep(sidecar)
    for _ in range(20):
        scrape(sidecar)
    assert sidecar.health()["state"] == "asleep" and starts(sidecar) == 1


NAMES = {  # R4.7's, and ours beside them
    "llm_optimizer_up": "gauge", "llm_optimizer_requests_total": "counter", "llm_optimizer_errors_total": "counter",
    "sidecar_optimizer_tokens_received_total": "counter", "llm_optimizer_tokens_saved_total": "counter", "llm_optimizer_dedup_hits_total": "counter", "llm_optimizer_tool_call_detected_total": "counter",
    "llm_optimizer_smart_truncations_total": "counter", "llm_optimizer_duration_seconds": "gauge", "llm_optimizer_schema_errors_total": "counter",
    "sidecar_build_info": "gauge", "sidecar_optimizer_cache_hits_total": "counter", "sidecar_optimizer_cache_misses_total": "counter",
    "sidecar_optimizer_cache_bytes": "gauge", "sidecar_optimizer_budgets_exceeded_total": "counter", "sidecar_optimizer_tools_lost_total": "counter",
    "sidecar_optimizer_map_parts_total": "counter", "sidecar_optimizer_estimate_error_ratio": "gauge",
}
BY_STRATEGY = ("llm_optimizer_requests_total", "llm_optimizer_duration_seconds")


def test_the_first_scrape_has_every_name_and_label_R4_7(sidecar):
    sidecar.configure("optimizer", enabled="yes")
    sidecar.boot()
    metrics = scrape(sidecar)
    assert {name: kind for name, kind in metrics.types.items() if "optimizer" in name or name == "sidecar_build_info"} == NAMES
    for name in BY_STRATEGY:
        assert metrics.labels(name, "strategy") == ["A", "B", "C", "all"]
    assert metrics.labels("sidecar_optimizer_map_parts_total", "result") == ["done", "failed"]
    assert metrics.labels("sidecar_optimizer_estimate_error_ratio", "model") == ["qwen3:4b", "qwen3:0.6b"]
    assert metrics.of("llm_optimizer_up") == 1 and sum(number for (name, _), number in metrics.items() if name in NAMES) == 2  # and the version's


def test_strategies_of_ones_own_are_the_labels_R4_7(sidecar):
    sidecar.configure("optimizer", enabled="yes")
    sidecar.configure("strategy:long", min_tokens=100, model="m")
    sidecar.configure("strategy:short", max_tokens=99, model="m")
    sidecar.boot()
    assert scrape(sidecar).labels("llm_optimizer_requests_total", "strategy") == ["short", "long", "all"]


@pytest.mark.parametrize("is_alone", [False, True], ids=["supervised", "alone"])
def test_up_is_0_while_no_backend_answers_R4_7(sidecar, is_alone):
    sidecar.configure("optimizer", enabled="yes")
    if is_alone:
        sidecar.configure("proxy", backend=f"http://127.0.0.1:{sidecar.backend.port}")
        sidecar.start("ollama-proxy")
        sidecar.process.wait_log(" listening ")
    else:
        sidecar.backend.script(start_delay_s=600)
        sidecar.start()
        sidecar.wait_health(lambda health: health["state"] == "starting")
    assert scrape(sidecar).of("llm_optimizer_up") == 0


def test_alone_the_backend_is_asked(sidecar, before):
    sidecar.configure("optimizer", enabled="yes")
    before(head(), chunk(b'{"models":[]}'), END)
    assert scrape(sidecar).of("llm_optimizer_up") == 1


def test_asleep_on_purpose_is_up_R4_7(sidecar):
    sidecar.configure("optimizer", enabled="yes")
    sidecar.configure("supervisor", idle_action="stop", idle_timeout="300ms")
    sidecar.boot(tokens=1)
    wait_asleep(sidecar)
    assert scrape(sidecar).of("llm_optimizer_up") == 1


def test_health_has_the_statistics_R4_1(sidecar):
    sidecar.configure("optimizer", enabled="yes")
    sidecar.boot()
    health = sidecar.health()
    assert health["version"] and health["optimizer"] == {
        "requests": {"A": 0, "B": 0, "C": 0, "all": 0}, "mean_s": {"A": 0, "B": 0, "C": 0, "all": 0}, "errors": 0, "tokens_received": 0, "tokens_saved": 0,
        "dedup_hits": 0, "tool_calls": 0, "truncations": 0, "budgets_exceeded": 0, "tools_lost": 0, "schema_errors": 0, "cache": {"bytes": 0, "hits": 0, "misses": 0}, "parts": {"done": 0, "failed": 0}}
    shown = sidecar.ctl("health")
    assert (shown.returncode, shown.stdout) == (0, "ok, ready\n")


def ids(sidecar, headers=()):
    return [model["id"] for model in sidecar.ask("GET", "/v1/models", headers=headers).json["data"]]


AUTO = {"id": "auto", "object": "model", "created": 0, "owned_by": "ollama-sidecar"}


def test_auto_is_a_model_that_can_be_asked_for_R4_1(sidecar):
    sidecar.configure("optimizer", enabled="yes")
    sidecar.configure("supervisor", idle_action="stop", idle_timeout="300ms")
    sidecar.configure("proxy", trusted_proxies="127.0.0.1")
    sidecar.configure("key:all", secret="sesame-all-0123456789", rights="observe")
    sidecar.configure("key:some", secret="sesame-some-0123456789", rights="observe", models="m")
    sidecar.configure("key:auto", secret="sesame-auto-0123456789", rights="observe", models="auto")
    sidecar.boot("m,other", tokens=1)

    def look():
        keys = {name: [STRANGER, ("Authorization", f"Bearer sesame-{name}-0123456789")] for name in ("all", "some", "auto")}
        assert ids(sidecar) == ids(sidecar, keys["all"]) and sorted(ids(sidecar)[:2]) == ["m:latest", "other:latest"] and ids(sidecar)[2:] == ["auto"]
        assert ids(sidecar, keys["some"]) == ["m:latest"] and ids(sidecar, keys["auto"]) == ["auto"]
        assert not schema.faults(sidecar.ask("GET", "/v1/models").json, schema.MODELS)
        assert sidecar.ask("GET", "/v1/models/auto").json == sidecar.ask("GET", "/v1/models/auto", headers=keys["auto"]).json == AUTO
        assert sidecar.ask("GET", "/v1/models/auto", headers=keys["some"]).status == 404
        assert "auto" not in sidecar.ask("GET", "/api/tags").body.decode()

    look()
    wait_asleep(sidecar)
    look()
    assert starts(sidecar) == 1


def test_auto_stands_behind_the_models_of_all_backends(sidecar, openai_backend):
    sidecar.configure("optimizer", enabled="yes")
    openai_backend(models=["far"])
    sidecar.boot("m")
    assert ids(sidecar) == ["m:latest", "far", "auto"]
    assert sidecar.ask("GET", "/v1/models/auto").json == AUTO


@pytest.mark.parametrize("keys", [{"enabled": "no"}, {"enabled": "yes", "models": "m"}], ids=["not enabled", "not listed"])
def test_auto_is_not_there_where_nobody_would_answer_it(sidecar, keys):
    sidecar.configure("optimizer", **keys)
    sidecar.boot("m")
    assert ids(sidecar) == ["m:latest"] and sidecar.ask("GET", "/v1/models/auto").status == 404


# what counts

CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
SAYS = {"model": "m", "created_at": "2026-01-01T00:00:00Z", "message": {"role": "assistant", "content": "so"}, "done": False}
DONE = {**SAYS, "done": True, "done_reason": "stop", "total_duration": 9, "prompt_eval_count": 3, "eval_count": 2}
CALL = {**SAYS, "message": {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "look", "arguments": {}}}] * 2}}


def optimise(sidecar):
    """One strategy, whose model is m."""
    sidecar.configure("optimizer", enabled="yes", models="m, auto")
    sidecar.configure("strategy:A", model="m", tools="native")


def lines(*values):
    """The steps of an answer that streams."""
    return [head(), *(chunk(json.dumps(value).encode() + b"\n") for value in values), END]


def answering_lists(play):
    """Plays so, but for what a scrape asks."""
    return lambda request: single({"models": []}) if request[0].startswith(b"GET ") else play(request)


def chat(sidecar, headers=(), **more):
    """An answer, read to its end."""
    with sidecar.connect() as connection:
        answer = connection.request("POST", "/v1/chat/completions", {**CHAT, **more}, headers=headers)
        answer.body  # pylint: disable=pointless-statement
        return answer


def moved(sidecar, before_it):
    """What has changed of NAMES since an earlier scrape: {name, or (name, label's value): by how much}, times and sizes of prompts aside."""
    now = scrape(sidecar)
    changes = {(name, *(value for _, value in labels)): number - before_it[name, labels] for (name, labels), number in now.items() if name in NAMES}
    return {key if len(key) > 1 else key[0]: change for key, change in changes.items() if change and not any(word in key[0] for word in ("seconds", "ratio", "tokens_received"))}


REQUEST = {("llm_optimizer_requests_total", "A"): 1, ("llm_optimizer_requests_total", "all"): 1}
ERROR = {**REQUEST, "llm_optimizer_errors_total": 1}
REFUSED = {("llm_optimizer_requests_total", "all"): 1, "llm_optimizer_errors_total": 1}
TOLD = {  # steps of the backend, the request, what has moved then
    "an answer": (single(DONE), {}, REQUEST),
    "a stream": (lines(SAYS, DONE), {"stream": True}, REQUEST),
    "calls": (single({**CALL, "done": True}), {}, {**REQUEST, "llm_optimizer_tool_call_detected_total": 2}),
    "calls in a stream": (lines(CALL, DONE), {"stream": True}, {**REQUEST, "llm_optimizer_tool_call_detected_total": 2}),
    "an error": (single({"error": "no memory"}, "500 Oh"), {}, ERROR),
    "a refusal of Ollama's": (single({"error": "no"}, "400 Bad Request"), {"stream": True}, ERROR),
    "an error in a stream": (lines(SAYS, {"error": "no memory"}), {"stream": True}, ERROR),
    "no end": (lines(SAYS), {"stream": True}, ERROR),
    "a reset": ([*lines(SAYS)[:-1], RESET], {"stream": True}, ERROR),
    "no object": (single([1]), {}, {**ERROR, "llm_optimizer_schema_errors_total": 1}),
    "no object in a stream": (lines(SAYS, 7), {"stream": True}, {**ERROR, "llm_optimizer_schema_errors_total": 1}),
    "a page": ([head("text/html"), chunk(b"<html>"), END], {}, {**ERROR, "llm_optimizer_schema_errors_total": 1}),
    "a mistake": ([], {"messages": 7}, {**REFUSED, "llm_optimizer_schema_errors_total": 1}),
}


@pytest.mark.parametrize("name", TOLD)
@pytest.mark.parametrize("fallback", ["no", "yes"])
def test_counters_move_by_what_was_done_R4_7(sidecar, before, name, fallback):
    steps, body, wanted = TOLD[name]
    optimise(sidecar)
    before(play=answering_lists(lambda request: steps), fallback_answer=fallback)
    first = scrape(sidecar)
    chat(sidecar, **body)
    assert moved(sidecar, first) == wanted


LONG = {"messages": [{"role": "system", "content": 4000 * "words "}, *CHAT["messages"]]}


@pytest.mark.parametrize("steps, wanted", [(single(DONE), REQUEST), (single({"error": "no memory"}, "500 Oh"), ERROR)], ids=["answered", "failed"])
def test_what_was_saved_is_the_same_in_head_log_and_metrics_R4_7(sidecar, before, steps, wanted):
    optimise(sidecar)
    before(play=answering_lists(lambda request: steps))
    first = scrape(sidecar)
    answer = chat(sidecar, **LONG)
    changes = moved(sidecar, first)
    line = access_line(sidecar)
    assert changes.pop("llm_optimizer_smart_truncations_total") == 1 and line["strategy"] == answer.header("X-Sidecar-Strategy") == "A"
    assert line["tokens_saved"] == int(answer.header("X-Sidecar-Tokens-Saved")) > 3000
    assert line["tokens_received"] == int(answer.header("X-Sidecar-Tokens")) > 6000
    assert scrape(sidecar).of("sidecar_optimizer_tokens_received_total") == (line["tokens_received"] if wanted is REQUEST else 0)
    if wanted is REQUEST:
        assert changes.pop("llm_optimizer_tokens_saved_total") == line["tokens_saved"]
    assert changes == wanted


def test_parts_of_a_conversation_count_R4_7(sidecar, before):
    """Of four parts one fails twice."""
    sidecar.configure("optimizer", enabled="yes", models="auto")
    sidecar.configure("strategy:C", map_model="small", reduce_model="m", chunk_tokens=1000, workers=1)
    summary = single({**DONE, "message": {"role": "assistant", "content": "they talked"}})

    def play(request):
        if b'"model":"small"' not in request[1]:
            return single(DONE)
        return single([1]) if b"third" in request[1] else summary

    before(play=answering_lists(play))
    first = scrape(sidecar)
    talk = [{"role": "user" if at % 2 == 0 else "assistant", "content": word + 700 * " talk"} for at, word in enumerate(["first", "second", "third", "fourth"])]
    answer = chat(sidecar, model="auto", messages=[*talk, {"role": "user", "content": "so?"}])
    assert answer.status == 200 and answer.header("X-Sidecar-Strategy") == "C"
    changes = moved(sidecar, first)
    line = access_line(sidecar)
    assert changes.pop("llm_optimizer_tokens_saved_total") == line["tokens_saved"] == int(answer.header("X-Sidecar-Tokens-Saved"))
    assert (line["strategy"], line["parts"], line["parts_failed"], line["cache"], line["shared"]) == ("C", 4, 1, None, None)
    assert changes == {("llm_optimizer_requests_total", "C"): 1, ("llm_optimizer_requests_total", "all"): 1,
                       ("sidecar_optimizer_map_parts_total", "done"): 3, ("sidecar_optimizer_map_parts_total", "failed"): 1,
                       "llm_optimizer_schema_errors_total": 2}


def test_an_answer_from_the_cache_is_a_request_of_its_strategy_R4_7(sidecar, before):
    optimise(sidecar)
    sidecar.configure("optimizer", cache="memory")
    tags = {"models": [{"name": "m:latest", "model": "m:latest", "digest": "ab" * 32, "size": 1}]}
    before(play=lambda request: single(tags if request[0].startswith(b"GET ") else {**CALL, "done": True}))
    told = []

    def is_hit():
        told.append(chat(sidecar, temperature=0).header("X-Sidecar-Cache"))
        return told[-1] == "hit"

    assert not is_hit()
    until(is_hit, 5, "an answer that came after the list of models is kept")
    held, misses = scrape(sidecar), len(told) - 1
    assert told == [*["miss"] * misses, "hit"]
    assert held.of("sidecar_optimizer_cache_misses_total") == misses and held.of("sidecar_optimizer_cache_bytes") > 100
    assert sidecar.health()["optimizer"]["cache"] == {"bytes": held.of("sidecar_optimizer_cache_bytes"), "hits": 1, "misses": misses}
    assert is_hit()
    assert moved(sidecar, held) == {**REQUEST, "sidecar_optimizer_cache_hits_total": 1}  # its calls were counted when it was made


def test_who_leaves_is_a_request_and_no_error_R4_7(sidecar, before):
    optimise(sidecar)
    backend = before(play=answering_lists(lambda request: [*lines(SAYS)[:-1], HANG]))
    first = scrape(sidecar)
    with sidecar.connect() as connection:
        answer = connection.request("POST", "/v1/chat/completions", {**CHAT, "stream": True})
        assert next(answer.pieces())
    until(lambda: backend.cuts == 1, 5, "the backend is left, too")
    assert moved(sidecar, first) == REQUEST and scrape(sidecar).of("llm_optimizer_duration_seconds", strategy="all") == 0


def test_each_of_who_share_an_answer_is_a_request_R4_6_R4_7(sidecar, before):
    optimise(sidecar)
    held = Held(*lines(CALL, DONE))
    backend = before(play=answering_lists(held))
    first = scrape(sidecar)
    asking = [Background(chat, sidecar, stream=True) for _ in range(3)]
    until(lambda: scrape(sidecar).of("llm_optimizer_dedup_hits_total") == 2, 5, "two have joined")
    held.go.set()
    assert len({one.result().body for one in asking}) == 1
    assert len([text for text, _ in backend.requests if text.startswith(b"POST")]) == 1
    assert moved(sidecar, first) == {("llm_optimizer_requests_total", "A"): 3, ("llm_optimizer_requests_total", "all"): 3, "llm_optimizer_dedup_hits_total": 2,
                                     "llm_optimizer_tool_call_detected_total": 2}


def test_what_is_not_optimised_does_not_count_R4_7(sidecar, before):
    optimise(sidecar)
    before(*single(DONE))
    first = scrape(sidecar)
    chat(sidecar, [("X-Sidecar-Strategy", "off")])
    chat(sidecar, model="other")
    chat(sidecar, model=7)
    assert sidecar.ask("POST", "/api/chat", {**CHAT, "stream": False}).status == 200
    assert moved(sidecar, first) == {}


def test_the_duration_is_the_mean_of_whole_answers_R4_7(sidecar, before):
    optimise(sidecar)
    held = Held(*single(DONE))
    backend = before(play=answering_lists(held))
    first = Background(chat, sidecar)
    until(lambda: [request for request in list(backend.requests) if request[0].startswith(b"POST ")], 10, "the backend to be asked", sidecar.process.tail)
    time.sleep(0.3)  # what is measured
    held.go.set()
    assert first.result().status == 200
    mean_s, began = scrape(sidecar).of("llm_optimizer_duration_seconds", strategy="all"), time.monotonic()
    assert 0.25 <= mean_s < 5 * SLACK
    assert chat(sidecar).status == 200
    second_s = time.monotonic() - began  # and more
    tick_s = 0.001  # of the proxy's clock: what begins before one and ends behind it has taken a whole one
    assert mean_s / 2 <= scrape(sidecar).of("llm_optimizer_duration_seconds", strategy="all") <= (mean_s + second_s + tick_s) / 2
    assert sidecar.health()["optimizer"]["mean_s"]["all"] > 0 and sidecar.health()["optimizer"]["requests"]["all"] == 2


def test_a_new_proxy_begins_with_zeros_R4_7(sidecar):
    optimise(sidecar)
    sidecar.boot()
    assert chat(sidecar).status == 200 and scrape(sidecar).of("llm_optimizer_requests_total", strategy="all") == 1
    assert sidecar.ctl("restart", "proxy").returncode == 0
    sidecar.process.wait_log(r" drained ")
    assert scrape(sidecar).of("llm_optimizer_requests_total", strategy="all") == 0
