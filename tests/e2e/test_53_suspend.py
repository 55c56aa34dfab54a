"""idle_action = suspend: the machine's own API suspends the machine, so that the model stays in memory; where it won't, we exit."""
import json
import threading
import time

import pytest

from freezing import Freezer, Signals
from machine_api import OK, MachineApi, refusal
from process import state_of
from test_03_live import restarts
from test_45_adversity import pass_time
from test_51_edge import begin_to_connect
from waiting import SLACK, until

QUESTION = (b"POST /v1/apps/my-app/machines/148ed123456789/suspend HTTP/1.1\r\nHost: flaps\r\nContent-Length: 0\r\n"
            b"Connection: close\r\n\r\n")


@pytest.fixture
def api(sidecar):
    """start(answer) gives the MachineApi that this sidecar will ask."""
    made = []

    def start(*args):
        made.append(MachineApi(sidecar, *args))
        return made[-1]

    yield start
    for one in made:
        one.close()


@pytest.fixture(params=["signals", "cgroup"])
def freezer(request, sidecar):
    """What stops the whole machine, and lets it go on; the second where it can be had."""
    try:
        way = Signals() if request.param == "signals" else Freezer()
    except OSError as error:
        pytest.skip(f"no control group that freezes: {error}")
    way.enter(sidecar)
    yield way
    for process in sidecar.processes:
        if state_of(process.pid) in "TD":
            way.thaw(list(sidecar.programs()))
    sidecar.clean_up()
    way.close()


def assert_exit_instead(sidecar, reason):
    """One clear line, and an orderly end."""
    assert sidecar.process.wait(20) == 0
    assert len(sidecar.process.logged(r"warning supervisor suspend_refused")) == 1, sidecar.process.tail()
    assert sidecar.process.logged(rf"suspend_refused reason=\"[^\"]*{reason}[^\"]*\" hint="), sidecar.process.tail()
    assert sidecar.process.logged(r"stopping cause=idle exit_code=0")


# ---- no ----

@pytest.mark.parametrize("status, text", [("403 Forbidden", "not yours"), ("404 Not Found", "no such machine"),
                                          ("412 Precondition Failed", "machine has 8 GB"), ("500 Internal Server Error", "oh")])
def test_what_is_refused_is_an_exit(sidecar, api, status, text):
    """With the status and the API's own words."""
    asked = api(lambda connection, n: connection.sendall(refusal(status, text)))
    sidecar.boot(tokens=1)
    assert_exit_instead(sidecar, f"machine.sock: it answers 'HTTP/1.1 {status}': {{'error':'{text}'}}")
    assert asked.questions == [QUESTION]


GARBAGE = {
    "closed": (b"", "it closed the connection without an answer"),
    "half": (b"HTTP/1.1 20", "it answers 'HTTP/1.1 20'"),
    "not_http": (b"SSH-2.0-OpenSSH\x1b[2J \x00\xff\r\n", r"it answers 'SSH-2.0-OpenSSH"),
    "moved": (b"HTTP/1.1 302 Found\r\nLocation: http://x/\r\n\r\n", "it answers 'HTTP/1.1 302 Found'"),
    "endless": (b"HTTP/1.1 500 Oops\r\n" + b"X: " + b"y" * 100000, "it answers 'HTTP/1.1 500 Oops'"),
    "odd_status": (b"HTTP/1.1 2000 OK\r\n\r\n", "it answers 'HTTP/1.1 2000 OK'"),
}


@pytest.mark.parametrize("kind", list(GARBAGE))
def test_what_is_no_answer_is_an_exit(sidecar, api, kind):
    """Whatever the socket says, it is bounded, and cleaned for the log."""
    data, reason = GARBAGE[kind]
    api(lambda connection, n: connection.sendall(data))
    sidecar.boot(tokens=1)
    assert_exit_instead(sidecar, reason)
    assert not any(char in line for line in sidecar.process.logged("suspend_refused") for char in "\x1b\0")


def test_an_answer_that_comes_byte_by_byte(sidecar, api):
    """A no is waited for as long as it takes, within the limit."""
    def answer(connection, _n):
        for byte in refusal("409 Conflict", "busy"):
            connection.sendall(bytes([byte]))
            pass_time(0.01)

    api(answer)
    sidecar.boot(tokens=1)
    assert_exit_instead(sidecar, "it answers 'HTTP/1.1 409 Conflict': {'error':'busy'}")


