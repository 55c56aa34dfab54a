"""How each of several Ollamas is: probed, down and up again, hung, its circuit breaker, slow start."""
import os
import signal

import pytest

from fleet import Fleet
from waiting import until


@pytest.fixture
def fleet(sidecar):
    """Nobody yet."""
    return Fleet(sidecar)


def ask_at(sidecar, name=None, prompt="x", **more):
    """An answer of that backend, or of any."""
    headers = [("X-Sidecar-Backend", name)] if name else []
    return sidecar.ask("POST", "/api/generate", {"model": "m", "prompt": prompt, "stream": False, **more}, headers)


def answered_by(sidecar, requests=4):
    """Who answers so many requests, one after the other."""
    answers = [ask_at(sidecar) for _ in range(requests)]
    assert [answer.status for answer in answers] == [200] * requests
    return {answer.header("X-Sidecar-Backend") for answer in answers}


def wait_logs(sidecar, pattern, count=1):
    """As many such lines."""
    until(lambda: len(sidecar.process.logged(pattern)) >= count, 10, f"{count} lines of {pattern}", sidecar.process.tail)


def open_up(sidecar, fleet):
    """The proxy, when each of those that run is up."""
    fleet.open()
    for name in fleet.running:
        sidecar.process.wait_log(f"member_up .*backend={name}")


def test_one_that_is_killed_gets_nothing_until_it_is_back(sidecar, fleet):
    fleet.add("one", tokens=1)
    fleet.add("two", tokens=1)
    open_up(sidecar, fleet)
    fleet.kill("one")
    sidecar.process.wait_log(r"member_down .*backend=one .*reason=\"(Connection refused|.*closed.*|.*reset.*)\"")
    assert answered_by(sidecar) == {"two"}
    fleet.start("one")
    wait_logs(sidecar, "member_up .*backend=one", 2)
    fleet.kill("two")
    assert answered_by(sidecar) == {"one"}


def test_one_that_hangs_gets_nothing_until_it_answers(sidecar, fleet):
    """It takes connections, as the kernel does that for it, and says nothing."""
    fleet.add("one", tokens=1)
    fleet.add("two", tokens=1)
    sidecar.configure("balancer", probe_timeout="300ms")
    open_up(sidecar, fleet)
    os.kill(fleet.running["one"].pid, signal.SIGSTOP)
    try:
        sidecar.process.wait_log(r"member_down .*backend=one .*reason=\"it takes too long\"")
        assert answered_by(sidecar) == {"two"}
    finally:
        os.kill(fleet.running["one"].pid, signal.SIGCONT)
    wait_logs(sidecar, "member_up .*backend=one", 2)
    assert ask_at(sidecar, "one").status == 200


def test_one_that_is_not_there_at_the_start_comes_later(sidecar, fleet):
    fleet.add("one", started=False, tokens=1)
    fleet.add("two", tokens=1)
    open_up(sidecar, fleet)
    sidecar.process.wait_log("member_down .*backend=one")
    assert answered_by(sidecar, 2) == {"two"}
    fleet.start("one")
    sidecar.process.wait_log("member_up .*backend=one")
    assert until(lambda: [answer for answer in [ask_at(sidecar, "one")] if answer.status == 200], 5, "it to answer")


def test_five_failures_open_it_and_one_request_tries_proxy_scenario_33(sidecar, fleet):
    """What it fails another one answers, and for a while it is not asked at all, though its probes are well. Then one request decides."""
    broken = fleet.add("one", fails_at={"text": "p", "status": 500})
    fleet.add("two", tokens=1)
    sidecar.configure("balancer", breaker_open="1500ms")
    open_up(sidecar, fleet)
    asked = 0
    while not sidecar.process.logged("member_open .*backend=one"):
        assert ask_at(sidecar, prompt=f"p{asked}").status == 200
        asked += 1
        assert asked < 50
    before = len(fleet.asked("one"))
    assert {ask_at(sidecar, prompt="p").header("X-Sidecar-Backend") for _ in range(4)} == {"two"} and len(fleet.asked("one")) == before
    sidecar.process.wait_log("member_half_open .*backend=one")
    broken.script(tokens=1)
    assert until(lambda: "one" in answered_by(sidecar), 10, "it to answer again")
    wait_logs(sidecar, "member_up .*backend=one", 2)


def test_who_comes_back_gets_his_slots_one_by_one(sidecar, fleet):
    """Of four at once one is answered, the others stand in line: all slots are there later."""
    backend = fleet.add("one", slots=4, first_token_delay_ms=400, tokens=1)
    sidecar.configure("balancer", slow_start="1h")
    open_up(sidecar, fleet)
    assert all(call.result().header("X-Sidecar-Queue-Ms") is None for call in many(sidecar, 4))
    fleet.kill("one")
    sidecar.process.wait_log("member_down .*backend=one")
    fleet.start("one")
    wait_logs(sidecar, "member_up .*backend=one", 2)
    answers = [call.result() for call in many(sidecar, 4)]
    assert sum(answer.header("X-Sidecar-Queue-Ms") is None for answer in answers) == 1
    assert backend.journal("request", path="/api/generate")


def many(sidecar, count):
    """Requests side by side."""
    return [sidecar.background("POST", "/api/generate", {"model": "m", "prompt": f"p{number}", "stream": False}) for number in range(count)]


def test_what_was_loaded_before_it_died_is_loaded_again(sidecar, fleet):
    """Nobody is told that a model is loaded which went with its process."""
    backend = fleet.add("one", load_s=0.2, tokens=1)
    open_up(sidecar, fleet)
    assert ask_at(sidecar).status == 200
    fleet.kill("one")
    sidecar.process.wait_log("member_down .*backend=one")
    fleet.start("one")
    wait_logs(sidecar, "member_up .*backend=one", 2)
    answer = ask_at(sidecar)
    assert answer.status == 200 and int(answer.header("X-Sidecar-Load-Ms")) > 100
    assert len(backend.journal("loaded")) == 2


def test_probes_are_few_and_say_who_asks(sidecar, fleet):
    backend = fleet.add("one", tokens=1)
    open_up(sidecar, fleet)
    first = backend.wait("request", path="/api/ps")
    assert any(name.lower() == "via" for name in dict(first["headers"]))
    assert ask_at(sidecar).status == 200
    assert len(backend.requests("/api/tags")) <= 2


def test_looks_leave_no_connections_behind(sidecar, fleet):
    """Each is made over a new one, which is kept: in the place of the last one."""
    backend = fleet.add("one")
    open_up(sidecar, fleet)

    def connections():
        return len(os.listdir(f"/proc/{sidecar.process.pid}/fd"))

    backend.wait("request", path="/api/ps", count=3, timeout=10)
    before = connections()
    backend.wait("request", path="/api/ps", count=15, timeout=10)
    assert connections() <= before + 2
