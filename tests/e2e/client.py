"""An HTTP client that hides nothing: when each piece came, how the answer was framed, whether it ended properly."""
import json
import socket
import threading
import time

from waiting import SLACK


class Answer:
    """An answer whose head has been read; the body is read on demand, with the time of each piece."""

    def __init__(self, connection, status: int, headers: list):
        self.connection = connection
        self.status = status
        self.headers = headers
        self.clean = None  # after reading: True if it ended as its framing demands
        self._body = None

    def header(self, name: str, default=None):
        """The first header of that name."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), default)

    def pieces(self):
        """Yield (time, bytes) for each chunk, or for each read where the answer is not chunked."""
        self.clean = False
        source = self.connection
        try:
            if self.header("transfer-encoding", "").lower() == "chunked":
                while True:
                    size = int(source.line().split(b";")[0], 16)
                    data = source.exactly(size + 2)[:-2]
                    if size == 0:
                        break
                    yield time.monotonic(), data
            elif self.header("content-length") is not None:
                left = int(self.header("content-length"))
                while left:
                    data = source.some(left)
                    left -= len(data)
                    yield time.monotonic(), data
            elif self.status not in (204, 304):
                while True:
                    try:
                        data = source.some(1 << 16)
                    except EOFError:
                        break
                    yield time.monotonic(), data
            self.clean = True
        except (EOFError, ConnectionError, ValueError):
            return

    def lines(self):
        """Yield (time, line) as lines are completed."""
        rest = b""
        for when, data in self.pieces():
            rest += data
            while b"\n" in rest:
                line, rest = rest.split(b"\n", 1)
                yield when, line
        if rest:
            yield time.monotonic(), rest

    def objects(self):
        """Yield (time, object) for NDJSON; blanks between lines, as heartbeats send them, are skipped."""
        for when, line in self.lines():
            if line.strip():
                yield when, json.loads(line)

    @property
    def body(self) -> bytes:
        """The whole body."""
        if self._body is None:
            self._body = b"".join(data for _, data in self.pieces())
        return self._body

    @property
    def json(self):
        """The body as JSON."""
        return json.loads(self.body)


class Connection:
    """One TCP connection, used for any number of requests in a row."""

    def __init__(self, port: int, host: str = "127.0.0.1", timeout: float = 10):
        self.sock = socket.create_connection((host, port), timeout * SLACK)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.host = f"{host}:{port}"
        self._buffer = b""
        self._method = ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Leave; TCP says so to the other side at once."""
        self.sock.close()

    def _fill(self):
        data = self.sock.recv(1 << 16)
        if not data:
            raise EOFError("connection closed by the server")
        self._buffer += data

    def line(self) -> bytes:
        """The next line without its end."""
        while b"\r\n" not in self._buffer:
            self._fill()
        line, self._buffer = self._buffer.split(b"\r\n", 1)
        return line

    def exactly(self, count: int) -> bytes:
        """So many bytes."""
        while len(self._buffer) < count:
            self._fill()
        data, self._buffer = self._buffer[:count], self._buffer[count:]
        return data

    def some(self, limit: int) -> bytes:
        """What is there, at least one byte."""
        if not self._buffer:
            self._fill()
        data, self._buffer = self._buffer[:limit], self._buffer[limit:]
        return data

    def send(self, method: str, path: str, body=None, headers=()):
        """Send a request: body is bytes, or becomes JSON."""
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1"]
        given = [name.lower() for name, _ in headers]
        if "host" not in given:
            lines.append(f"Host: {self.host}")
        lines += [f"{name}: {value}" for name, value in headers]
        if body is not None and "content-length" not in given and "transfer-encoding" not in given:
            lines.append(f"Content-Length: {len(body)}")
        self._method = method
        self.sock.sendall("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (body or b""))

    def receive(self) -> Answer:
        """The head of the next answer (interim ones are skipped)."""
        status = 100
        while status < 200:
            status = int(self.line().split(b" ")[1])
            headers = []
            while True:
                line = self.line().decode("latin-1")
                if not line:
                    break
                name, _, value = line.partition(":")
                headers.append((name, value.strip()))
        answer = Answer(self, status, headers)
        if self._method == "HEAD":
            answer._body, answer.clean = b"", True
        return answer

    def request(self, method: str, path: str, body=None, headers=()) -> Answer:
        """send and receive."""
        self.send(method, path, body, headers)
        return self.receive()


def ask(port: int, method: str, path: str, body=None, headers=(), timeout: float = 10) -> Answer:
    """One request on a connection of its own, read to its end."""
    with Connection(port, timeout=timeout) as connection:
        answer = connection.request(method, path, body, headers)
        answer.body  # pylint: disable=pointless-statement
        return answer


class Background(threading.Thread):
    """A call in a thread of its own; result() hands over what it returned or raised."""

    def __init__(self, function, *args, **kwargs):
        super().__init__(daemon=True)
        self._call = lambda: function(*args, **kwargs)
        self._value = self._error = None
        self.finished = None
        self.start()

    def run(self):
        try:
            self._value = self._call()
        except BaseException as error:  # handed to whoever asks for the result
            self._error = error
        self.finished = time.monotonic()

    def result(self, timeout: float = 10):
        """Wait for the end."""
        self.join(timeout * SLACK)
        assert not self.is_alive(), f"a background call did not end in {timeout * SLACK:g} s"
        if self._error:
            raise self._error
        return self._value
