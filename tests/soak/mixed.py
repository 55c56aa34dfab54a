"""A mixed load on one sidecar before a stand-in, with aborts and faults, and what is looked at meanwhile, in windows."""
import os
import random
import re
import signal
import socket
import struct
import threading
import time

from client import Background, Connection
from waiting import SLACK, until

QUICK = {"tokens": 1, "token_delay_ms": 0, "first_token_delay_ms": 0}
CALM = {"busy": False, "garbage_answer": None, "error_after_tokens": None, "close_after_tokens": None, "reset_after_tokens": None}
MOODS = ({}, {}, {"busy": True}, {}, {"error_after_tokens": 2}, {"close_after_tokens": 3}, {}, {"reset_after_tokens": 3}, {"garbage_answer": "reset"},
         {"first_token_delay_ms": 200})
TEXT = "Always answer in full sentences, and say what you have done. "
PROBE = {"model": "probe", "prompt": "x", "options": {"num_predict": 1}}
SOONEST_S, LOG_LINES = 0.01, 5000


def chat(chance):
    return [{"role": "user", "content": TEXT * chance.choice((1, 1, 20, 500))}]


# what is asked: (path, body); whether it streams is chance
KINDS = {
    "chat": lambda chance: ("/api/chat", {"messages": chat(chance)}),
    "generate": lambda chance: ("/api/generate", {"prompt": TEXT * chance.choice((1, 50))}),
    "v1 chat": lambda chance: ("/v1/chat/completions", {"messages": chat(chance)}),
    "v1 completion": lambda chance: ("/v1/completions", {"prompt": TEXT}),
    "embed": lambda chance: ("/api/embed", {"input": [TEXT] * chance.choice((1, 10))}),
    "v1 embeddings": lambda chance: ("/v1/embeddings", {"input": TEXT}),
}


