"""A backend that is a script of bytes: it keeps all that it was sent, and answers exactly what the test says."""
import socket
import threading
import time

OK = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{"ok":true}'
LOADED = (b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: 29\r\n\r\n'
          b'{"model":"m","embeddings":[]}')
PIECE_S = 0.002  # between two pieces: no event, but what keeps them in packets of their own


def is_load(request: bytes) -> bool:
    """Whether the proxy asks by itself that a model be loaded."""
    return request.startswith(b"POST /api/embed HTTP/1.1\r\n") and b'"input":[]' in request


class RawBackend:
    """Listens at once. Models load at once: the proxy's own requests for that are answered, and are in `loads` alone. `answer` is what each request gets: bytes, a list of pieces, or a function of (request, its place on
    its connection) that gives either; None closes the connection. With `closes` each answer ends the connection."""

    def __init__(self, port: int):
        self.answer = OK
        self.closes = False
        self.requests: list = []     # each whole, as bytes
        self.loads: list = []        # … those that only load a model
        self.connections: list = []  # for each all that came
        self._listener = socket.create_server(("127.0.0.1", port), backlog=256)
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def forget(self) -> None:
        """As if nothing had come."""
        with self._lock:
            self.requests.clear()
            self.connections.clear()

    def close(self) -> None:
        """No more connections."""
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _note(self, records: list, record) -> None:
        with self._lock:
            records.append(record)

    def _forget(self, record) -> None:
        with self._lock:
            self.connections[:] = [other for other in self.connections if other is not record]

    def _serve(self, sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        record, at, place = bytearray(), 0, 0
        try:
            while True:
                end = whole(record, at)
                while end is None:
                    data = sock.recv(1 << 16)
                    if not data:
                        return
                    if not record:
                        self._note(self.connections, record)
                    record += data
                    end = whole(record, at)
                request, at = bytes(record[at:end]), end
                if is_load(request):
                    self._note(self.loads, request)
                    self._forget(record)
                    sock.sendall(LOADED)
                    return
                self._note(self.requests, request)
                answer = self.answer(request, place) if callable(self.answer) else self.answer
                place += 1
                if answer is None:
                    return
                for piece in [answer] if isinstance(answer, bytes) else answer:
                    sock.sendall(piece)
                    if piece is not answer:
                        time.sleep(PIECE_S)
                if self.closes:
                    return
        except OSError:
            pass
        finally:
            sock.close()


def whole(record, at: int):
    """The end of the request that begins at `at`; None while it has not come."""
    head_end = record.find(b"\r\n\r\n", at)
    if head_end < 0:
        return None
    head = bytes(record[at:head_end + 2]).lower()
    body = head_end + 4
    if b"\r\ntransfer-encoding: chunked\r\n" in head:
        while True:
            line_end = record.find(b"\r\n", body)
            if line_end < 0:
                return None
            size = int(record[body:line_end], 16)
            if size == 0:  # trailers, if any, end with an empty line
                end = record.find(b"\r\n\r\n", line_end)
                return end + 4 if end >= 0 else None
            body = line_end + 2 + size + 2
            if len(record) < body:
                return None
    _, found, rest = head.partition(b"\r\ncontent-length: ")
    if found:
        body += int(rest.split(b"\r\n", 1)[0])
    return body if len(record) >= body else None


def fields(request: bytes) -> list:
    """[(name in small letters, value)] of a request's or answer's head."""
    lines = request.split(b"\r\n\r\n", 1)[0].split(b"\r\n")[1:]
    return [(name.strip().lower().decode(), value.strip().decode("latin-1")) for name, _,
        value in (line.partition(b":") for line in lines)]
