"""A backend that sends just the bytes that a test wants, and ends as the test wants."""
import json
import re
import socket
import struct
import threading

from raw_backend import LOADED, is_load
from waiting import SLACK

RESET = object()  # the connection ends with a TCP reset
CLOSE = object()  # it is closed
HANG = object()   # nothing more comes, until the other side leaves


def head(content_type="application/x-ndjson", *lines, framing="Transfer-Encoding: chunked", status="200 OK"):
    """The head of an answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {content_type}", framing, *lines]
    return "\r\n".join(line for line in lines if line).encode() + b"\r\n\r\n"


def chunk(data: bytes) -> bytes:
    """One chunk of a body."""
    return b"%x\r\n%s\r\n" % (len(data), data)


END = b"0\r\n\r\n"


def line(done=False, **more) -> bytes:
    """A line of /api/generate."""
    return json.dumps({"model": "m", "response": "t", **more, "done": done}, separators=(",", ":")).encode() + b"\n"


def single(value, status="200 OK") -> list:
    """The steps of an answer in one object."""
    body = json.dumps(value).encode()
    return [head("application/json", framing=f"Content-Length: {len(body)}", status=status), body]


def able(*capabilities) -> list:
    """A model that can complete, and do this."""
    return single({"capabilities": ["completion", *capabilities]})


LAST = line(True, done_reason="stop", total_duration=9, prompt_eval_count=3, eval_count=2)

# Answers that break where they are translated: what is sent, what its client is told, how the log calls it.
BROKEN = {
    "an error": ([chunk(b'{"error":"runner \\"gone\\""}\n'), END], 'runner "gone"', "backend_error"),
    "a reset": ([RESET], "the backend broke off in the middle of its answer", "backend_broken"),
    "a close": ([CLOSE], "the backend broke off in the middle of its answer", "backend_broken"),
    "no end": ([END], "the backend ended its answer without saying that it is done", "backend_unfinished"),
    "no object": ([chunk(b"<html>\n"), END], "the backend sent what can't be relayed", "backend_broken"),
}


class Held:
    """Plays its steps for each request, when the test says so; a step that is an Event is waited for."""

    def __init__(self, *steps):
        self.go = threading.Event()
        self.steps = [self.go, *steps]

    def __call__(self, request):
        for step in self.steps:
            if isinstance(step, threading.Event):
                if not step.wait(30 * SLACK):
                    return  # the test has ended without it
            else:
                yield step


class PlayedBackend:
    """Plays a list of steps (bytes, RESET, CLOSE, HANG) for each request; play(request) chooses it. Models load at once, and are able to
    all that there is: the proxy's own requests for that are answered, and are in `loads` and `shows` alone."""

    def __init__(self, play):
        self.play = play
        self.loaded = LOADED      # what answers a load
        self.hangs_loading = False  # … and then nothing more comes
        self.shown = able("tools", "vision", "thinking")  # what answers POST /api/show: steps, or what gives them
        self.shows: list = []     # … who asked
        self.requests: list = []  # (head, body) of each
        self.loads: list = []     # … of those that only load a model
        self.cuts = 0             # connections that the other side left before the answer was over
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self._listener.getsockname()[1]
        self._open: list = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        """No more of it."""
        if self._listener.fileno() >= 0:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
        for sock in self._open:
            sock.close()

    def _accept(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open.append(sock)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        try:
            while self._answer(sock):
                pass
        except OSError:
            self.cuts += 1
        sock.close()

    @staticmethod
    def _read(sock):
        data = b""
        while b"\r\n\r\n" not in data:
            more = sock.recv(1 << 16)
            if not more:
                return None
            data += more
        text, body = data.split(b"\r\n\r\n", 1)
        length = re.search(rb"content-length: *(\d+)", text, re.I)
        while length and len(body) < int(length.group(1)):
            more = sock.recv(1 << 16)
            if not more:
                return None
            body += more
        return text, body

    def _answer(self, sock) -> bool:
        request = self._read(sock)
        if request is None:
            return False
        if is_load(b"\r\n\r\n".join(request)):
            self.loads.append(request)
            sock.sendall(self.loaded)
            if self.hangs_loading:
                sock.recv(1)
            return False
        is_show = request[0].startswith(b"POST /api/show ")
        (self.shows if is_show else self.requests).append(request)
        for step in (self.shown(request) if callable(self.shown) else self.shown) if is_show else self.play(request):
            if step is RESET:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return False
            if step is CLOSE:
                sock.shutdown(socket.SHUT_RDWR)
                return False
            if step is HANG:
                sock.recv(1)
                self.cuts += 1
                return False
            sock.sendall(step)
        return True
