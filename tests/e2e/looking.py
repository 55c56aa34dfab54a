"""Looking on: server-sent events as they come, and requests that stay under way."""
import json

from waiting import until


class Events:
    """GET of a path that answers with server-sent events, on a connection of its own."""

    def __init__(self, sidecar, path="/sidecar/events", headers=(), timeout=30):
        self.connection = sidecar.connect(timeout=timeout)
        self.connection.send("GET", path, headers=[("Accept", "text/event-stream"), *headers])
        self.answer = self.connection.receive()
        self._pieces = self.answer.pieces()
        self._text = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def next(self):
        """(name, object) of the next event that is none of the pings; None at the end."""
        while True:
            while b"\n\n" not in self._text:
                piece = next(self._pieces, None)
                if piece is None:
                    return None
                self._text += piece[1]
            event, self._text = self._text.split(b"\n\n", 1)
            fields = dict(line.split(b": ", 1) for line in event.split(b"\n") if not line.startswith(b":"))
            if fields:
                return fields.get(b"event", b"message").decode(), json.loads(fields[b"data"])

    def until(self, condition):
        """The first event `status` that the condition holds for."""
        while True:
            event = self.next()
            assert event, "the events have ended"
            if event[0] == "status" and condition(event[1]):
                return event[1]


def live(sidecar, **fields):
    """The live requests with these members."""
    rows = sidecar.ask("GET", "/sidecar/requests").json["requests"]["live"]
    return [row for row in rows if all(row[name] == value for name, value in fields.items())]


def wait_live(sidecar, **fields):
    """Until there is one, and which."""
    return until(lambda: live(sidecar, **fields), 10, f"a live request with {fields}")[0]


def access_line(sidecar, path):
    """The line of the access log about this path, whose format is json."""
    def look():
        lines = [json.loads(line[line.index("{"):]) for line in sidecar.process.logged(r'"event":"access"')]
        return [line for line in lines if line["path"] == path]

    return until(look, 10, f"a line of the access log about {path}")[0]
