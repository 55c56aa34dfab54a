"""A browser without a screen, whose page asks (ask_browser.mjs) and is told what to ask by a server of its own."""
import http.server
import json
import os
import queue
import shutil
import signal
import subprocess
import threading

from waiting import SLACK, until

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAMS = ("chromium-headless-shell", "chromium", "google-chrome")
START_S = 20
FOREIGN = "foreign.example"  # a name of this machine's, for the browser alone
# It is to look up and fetch nothing but the page and what that asks for.
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-extensions",
         "--disable-background-networking", "--disable-component-update", "--disable-sync", "--metrics-recording-only",
         f"--host-resolver-rules=MAP {FOREIGN} 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost", "--remote-debugging-port=0")


def find_browser() -> str:
    """The path of a browser, or an empty text."""
    return next(filter(None, map(shutil.which, PROGRAMS)), "")


class BrowserAsker:
    """One page that asks, of an origin with this host; the interface of asking.Asker."""

    def __init__(self, program: str, folder: str, script: str = "ask_browser.mjs", host: str = "127.0.0.1"):
        self._script = script
        self._questions: queue.Queue = queue.Queue()
        self._saw: dict = {}
        self._n = 0
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.origin = f"http://{host}:{self._server.server_port}"
        with open(os.path.join(folder, "browser.log"), "wb") as log:
            self._popen = subprocess.Popen([program, *FLAGS, f"--user-data-dir={folder}", self.origin + "/"], stdin=subprocess.DEVNULL,
                                           stdout=log, stderr=log, env={**os.environ, "HOME": folder}, start_new_session=True)
        self.versions = self.saw("versions", START_S)

    def _handler(self):
        questions, saw, script = self._questions, self._saw, self._script

        class Handler(http.server.BaseHTTPRequestHandler):
            """The page, its script, its next question, its answers."""

            def do_GET(self):  # pylint: disable=invalid-name
                """A question is waited for."""
                if self.path == "/question":
                    return self._send("application/json", json.dumps(questions.get()).encode())
                if self.path == "/":
                    return self._send("text/html", b"<!doctype html><script type=module src=/script.mjs></script>")
                with open(os.path.join(HERE, script), "rb") as file:
                    return self._send("text/javascript", file.read())

            def do_POST(self):  # pylint: disable=invalid-name
                """What it saw."""
                value = json.loads(self.rfile.read(int(self.headers["content-length"])))
                saw[value.get("id", "versions")] = value.get("versions", value)
                self._send("text/plain", b"")

            def _send(self, kind, body):
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_args):
                """Nothing."""

        return Handler

    def ask(self, **question) -> int:
        """Ask; the number by which the answer is had."""
        self._n += 1
        self._questions.put({"id": self._n, **question})
        return self._n

    def saw(self, number, timeout: float) -> dict:
        """What became of that question."""
        return until(lambda: self._saw.get(number), timeout, f"the browser's answer to question {number}")

    def close(self):
        """No more questions."""
        os.killpg(self._popen.pid, signal.SIGTERM)  # the program may be a script around the browser
        self._popen.wait(START_S * SLACK)
        self._server.shutdown()
        self._server.server_close()
