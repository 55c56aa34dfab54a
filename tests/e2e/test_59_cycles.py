"""Wake, serve, sleep, again and again, while Ollama, its runner or the proxy is killed at any moment: nobody loses an answer that
had not begun, and nothing is left behind.

CYCLES=1000 python3 -m pytest tests/e2e/test_59_cycles.py     # `make soak`; 50 in all by default
"""
import json
import os
import random
import signal
import threading
import time

import pytest

from client import Background
from waiting import SLACK, until

CYCLES = int(os.environ.get("CYCLES") or 50)
IS_SANITIZED = "san" in os.environ.get("BUILD_DIR", "")
CLIENTS = 3
WARM_UP = 5  # what is made once is made by then
KINDS = {
    "/api/generate": {"prompt": "x"},
    "/api/chat": {"messages": [{"role": "user", "content": "x"}]},
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "x"}]},
    "/v1/completions": {"prompt": "x"},
}


class Lost(AssertionError):
    """A request that got no answer, and should have."""


def objects_of(body, is_events):
    """The objects of an answer, heartbeats left out; the last one may be cut off."""
    for line in body.split(b"\n"):
        line = line.strip()
        if is_events:
            line = line[len(b"data:"):].strip() if line.startswith(b"data:") else b""
        if line == b"[DONE]":
            yield {"done": True}
        elif line:
            try:
                yield json.loads(line)
            except ValueError:
                return


def is_last(path, is_streamed, one):
    """Whether this object says that it was all."""
    if not isinstance(one, dict) or "error" in one:
        return False
    return "choices" in one if path.startswith("/v1") and not is_streamed else one.get("done") is True


class Client:
    """Asks until it has an answer, as a client on the other side of a platform's proxy would; says what it got."""

    def __init__(self, run, chance):
        self.run = run
        self.path = chance.choice(list(KINDS))
        self.is_streamed = chance.random() < 0.6
        self.repeats_n = 0

    def ask(self):
        """well: a whole answer; begun: one that broke off; told: what its load failed of. Lost where it had not begun."""
        while True:
            kills_n = self.run.proxy_kills_n
            outcome, text = self.once()
            if outcome != "nothing":
                return outcome
            if self.run.proxy_kills_n == kills_n:  # else its connection may have died with its proxy
                raise Lost(f"{self.path}: {text}")
            self.repeats_n += 1
            assert self.repeats_n < 20, text

    def once(self):
        """(outcome, what it is about)"""
        body = b""
        try:
            with self.run.connect() as connection:
                answer = connection.request("POST", self.path, {"model": self.run.model, "stream": self.is_streamed, **self.run.more, **KINDS[self.path]})
                for _, data in answer.pieces():
                    body += data
        except (OSError, EOFError, ValueError) as error:
            if not body.strip():
                return "nothing", repr(error)
            answer = None
        found = list(objects_of(body, self.path.startswith("/v1") and self.is_streamed))
        if answer and answer.status == 200 and answer.clean and found and is_last(self.path, self.is_streamed, found[-1]):
            return "well", ""
        has_token = any("error" not in one for one in found)
        if answer and not answer.clean and not found:
            return "nothing", f"status {answer.status} {body!r}"
        if not has_token and b"signal: killed" in body and self.run.has_failed_load():
            return "told", ""
        if not self.is_streamed or not has_token:
            raise Lost(f"{self.path}: status {answer and answer.status} {body[-400:]!r}")
        return "begun", ""


