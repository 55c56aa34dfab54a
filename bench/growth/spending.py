"""The curves: what the proxy spends on more of something, each measured with a proxy of its own. Processor time is that of the kernel's scheduler, in ns."""
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "proxy"))  # before bench/lib, which has a peers.py too
import peers  # noqa: E402  (bench/proxy/peers.py: how a process is started and stopped)
from played import MODEL, Backend  # noqa: E402

PROXY = os.path.join(peers.BUILD, "ollama-proxy")
INTERVAL_US = 400000        # streams: of one of them, from a token to the next
QUIET_S, LIMIT_S = 0.1, 120
BODY_WORK_BYTES, BODY_MOST = 20_000_000, 200
REQUESTS, CONNECTIONS = 400, 8
SLOTS = 4                   # queue: machines with one slot each
QUEUE_FIRST = 20            # … so many stand there first, and are not counted; of fewer the mean of several turns is taken
MEMORY_LEAST = 100          # … for fewer libc may ask the kernel for nothing
LINE = "Always answer in full sentences, and say \"what\" you have done; größer ist nicht besser.\n"


class Proxy:
    """ollama-proxy with these keys of [proxy] and these sections, in a folder that goes afterwards."""

    def __init__(self, sections="", **keys):
        self.keys, self.sections = keys, sections

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="bench-")
        self.port = peers.free_port()
        said = "".join(f"{key} = {value}\n" for key, value in {"listen": f"127.0.0.1:{self.port}", **self.keys}.items())
        ini = peers.write(self.folder.name, "supervisor.ini", f"[proxy]\n{said}\n{self.sections}")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("SIDECAR_", "OLLAMA_"))}
        self.log = os.path.join(self.folder.name, "log")
        try:
            with open(self.log, "ab") as log:
                self.process = peers.start([PROXY, "-c", ini], self.port, environment, log)
        except BaseException:
            with open(self.log, encoding="utf-8") as log:
                print(log.read(), file=sys.stderr)
            self.folder.cleanup()
            raise
        return self

    def __exit__(self, *_):
        peers.stop(self.process)
        self.folder.cleanup()

    def cpu_us(self):
        """Of all its threads, so far. proc(5)"""
        total = 0
        for thread in os.listdir(f"/proc/{self.process.pid}/task"):
            with open(f"/proc/{self.process.pid}/task/{thread}/schedstat", encoding="ascii") as file:
                total += int(file.read().split()[0])
        return total / 1000

    def pss_kb(self):
        with open(f"/proc/{self.process.pid}/smaps_rollup", encoding="utf-8") as file:
            return int(re.search(r"^Pss:\s+(\d+)", file.read(), re.M).group(1))

    def settled_us(self):
        """Its time, once it has nothing to do."""
        limit, last, since = time.monotonic() + LIMIT_S, self.cpu_us(), time.monotonic()
        while time.monotonic() < since + QUIET_S:
            now = self.cpu_us()
            if now != last:
                last, since = now, time.monotonic()
            if since > limit:
                raise TimeoutError("the proxy does not come to rest")
            time.sleep(0.01)
        return last

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=LIMIT_S)

    def waiting_n(self):
        """How many wait, by its own word."""
        with self.connect() as connection:
            connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            text = b"".join(iter(lambda: connection.recv(1 << 16), b"")).decode()
        return int(re.search(r"^sidecar_queue_waiting (\d+)", text, re.M).group(1))


def message(path, value):
    data = value if isinstance(value, bytes) else json.dumps(value, ensure_ascii=False).encode()
    return b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (path.encode(), len(data), data)


def read_answer(connection):
    """One answer with its length, or in chunks."""
    got = b""
    while b"\r\n\r\n" not in got:
        piece = connection.recv(1 << 16)
        if not piece:
            raise RuntimeError("a connection ended without an answer")
        got += piece
    head, _, body = got.partition(b"\r\n\r\n")
    if b" 200 " not in head[:20]:
        raise RuntimeError(f"{got[:300]!r}")
    length = re.search(rb"(?i)content-length: *(\d+)", head)
    while len(body) < int(length.group(1)) if length else not body.endswith(b"0\r\n\r\n"):
        piece = connection.recv(1 << 16)
        if not piece:
            raise RuntimeError("an answer ended early")
        body += piece


def member(number, port, slots):
    return f"[backend:b{number}]\napi = ollama\nurl = http://127.0.0.1:{port}\nslots = {slots}\n\n"


