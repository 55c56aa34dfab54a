"""Several Ollamas, some of which fail: nobody loses his request before its first byte, and nobody has it run twice behind it."""
import json
import os
import re
import signal
import time

import pytest

from fleet import Fleet, wait_known
from played_backend import CLOSE, RESET, Held, PlayedBackend, chunk, head, line, single
from waiting import until

BODY = {"model": "m", "prompt": "x", "stream": False}


@pytest.fixture
def fleet(sidecar):
    """Nobody yet."""
    return Fleet(sidecar)


@pytest.fixture
def played(sidecar):
    """add(name, steps) puts a backend into the fleet that plays these steps for each request but those that only read."""
    made = []

    def add(name, *steps):
        def play(request):
            first = request[0].split(b"\r\n")[0]
            if b"/api/tags" in first:
                return single({"models": [{"name": "m:latest", "model": "m:latest", "digest": "d" * 64}]})
            if b"/api/ps" in first:
                return single({"models": []})
            return steps
        backend = PlayedBackend(play)
        made.append(backend)
        sidecar.configure(f"backend:{name}", url=f"http://127.0.0.1:{backend.port}", api="ollama", slots=1)
        return backend

    yield add
    for backend in made:
        backend.close()


def inferences(backend):
    """How often it was asked to infer."""
    return len([text for text, _ in backend.requests if text.startswith(b"POST ")])


def start(sidecar, *names):
    """The proxy, when it knows what each has."""
    sidecar.configure("balancer", probe_interval="60s", slow_start="0", rise=1)
    sidecar.configure("proxy", access_log="json")
    sidecar.start("ollama-proxy")
    for name in names:
        sidecar.process.wait_log(f" member_up .*backend={name}")
    wait_known(sidecar, names)


BUSY = single({"error": "server busy, please try again.  maximum pending requests exceeded"}, status="503 Service Unavailable")
PAGE = (head("text/html", framing="Content-Length: 6", status="502 Bad Gateway"), b"<html>")  # of a server before an Ollama
PORTAL = (head("text/html", framing="Content-Length: 6"), b"<html>")
GOOD = single({"model": "m", "response": "ok", "done": True, "done_reason": "stop"})


@pytest.mark.parametrize("steps", [BUSY, (CLOSE,), (RESET,), single({"error": "runner gone"}, status="500 Internal Server Error"),
                                   single({"error": 'model "m" not found, try pulling it first'}, status="404 Not Found"),
                                   PAGE, PORTAL, (b"SSH-2.0-OpenSSH_9.2\r\n\r\n",)],
                         ids=["busy", "close", "reset", "500", "404", "page", "portal", "no http"])
def test_each_is_tried_once_proxy_scenario_31(sidecar, played, steps):
    """The third answers; nobody is asked twice."""
    first, second, third = played("a", *steps), played("b", *steps), played("c", *GOOD)
    start(sidecar, "a", "b", "c")
    for _ in range(3):
        answer = sidecar.ask("POST", "/api/generate", BODY)
        assert answer.status == 200 and answer.json["response"] == "ok" and answer.header("X-Sidecar-Backend") == "c"
        assert answer.header("Retry-After") is None
    tries = [re.search(r"id=(\S+) backend=(\S+)", text).groups() for text in sidecar.process.logged(" retry ")]
    assert len(tries) >= 2 and len(set(tries)) == len(tries), tries
    assert inferences(third) == 3 and inferences(first) and inferences(second)


def test_when_all_are_busy_the_last_word_is_told_proxy_scenario_31(sidecar, played):
    backends = [played(name, *BUSY) for name in ("a", "b", "c")]
    start(sidecar, "a", "b", "c")
    answer = sidecar.ask("POST", "/api/generate", BODY)
    assert answer.status == 503 and "server busy" in answer.json["error"]
    assert [inferences(backend) for backend in backends] == [1, 1, 1]
    answer = sidecar.ask("POST", "/v1/chat/completions", {"model": "m", "messages": [{"role": "user", "content": "x"}]})
    assert answer.status == 503 and "server busy" in answer.json["error"]["message"]


