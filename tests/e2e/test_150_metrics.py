"""GET /metrics of requests: by path, model and what became of them; times, tokens, and what was done for nobody. Each scrape is one that
Prometheus can read."""
import json

import pytest

import prometheus_text
from played_backend import END, HANG, LAST, chunk, head, line, single
from waiting import until

PING = {"model": "m", "prompt": "x"}
OUTCOMES = ["ok", "refused", "timeout", "cancelled", "client_gone", "backend_error", "failed"]
SECOND = json.dumps({"model": "m", "response": "", "done": True, "done_reason": "stop", "total_duration": 9, "prompt_eval_count": 30, "eval_count": 20,
                     "eval_duration": 400_000_000}).encode() + b"\n"


def scrape(sidecar):
    return prometheus_text.read(sidecar.ask("GET", "/metrics").body)


def outcomes(sidecar, route, model):
    """{outcome: count} of those that there were."""
    metrics = scrape(sidecar)
    return {name: n for name in OUTCOMES if (n := metrics.get(("sidecar_requests_total", (("model", model), ("outcome", name), ("route", route))), 0))}


def post(sidecar, path="/api/generate", body=None, headers=()):
    return sidecar.ask("POST", path, body or PING, headers)


def test_a_new_sidecar_has_counted_nothing(sidecar, before):
    before(*single({}))
    metrics = scrape(sidecar)
    assert metrics.of("sidecar_requests_in_flight") == metrics.of("sidecar_requests_held") == metrics.of("sidecar_heartbeats_sent_total") == 0
    assert metrics.of("sidecar_queue_seconds_count") == metrics.of("sidecar_wait_seconds_count") == metrics.of("sidecar_wasted_seconds_total") == 0
    assert metrics.labels("sidecar_requests_queued", "priority") == [str(n) for n in range(10)]
    assert not metrics.labels("sidecar_requests_total", "route")
    metrics = scrape(sidecar)
    assert metrics.of("sidecar_requests_total", route="/metrics", model="", outcome="ok") == 1
    assert [metrics.of("sidecar_requests_total", route="/metrics", model="", outcome=name) for name in OUTCOMES[1:]] == [0] * 6


def test_an_answer_with_its_times_and_tokens(sidecar, before):
    before(head(), chunk(line()), chunk(line()), chunk(SECOND), END)
    answer = post(sidecar)
    assert answer.status == 200
    metrics = scrape(sidecar)
    assert outcomes(sidecar, "/api/generate", "m") == {"ok": 1}
    assert metrics.of("sidecar_prompt_tokens_total", model="m") == 30 and metrics.of("sidecar_output_tokens_total", model="m") == 20
    assert metrics.of("sidecar_token_seconds_count", model="m") == 1 and metrics.of("sidecar_token_seconds_sum", model="m") == 0.02  # by its own clock
    assert metrics.of("sidecar_first_token_seconds_count", model="m") == 1
    assert metrics.of("sidecar_request_seconds_count", route="/api/generate") == 1
    assert metrics.of("sidecar_request_seconds_sum", route="/api/generate") >= metrics.of("sidecar_first_token_seconds_sum", model="m")
    assert metrics.of("sidecar_received_bytes_total") > len(json.dumps(PING)) and metrics.of("sidecar_sent_bytes_total") > len(answer.body)
    assert metrics.of("sidecar_cancelled_total") == metrics.of("sidecar_retries_total") == 0


def test_one_object_has_tokens_but_no_first_one(sidecar, before):
    before(*single({"model": "m", "response": "t", "done": True, "prompt_eval_count": 3, "eval_count": 2, "eval_duration": 100_000_000}))
    post(sidecar, body={**PING, "stream": False})
    metrics = scrape(sidecar)
    assert metrics.of("sidecar_output_tokens_total", model="m") == 2 and metrics.of("sidecar_token_seconds_sum", model="m") == 0.05
    assert "sidecar_first_token_seconds" not in metrics.types


