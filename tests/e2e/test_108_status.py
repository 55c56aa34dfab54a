"""GET /status, POST /sidecar/backends/NAME/drain and undrain, and sidecarctl's words for them."""
import json
import re

import pytest

from client import Background
from fleet import Fleet
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
        answer = sidecar.ask("POST", path, body, [("Content-Type", "application/json")])
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


# before several Ollamas

@pytest.fixture
def fleet(sidecar):
    """Two of them, `one` and `two`, each with one slot and the model m, that take a while for an answer."""
    made = Fleet(sidecar)
    for name in ("one", "two"):
        made.add(name, tokens=10, token_delay_ms=100)
    return made


def post(sidecar, headers=(), **more):
    """A request in a thread."""
    return Background(sidecar.ask, "POST", "/api/generate", {"model": "m", "prompt": "x", "stream": False, **more}, headers, 30)


def status(sidecar):
    return sidecar.ask("GET", "/status").json


def wait_line(sidecar, count):
    """GET /status, once so many stand in line."""
    return until(lambda: (told := status(sidecar))["queue"]["waiting"] == count and told, 10, f"{count} in line", lambda: json.dumps(status(sidecar)))


def by_name(sidecar):
    return {row["name"]: row for row in status(sidecar)["backends"]}


def test_who_waits_and_how_each_backend_is_R2_3(sidecar, fleet):
    fleet.open(max_queue="7")
    calls = [post(sidecar, [("X-Request-Id", f"r{i}")]) for i in range(2)]
    fleet.wait_asked("one")
    fleet.wait_asked("two")
    low = post(sidecar, [("X-Request-Id", "low"), ("X-Priority", "1")])
    wait_line(sidecar, 1)
    high = post(sidecar, [("X-Request-Id", "high")], priority=9)
    told = wait_line(sidecar, 2)
    assert told["queue"]["limit"] == 7 and "redis" not in told
    assert [(row["id"], row["model"], row["priority"], row["place"]) for row in told["queue"]["requests"]] == [("high", "m", 9, 1), ("low", "m", 1, 2)]
    assert all(row["wait_ms"] >= 0 and row["waited_ms"] >= 0 for row in told["queue"]["requests"])
    for name, row in by_name(sidecar).items():
        assert (row["url"], row["state"], row["slots"], row["used"], row["drained"], row["models_n"], row["error"]) == (
            f"http://127.0.0.1:{fleet.backends[name].port}", "up", 1, 1, False, 1, "")
    ended = [call.result(30) for call in (*calls, high, low)]
    assert [answer.status for answer in ended] == [200] * 4
    row = until(lambda: next((row for row in by_name(sidecar).values() if row["speeds"]), None), 10, "speeds of a loaded model")
    assert row["loaded"] == ["m:latest"] and row["speeds"][0]["model"] == "m:latest" and 5 < row["speeds"][0]["decode_per_s"] < 20


def test_a_head_tells_place_estimate_and_backend_R2_3(sidecar, fleet):
    fleet.open()
    first = [post(sidecar) for _ in range(2)]
    fleet.wait_asked("one")
    fleet.wait_asked("two")
    third = post(sidecar)
    wait_line(sidecar, 1)
    fourth = post(sidecar, [("Origin", "http://localhost:3000")])
    answers = [call.result(30) for call in first]
    assert {answer.header("X-Sidecar-Backend") for answer in answers} == {"one", "two"}
    assert [answer.header("X-Sidecar-Queue-Place") for answer in answers] == [None, None]
    waited = [third.result(30), fourth.result(30)]
    assert [answer.header("X-Sidecar-Queue-Place") for answer in waited] == ["1", "2"]
    assert all(int(answer.header("X-Sidecar-Estimate-Ms")) >= 0 and int(answer.header("X-Sidecar-Queue-Ms")) > 0 for answer in waited)
    shown = ", ".join(value for name, value in waited[1].headers if name == "Access-Control-Expose-Headers")
    assert {"X-Sidecar-Backend", "X-Sidecar-Priority", "X-Sidecar-Queue-Place", "X-Sidecar-Estimate-Ms", "X-Sidecar-Queue-Ms"} <= set(shown.split(", "))


def test_heartbeats_of_a_stream_of_events_tell_the_place_R2_3(sidecar, fleet):
    fleet.open(heartbeat_after="100ms", heartbeat_interval="100ms")
    first = [post(sidecar) for _ in range(2)]
    fleet.wait_asked("one")
    fleet.wait_asked("two")
    with sidecar.connect(30) as connection:
        answer = connection.request("POST", "/v1/chat/completions", {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True})
        text = answer.body.decode()
    assert answer.clean and text.startswith(": place 1") and text.endswith("data: [DONE]\n\n")
    assert answer.header("X-Sidecar-Queue-Place") == "1" and answer.header("X-Sidecar-Estimate-Ms")  # known when the heartbeat began the head
    comments = [line for line in text.splitlines() if line.startswith(":")]
    assert all(re.fullmatch(r": (place 1(, about \d+ s)?|ping)", line) for line in comments), comments
    assert [call.result(30).status for call in first] == [200] * 2