class Run:
    """One sidecar, its clients and its killer."""

    def __init__(self, sidecar, action, seed, model="m", **more):
        self.sidecar, self.action = sidecar, action
        self.model, self.more = model, more  # of each request
        self.chance = random.Random(seed)
        self.proxy_kills_n = 0
        self.outcomes, self.killed, self.seen_n = {}, {}, 0
        self.platform = threading.Lock()

    def has_failed_load(self) -> bool:
        """Whether a runner was killed before its model was there: whoever waits for a load that fails is told so."""
        return bool(self.killed.get("runner") and self.sidecar.process.logged(r" load_end .*result=failed .*signal: killed"))

    # a platform that starts what has stopped when somebody comes

    def start(self):
        self.sidecar.start(ini=False)

    def _try(self):
        with self.platform:
            if self.action == "exit" and self.sidecar.process.popen.poll() is not None:
                assert self.sidecar.process.wait() == 0, self.sidecar.process.tail()
                self.start()
        try:
            return self.sidecar.connect(timeout=20)
        except ConnectionRefusedError:  # it has just ended, or does not listen yet
            return None

    def connect(self):
        return until(self._try, 10, "a connection", self.sidecar.process.tail)

    # what is to be killed

    def pids(self):
        """{name: pid} of what runs now."""
        found = {}
        if self.sidecar.process.popen.poll() is not None:
            return found
        try:
            for pid in self.sidecar.process_children():
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    words = file.read()
                name = "proxy" if b"ollama-proxy" in words else "ollama" if b"serve" in words else ""
                found.update({name: pid} if name else {})
            if "ollama" in found:
                with open(f"/proc/{found['ollama']}/task/{found['ollama']}/children", encoding="ascii") as file:
                    runners = file.read().split()
                found.update({"runner": int(runners[0])} if runners else {})
        except OSError:
            pass
        return found

    def kill_something(self):
        """At a moment of chance, while requests are under way."""
        victim = self.chance.choice(["ollama", "runner", "proxy", "nobody"])
        time.sleep(self.chance.random() * 0.6)
        pid = self.pids().get(victim)
        if not pid:
            return
        if victim == "proxy":
            self.proxy_kills_n += 1
        try:
            os.kill(pid, signal.SIGKILL)
            self.killed[victim] = self.killed.get(victim, 0) + 1
        except ProcessLookupError:
            pass

    # a cycle

    def cycle(self):
        clients = [Background(Client(self, self.chance).ask) for _ in range(CLIENTS)]
        self.kill_something()
        for client in clients:
            outcome = client.result(30 * SLACK)
            self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1
        self.fall_asleep()

    def fall_asleep(self):
        process = self.sidecar.process
        if self.action == "exit":
            until(process.ended, 15, "an end for being idle", process.tail)
            assert process.wait() == 0, process.tail()
            assert not self.sidecar.programs()
        else:
            process.wait_log(" asleep ", 15, self.seen_n); self.seen_n = len(process.log)


def descriptors(pid):
    """What it has open; that of a process that has just gone may be closed a moment later."""
    found = []
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            found.append(os.readlink(f"/proc/{pid}/fd/{name}"))
        except FileNotFoundError:
            pass
    return sorted(found)


def private_kb(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="utf-8") as file:
        return sum(int(line.split()[1]) for line in file if line.startswith("Anonymous:"))


def configure(sidecar, action):
    often = {"max_restarts": "1000", "backoff_min": "20ms", "backoff_max": "100ms"}
    sidecar.configure("supervisor", idle_timeout="60ms", idle_action=action)
    for name in ("ollama", "proxy"):
        sidecar.configure(f"program:{name}", **often)
    sidecar.backend.script(tokens=12, token_delay_ms=15, load_s=0.03, runner=True)
    sidecar.installed = "m"
    sidecar.write_ini()


@pytest.mark.limit(CYCLES * 4 + 60)
@pytest.mark.parametrize("action,share", [("stop", 0.4), ("stop", 0.4), ("exit", 0.2)], ids=["stop", "stop-too", "exit"])
def test_cycles_of_wake_serve_and_sleep_lose_nothing_and_leave_nothing(sidecar, action, share):
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    configure(sidecar, action)
    run = Run(sidecar, action, seed)
    run.start()
    until(lambda: sidecar.process.logged(" listening "), 5, "listeners")
    warm = None
    for number in range(max(int(CYCLES * share), WARM_UP + 1)):
        run.cycle()
        if number == WARM_UP and action == "stop":
            pid = sidecar.process.pid
            warm = (descriptors(pid), private_kb(pid))
    print(f"outcomes {run.outcomes} killed {run.killed}")
    assert run.outcomes["well"] > 0 and run.killed
    if action == "exit":
        return
    pid = sidecar.process.pid
    until(lambda: set(run.pids()) == {"proxy"} and len(sidecar.programs()) == 2, 5, "nobody but supervisor and proxy",
          lambda: str(sidecar.programs()))
    until(lambda: len(descriptors(pid)) <= len(warm[0]), 3, "descriptors as before", lambda: f"{warm[0]}\n{descriptors(pid)}")
    assert IS_SANITIZED or private_kb(pid) <= warm[1] + 64
    requests = sidecar.health()["requests"]
    assert requests["in_flight"] == requests["held"] == 0
    assert sidecar.stop() == 0


def test_who_comes_right_behind_a_sleep_waits_for_no_timer(sidecar):
    configure(sidecar, "stop")
    sidecar.start(ini=False)
    sidecar.wait_ready()
    seen_n = 0
    for _ in range(4):
        sidecar.process.wait_log(" asleep ", 5, seen_n)
        seen_n = len(sidecar.process.log)
        assert sidecar.generate().status == 200
        slept_ms = int(sidecar.process.wait_log(r" waking slept_ms=(\d+)", 1, seen_n).group(1))
        assert slept_ms < 500 * SLACK  # asked for at once, and not when it was asked for a second ago
