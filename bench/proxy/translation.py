#!/usr/bin/env python3
"""What it costs to translate a token of /v1/chat/completions, beside one of /api/chat that passes as it is, and one that passes the bare
relay: processor time, and instructions of user space by callgrind where there is valgrind. A part of the scorecard (run). See bench/README.md.

usage: bench/proxy/translation.py [--rounds N]
"""
import os
import socket
import statistics
import sys
import tempfile
import threading

import peers
import spent

STREAMS, INTERVAL_US, TOKENS = 50, 5000, 600       # 10,000 tokens a second for 3 s
SIMULATED_INTERVAL_US, SIMULATED = 50000, (20, 80)  # what is beyond the first counts
TOOLS = [{"type": "function", "function": {"name": f"tool_{i}", "parameters": {"type": "object"}}} for i in range(8)]
ASK = {"model": "bench", "stream": True, "messages": [{"role": "user", "content": "x"}]}
OURS, RELAY = ({p.name: p for p in peers.ALL}[name] for name in ("ollama-proxy", "relay"))


def native(tokens_n, interval_us):
    return "/api/chat", {**ASK, "options": {"num_predict": tokens_n, "interval_us": interval_us}}


def translated(tokens_n, interval_us):
    return "/v1/chat/completions", {**ASK, "max_tokens": tokens_n, "seed": interval_us}


def with_tools(tokens_n, interval_us):
    path, body = translated(tokens_n, interval_us)
    return path, {**body, "tools": TOOLS}


KINDS = {"/api/chat, as it is": (OURS, native), "/v1/chat/completions": (OURS, translated),
         "/v1/chat/completions with tools": (OURS, with_tools), "/api/chat, by the bare relay": (RELAY, native)}


def stream(port, path, body, faults):
    with socket.create_connection(("127.0.0.1", port)) as connection:
        peers.ask(connection, path, body, faults)


def ask_all(port, kind, tokens_n, interval_us):
    faults = []
    threads = [threading.Thread(target=stream, args=(port, *KINDS[kind][1](tokens_n, interval_us), faults)) for _ in range(STREAMS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise RuntimeError(f"{kind}: {faults[0]!r}")


def run(kind, tokens_n, interval_us, is_counted=False):
    """(processor time in us, instructions) of the peer, from start to end."""
    peer = KINDS[kind][0]
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        backend_port = peers.free_port()
        emitter = peers.start([os.path.join(peers.TOOLS, "emitter"), str(backend_port)], backend_port)
        argv = spent.valgrind(folder) if is_counted else []
        port, process = peers.Peer(peer.name, peer.program, lambda *a: argv + peer.argv(*a)).start(folder, backend_port, 1000)
        try:
            ask_all(port, kind, tokens_n, interval_us)
            cpu_us = spent.cpu_us(process)
        finally:
            peers.stop(process)
            peers.stop(emitter)
        return cpu_us, spent.instructions(folder)


def instructions(kind):
    less, more = (run(kind, n, SIMULATED_INTERVAL_US, True)[1] for n in SIMULATED)
    return (more - less) / (STREAMS * (SIMULATED[1] - SIMULATED[0]))


def section(rounds_n):
    """Measures; the lines of the scorecard."""
    times = [{kind: run(kind, TOKENS, INTERVAL_US)[0] / (STREAMS * TOKENS) for kind in KINDS} for _ in range(rounds_n)]
    counts = {kind: instructions(kind) for kind in KINDS} if peers.shutil.which("valgrind") else {}
    first = next(iter(KINDS))
    lines = ["## What it costs to translate a token", "",
             f"{STREAMS} streams, {1000000 // INTERVAL_US * STREAMS:,} tokens a second in all; {rounds_n} rounds, medians; ratios are medians of each round's ratio. "
             "Instructions are those of user space.", "",
             "| a token of | CPU us | of the first | instructions | of the first |", "|---|---|---|---|---|"]
    for kind in KINDS:
        ratio = statistics.median(round_[kind] / round_[first] for round_ in times)
        count = f"{counts[kind]:,.0f} | {counts[kind] / counts[first]:.2f}" if counts else "– | –"
        lines.append(f"| {kind} | {statistics.median(round_[kind] for round_ in times):.1f} | {ratio:.2f} | {count} |")
    return lines + [""]


if __name__ == "__main__":
    sys.exit(spent.main(section))