def test_an_answer_that_is_too_slow(sidecar, api):
    """A byte now and then never comes to an end: the limit holds for the whole."""
    def answer(connection, _n):
        for byte in OK:
            connection.sendall(bytes([byte]))
            pass_time(0.3)

    api(answer)
    sidecar.configure("supervisor", suspend_timeout="2500ms")
    sidecar.boot(tokens=1)
    sidecar.process.wait_log(r" suspend app=")
    assert sidecar.generate().status == 200  # meanwhile nobody waits for it
    sidecar.process.wait_log(r"suspend_refused", timeout=6)
    assert_exit_instead(sidecar, "no whole answer within 2500 ms")


def test_a_yes_behind_which_nothing_happens(sidecar, api):
    """After a while we say so, and exit."""
    asked = api()
    sidecar.configure("supervisor", suspend_timeout="1500ms")
    sidecar.boot(tokens=1)
    sidecar.process.wait_log(r" suspending within_ms=1500")
    sidecar.process.wait_log(r"suspend_refused", timeout=6)
    assert_exit_instead(sidecar, "said yes, and 1500 ms later the machine still runs")
    assert len(asked.questions) == 1


@pytest.mark.parametrize("lacks, reason", [("FLY_APP_NAME", "FLY_APP_NAME is not set"), ("FLY_MACHINE_ID", "FLY_MACHINE_ID is not set"),
                                           ("socket", r"nowhere.sock: No such file or directory"), ("file", "it is no socket"),
                                           ("odd", "FLY_APP_NAME is no name")])
def test_what_is_no_such_machine_says_so_at_once(sidecar, api, lacks, reason):
    """A warning of --check and at boot, and then it is as idle_action = exit."""
    asked = api()
    if lacks == "socket":
        sidecar.env["SIDECAR_SUPERVISOR_SUSPEND_SOCKET"] = sidecar.directory + "/nowhere.sock"
    elif lacks == "file":
        sidecar.env["SIDECAR_SUPERVISOR_SUSPEND_SOCKET"] = sidecar.ini
    elif lacks == "odd":
        sidecar.env["FLY_APP_NAME"] = "a/../b HTTP/1.1\r\nX: y"
    else:
        del sidecar.env[lacks]
    sidecar.write_ini()
    check = sidecar.run("ollama-supervisor", "-c", sidecar.ini, "--check")
    assert check.returncode == 0 and "when idle we exit instead" in check.stderr, check.stderr
    sidecar.boot(tokens=1)
    assert sidecar.process.logged("when idle we exit instead")
    assert_exit_instead(sidecar, reason)
    assert not asked.questions


def test_a_path_that_no_socket_can_have_is_a_mistake(sidecar):
    sidecar.configure("supervisor", suspend_socket="/" + "x" * 107)
    sidecar.write_ini()
    check = sidecar.run("ollama-supervisor", "-c", sidecar.ini, "--check")
    assert check.returncode == 100 and "suspend_socket" in check.stderr and "at most 107 bytes" in check.stderr
    sidecar.configure("supervisor", suspend_socket="fly/api")
    sidecar.write_ini()
    assert sidecar.run("ollama-supervisor", "-c", sidecar.ini, "--check").returncode == 100


# ---- work that comes meanwhile ----

def test_who_comes_while_it_is_asked_keeps_us_awake(sidecar, api):
    """The API takes its time and then refuses: a request that was served meanwhile is reason enough to stay, and to ask again later."""
    go = threading.Event()

    def answer(connection, n):
        if n == 0:
            go.wait(20 * SLACK)
        connection.sendall(refusal("503 Service Unavailable", "later"))

    asked = api(answer)
    sidecar.configure("supervisor", idle_timeout="3s")
    sidecar.boot(tokens=1)
    sidecar.process.wait_log(r" suspend app=my-app machine=148ed123456789", timeout=10)
    assert sidecar.generate().status == 200
    go.set()
    sidecar.process.wait_log(r"suspend_refused .*'HTTP/1.1 503 Service Unavailable': {'error':'later'}")
    pass_time(1)
    assert not sidecar.process.logged("stopping cause=idle")  # the last activity was less than 3 s ago
    assert sidecar.generate().status == 200
    assert sidecar.process.wait(20) == 0 and len(asked.questions) == 1


