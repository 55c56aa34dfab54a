"""A sidecar that is played in part: what /sidecar/ tells is a test's to say, all else is a real one's that stands behind it."""
import copy
import http.client
import http.server
import json
import queue
import threading
import urllib.parse

from waiting import until

PART = 1 << 16
HOPS = {"connection", "keep-alive", "transfer-encoding"}


class Server(http.server.ThreadingHTTPServer):
    """Takes all connections that a browser opens at once."""
    daemon_threads = True
    request_queue_size = 64


class Front:
    """Listens on a port of its own, before a proxy on another."""

    def __init__(self, status: dict, behind: int):
        self.status = status        # None: nothing is played
        self.behind = behind
        self.answers: dict = {}     # (method, path) -> object, (status, object), or a function of the handler
        self.journal: list = []     # [(method, path, object or None, headers)]
        self.listeners: list = []   # a queue for each
        self.keys: dict = {}        # key -> rights; {}: none is asked for
        self.real: set = set()      # paths below /sidecar/ that are the real one's, too
        self.is_full = False        # no place to listen is left
        self.added: dict = {}       # lines for the head of whatever is passed on
        self.log: list = []         # what /sidecar/logs tells first
        self._server = Server(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/ui"

    def close(self):
        """Nobody listens any more."""
        self.drop()
        self._server.shutdown()
        self._server.server_close()

    def drop(self):
        """All that listen are left alone."""
        for each in list(self.listeners):
            each.put(None)

    def change(self, **members):
        """Of the status; all that listen are told."""
        self.status.update(members)
        for each in list(self.listeners):
            each.put(copy.deepcopy({key: value for key, value in self.status.items() if key != "rights"}))

    def asked(self, method: str, path: str) -> list:
        """The bodies of such requests."""
        return [body for m, p, body, _ in self.journal if (m, p.split("?")[0]) == (method, path)]

    def wait_asked(self, method: str, path: str, count: int = 1) -> list:
        """The same, once there are so many."""
        return until(lambda: len(self.asked(method, path)) >= count and self.asked(method, path), 15, f"{count} of {method} {path}", lambda: repr(self.journal))

    def wait_listeners(self, count: int = 1):
        """Until so many listen."""
        until(lambda: len(self.listeners) >= count, 15, f"{count} to listen", lambda: repr((len(self.listeners), self.journal)))

    def _handler(self):
        front = self

        class Handler(http.server.BaseHTTPRequestHandler):
            """One request a connection."""

            def do_GET(self):  # pylint: disable=invalid-name
                """Whatever the method; as a reverse proxy has it that gives the sidecar a path, too."""
                self.path = self.path.removeprefix("/ai")
                length = int(self.headers["Content-Length"] or 0)
                body = self.rfile.read(length)
                try:
                    value = json.loads(body) if body else None
                except ValueError:
                    value = None
                front.journal.append((self.command, self.path, value, dict(self.headers)))
                path = urllib.parse.unquote(self.path.split("?")[0])
                if (self.command, path) in front.answers:
                    return self._say(front.answers[self.command, path])
                if not front.status or not path.startswith("/sidecar/") or path in front.real:
                    return self._pass_on(body)
                rights = self._rights()
                if rights is None:
                    return self.answer(401, {"error": "the key is none of those that are known here ([key:NAME] in supervisor.ini)"})
                if path == "/sidecar/events":
                    return self._tell_events(rights)
                if path == "/sidecar/logs":
                    return self.lines(front.log)
                told = {"/sidecar/status": {**front.status, "rights": rights}, "/sidecar/settings": {"settings": []}}.get(path)
                return self.answer(200 if told else 404, told or {"error": f"there is no path {path} here"})

            do_POST = do_DELETE = do_GET

            def _rights(self):
                if not front.keys:
                    return front.status["rights"]
                return front.keys.get((self.headers["Authorization"] or "").removeprefix("Bearer "))

            def _say(self, answer):
                if callable(answer):
                    return answer(self)
                return self.answer(*(answer if isinstance(answer, tuple) else (200, answer)))

            def answer(self, status, value):
                """One object."""
                data = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def lines(self, values):
                """Objects, a line each; the end is that of the connection."""
                self.send_response(200)
                self.send_header("Content-Type", "application/x-ndjson")
                self.end_headers()
                for value in values:
                    self.wfile.write(json.dumps(value).encode() + b"\n")
                    self.wfile.flush()

            def _tell_events(self, rights):
                if front.is_full:
                    return self.answer(503, {"error": "16 listen already"})
                mine = queue.Queue()
                front.listeners.append(mine)
                try:
                    self.send_response(200)
                    self.send_header("Content-Type", "text/event-stream")
                    self.end_headers()
                    self.wfile.write(b"event: hello\ndata: " + json.dumps({"rights": rights}).encode() + b"\n\n: ping\n\n")
                    while (status := mine.get()) is not None:
                        self.wfile.write(b"event: status\ndata: " + json.dumps(status).encode() + b"\n\n")
                        self.wfile.flush()
                except OSError:
                    pass
                finally:
                    front.listeners.remove(mine)

            def _pass_on(self, body):
                behind = http.client.HTTPConnection("127.0.0.1", front.behind)
                headers = {name: value for name, value in self.headers.items() if name.lower() not in HOPS and name.lower() != "origin"}
                headers.update(front.added)
                behind.request(self.command, self.path, body or None, headers)
                answer = behind.getresponse()
                try:
                    self.send_response(answer.status)
                    for name, value in answer.getheaders():
                        if name.lower() not in HOPS:
                            self.send_header(name, value)
                    self.end_headers()
                    while data := answer.read1(PART):
                        self.wfile.write(data)
                        self.wfile.flush()
                except OSError:
                    pass
                finally:
                    behind.close()

            def log_message(self, *_args):
                """Nothing."""

        return Handler