def test_nothing_is_asked_twice_behind_its_first_byte_proxy_scenario_31(sidecar, played):
    begun = (head(), chunk(line()), RESET)
    first, second = played("a", *begun), played("b", *begun)
    start(sidecar, "a", "b")
    with sidecar.connect() as connection:
        answer = connection.request("POST", "/api/generate", {**BODY, "stream": True})
        assert answer.status == 200
        objects = [value for _, value in answer.objects()]
    assert objects[0]["response"] == "t" and "broke off" in objects[-1]["error"] and not answer.clean
    assert inferences(first) + inferences(second) == 1


def test_a_request_that_is_wrong_is_wrong_everywhere(sidecar, played):
    wrong = single({"error": "invalid options"}, status="400 Bad Request")
    first, second = played("a", *wrong), played("b", *wrong)
    start(sidecar, "a", "b")
    answer = sidecar.ask("POST", "/api/generate", BODY)
    assert answer.status == 400 and answer.json["error"] == "invalid options"
    assert inferences(first) + inferences(second) == 1


def test_who_is_killed_loses_no_request_that_waits_or_has_not_begun(sidecar, fleet):
    fleet.add("one", first_token_delay_ms=600, tokens=1)
    fleet.add("two", first_token_delay_ms=600, tokens=1)
    fleet.open()
    calls = [sidecar.background("POST", "/api/generate", {**BODY, "prompt": f"p{number}"}) for number in range(6)]
    fleet.wait_asked("one")
    fleet.wait_asked("two")
    fleet.kill("one")
    assert [call.result(30).status for call in calls] == [200] * 6
    assert {call.result().header("X-Sidecar-Backend") for call in calls} == {"two"}


def test_all_are_down_and_requests_wait_by_priority_proxy_scenario_32(sidecar, fleet):
    """Nobody is refused; when one comes back it serves the highest first."""
    backend = fleet.add("one", tokens=1, first_token_delay_ms=100)
    fleet.open()
    assert sidecar.generate().status == 200
    fleet.kill("one")
    sidecar.process.wait_log(" member_down ", timeout=10)
    calls = []
    for number, priority in enumerate((1, 5, 9, 1, 5, 9)):
        calls.append(sidecar.background("POST", "/api/generate", {**BODY, "prompt": f"{priority}-{number}", "priority": priority}, timeout=40))
        sidecar.wait_health(lambda health, count=number + 1: health["requests"]["in_flight"] == count, what=f"{number + 1} that wait")
    before = len(fleet.asked("one"))
    fleet.start("one")
    assert [call.result(40).status for call in calls] == [200] * 6
    served = [json.loads(entry["body"])["prompt"] for entry in fleet.asked("one")][before:]
    assert served == ["9-2", "9-5", "5-1", "5-4", "1-0", "1-3"]
    assert not backend.journal("cancelled")


def test_beyond_max_queue_503_and_when_to_come_again_proxy_scenario_32(sidecar, fleet):
    fleet.add("one")
    fleet.open(max_queue=2, hold_timeout="20s")
    fleet.kill("one")
    sidecar.process.wait_log(" member_down ", timeout=10)
    held = [sidecar.background("POST", "/api/generate", BODY, timeout=40) for _ in range(2)]
    sidecar.wait_health(lambda health: health["requests"]["in_flight"] == 2, what="two that wait")
    answer = sidecar.ask("POST", "/api/generate", BODY)
    assert answer.status == 503 and "max_queue" in answer.json["error"] and int(answer.header("Retry-After")) > 0
    fleet.start("one")
    assert [call.result(40).status for call in held] == [200, 200]


def test_who_waits_too_long_is_told_so_proxy_scenario_32(sidecar, fleet):
    fleet.add("one")
    fleet.open(hold_timeout="1s")
    fleet.kill("one")
    sidecar.process.wait_log(" member_down ", timeout=10)
    answer = sidecar.ask("POST", "/api/generate", BODY)
    assert answer.status == 503 and "hold_timeout" in answer.json["error"] and int(answer.header("Retry-After")) > 0


def hang(fleet, *names):
    """They stand still: the kernel takes connections for them, and they say nothing."""
    for name in names:
        os.kill(fleet.running[name].pid, signal.SIGSTOP)


def go_on(fleet, *names):
    """They do not stand still any more."""
    for name in names:
        os.kill(fleet.running[name].pid, signal.SIGCONT)