def test_a_stream_that_began_while_it_is_asked_goes_on(sidecar, api, freezer):
    """It is suspended in the middle of it all the same, and nothing is lost."""
    asked = api()
    sidecar.boot(tokens=30, token_delay_ms=100)
    sidecar.process.wait_log(r" suspending ", timeout=10)
    with sidecar.connect(timeout=30) as client:
        answer = client.request("POST", "/api/generate", {"model": "m", "prompt": "x"})
        objects = answer.objects()
        next(objects)
        everyone = list(sidecar.programs())
        freezer.freeze(everyone)
        pass_time(3)
        freezer.thaw(everyone)
        assert len(list(objects)) == 30 and answer.clean
    sidecar.process.wait_log(r" suspended by_ms=\d+")
    assert len(asked.questions) == 1 and not sidecar.process.logged("suspend_refused")


def test_a_refusal_that_ends_while_the_doors_are_shut_leads_to_an_exit_all_the_same(sidecar, api):
    """A handshake that nobody ends holds the doors shut for three seconds, and the time of the refusal is over within them."""
    since = []

    def answer(connection, n):
        if n == 0:
            assert sidecar.generate().status == 200
            since.append(time.monotonic())
        connection.sendall(refusal("503 Service Unavailable", "later") if n == 0 else OK)

    asked = api(answer)
    sidecar.configure("supervisor", idle_timeout="1s", suspend_timeout="2500ms", log_level="debug")
    sidecar.boot(tokens=1)
    until(lambda: since, 20, "the refusal")
    while time.monotonic() - since[0] < 2.6:
        assert sidecar.generate().status == 200
        pass_time(0.2)
    pass_time(0.6)
    with begin_to_connect(sidecar.port):
        assert sidecar.process.wait(15) == 0, sidecar.process.tail()
    assert len(asked.questions) == 1 and sidecar.process.logged("stopping cause=idle exit_code=0")


# ---- yes ----

@pytest.mark.parametrize("is_told_first", [True, False], ids=["told", "untold"])
def test_the_machine_is_suspended_and_woken_by_requests(sidecar, api, freezer, is_told_first):
    """Ollama and its model are as they were; who asked meanwhile is answered; the next idleness asks again. The machine may stop
    before the answer has come."""
    frozen, stay = threading.Event(), threading.Event()

    def answer(connection, n):
        if n > 0:
            stay.wait(20 * SLACK)
            return
        if is_told_first:
            connection.sendall(OK)
            sidecar.process.wait_log(r" suspending ")
        freezer.freeze(list(sidecar.programs()))
        frozen.set()

    asked = api(answer)
    sidecar.boot(tokens=3)
    assert sidecar.generate().status == 200
    with sidecar.connect(timeout=30) as kept:
        assert kept.request("GET", "/api/version").body
        assert frozen.wait(20 * SLACK), sidecar.process.tail()
        calls = [sidecar.background("POST", "/api/generate", {"model": "m", "prompt": f"p{n}", "stream": False}, 30) for n in range(20)]
        kept.send("POST", "/api/generate", {"model": "m", "prompt": "kept", "stream": False})
        pass_time(3)
        freezer.thaw(list(sidecar.programs()))
        assert kept.receive().json["done"]
    assert all(call.result(20).status == 200 for call in calls)
    assert sidecar.process.wait_log(r" suspended by_ms=(\d+)").group(1)
    assert not sidecar.process.logged(r"suspend_refused|cause=hung|stopping cause")
    assert restarts(sidecar, "ollama") == 0 and restarts(sidecar, "proxy") == 0
    assert len(sidecar.backend.journal("loaded")) == 1
    until(lambda: len(asked.questions) == 2, 20, "the next question", sidecar.process.tail)
    assert asked.questions == [QUESTION] * 2
    sleep = json.loads(sidecar.ctl("--json", "status").stdout)["sleep"]
    assert sleep["wakes"] == 1 and sleep["cold_starts"] == 1 and sleep["asleep_s"] >= 2
    assert sidecar.stop() == 0  # also in the middle of a question
    stay.set()
