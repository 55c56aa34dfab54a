"""GET /status, POST /sidecar/backends/NAME/drain and undrain, and sidecarctl's words for them."""
import json

import pytest

from waiting import until

NOTHING_TO_DRAIN = "there is one Ollama here, and nothing to drain: several are set up by [backend:NAME] with api = ollama"


def test_before_one_ollama_status_tells_who_waits(sidecar):
    sidecar.configure("environment", OLLAMA_NUM_PARALLEL="1")
    sidecar.configure("proxy", max_queue="9")
    sidecar.boot(tokens=3, token_delay_ms=100)
    answer = sidecar.ask("GET", "/status")
    assert answer.status == 200 and answer.header("Cache-Control") == "no-store" and answer.header("Content-Type") == "application/json"
    assert answer.json == {"queue": {"waiting": 0, "limit": 9}}
    calls = [sidecar.background("POST", "/api/generate", {"model": "m", "prompt": "x", "stream": False}) for _ in range(3)]
    until(lambda: sidecar.ask("GET", "/status").json["queue"]["waiting"] == 2, 5, "two in line")
    run = sidecar.ctl("backends")
    assert run.returncode == 0 and "2 in line, 9 may\none Ollama: several are set up by [backend:NAME]" in run.stdout
    assert [call.result().status for call in calls] == [200] * 3
    assert sidecar.ask("HEAD", "/status").status == 200


@pytest.mark.parametrize("path, text", [
    ("/sidecar/backends/one/drain", NOTHING_TO_DRAIN), ("/sidecar/backends/one/undrain", NOTHING_TO_DRAIN),
    ("/sidecar/backends/one%2F10.0.0.1:5/drain", NOTHING_TO_DRAIN),
    ("/sidecar/backends/drain", "no such path; there are /sidecar/backends/NAME/drain and /sidecar/backends/NAME/undrain"),
    ("/sidecar/backends/one/empty", "no such path; there are /sidecar/backends/NAME/drain and /sidecar/backends/NAME/undrain"),
])
def test_before_one_ollama_there_is_nothing_to_drain(sidecar, path, text):
    sidecar.boot(tokens=1)
    for body in (None, b"x" * 5000):
        answer = sidecar.ask("POST", path, body)
        assert answer.status == 404 and answer.json == {"error": text}
    assert sidecar.ask("GET", path).status == 405


def test_sidecarctl_says_why_it_was_refused(sidecar):
    sidecar.boot(tokens=1)
    for verb in ("drain", "undrain"):
        run = sidecar.ctl(verb, "one")
        assert run.returncode == 1 and run.stderr == f"sidecarctl: {NOTHING_TO_DRAIN}\n" and run.stdout == ""
    assert json.loads(sidecar.ctl("--json", "drain", "one").stdout) == {"error": NOTHING_TO_DRAIN}
    assert json.loads(sidecar.ctl("--json", "backends").stdout)["queue"]["waiting"] == 0
    assert sidecar.ctl("drain").returncode == sidecar.ctl("drain", "").returncode == sidecar.ctl("backends", "x").returncode == 100


def test_who_may_see_and_who_may_drain(sidecar):
    sidecar.configure("key:watch", secret="sesame-watch-0123456789", rights="observe")
    sidecar.configure("key:team", secret="sesame-team-0123456789", rights="inference")
    sidecar.boot(tokens=1)
    watch, team = [[("Authorization", f"Bearer sesame-{name}-0123456789")] for name in ("watch", "team")]
    assert [sidecar.ask("GET", "/status", headers=key).status for key in (watch, team)] == [200, 403]
    assert [sidecar.ask("POST", "/sidecar/backends/one/drain", headers=key).status for key in (watch, team)] == [403, 403]
    assert sidecar.ask("POST", "/sidecar/backends/one/drain", headers=[("Origin", "https://elsewhere.example")]).status == 403


def test_a_proxy_alone_is_found_by_its_configuration(sidecar, before):
    before()
    run = sidecar.run("sidecarctl", "-c", sidecar.ini, "backends")
    assert run.returncode == 0 and run.stdout.startswith("nobody waits, ")
