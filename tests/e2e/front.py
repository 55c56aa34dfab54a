"""The proxy alone before a backend of bytes, and requests as bytes."""
import json
import re
import socket
import time

from http_cases import request
from raw_backend import RawBackend, fields
from waiting import SLACK, until


class Front:
    """The proxy alone, before a backend of bytes."""

    def __init__(self, sidecar, **keys):
        self.sidecar = sidecar
        self.port = sidecar.port
        self.backend = RawBackend(sidecar.backend.port)
        sidecar.configure("proxy", backend=f"http://127.0.0.1:{sidecar.backend.port}", **keys)
        sidecar.start("ollama-proxy")
        until(lambda: self.exchange(request(first=b"GET /live HTTP/1.0"))[:12] == b"HTTP/1.1 200", 10, "the proxy",
              sidecar.process.tail)

    def open(self) -> socket.socket:
        """A connection."""
        return connect(self.port)

    def exchange(self, *pieces: bytes, pause: float = 0) -> bytes:
        """As the function below."""
        return exchange(self.port, *pieces, pause=pause)

    def untouched(self) -> bool:
        """Whether nothing has come to the backend."""
        return not self.backend.connections


def connect(port: int) -> socket.socket:
    """A connection; where nobody listens yet, a socket that fails."""
    try:
        sock = socket.create_connection(("127.0.0.1", port), 10 * SLACK)
    except ConnectionError:
        return socket.socket()
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def exchange(port: int, *pieces: bytes, pause: float = 0) -> bytes:
    """What comes back, to the end of the connection, of these pieces sent one by one."""
    with connect(port) as sock:
        try:
            for piece in pieces:
                sock.sendall(piece)
                if pause:
                    time.sleep(pause)
        except OSError:
            pass  # it was refused before its end
        return read_all(sock)


def read_all(sock) -> bytes:
    """To the end of the connection."""
    data = b""
    try:
        while True:
            more = sock.recv(1 << 16)
            if not more:
                return data
            data += more
    except OSError:
        return data


def status_of(answer: bytes) -> int:
    """Of the first answer; 0 where there is none."""
    match = re.match(rb"HTTP/1\.1 (\d{3}) [A-Z][^\r\n]*\r\n", answer)
    return int(match.group(1)) if match else 0


def body_of(answer: bytes) -> bytes:
    """What stands behind the head, of a request too."""
    return answer.partition(b"\r\n\r\n")[2]


def is_whole_refusal(answer: bytes, status: int) -> bool:
    """The status; an error in words; the connection's end announced; nothing behind it."""
    head = dict(fields(answer))
    if status_of(answer) != status or head.get("connection") != "close":
        return False
    body = body_of(answer)
    return len(body) == int(head.get("content-length", -1)) and bool(json.loads(body)["error"])