@pytest.mark.parametrize("script", [{"first_token_delay_ms": 60000}, {"load_s": 60}], ids=["answer", "load"])
def test_who_waits_at_one_that_hangs_goes_elsewhere(sidecar, fleet, script):
    """Its connection stays, and nothing would ever come of it: when it is down, so are the hopes of those who have no byte of it."""
    hung = fleet.add("hung", **script)
    fleet.add("well", tokens=1, started=False)
    sidecar.configure("balancer", probe_timeout="300ms")
    fleet.open()
    call = sidecar.background("POST", "/api/generate", BODY, timeout=30)
    hung.wait("request", path="/api/generate" if "load_s" not in script else "/api/embed")
    hang(fleet, "hung")
    try:
        sidecar.process.wait_log(" member_down .*backend=hung")
        fleet.start("well")
        answer = call.result(30)
        assert (answer.status, answer.header("X-Sidecar-Backend")) == (200, "well")
        assert sidecar.process.logged(" retry .*backend=hung")
    finally:
        go_on(fleet, "hung")
    assert sidecar.ask("GET", "/status").json["queue"]["waiting"] == 0


def test_where_all_hang_who_waits_is_answered_when_they_go_on(sidecar, fleet):
    names = ("one", "two")
    for name in names:
        fleet.add(name, tokens=1, first_token_delay_ms=500)
    sidecar.configure("balancer", probe_timeout="300ms")
    fleet.open()
    calls = [sidecar.background("POST", "/api/generate", {**BODY, "prompt": name}, timeout=30) for name in names]
    for name in names:
        fleet.wait_asked(name)
    hang(fleet, *names)
    try:
        for name in names:
            sidecar.process.wait_log(f" member_down .*backend={name}")
    finally:
        go_on(fleet, *names)
    assert [call.result(30).status for call in calls] == [200, 200]


def test_hold_timeout_is_of_the_wait_and_not_of_an_answer_that_fails(sidecar, played):
    """It had its turn, which failed late, and it stands in line once more: that wait is another one."""
    playing = {"a": Held(*BUSY), "b": Held(*GOOD)}
    backends = {name: played(name) for name in playing}
    for name, backend in backends.items():
        backend.play = lambda request, reads=backend.play, infers=playing[name]: (infers if request[0].startswith(b"POST ") else reads)(request)
    sidecar.configure("proxy", hold_timeout="1s")
    start(sidecar, *backends)
    calls = [sidecar.background("POST", "/api/generate", BODY) for _ in backends]
    until(lambda: all(inferences(backend) for backend in backends.values()), 5, "both to be asked")
    over_s = time.monotonic() + 1.2
    until(lambda: time.monotonic() > over_s, 5, "hold_timeout to be over")
    playing["a"].go.set()
    sidecar.process.wait_log(" retry .*backend=a")
    playing["b"].go.set()
    assert [call.result().status for call in calls] == [200, 200]


def test_what_a_member_says_of_a_line_of_its_own_is_not_told_as_ours(sidecar, played):
    """It may be such a proxy itself: it is not asked for a backend that it does not have, and its client is told who answered here."""
    lines = ("X-Sidecar-Backend: inner", "X-Sidecar-Queue-Ms: 77", "X-Sidecar-Priority: 1")
    backend = played("a", head("application/json", *lines, framing="Content-Length: 2"), b"{}")
    start(sidecar, "a")
    answer = sidecar.ask("POST", "/api/generate", BODY, [("X-Sidecar-Backend", "a"), ("X-Priority", "7")])
    told = [(name, value) for name, value in answer.headers if name in ("X-Sidecar-Backend", "X-Sidecar-Queue-Ms", "X-Sidecar-Priority")]
    assert told == [("X-Sidecar-Backend", "a"), ("X-Sidecar-Priority", "7")]
    asked = [text for text, _ in backend.requests if text.startswith(b"POST /api/generate")][0]
    assert b"X-Sidecar-Backend" not in asked and b"X-Priority: 7" in asked


def test_one_that_is_drained_is_said_to_be(sidecar, fleet):
    fleet.add("one")
    fleet.add("two")
    fleet.open()
    assert sidecar.ask("POST", "/sidecar/backends/one/drain").status == 200
    answer = sidecar.ask("POST", "/api/copy", {"source": "m", "destination": "n"}, [("X-Sidecar-Backend", "one")])
    assert answer.status == 503 and "is drained" in answer.json["error"]