def test_a_key_for_some_models_is_not_told_of_others(sidecar, fleet):
    """Neither who waits for them, nor what is loaded: as GET /api/ps."""
    sidecar.configure("key:narrow", secret="sesame-narrow-0123456789", rights="observe", models="other")
    sidecar.configure("key:wide", secret="sesame-wide-0123456789", rights="observe", models="m")
    fleet.open()
    first = [post(sidecar) for _ in range(3)]
    wait_line(sidecar, 1)
    narrow, wide = ([("Authorization", f"Bearer sesame-{name}-0123456789")] for name in ("narrow", "wide"))
    until(lambda: all(row["loaded"] for row in sidecar.ask("GET", "/status", headers=wide).json["backends"]), 10, "m to be loaded")
    told = sidecar.ask("GET", "/status", headers=narrow).json
    assert not told["queue"]["requests"] and [(row["name"], row["loaded"], row["speeds"]) for row in told["backends"]] == [("one", [], []), ("two", [], [])]
    assert [call.result(30).status for call in first] == [200] * 3
    assert all(row["speeds"] for row in sidecar.ask("GET", "/status", headers=wide).json["backends"])
    assert not any(row["speeds"] for row in sidecar.ask("GET", "/status", headers=narrow).json["backends"])


def test_who_finds_the_line_full_is_told_when_to_come_again(sidecar, fleet):
    fleet.open(max_queue="1")
    first = [post(sidecar) for _ in range(2)]
    fleet.wait_asked("one")
    fleet.wait_asked("two")
    waits = post(sidecar)
    wait_line(sidecar, 1)
    answer = sidecar.ask("POST", "/ollama/generate", {"model": "m", "prompt": "x"})
    assert answer.status == 503 and 1 <= int(answer.header("Retry-After")) <= 60 and "max_queue" in answer.json["error"]
    assert [call.result(30).status for call in (*first, waits)] == [200] * 3


def test_a_backend_is_drained_and_comes_back_R2_3(sidecar, fleet):
    fleet.open()
    run = sidecar.run("sidecarctl", "-c", sidecar.ini, "drain", "one")
    assert run.returncode == 0 and run.stdout == "one gets no new requests; those that it has go on\n", run.stderr
    assert by_name(sidecar)["one"]["state"] == "drained" and by_name(sidecar)["one"]["drained"]
    sidecar.process.wait_log(r" member_drained backend=one")
    fleet.backends["two"].script(tokens=1)
    assert {post(sidecar).result(30).header("X-Sidecar-Backend") for _ in range(4)} == {"two"}
    table = sidecar.run("sidecarctl", "-c", sidecar.ini, "backends").stdout
    assert re.search(r"^one +drained +0 of 1 ", table, re.M) and re.search(r"^two +up +0 of 1 ", table, re.M), table
    answer = sidecar.ask("POST", "/sidecar/backends/one/undrain")
    assert answer.status == 200 and answer.json == {"backend": "one", "drained": False}
    fleet.backends["one"].script(tokens=1)
    assert post(sidecar, [("X-Sidecar-Backend", "one")]).result(30).header("X-Sidecar-Backend") == "one"
    unknown = sidecar.run("sidecarctl", "-c", sidecar.ini, "drain", "three")
    assert unknown.returncode == 1 and unknown.stderr == 'sidecarctl: there is no backend "three"; GET /status lists them\n'


def test_a_slow_start_is_told_as_long_as_it_takes(sidecar, fleet):
    fleet.add("pair", slots=2)
    sidecar.configure("balancer", slow_start="3s")
    fleet.open()
    for name in ("one", "pair"):
        fleet.kill(name)
        until(lambda name=name: by_name(sidecar)[name]["state"] == "down", 10, "it to be down")
        fleet.start(name)
    pair = until(lambda: (row := by_name(sidecar)["pair"])["state"] != "down" and row, 10, "two slots to come back")
    assert (pair["state"], pair["slots"]) == ("slow_start", 1)
    until(lambda: by_name(sidecar)["one"]["state"] == "up", 2, "one slot to be back at once")
    pair = until(lambda: (row := by_name(sidecar)["pair"])["state"] != "slow_start" and row, 10, "all slots to be there, without a request")
    assert (pair["state"], pair["slots"]) == ("up", 2)


def test_one_that_is_down_says_why(sidecar, fleet):
    fleet.open()
    fleet.kill("two")
    row = until(lambda: (found := by_name(sidecar)["two"])["state"] in ("down", "open") and found, 10, "two to be down")
    assert row["error"] and by_name(sidecar)["one"]["state"] == "up"
