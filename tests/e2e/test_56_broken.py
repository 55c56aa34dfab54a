"""What breaks with Ollama, or below it: who has no byte of his answer yet is answered all the same, who has is told honestly, and
the reason reaches the client, sidecarctl and the log."""
import json
import os
import re
import signal
from contextlib import closing

import pytest

import group as groups
from process import state_of
from waiting import SLACK, until

TEXT = {"model": "m", "prompt": "x"}
CHAT = {"model": "m", "messages": [{"role": "user", "content": "x"}], "stream": True}
PANIC = ["panic: assignment to entry in nil map", "", "goroutine 51 [running]:",
         "github.com/ollama/ollama/server.(*Server).GenerateHandler(0xc000)", "\t/build/server/routes.go:313 +0x1b8"]


def error_of(body: bytes) -> str:
    """The error that an answer ends with, in whatever dialect."""
    last = body.strip().split(b"\n")[-1]
    value = json.loads(last[6:] if last.startswith(b"data: ") else last)["error"]
    return value if isinstance(value, str) else value["message"]


def status(sidecar) -> dict:
    """What the supervisor says of everything."""
    return json.loads(sidecar.ctl("--json", "status").stdout)


def runner_pid(sidecar, count=1) -> int:
    """The runner that the stand-in started last."""
    return sidecar.backend.wait("runner", count=count)["runner"]


def matches(pattern: str, text: str) -> bool:
    """Whether it is found there, line ends aside."""
    return re.search(pattern, " ".join(text.split())) is not None


# streaming: the answer has begun

CRASHES = {
    "exit code": ({"code": 3, "says": PANIC}, r"exit code 3: panic: assignment to entry in nil map"),
    "signal": ({"signal": "SEGV"}, r"killed by signal 11 \(Segmentation fault\)"),
    "killed": ({"signal": "KILL", "says": ["CUDA error: out of memory", "  current device: 0"]},
               r"killed by signal 9 \(Killed\): CUDA error: out of memory"),
}
DIALECTS = {"/api/generate": TEXT, "/api/chat": CHAT, "/v1/chat/completions": CHAT}


@pytest.mark.parametrize("crash", CRASHES)
@pytest.mark.parametrize("path", DIALECTS)
def test_a_stream_that_breaks_with_ollama_tells_why_proxy_scenario_27(sidecar, crash, path):
    how, reason = CRASHES[crash]
    sidecar.boot(tokens=50, crash_while_answering={"after_tokens": 5, **how})
    with closing(sidecar.connect()) as connection:
        answer = connection.request("POST", path, DIALECTS[path])
        text = error_of(answer.body)
    assert not answer.clean and "broke off" in text
    assert matches(reason, text), text
    assert text.count(" has ended: ") == 1
    sidecar.process.wait_log(r" answer_broken .*" + reason)
    sidecar.wait_ready()
    trouble = status(sidecar)["trouble"]
    assert matches("ollama has ended: " + reason, trouble["text"]) and trouble["ago_s"] < 30
    assert matches(r"last trouble, .* ago: ollama has ended", sidecar.ctl("status").stdout)
    assert sidecar.ask("POST", path, {**DIALECTS[path], "stream": False}, timeout=20).status == 200


@pytest.mark.parametrize("model", ["GEOFF", "runner"])
def test_what_the_client_asks_wrongly_is_no_death_whatever_words_stand_in_it(sidecar, model):
    sidecar.boot(tokens=1)
    answer = sidecar.ask("POST", "/v1/chat/completions", {**CHAT, "model": model})
    assert answer.status == 404
    assert re.fullmatch(f'model "{model}" not found, try pulling it first', error_of(answer.body)), answer.body


# each phase of a request, and each way to break

STALL_MS = int(2000 * SLACK)
LIMIT = int(160 * SLACK) << 20


