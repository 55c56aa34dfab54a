"""What README.md says to type, in a minimal system: `make run`, a request, ^C; then `make check`."""
import json
import os
import re
import sys

import pytest

import ports
from client import ask

LANES = os.environ.get("FRESH_LANES", "build lint unit")  # empty: all of them, for an hour
INSTALL_S, CHECK_S = 600, 900
WHOLE_S = 3 * 3600


def make_run(newcomer) -> None:
    """The first command, up to a clean stop by ^C."""
    port, backend = ports.free(), ports.free()  # the network is this machine's: 11434 may be taken
    terminal = newcomer.terminal("make", "run", env=(("SIDECAR_PROXY_LISTEN", f"127.0.0.1:{port}"), ("OLLAMA_HOST", f"127.0.0.1:{backend}")))
    try:
        terminal.wait(" supervisor ready ", INSTALL_S)
        assert "NO OLLAMA ON PATH: A STAND-IN SERVES" in terminal.shown
        health = ask(port, "GET", "/health").json
        assert (health["status"], health["models"]["ready"]) == ("ok", ["llama3.2:1b"])
        answer = ask(port, "POST", "/api/generate", {"model": "llama3.2:1b", "prompt": "hi"})
        lines = [json.loads(line) for line in answer.body.splitlines() if line.strip()]
        assert answer.status == 200 and len(lines) > 2 and lines[-1]["done"], answer.body
        terminal.press(b"\x03")
        terminal.wait(" stopped exit_code=0", 15)
        terminal.end(5)
    finally:
        terminal.close()


def failures(process) -> str:
    """What has failed, of the thousands of lines: each with what was said around it, and how it ended."""
    telling = [index for index, line in enumerate(process.log) if re.search(r"FAILED|ERROR|\berror\b|Assertion", line)]
    near = sorted({index for each in telling[:20] for index in range(max(0, each - 4), min(len(process.log), each + 3))})
    return "\n".join([*(process.log[index] for index in near), process.tail(20)])


def make_check(newcomer) -> None:
    """The second."""
    process = newcomer.run("make", "check", "CHECK_SLACK=4", *([f"LANES={LANES}"] if LANES else []))  # another such system works beside
    try:
        code = process.wait(CHECK_S if LANES else WHOLE_S)
        closing = [line for line in process.log if line.startswith(("==> passed: ", "==> SKIPPED: "))]
        assert code == 0 and closing, failures(process)
        assert all(f"{lane} (" in closing[0] for lane in LANES.split())
        print("\n".join([newcomer.name, *closing]), file=sys.stderr)
    finally:
        process.end()


@pytest.mark.limit(INSTALL_S + (CHECK_S if LANES else WHOLE_S))
def test_the_two_commands_of_the_readme(newcomer):
    make_run(newcomer)
    make_check(newcomer)
