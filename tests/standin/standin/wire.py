"""HTTP/1.1 by hand: faults need the bytes, and a client that leaves has to be noticed between two tokens."""
import base64
import hashlib
import json
import re
import select
import socket
import struct
import time
from email.utils import formatdate

from . import script

MAX_HEAD = 1 << 20
_GONE = select.POLLRDHUP | select.POLLHUP | select.POLLERR
REASONS = {200: "OK", 201: "Created", 204: "No Content", 400: "Bad Request", 403: "Forbidden", 404: "Not Found",
           405: "Method Not Allowed", 500: "Internal Server Error", 503: "Service Unavailable"}


class ClientGone(Exception):
    """The client closed its connection, or its sending side: Go's server takes both as the end."""


class Drop(Exception):
    """A scripted end: close the connection now (with a TCP reset where asked)."""

    def __init__(self, reset: bool = False):
        super().__init__()
        self.reset = reset


class BadRequest(Exception):
    """Bytes that are no HTTP request."""


def dumps(value) -> bytes:
    """JSON as Go writes it: compact, UTF-8, with <, > and & escaped."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text.encode("utf-8", "surrogatepass")


class Request:
    """One request, body included."""

    def __init__(self, method, target, version, headers, body):
        self.method = method
        self.target = target
        self.path = target.split("?", 1)[0]
        self.version = version
        self.headers = headers
        self.body = body
        self.id = 0

    def header(self, name: str, default: str = "") -> str:
        """The first header of that name."""
        return next((value for key, value in self.headers if key.lower() == name), default)

    @property
    def keep_alive(self) -> bool:
        """Whether the client wants to go on with this connection."""
        wish = self.header("connection").lower()
        return "close" not in wish if self.version == "HTTP/1.1" else "keep-alive" in wish

    def facts(self) -> dict:
        """What the journal tells of it."""
        return {"id": self.id, "method": self.method, "path": self.target, "headers": self.headers,
                "body_bytes": len(self.body), "body_sha256": hashlib.sha256(self.body).hexdigest(),
                "body": self.body[:script.read().get("journal_body_bytes", 2048)].decode("utf-8", "replace"), "images": self.images()}

    def images(self) -> list:
        """[bytes, sha256] of each image as Go's decoder would read it; [] where there is none."""
        try:
            value = json.loads(self.body) if b'"images"' in self.body else {}
            given = [image for holder in (value, *(value.get("messages") or [])) for image in holder.get("images") or []]
            decoded = [base64.b64decode(re.sub("[\r\n]", "", text), validate=True) for text in given]
        except (ValueError, TypeError, AttributeError):
            return []
        return [[len(image), hashlib.sha256(image).hexdigest()] for image in decoded]