def streams(n, window_s):
    """n streams with a token every 0.4 s each: processor time of a window, and memory beyond that of nobody."""
    emitter_port = peers.free_port()
    emitter = peers.start([os.path.join(peers.TOOLS, "emitter"), str(emitter_port)], emitter_port)
    try:
        with Proxy(backend=f"http://127.0.0.1:{emitter_port}", max_clients=n + 200) as proxy:
            before_kb = proxy.pss_kb()
            words = [os.path.join(peers.TOOLS, "loader"), str(proxy.port), "streams", str(n), str(INTERVAL_US), str(500 + n // 2), str(int(window_s * 1000))]
            with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as loader:
                if loader.stdout.readline() != "begin\n":
                    raise RuntimeError("the loader has not begun")
                began_us = proxy.cpu_us()
                loader.stdout.readline()
                used_us, kb = proxy.cpu_us() - began_us, proxy.pss_kb() - before_kb
                got = json.loads(loader.stdout.readline())
            if got["errors"]:
                raise RuntimeError(f"{got['errors']} of {n} streams failed")
            return {"streams: CPU": used_us / window_s, "streams: memory": kb}
    finally:
        peers.stop(emitter)


def body_of(size, path):
    """A conversation of so many bytes."""
    def whole(text):
        return json.dumps({"model": MODEL, "stream": False, "messages": [{"role": "user", "content": text}]}, ensure_ascii=False).encode()
    frame, line = len(whole("")), len(whole(LINE)) - len(whole(""))
    text = LINE * max(1, (size - frame) // line)
    return message(path, whole(text + "x" * max(0, size - len(whole(text)))))


def bodies(size, _):
    """Requests with bodies of this size, one after the other: as they are, and translated."""
    requests_n = max(3, min(BODY_MOST, BODY_WORK_BYTES // size))
    found = {}
    for name, path in (("body: passed", "/api/chat"), ("body: translated", "/v1/chat/completions")):
        backend = Backend()
        try:
            with Proxy(backend=f"http://127.0.0.1:{backend.ports[0]}", max_body="64M", max_held_bodies="256M") as proxy, proxy.connect() as connection:
                data = body_of(size, path)
                for number in range(requests_n + 2):
                    if number == 2:  # starting, and the first few, are not in it
                        began_us = proxy.settled_us()
                    connection.sendall(data)
                    read_answer(connection)
                found[name] = (proxy.settled_us() - began_us) / requests_n
        finally:
            backend.stop()
    return found


def backends(n, _):
    """Small requests to n machines: what each costs."""
    backend = Backend(n)
    try:
        sections = "".join(member(i, port, CONNECTIONS) for i, port in enumerate(backend.ports))
        with Proxy(sections + "[balancer]\nprobe_interval = 1h\n") as proxy:
            connections = [proxy.connect() for _ in range(CONNECTIONS)]
            ask = message("/api/generate", {"model": MODEL, "prompt": "x", "stream": False})

            def rounds(rounds_n):
                for _ in range(rounds_n):
                    for one in connections:
                        one.sendall(ask)
                    for one in connections:
                        read_answer(one)
            rounds(max(5, n // CONNECTIONS * 2))
            began_us = proxy.settled_us()
            rounds(REQUESTS // CONNECTIONS)
            used_us = proxy.settled_us() - began_us
            for one in connections:
                one.close()
            return {"backends: a request": used_us / REQUESTS}
    finally:
        backend.stop()


def stand(proxy, backend, n):
    """n requests come to stand in line, and are served: processor time of both, and memory while they stand there."""
    ask, connections = message("/api/generate", {"model": MODEL, "prompt": "x", "stream": False}), []

    def come(requests_n):
        for _ in range(requests_n):
            connections.append(proxy.connect())
            connections[-1].sendall(ask)
        return proxy.settled_us()
    backend.hold()
    before_us, before_kb = come(SLOTS), proxy.pss_kb()
    in_us, kb = come(n) - before_us, proxy.pss_kb() - before_kb
    waiting_n = proxy.waiting_n()
    if backend.taken != SLOTS or waiting_n != n:
        raise RuntimeError(f"{waiting_n} wait instead of {n}, and {backend.taken} are served")
    before_us = proxy.settled_us()
    backend.release()
    for one in connections:
        read_answer(one)
    out_us = proxy.settled_us() - before_us
    for one in connections:
        one.close()
    proxy.settled_us()
    return in_us, out_us, kb


def queue(n, _):
    """What it takes to stand in line before four machines of one slot each, and to be served, for n requests together."""
    backend = Backend(SLOTS)
    try:
        sections = "".join(member(i, port, 1) for i, port in enumerate(backend.ports))
        with Proxy(sections + "[balancer]\nprobe_interval = 1h\n", max_queue=n + QUEUE_FIRST, max_clients=n + 100) as proxy:
            stand(proxy, backend, QUEUE_FIRST)  # whatever is made once is made then
            turns = [stand(proxy, backend, n) for _ in range(max(1, QUEUE_FIRST // n))]
            found = dict(zip(("queue: in", "queue: out"), (sum(turn[i] for turn in turns) / len(turns) for i in (0, 1))))
            return {**found, **({"queue: memory": turns[0][2]} if n >= MEMORY_LEAST else {})}
    finally:
        backend.release()
        backend.stop()


MEASURES = {"streams": streams, "bodies": bodies, "backends": backends, "queue": queue}