@pytest.fixture
def group(sidecar):
    """A control group with LIMIT; the test is skipped, and says why, where there can be none. The sidecar has ended before it goes."""
    made = groups.make(LIMIT)
    if isinstance(made, str):
        pytest.skip(made)
    yield made
    complaints = sidecar.clean_up()
    until(lambda: not open(made.procs, encoding="utf-8").read(), 5, "an empty group")
    made.close()
    assert not complaints, complaints


def enter(sidecar, group):
    """What is started from now on is in the group."""
    sidecar.configure("supervisor", memory_check="off")
    sidecar.before = ["/bin/sh", sidecar.write("enter.sh", 'echo $$ >"$1" && shift && exec "$@"\n'), group.procs]


def boot(sidecar, **script):
    """Runners are processes, and Ollama is hung soon."""
    sidecar.configure("program:ollama", stall_timeout=f"{STALL_MS}ms", stop_timeout="500ms", start_timeout=f"{int(2 * SLACK)}s",
                      backoff_min="10ms")
    sidecar.boot(**{"runner": True, "tokens": 500, "token_delay_ms": 10, **script})


HELD = {
    "exit code": {"crash_at_start": {"times": 2, "code": 3}},
    "signal": {"crash_at_start": {"times": 2, "signal": "SEGV"}},
    "hang": {"hang_everything": True},
    "garbage": {"tags_garbage": "html"},
    "bad http": {"tags_garbage": "bad_http"},
    "truncated": {"tags_garbage": "truncated"},
}


@pytest.mark.limit(60)
@pytest.mark.parametrize("kind", HELD)
def test_who_is_held_while_ollama_breaks_is_answered_when_it_works(sidecar, kind):
    boot(sidecar, tokens=3)
    sidecar.backend.script(tokens=3, **HELD[kind])
    os.kill(sidecar.pid_of("ollama"), signal.SIGKILL)
    sidecar.process.wait_log(r"exited program=ollama .*signal=9")
    call = sidecar.background("POST", "/api/generate", {**TEXT, "stream": False}, timeout=50)
    if "crash_at_start" in HELD[kind]:
        sidecar.process.wait_log(r" state program=ollama .*to=backoff .*reason=\"(exit code 3|killed by signal 11)", timeout=15)
    else:
        sidecar.process.wait_log(r" state program=ollama from=starting to=stopping cause=start_timeout", timeout=15)
        assert not call.finished
        sidecar.backend.script(tokens=3)
    assert call.result(50).status == 200


@pytest.mark.limit(60)
def test_who_is_held_until_ollama_is_given_up_gets_the_reason(sidecar):
    sidecar.configure("program:ollama", max_restarts="2", required="no", backoff_min="10ms")
    sidecar.boot(tokens=3)
    sidecar.backend.script(crash_at_start={"times": 99, "code": 3, "after_s": 0})
    os.kill(sidecar.pid_of("ollama"), signal.SIGKILL)
    sidecar.process.wait_log(r"exited program=ollama .*signal=9")
    answer = sidecar.ask("POST", "/v1/chat/completions", CHAT, timeout=40)
    assert answer.status == 503 and matches(r"ollama has failed: exit code 3.*; 2 restarts within", error_of(answer.body))


LOADING = {
    "exit code": {"crash_while_loading": {"code": 3}},
    "signal": {"crash_while_loading": {"signal": "SEGV"}},
    "html": {"garbage_load": "html"},
    "bad http": {"garbage_load": "bad_http"},
    "truncated": {"garbage_load": "truncated"},
    "reset": {"garbage_load": "reset"},
}


@pytest.mark.limit(60)
@pytest.mark.parametrize("path", DIALECTS)
@pytest.mark.parametrize("kind", LOADING)
def test_who_waits_for_a_load_that_breaks_is_answered_all_the_same(sidecar, kind, path):
    boot(sidecar, tokens=3, load_s=0.2, **LOADING[kind])
    call = sidecar.background("POST", path, {**DIALECTS[path], "stream": False}, timeout=50)
    if "garbage_load" in LOADING[kind]:
        sidecar.backend.wait("fault")
        sidecar.backend.script(tokens=3)
    assert call.result(50).status == 200
    assert sidecar.backend.journal("fault")