def test_each_end_has_its_outcome(sidecar, before):
    steps = {"ok": [head(), chunk(LAST), END], "gone": [head(), chunk(line()), HANG], "broken": [head(), chunk(line()), END],
             "error": single({"error": "no such thing"}, "400 Bad Request")}
    backend = before(play=lambda request: steps[json.loads(request[1])["prompt"]] if request[1] else single({"models": []}))  # the latter for a scrape
    for prompt in ("ok", "broken", "error"):
        post(sidecar, body={**PING, "prompt": prompt})
    assert sidecar.ask("GET", "/debug/pprof").status == 404
    assert outcomes(sidecar, "/api/generate", "m") == {"ok": 1, "backend_error": 1, "refused": 1}
    with sidecar.connect() as connection:
        connection.send("POST", "/api/generate", {**PING, "prompt": "gone"})
        next(connection.receive().pieces())
        metrics = scrape(sidecar)
        assert metrics.of("sidecar_requests_in_flight") == 1
    until(lambda: backend.cuts, 5, "the backend's connection to be closed")
    assert until(lambda: outcomes(sidecar, "/api/generate", "m").get("client_gone"), 5, "its end") == 1
    metrics = scrape(sidecar)
    assert metrics.of("sidecar_cancelled_total") == 1 and metrics.of("sidecar_wasted_seconds_total") > 0
    assert metrics.of("sidecar_requests_in_flight") == 0
    assert metrics.of("sidecar_requests_total", route="other", model="", outcome="refused") == 1


def test_names_that_nobody_has_are_other(sidecar, before):
    before(*single({"error": "model 'x' not found"}, "404 Not Found"))
    for name in ("a", "b", 'c"\n'):
        assert post(sidecar, body={**PING, "model": name}).status == 404
    assert scrape(sidecar).of("sidecar_requests_total", route="/api/generate", model="other", outcome="refused") == 3


def test_a_client_that_waits_has_heartbeats_and_is_held(sidecar):
    sidecar.configure("proxy", heartbeat_after="100ms", heartbeat_interval="100ms")
    sidecar.installed = "m"
    sidecar.backend.script(start_delay_s=1.5, tokens=2)
    sidecar.start()
    sidecar.process.wait_log(r" exec .*program=proxy")
    call = sidecar.background("POST", "/api/generate", PING)
    until(lambda: scrape(sidecar).of("sidecar_requests_held") == 1, 5, "it to be held")
    assert call.result().status == 200
    metrics = scrape(sidecar)
    assert metrics.of("sidecar_heartbeats_sent_total") > 1 and metrics.of("sidecar_requests_held") == 0
    assert metrics.of("sidecar_wait_seconds_count") == 1 and metrics.of("sidecar_wait_seconds_sum") > 0.2


@pytest.mark.parametrize("with_usage", [True, False])
def test_openais_clients_are_counted_as_they_are_told(sidecar, before, with_usage):
    chat = json.dumps({"model": "m", "message": {"role": "assistant", "content": "t"}, "done": False}, separators=(",", ":")).encode() + b"\n"
    last = json.dumps({"model": "m", "message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop", "prompt_eval_count": 3,
                       "eval_count": 2, "eval_duration": 20_000_000}).encode() + b"\n"
    before(head(), chunk(chat), chunk(chat), chunk(last), END)
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}], "stream": True}
    if with_usage:
        body["stream_options"] = {"include_usage": True}
    assert post(sidecar, "/v1/chat/completions", body).status == 200
    metrics = scrape(sidecar)
    assert metrics.of("sidecar_requests_total", route="/v1/chat/completions", model="m", outcome="ok") == 1
    assert metrics.of("sidecar_output_tokens_total", model="m") == 2  # Ollama tells them in any case
    assert metrics.of("sidecar_first_token_seconds_count", model="m") == 1


def test_requests_in_line_are_told_by_priority(sidecar):
    sidecar.configure("proxy", slots=1)
    sidecar.installed = "m"
    sidecar.backend.script(tokens=1, hang_after_tokens=1)
    sidecar.start()
    sidecar.wait_health(lambda h: h["status"] == "ok")
    calls = [sidecar.connect() for _ in range(3)]
    for connection in calls:
        connection.send("POST", "/api/generate", PING)
    until(lambda: scrape(sidecar).of("sidecar_requests_queued", priority="5") == 2, 10, "two to be in line")
    for connection in calls:
        connection.close()
    until(lambda: scrape(sidecar).of("sidecar_requests_in_flight") == 0, 10, "nobody to be there")
    assert scrape(sidecar).of("sidecar_requests_queued", priority="5") == 0