def rss_kb(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(re.search(r"^VmRSS:\s+(\d+)", file.read(), re.M).group(1))


def percentile(values, part):
    return sorted(values)[min(len(values) - 1, int(len(values) * part))] if values else None


class Mixed:
    """Clients, faults and a probe, until run() is over. `windows` has a sample for each, `counts` what was done how often."""

    def __init__(self, sidecar, seed):
        self.sidecar, self.seed = sidecar, seed
        self.pids = {"proxy": sidecar.pid_of("proxy"), "supervisor": sidecar.process.pid}
        self.is_over = threading.Event()
        self.counts, self.windows = {}, []
        self.disturbed = threading.Event()  # the backend is away: who waits for it is not the proxy's delay
        self.proxied, self.direct = [], []
        self.lock = threading.Lock()
        self.began = time.monotonic()

    def count(self, what):
        with self.lock:
            self.counts[what] = self.counts.get(what, 0) + 1

    def run(self, seconds, window_s, clients_n=8):
        """For so long; nothing of it is under way afterwards."""
        self.is_over.clear()
        end = time.monotonic() + seconds
        threads = [Background(self._go_on, random.Random(self.seed + number)) for number in range(clients_n)]
        threads += [Background(work) for work in (self._probe, self._vary, self._restart, self._reload)]
        try:
            while time.monotonic() < end:
                self.is_over.wait(min(window_s, max(0, end - time.monotonic())))  # it is a matter of time
                self._sample()
        finally:
            self.is_over.set()
        for thread in threads:
            thread.result(60)
        self.seed += 1000

    def _sample(self):
        sidecar = self.sidecar
        with self.lock:
            proxied, direct, self.proxied, self.direct = self.proxied, self.direct, [], []
            done_n = sum(self.counts.values())
        sample = {"at_s": round(time.monotonic() - self.began, 1), "done": done_n, "probes": len(proxied),
                  "p99_ms": percentile(proxied, 0.99), "direct_p99_ms": percentile(direct, 0.99)}
        for name, pid in self.pids.items():
            sample[f"{name}_kb"], sample[f"{name}_fds"] = rss_kb(pid), len(os.listdir(f"/proc/{pid}/fd"))
        self.windows.append(sample)
        os.truncate(os.path.join(sidecar.directory, "journal.jsonl"), 0)  # hours of it are not wanted
        del sidecar.process.log[:-LOG_LINES]

    # clients

    def _go_on(self, chance):
        while not self.is_over.is_set():
            kind = chance.choice(list(KINDS))
            path, body = KINDS[kind](chance)
            is_stream = "embed" not in kind and chance.random() < 0.6
            try:
                with Connection(self.sidecar.port, timeout=20) as connection:
                    for _ in range(chance.choice((1, 1, 5))):
                        status = self._ask(connection, path, {**body, "model": "m", "stream": is_stream}, chance)
                        self.count(f"{kind}{', streamed' if is_stream else ''}: status {status}")
                        if status >= 500:
                            self.is_over.wait(0.05)  # as who is refused does not ask again at once
            except (OSError, EOFError, ValueError):
                self.count(f"{kind}: broken off")

    def _ask(self, connection, path, body, chance):
        """The status, where it is read to its end. One in five leaves: at once, at the first byte, or in the answer; in peace, or by a reset."""
        leaves = chance.choice(("at once", "at the first byte", "in the answer")) if chance.random() < 0.2 else ""
        connection.send("POST", path, body)
        if leaves == "at the first byte":
            connection.sock.recv(1)
        elif not leaves or leaves == "in the answer":
            answer = connection.receive()
            for _ in answer.pieces():
                if leaves:
                    break
            if not leaves:
                if not answer.clean:
                    raise EOFError
                return answer.status
        if chance.random() < 0.5:
            connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
        self.count(f"left {leaves}")
        raise EOFError

    # what is measured

    def _probe(self):
        """First bytes of short answers, through the proxy and of the stand-in itself, in turn. Where the stand-in is away nothing is noted."""
        ports, kept = {"proxied": self.sidecar.port, "direct": self.sidecar.backend.port}, {}
        while not self.is_over.wait(SOONEST_S):
            for name, port in ports.items():
                is_quiet = not self.disturbed.is_set()
                try:
                    if name not in kept:
                        kept[name] = Connection(port, timeout=20)
                    began = time.monotonic()
                    answer = kept[name].request("POST", "/api/generate", PROBE)
                    pieces = answer.pieces()
                    first = next(pieces, None)
                    for _ in pieces:
                        pass
                    if not first or answer.status != 200 or not answer.clean:
                        raise EOFError
                    if is_quiet and not self.disturbed.is_set():
                        with self.lock:
                            getattr(self, name).append((first[0] - began) * 1000)
                except (OSError, EOFError, ValueError):
                    self.count(f"probe, {name}: broken off")
                    if name in kept:
                        kept.pop(name).close()
        for connection in kept.values():
            connection.close()

    # faults

    def _vary(self):
        """The stand-in has its moods; never with the probe's model."""
        number = 0
        while not self.is_over.wait(0.25):
            number += 1
            self.sidecar.backend.script(**{"tokens": 20, "token_delay_ms": 3, **MOODS[number % len(MOODS)]}, models={"probe": {**QUICK, **CALM}})
        self.sidecar.backend.script(tokens=20, token_delay_ms=3)

    def _restart(self):
        """It is killed, and started again by the supervisor."""
        while not self.is_over.wait(6):
            served = [pid for pid, command in self.sidecar.programs().items() if command.endswith("ollama serve")]
            self.disturbed.set()
            for pid in served:
                os.kill(pid, signal.SIGKILL)
            self.count("kills of the backend")
            until(lambda: self.sidecar.health().get("code") == 200 and self._answers(), 30, "the backend's return")
            self.is_over.wait(0.3 * SLACK)  # those who were held are answered first
            self.disturbed.clear()

    def _answers(self):
        try:
            with Connection(self.sidecar.backend.port, timeout=5) as connection:
                return connection.request("GET", "/api/version").status == 200
        except (OSError, EOFError):
            return False

    def _reload(self):
        """The configuration is read again: with a program more, and without it."""
        is_more = False
        while not self.is_over.wait(2) or is_more:
            is_more = not is_more
            if is_more:
                self.sidecar.configure("program:more", command="sleep 600")
            else:
                del self.sidecar.settings["program:more"]
            self.sidecar.write_ini()
            self.sidecar.process.kill(signal.SIGHUP)
            self.count("reloads")
