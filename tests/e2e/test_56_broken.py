"""What breaks with Ollama, or below it: who has no byte of his answer yet is answered all the same, who has is told honestly, and
the reason reaches the client, sidecarctl and the log."""
import json
import os
import signal
from contextlib import closing

import pytest

import group as groups
from waiting import until

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


def matches(pattern: str, text: str) -> bool:
    """Whether it is found there, line ends aside."""
    import re
    return re.search(pattern, " ".join(text.split())) is not None