class Connection:
    """A client's connection: reads requests, writes answers, knows when the other side has left."""

    def __init__(self, sock: socket.socket, number: int):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        self.number = number
        self.request = None
        self.status = 0
        self.chunked = False
        self.tokens = 0
        self.extra: list = []  # headers that whatever answer comes has to carry
        self._buffer = b""
        self._pending = b""
        self._poll = select.poll()
        self._poll.register(sock, _GONE)

    # reading

    def _more(self) -> None:
        data = self.sock.recv(1 << 16)
        if not data:
            raise ClientGone
        self._buffer += data

    def _line(self) -> bytes:
        while b"\n" not in self._buffer:
            if len(self._buffer) > MAX_HEAD:
                raise BadRequest("line too long")
            self._more()
        line, self._buffer = self._buffer.split(b"\n", 1)
        return line.rstrip(b"\r")

    def _exactly(self, count: int) -> bytes:
        parts, have = [self._buffer], len(self._buffer)
        while have < count:
            data = self.sock.recv(min(1 << 18, count - have))
            if not data:
                raise ClientGone
            parts.append(data)
            have += len(data)
        whole = b"".join(parts)
        self._buffer = whole[count:]
        return whole[:count]

    def read_request(self) -> Request:
        """The next request; ClientGone at the end of the connection."""
        line = self._line()
        while not line:
            line = self._line()
        words = line.decode("latin-1").split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            raise BadRequest("malformed HTTP request")
        headers = []
        while True:
            line = self._line()
            if not line:
                break
            name, colon, value = line.decode("latin-1").partition(":")
            if not colon or not name or name != name.strip():
                raise BadRequest("malformed MIME header line")
            headers.append([name, value.strip()])
        self.request = Request(words[0], words[1], words[2], headers, b"")
        self.status, self.chunked, self.tokens, self.extra, self._pending = 0, False, 0, [], b""
        self.request.body = self._body(self.request)
        return self.request

    def _body(self, request: Request) -> bytes:
        encoding, length = request.header("transfer-encoding").lower(), request.header("content-length")
        if encoding and (encoding != "chunked" or length):
            raise BadRequest("unsupported transfer encoding")
        if (encoding or length not in ("", "0")) and request.header("expect").lower() == "100-continue":
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if not encoding:
            if length and not length.isdigit():
                raise BadRequest("bad Content-Length")
            return self._exactly(int(length or 0))
        body = []
        while True:
            size = int(self._line().split(b";")[0], 16)
            if size == 0:
                break
            body.append(self._exactly(size))
            if self._line():
                raise BadRequest("malformed chunked encoding")
        while self._line():
            pass
        return b"".join(body)

    # waiting

    def wait(self, seconds: float) -> None:
        """Sleep, but raise ClientGone as soon as the client leaves."""
        deadline = time.monotonic() + seconds
        while True:
            left = deadline - time.monotonic()
            if self._poll.poll(max(0, min(left, 3600)) * 1000):
                raise ClientGone
            if left <= 0:
                return

    def wait_for(self, fd: int) -> None:
        """Until something can be read there, or its other end is gone; ClientGone as above. It takes no processor time."""
        poll = select.poll()
        poll.register(self.sock, _GONE)
        poll.register(fd, select.POLLIN)
        if all(ready != fd for ready, _ in poll.poll()):
            raise ClientGone

    # writing

    def write(self, data: bytes) -> None:
        """All of it, or ClientGone."""
        data, self._pending = self._pending + data, b""
        try:
            self.sock.sendall(data)
        except OSError as error:
            raise ClientGone from error

    def head(self, status: int, headers) -> bytes:
        """A status line and headers, with the date that Go adds."""
        self.status = status
        lines = [f"HTTP/1.1 {status} {REASONS[status]}"]
        lines += [f"{name}: {value}" for name, value in [*self.extra, *headers, ("Date", formatdate(usegmt=True))]]
        return "\r\n".join(lines).encode("latin-1")

    def answer(self, status: int, content_type: str, body: bytes = b"", extra=()) -> None:
        """A complete answer with a length."""
        headers = list(extra) + ([("Content-Type", content_type)] if content_type else [])
        head = self.head(status, headers)
        if status != 204:
            head += f"\r\nContent-Length: {len(body)}".encode()
        if not self.request.keep_alive:
            head += b"\r\nConnection: close"
        self.write(head + b"\r\n\r\n" + (b"" if self.request.method == "HEAD" else body))

    def json(self, status: int, value, extra=()) -> None:
        """A complete answer in JSON."""
        self.answer(status, "application/json; charset=utf-8", dumps(value), extra)

    def error(self, status: int, text: str) -> None:
        """Ollama's shape of an error."""
        self.json(status, {"error": text})

    def start_chunks(self, content_type: str, extra=()) -> None:
        """Begin an answer of unknown length; its head leaves with the first chunk, as from Go's server.

        An HTTP/1.0 client gets it undelimited.
        """
        self.chunked = self.request.version == "HTTP/1.1"
        framing = b"\r\nTransfer-Encoding: chunked" if self.chunked else b"\r\nConnection: close"
        self._pending = self.head(200, list(extra) + [("Content-Type", content_type)]) + framing + b"\r\n\r\n"

    def chunk(self, data: bytes) -> None:
        """One chunk, in one write."""
        self.write(b"%x\r\n%s\r\n" % (len(data), data) if self.chunked else data)

    def end_chunks(self) -> None:
        """The proper end."""
        if self.chunked:
            self.write(b"0\r\n\r\n")
        else:
            self.write(b"")
            raise Drop

    def close(self, reset: bool = False) -> None:
        """Close the socket; a reset tells the peer that it was no proper end."""
        try:
            if reset:
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()
