"""Redis' protocol (RESP2), as much of it as the tests speak. https://redis.io/docs/latest/develop/reference/protocol-spec/"""
import socket


class RedisError(Exception):
    """A reply that begins with a minus."""


class Connection:
    """One connection: `ask("SET", "a", 1)` returns the reply, bytes as text; RedisError for an error."""

    def __init__(self, port: int, timeout: float = 10):
        self._socket = socket.create_connection(("127.0.0.1", port), timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._stream = self._socket.makefile("rb")

    def close(self):
        """It is not used any more."""
        self._stream.close()
        self._socket.close()

    def send(self, *words):
        """One command, whose reply is read later."""
        parts = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        self._socket.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))

    def read(self):
        """The next reply, or message."""
        line = self._stream.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("Redis has closed the connection")
        kind, rest = line[:1], line[1:-2].decode()
        if kind == b"+":
            return rest
        if kind == b"-":
            raise RedisError(rest)
        if kind == b":":
            return int(rest)
        if kind == b"$":
            if rest == "-1":
                return None
            data = self._stream.read(int(rest) + 2)
            if len(data) != int(rest) + 2:
                raise ConnectionError("Redis has closed the connection")
            return data[:-2].decode()
        assert kind == b"*", line
        return None if rest == "-1" else [self.read() for _ in range(int(rest))]

    def ask(self, *words):
        """A command and its reply."""
        self.send(*words)
        return self.read()
