#!/usr/bin/env python3
"""What it costs to be counted and to be looked at: what a request pays for /metrics, what a scrape costs, and what a token and a second cost while
nobody, one or 16 listen to GET /sidecar/events, as the page does. A part of the scorecard (run). See bench/README.md.

usage: bench/proxy/observed.py [--rounds N]
"""
import os
import socket
import statistics
import sys
import tempfile
import threading

import peers
import spent
import translation

OURS = translation.OURS
LISTENERS, OF_ADDRESS = (0, 1, 16), 8
CLIENTS, FEW, MANY = 8, 10, 110             # requests and scrapes: what is beyond the few of each client counts
COUNTING = ("observe_begin", "observe_leave", "observe_end")  # all that a request calls to be counted; none calls another (proxy/observe/observe.h)
SECONDS = tuple(n * translation.SIMULATED_INTERVAL_US / 1e6 for n in translation.SIMULATED)
GET = b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Listener(threading.Thread):
    """One who looks on, and reads all that comes until it is closed. number: no more than a few of one address are let in."""

    def __init__(self, port, number):
        super().__init__(daemon=True)
        self.connection = socket.create_connection(("127.0.0.1", port), source_address=(f"127.0.0.{1 + number // OF_ADDRESS}", 0))
        self.connection.sendall(GET % b"/sidecar/events")
        first = self.connection.recv(65536)
        if b" 200 " not in first[:20]:
            raise RuntimeError(f"GET /sidecar/events: {first!r}")
        self.start()

    def run(self):
        while self.connection.recv(1 << 16):
            pass

    def close(self):
        self.connection.shutdown(socket.SHUT_RDWR)
        self.join()
        self.connection.close()


def ask_requests(port, each_n):
    """Requests of one token, one after the other for each client."""
    faults = []

    def one():
        with socket.create_connection(("127.0.0.1", port)) as connection:
            for _ in range(each_n):
                peers.ask(connection, *translation.native(1, 1000), faults)

    threads = [threading.Thread(target=one) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise RuntimeError(f"{faults[0]!r}")


def ask_scrapes(port, each_n):
    """GET /metrics, when a few requests have ended."""
    ask_requests(port, FEW)
    with socket.create_connection(("127.0.0.1", port)) as connection:
        for _ in range(CLIENTS * each_n):
            connection.sendall(GET % b"/metrics")
            got = b""
            while b"\r\n\r\n" not in got:
                got += connection.recv(65536)
            head, _, body = got.partition(b"\r\n\r\n")
            left_n = int(head.lower().split(b"content-length:")[1].split()[0]) - len(body)
            while left_n > 0:
                left_n -= len(connection.recv(left_n))


def ask_tokens(listeners_n):
    """Streams, before so many who look on: tokens of each, and the time between two."""
    def ask(port, tokens_n, interval_us=translation.SIMULATED_INTERVAL_US):
        listeners = [Listener(port, number) for number in range(listeners_n)]
        try:
            translation.ask_all(port, "/api/chat, as it is", tokens_n, interval_us)
        finally:
            for one in listeners:
                one.close()

    return ask


def run(ask, *numbers, counted=None):
    """(processor time in us, instructions) of the proxy, from start to end. counted: options of callgrind; None: it is not simulated."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        backend_port = peers.free_port()
        emitter = peers.start([os.path.join(peers.TOOLS, "emitter"), str(backend_port)], backend_port)
        argv = [] if counted is None else spent.valgrind(folder) + counted
        port, process = peers.Peer(OURS.name, OURS.program, lambda *a: argv + OURS.argv(*a)).start(folder, backend_port, 1000)
        try:
            ask(port, *numbers)
            cpu_us = spent.cpu_us(process)
        finally:
            peers.stop(process)
            peers.stop(emitter)
        return cpu_us, spent.instructions(folder)


def cost(ask, part, counted=None):
    """Of one request, or one scrape; part 0: us, 1: instructions."""
    few, many = (run(ask, n, counted=counted)[part] for n in (FEW, MANY))
    return (many - few) / (CLIENTS * (MANY - FEW))


def by_second(listeners_n):
    """Instructions of a second of streams before so many."""
    less, more = (run(ask_tokens(listeners_n), n, counted=[])[1] for n in translation.SIMULATED)
    return (more - less) / (SECONDS[1] - SECONDS[0])


def times_of_tokens(rounds_n):
    """Of each round: what a token costs before so many, in us."""
    tokens_n = translation.TOKENS
    return [{n: run(ask_tokens(n), tokens_n, translation.INTERVAL_US)[0] / (translation.STREAMS * tokens_n) for n in LISTENERS} for _ in range(rounds_n)]


def counting_lines():
    """What a request and a scrape are, in instructions."""
    request, counting, scrape = cost(ask_requests, 1, []), cost(ask_requests, 1, [f"--toggle-collect={name}" for name in COUNTING]), cost(ask_scrapes, 1, [])
    return ["| instructions of user space | |", "|---|---|",
            f"| a request of one token | {request:,.0f} |",
            f"| … to be counted for /metrics and /sidecar/status | {counting:,.0f}, which is {counting / request:.1%} |",
            f"| a scrape of /metrics | {scrape:,.0f} |", ""]


def section(rounds_n):
    """Measures; the lines of the scorecard."""
    times = times_of_tokens(rounds_n)
    has_valgrind = peers.shutil.which("valgrind")
    seconds = {n: by_second(n) for n in LISTENERS} if has_valgrind else {}
    rate = translation.STREAMS * 1000000 // translation.INTERVAL_US
    lines = ["## What it costs to be looked at", "", *(counting_lines() if has_valgrind else []),
             f"{translation.STREAMS} streams, {rate:,} tokens a second in all; {rounds_n} rounds, medians; ratios are medians of each round's ratio. "
             "Instructions are those of user space, for one second, beyond what the tokens take.", "",
             "| who listens to /sidecar/events | CPU us a token | of nobody | instructions a second | a token's share |", "|---|---|---|---|---|"]
    for n in LISTENERS:
        more = seconds[n] - seconds[0] if seconds else 0
        count = f"{more:,.0f} | {more / rate:,.0f}" if seconds and n else "– | –"
        ratio = statistics.median(round_[n] / round_[0] for round_ in times)
        lines.append(f"| {n or 'nobody'} | {statistics.median(round_[n] for round_ in times):.1f} | {ratio:.2f} | {count} |")
    return lines + [""]


if __name__ == "__main__":
    sys.exit(spent.main(section))
