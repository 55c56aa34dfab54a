"""What is told of several Ollamas: /health, /ready, /metrics; and a member by https that wants a key."""
import pytest

from fleet import Fleet, wait_known
from played_backend import END, chunk, head, line, single
from waiting import until

KEY = "sk-test-0123456789abcdef"


@pytest.fixture
def fleet(sidecar):
    """Nobody yet."""
    return Fleet(sidecar)


def metrics(sidecar, name):
    """{backend: value} of a metric."""
    lines = sidecar.ask("GET", "/metrics").body.decode().splitlines()
    return {text.split('"')[1]: float(text.rsplit(" ", 1)[1]) for text in lines if text.startswith(name + "{")}


def test_it_is_well_while_one_is_up(sidecar, fleet):
    fleet.add("one", tokens=1)
    fleet.add("two", tokens=1, slots=3)
    fleet.open()
    health = sidecar.wait_health(lambda h: h["status"] == "ok" and all(b["models_n"] for b in h["backends"]))
    assert [(b["name"], b["state"], b["slots"], b["used"], b["models_n"], b["drained"]) for b in health["backends"]] == [
        ("one", "up", 1, 0, 1, False), ("two", "up", 3, 0, 1, False)]
    assert metrics(sidecar, "sidecar_backend_up") == {"one": 1, "two": 1} and metrics(sidecar, "sidecar_backend_slots") == {"one": 1, "two": 3}
    fleet.kill("one")
    sidecar.process.wait_log("member_down .*backend=one")
    answer = sidecar.ask("GET", "/health")
    assert answer.status == 200 and answer.json["status"] == "degraded" and answer.json["error"].startswith("1 of 2 backends are missing: one: ")
    assert metrics(sidecar, "sidecar_backend_up") == {"one": 0, "two": 1}
    [error] = [row for row in sidecar.ask("GET", "/sidecar/status").json["errors"] if row["from"] == "backend"]
    assert error["what"].startswith("the backend one can't be used: ") and error["times"] == 1
    fleet.kill("two")
    sidecar.process.wait_log("member_down .*backend=two")
    answer = sidecar.ask("GET", "/health")
    assert answer.status == 503 and answer.json["status"] == "failed"
    assert "no backend is given requests: one: " in answer.json["error"] and "; two: " in answer.json["error"]
    assert sidecar.ask("GET", "/ready").status == 200  # whoever asks is held
    fleet.start("two")
    until(lambda: sidecar.ask("GET", "/health").json["status"] == "degraded", 10, "one of them to be up")


def test_slots_in_use_and_requests_in_line_are_counted(sidecar, fleet):
    backend = fleet.add("one", hang_after_tokens=1)
    fleet.open()
    sidecar.process.wait_log("member_up")
    calls = [sidecar.background("POST", "/api/generate", {"model": "m", "prompt": f"p{number}", "stream": False}) for number in range(3)]
    fleet.wait_asked("one")
    until(lambda: "sidecar_queue_waiting 2\n" in sidecar.ask("GET", "/metrics").body.decode(), 5, "two to be in line")
    health = sidecar.ask("GET", "/health").json
    assert health["backends"][0]["used"] == 1 and health["requests"]["queued"] == 2
    assert metrics(sidecar, "sidecar_backend_used") == {"one": 1}
    backend.script(tokens=1)
    fleet.kill("one")
    fleet.start("one")
    assert [call.result().status for call in calls].count(200) >= 2  # whichever came first was with it
    assert metrics(sidecar, "sidecar_backend_used") == {"one": 0}


def test_all_drained_is_told_as_that(sidecar, fleet):
    fleet.add("one", tokens=1)
    fleet.open()
    sidecar.process.wait_log("member_up")
    assert sidecar.ask("POST", "/sidecar/backends/one/drain").status == 200
    answer = sidecar.ask("GET", "/health")
    assert answer.status == 503 and "all backends are drained" in answer.json["error"] and answer.json["backends"][0]["drained"]
    assert metrics(sidecar, "sidecar_backend_drained") == {"one": 1}
    assert sidecar.ask("POST", "/sidecar/backends/one/undrain").status == 200
    assert sidecar.ask("GET", "/health").status == 200


def test_a_member_by_https_that_wants_a_key(sidecar, authority, openai_backend):
    """Its certificate is checked; its key is sent with probes, loads and requests, and nothing of the client's is."""
    backend = openai_backend("hosted", key=KEY, context=authority.context(), ini={"key": KEY, "api": "ollama"})
    backend.answers.update({
        "/api/ps": single({"models": []}), "/api/tags": single({"models": [{"name": "m:latest", "digest": "sha256:" + "0" * 64}]}),
        "/api/generate": lambda request: [head(), chunk(line(True, done_reason="stop", prompt_eval_count=3, eval_count=2)), END]})
    sidecar.env["SSL_CERT_FILE"] = authority.path
    sidecar.configure("proxy", access_log="json")
    sidecar.start("ollama-proxy")
    sidecar.process.wait_log("member_up .*backend=hosted url=https://localhost:")
    wait_known(sidecar, ["hosted"])
    answer = sidecar.ask("POST", "/api/generate", {"model": "m", "prompt": "x"}, [("Authorization", "Bearer sk-of-the-client")])
    assert answer.status == 200 and answer.header("X-Sidecar-Backend") == "hosted"
    asked = backend.listed + backend.journal
    assert {"/api/ps", "/api/tags", "/api/generate"} <= {request.path for request in asked}
    assert {request.headers["authorization"] for request in asked} == {f"Bearer {KEY}"}


@pytest.mark.parametrize("how, words", [({"days": -1}, "expired"), ({"is_signed": False}, "self")])
def test_a_certificate_that_is_not_right_is_told(sidecar, authority, openai_backend, how, words):
    backend = openai_backend("hosted", context=authority.context(**how), ini={"api": "ollama"})
    sidecar.env["SSL_CERT_FILE"] = authority.path
    sidecar.start("ollama-proxy")
    sidecar.process.wait_log(f'member_down .*backend=hosted .*reason=".*{words}')
    answer = sidecar.ask("GET", "/health")
    assert answer.status == 503 and words in answer.json["error"] and not backend.listed


def test_a_wrong_key_is_told(sidecar, authority, openai_backend):
    openai_backend("hosted", key=KEY, ini={"key": "sk-wrong-0123456789", "api": "ollama"})
    sidecar.start("ollama-proxy")
    found = sidecar.process.wait_log('member_down .*reason=".*').string
    assert "status 401: it does not take the key of [backend:hosted]" in found and "sk-wrong" not in found
