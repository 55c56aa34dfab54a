"""What breaks with the real Ollama, or below it: the client is told the reason, and the next request is served."""
import ctypes
import json
import os
import re
import signal
import subprocess
from contextlib import closing

import pytest

import group as groups
from process import state_of
from test_real import runners
from waiting import SLACK, until

pytestmark = pytest.mark.limit(120)

LONG = {"model": "tiny", "prompt": "hi", "options": {"num_predict": 100000, "num_ctx": 2048}}
CHAT = {"model": "tiny", "messages": [{"role": "user", "content": "hi"}], "stream": True, "max_tokens": 100000}


def ready(sidecar):
    """Started, with a stall_timeout of 3 s."""
    sidecar.configure("program:ollama", stall_timeout=f"{int(3 * SLACK)}s", stop_timeout="1s")
    sidecar.start()
    sidecar.wait_ready()


def the_runner(sidecar) -> int:
    """The pid of the one runner there is."""
    return until(lambda: list(runners(sidecar)), 20, "a runner")[0]


def hit(pid: int, number: int) -> None:
    """A signal for the process's first thread, which is Go's own: one of ggml's would take SIGSEGV, and die without a word."""
    assert ctypes.CDLL(None).tgkill(pid, pid, int(number)) == 0


def error_of(line: bytes) -> str:
    """The error that an answer ends with."""
    value = json.loads(line[6:] if line.startswith(b"data: ") else line)["error"]
    return value if isinstance(value, str) else value["message"]


def last_line(sidecar, path, body, after_first) -> str:
    """Streams; after the first token after_first() is called; the error at the end."""
    with closing(sidecar.connect(timeout=60)) as connection:
        answer = connection.request("POST", path, body)
        lines = answer.lines()
        next(lines)
        after_first()
        last = [line for _, line in lines if line.strip()][-1]
    assert not answer.clean
    return error_of(last)


def assert_served(sidecar):
    """The next one."""
    assert sidecar.generate("tiny", options={"num_predict": 2}).status == 200


@pytest.mark.parametrize("path, body", [("/api/generate", LONG), ("/v1/chat/completions", CHAT)])
@pytest.mark.parametrize("number, reason", [(signal.SIGKILL, "its runner has ended, and nobody says why"),
                                            (signal.SIGSEGV, "ollama's log says: SIGSEGV: segmentation violation")])
def test_runner_is_killed_in_mid_stream_proxy_scenario_28(sidecar, path, body, number, reason):
    ready(sidecar)
    text = last_line(sidecar, path, body, lambda: hit(the_runner(sidecar), number))
    assert text.startswith("an error was encountered while running the model: unexpected EOF; " + reason), text
    assert_served(sidecar)


def test_runner_is_killed_before_the_first_token(sidecar):
    ready(sidecar)
    call = sidecar.background("POST", "/api/generate", {**LONG, "stream": False}, timeout=60)
    runner = the_runner(sidecar)
    until(lambda: sidecar.health()["requests"]["in_flight"] == 1 and sidecar.process.logged(" load_end ") or runner, 5, "it")
    until(lambda: sidecar.ask("GET", "/api/ps").json["models"], 20, "tiny in memory")
    os.kill(runner, signal.SIGKILL)
    answer = call.result(60)
    assert answer.status in (500, 200), answer.body  # 200: it died while it loaded still, and was asked for again
    if answer.status == 500:
        assert "EOF; its runner has ended" in answer.json["error"] or "signal: killed" in answer.json["error"], answer.body
    assert_served(sidecar)


def test_a_runner_that_stands_still_in_mid_stream_is_unloaded(sidecar):
    ready(sidecar)
    stopped = []

    def stop():
        stopped.append(the_runner(sidecar))
        os.kill(stopped[0], signal.SIGSTOP)

    text = last_line(sidecar, "/api/generate", LONG, stop)
    assert text.startswith("ollama was hung: no token and no processor time for 3"), text
    assert_served(sidecar)
    assert state_of(stopped[0]) == ""
    sidecar.process.wait_log(" unhung ")
    assert len(sidecar.process.logged(" exec program=ollama")) == 1


def test_a_runner_that_stands_still_while_it_loads_is_loaded_anew(sidecar):
    ready(sidecar)
    call = sidecar.background("POST", "/api/generate", {**LONG, "stream": False, "options": {"num_predict": 2}}, timeout=90)
    runner = the_runner(sidecar)
    os.kill(runner, signal.SIGSTOP)
    assert call.result(90).status == 200
    until(lambda: state_of(runner) == "", 5, "its end")
    assert len(sidecar.process.logged(" exec program=ollama")) == 1


def test_ollama_is_killed_in_mid_stream_proxy_scenario_27(sidecar):
    ready(sidecar)
    text = last_line(sidecar, "/api/chat", {"model": "tiny", "messages": CHAT["messages"], "options": LONG["options"]},
                     lambda: os.kill(sidecar.pid_of("ollama"), signal.SIGKILL))
    assert "ollama has ended: killed by signal 9 (Killed)" in text, text
    assert_served(sidecar)


def test_ollama_panics_in_mid_stream_proxy_scenario_27(sidecar):
    """SIGQUIT makes Go write all its stacks, and end with 2."""
    ready(sidecar)
    text = last_line(sidecar, "/api/generate", LONG, lambda: os.kill(sidecar.pid_of("ollama"), signal.SIGABRT))
    assert "ollama has ended: exit code 2: SIGABRT: abort" in text, text
    assert_served(sidecar)


@pytest.fixture
def group(sidecar):
    """A control group of 400 MiB; the test is skipped, and says why, where there can be none. The sidecar has ended before it goes."""
    made = groups.make(400 << 20)
    if isinstance(made, str):
        pytest.skip(made)
    yield made
    complaints = sidecar.clean_up()
    until(lambda: not open(made.procs, encoding="utf-8").read(), 10, "an empty group")
    made.close()
    assert not complaints, complaints


EATER = """
import os, sys
procs, pid = sys.argv[1:]
with open(f"/proc/{pid}/oom_score_adj", "w") as file:
    file.write("1000")
with open(procs, "w") as file:
    file.write(str(os.getpid()))
hoard = []
while len(hoard) < 1000:
    try:
        with open(f"/proc/{pid}/stat") as file:
            if file.read().rsplit(")", 1)[1].split()[0] == "Z":
                break
    except OSError:
        break
    hoard.append(b"x" * (1 << 20))
"""


def starve(sidecar, group, pid):
    """Another process of the group eats until the kernel has killed this one, whom it is to take first. Where what that one had is not
    given back soon, the eater is the next."""
    path = sidecar.write("eater.py", EATER)
    eaten = subprocess.run(["python3", path, group.procs, str(pid)], check=False, timeout=60)
    assert eaten.returncode in (0, -signal.SIGKILL)


def test_a_runner_that_the_kernel_kills_is_told_with_the_limit(sidecar, group):
    sidecar.configure("supervisor", memory_check="off")
    sidecar.before = ["/bin/sh", sidecar.write("enter.sh", 'echo $$ >"$1" && shift && exec "$@"\n'), group.procs]
    ready(sidecar)
    text = last_line(sidecar, "/api/generate", LONG, lambda: starve(sidecar, group, the_runner(sidecar)))
    assert re.match("an error was encountered while running the model: unexpected EOF; out of memory, the limit is .* MiB: "
                    "the kernel has killed ollama, or its runner", text), text
    sidecar.process.wait_log(r" error supervisor oom_kill .*program=ollama process=child")
    assert_served(sidecar)
    assert sidecar.stop() == 0
