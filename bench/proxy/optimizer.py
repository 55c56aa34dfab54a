#!/usr/bin/env python3
"""What the optimizer costs: a small request, a token by its listeners, an answer that was kept, a long conversation as map-reduce. Beside
each the same that passes without it. A part of the scorecard (run). See bench/README.md.

usage: bench/proxy/optimizer.py [--rounds N]
"""
import http.server
import json
import os
import socket
import statistics
import sys
import tempfile
import threading

import peers
import spent

INI = """[optimizer]
enabled = yes
models = bench
cache = memory
[strategy:A]
max_tokens = 6000
model = bench
tools = native
[strategy:C]
min_tokens = 6001
map_model = bench
reduce_model = bench
options = num_ctx=8192
"""
CONNECTIONS = 8                # requests: one after the other on each
STREAMS = 12                    # tokens: so many generations at once
INTERVAL_US, SIMULATED_INTERVAL_US = 5000, 50000  # of each; a peer that is simulated is slow
TURNS, TURN_CHARS = 4, 17500    # a conversation: 17,500 tokens of four characters


def body(number, more):
    """A request of which there is no other."""
    return {"model": "bench", "stream": True, "messages": [{"role": "user", "content": f"say {number}"}], "max_tokens": 1, **more}


def conversation(number):
    """What is too long for one prompt."""
    said = [{"role": ("user", "assistant")[turn % 2], "content": f"{number} {turn} " + "a few words of a talk. " * (TURN_CHARS // 23)} for turn in range(TURNS)]
    return {"model": "bench", "stream": True, "max_tokens": 1, "messages": [{"role": "system", "content": "Be short."}, *said, {"role": "user", "content": "And now?"}]}


class Backend(http.server.BaseHTTPRequestHandler):
    """Answers /api/chat at once, with few words; for what the emitter has no room for, or does not know."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """Nothing."""

    def _answer(self, value):
        answer = json.dumps(value).encode() + b"\n"
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def do_POST(self):
        """One object, which is a stream's last, too."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer({"model": "bench", "message": {"role": "assistant", "content": "a summary of a part"}, "done": True, "done_reason": "stop",
                      "prompt_eval_count": 3000, "eval_count": 5, "capabilities": ["completion", "tools"]})

    def do_GET(self):
        """The list of models."""
        self._answer({"models": [{"name": "bench:latest", "model": "bench:latest", "digest": "5" * 64}]})


def ask_all(port, lists):
    """Each list of requests on a connection of its own, all at once."""
    faults = []

    def one(values):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            for value in values:
                peers.ask(connection, "/v1/chat/completions", value, faults)

    threads = [threading.Thread(target=one, args=(values,)) for values in lists]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise RuntimeError(f"{faults[0]!r}")


def requests(**more):
    """lists(n) of n requests on each connection."""
    return lambda n, _: [[body(f"{c} {i}", more) for i in range(n)] for c in range(CONNECTIONS)]


def kept(n, _):
    """The same again and again, of which the answer is kept."""
    return [[body(c, {"temperature": 0})] * n for c in range(CONNECTIONS)]


def tokens(listeners_n, **more):
    """lists(n) of streams of n tokens, which so many clients ask for at once."""
    return lambda n, interval_us: [[body(s, {"max_tokens": n, "seed": interval_us, **more})] for s in range(STREAMS) for _ in range(listeners_n)]


# what: (lists of n, how many are too few to count and how many there are, the same where it is simulated, what is done in one of n)
KINDS = {
    "a small request, passed": (requests(model="plain"), (20, 1020), (20, 220), CONNECTIONS),
    "a small request, optimised": (requests(), (20, 1020), (20, 220), CONNECTIONS),
    "a small request, its answer kept": (kept, (20, 1020), (20, 220), CONNECTIONS),
    "a token, passed": (tokens(1, model="plain"), (50, 1050), (20, 80), STREAMS),
    "a token, one listener": (tokens(1), (50, 1050), (20, 80), STREAMS),
    "a token, to each of 8 listeners": (tokens(8), (50, 1050), (20, 80), STREAMS * 8),
    "17,500 tokens, passed": (lambda n, _: [[{**conversation(i), "model": "plain"} for i in range(n)]], (2, 102), (1, 6), 1),
    "17,500 tokens, as map-reduce": (lambda n, _: [[conversation(i) for i in range(n)]], (2, 102), (1, 6), 1),
}


def run(kind, n, is_counted=False):
    """(processor time in us, instructions) of the proxy, from start to end."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        backend_port, emitter, server = peers.free_port(), None, None
        if KINDS[kind][0] is kept or "17,500" in kind:
            server = http.server.ThreadingHTTPServer(("127.0.0.1", backend_port), Backend)
            threading.Thread(target=server.serve_forever, daemon=True).start()
        else:
            emitter = peers.start([os.path.join(peers.TOOLS, "emitter"), str(backend_port)], backend_port)
        argv = (spent.valgrind(folder) if is_counted else []) + [os.path.join(peers.BUILD, "ollama-proxy"), "-c", peers.write(folder, "supervisor.ini", INI)]
        port, process = peers.Peer("ollama-proxy", argv[0], lambda *_: argv).start(folder, backend_port, 1000)
        try:
            ask_all(port, KINDS[kind][0](n, SIMULATED_INTERVAL_US if is_counted else INTERVAL_US))
            cpu_us = spent.cpu_us(process)
        finally:
            peers.stop(process)
            if emitter:
                peers.stop(emitter)
            else:
                server.shutdown()
                server.server_close()
        return cpu_us, spent.instructions(folder)


def cost(kind, part, is_counted=False):
    """What one costs; part 0: us, 1: instructions."""
    (few, many), each_n = KINDS[kind][1 + part], KINDS[kind][3]
    return (run(kind, many, is_counted)[part] - run(kind, few, is_counted)[part]) / ((many - few) * each_n)


def section(rounds_n):
    """Measures; the lines of the scorecard."""
    times = [{kind: cost(kind, 0) for kind in KINDS} for _ in range(rounds_n)]
    counts = {kind: cost(kind, 1, True) for kind in KINDS} if peers.shutil.which("valgrind") else {}
    lines = ["## What the optimizer costs", "",
             f"{rounds_n} rounds, medians; ratios are medians of each round's ratio, to what passes without it. Instructions are those of user space.", "",
             "| | CPU us | of what passes | instructions | of what passes |", "|---|---|---|---|---|"]
    passed = ""
    for kind in KINDS:
        passed = kind if kind.endswith(", passed") else passed
        ratio = statistics.median(round_[kind] / max(round_[passed], 0.01) for round_ in times)
        count = f"{counts[kind]:,.0f} | {counts[kind] / counts[passed]:.2f}" if counts else "– | –"
        lines.append(f"| {kind} | {statistics.median(round_[kind] for round_ in times):,.1f} | {ratio:.2f} | {count} |")
    return lines + [""]


if __name__ == "__main__":
    sys.exit(spent.main(section))