@pytest.mark.limit(60)
@pytest.mark.parametrize("path", DIALECTS)
def test_a_runner_that_is_killed_while_it_loads_is_told(sidecar, path):
    boot(sidecar, tokens=3, load_s=30)
    call = sidecar.background("POST", path, {**DIALECTS[path], "stream": False}, timeout=40)
    os.kill(runner_pid(sidecar), signal.SIGKILL)
    answer = call.result(40)
    assert answer.status == 500 and error_of(answer.body) == "llama runner process has terminated: signal: killed"
    assert status(sidecar)["trouble"]["text"].endswith("llama runner process has terminated: signal: killed")


@pytest.mark.limit(90)
@pytest.mark.parametrize("phase", ["loading", "prefill", "streaming"])
def test_a_runner_that_is_killed_for_want_of_memory_is_told_with_the_limit(sidecar, group, phase):
    enter(sidecar, group)
    eats = {"loading": {"eat_while_loading": True}, "prefill": {"eat_before_tokens": True}, "streaming": {"eat_after_tokens": 5}}[phase]
    boot(sidecar, **eats)
    with closing(sidecar.connect(timeout=60)) as connection:
        answer = connection.request("POST", "/api/generate", TEXT)
        text = error_of(answer.body)
    words = f"out of memory, the limit is {LIMIT >> 20} MiB: the kernel has killed ollama, or its runner"
    assert matches(r"(unexpected EOF|signal: killed); " + words, text), text
    sidecar.process.wait_log(r" error supervisor oom_kill .*program=ollama process=child")
    assert words in status(sidecar)["trouble"]["text"]
    sidecar.backend.script(tokens=3)
    assert sidecar.generate().status == 200
    assert sidecar.stop() == 0


@pytest.mark.limit(60)
@pytest.mark.parametrize("path", DIALECTS)
@pytest.mark.parametrize("number, after", [(signal.SIGKILL, 0), (signal.SIGKILL, 1), (signal.SIGSTOP, 1)])
def test_a_runner_that_is_killed_or_stopped_is_told(sidecar, path, number, after):
    boot(sidecar, prefill_s=0 if after else 30)
    with closing(sidecar.connect(timeout=40)) as connection:
        connection.send("POST", path, DIALECTS[path])
        sidecar.backend.wait("first_token" if after else "loaded")
        until(lambda: len(sidecar.backend.requests("/api/embed")) == 1 and len(sidecar.backend.journal("request")) > 1, 5, "the prefill")
        pid = runner_pid(sidecar)
        os.kill(pid, number)
        text = error_of(connection.receive().body)
    if number == signal.SIGSTOP:
        assert "ollama was hung: no token and no processor time for" in text, text
    else:
        assert matches("unexpected EOF; its runner has ended, and nobody says why", text), text
    sidecar.backend.script(tokens=3)
    assert sidecar.ask("POST", path, {**DIALECTS[path], "stream": False}, timeout=30).status == 200
    assert state_of(pid) == ""


@pytest.mark.parametrize("kind, status_code, words", [
    ("html", 502, "an HTML page"), ("bad_http", 502, "can't be relayed"), ("empty", 502, "did not answer"),
    ("reset", 502, "did not answer"), ("status_500", 500, "scripted failure"), ("no_done", 200, "without saying that it is done")])
@pytest.mark.parametrize("path", DIALECTS)
def test_garbage_for_an_answer_is_told(sidecar, path, kind, status_code, words):
    boot(sidecar, runner=False, tokens=3, garbage_answer=kind)
    answer = sidecar.ask("POST", path, DIALECTS[path], timeout=20)
    assert answer.status == status_code and matches(words, error_of(answer.body)), answer.body
    sidecar.backend.script(tokens=3)
    assert sidecar.ask("POST", path, {**DIALECTS[path], "stream": False}).status == 200
