"""A small chat: GET / is a page, POST /chat streams the answer as text. Ollama is asked by its official client.

It pulls nothing and waits for nothing: the sidecar's port is open from its start, and holds a request until its model is there.
"""
import signal
import sys

# First of all, as the rest takes a moment: PID 1 of a container is not ended by a signal that it has no handler for.
signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))

# pylint: disable=wrong-import-position
import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import ollama

MODEL = os.environ.get("APP_MODEL") or "llama3.2:1b"
OLLAMA_URL = os.environ.get("OLLAMA_URL") or "http://localhost:11434"
PORT = 8080
MAX_BODY_BYTES = 1 << 20
ROLES = ("system", "user", "assistant")
PAGE = Path(__file__).with_name("page.html").read_bytes()

client = ollama.Client(host=OLLAMA_URL)  # without a time limit: a first load may take minutes


class BadRequest(Exception):
    """What is wrong with a request, in words for who sent it."""


def checked(message: dict) -> dict:
    """Role and content, and nothing else: what stands in "images" the client would read as a path of ours, and send the file."""
    role, content = message["role"], message["content"]
    if role not in ROLES or not isinstance(content, str):
        raise ValueError
    content.encode()  # half a character is none
    return {"role": role, "content": content}


class Handler(BaseHTTPRequestHandler):
    """One connection; the server gives each its own thread."""

    protocol_version = "HTTP/1.1"
    timeout = 5  # of a client that sends nothing, or takes nothing; Ollama may take as long as it likes

    def do_GET(self):
        """The page."""
        if self.path == "/":
            self.answer(200, PAGE, "text/html; charset=utf-8")
        else:
            self.answer(404, b"there are / and POST /chat\n")

    def do_POST(self):
        """A chat: {"messages": [{"role": "user", "content": "Hello"}]} in, the model's words out as they come."""
        if self.path != "/chat":
            self.close_connection = True  # its body is unread
            self.answer(404, b"there are / and POST /chat\n")
            return
        try:
            messages = self.read_messages()
        except BadRequest as why:
            self.close_connection = True
            self.answer(400, f"{why}\n".encode())
            return
        words = (part.message.content or "" for part in client.chat(model=MODEL, messages=messages, stream=True))
        try:
            first = next(words, "")
        except ollama.ResponseError as error:
            self.answer(502, f"Ollama says: {error.error}\n".encode())
        except (ConnectionError, httpx.HTTPError, ValueError) as error:  # ValueError: what came is no answer of Ollama's
            self.answer(502, f"Ollama at {OLLAMA_URL} can't be asked: {error}\n".encode())
        else:
            self.stream(first, words)

    def read_messages(self) -> list:
        """The messages of the request's body."""
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > MAX_BODY_BYTES:
            raise BadRequest(f"Content-Length must be there, and {MAX_BODY_BYTES} at most")
        try:
            messages = json.loads(self.rfile.read(int(length)))["messages"]
            return [checked(message) for message in messages]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise BadRequest('the body must be {"messages": [{"role": "user", "content": "…"}]}') from None

    def stream(self, first: str, words) -> None:
        """Sends each piece as a chunk as soon as it is there. An answer that breaks is left without its last chunk."""
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            self.send_chunk(first)
            for piece in words:
                self.send_chunk(piece)
            self.wfile.write(b"0\r\n\r\n")
        except (ollama.ResponseError, OSError, httpx.HTTPError, ValueError) as error:
            self.log_error("the answer broke: %s", error)
            self.close_connection = True

    def send_chunk(self, text: str) -> None:
        """One chunk; an empty one would be the end."""
        data = text.encode(errors="replace")
        if data:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def answer(self, status: int, body: bytes, kind: str = "text/plain; charset=utf-8") -> None:
        """A whole answer."""
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    """Serves until SIGTERM, and then ends the answers that are under way."""
    print(f"listening on port {PORT}, asking {MODEL} at {OLLAMA_URL}")
    with ThreadingHTTPServer(("", PORT), Handler) as server:
        server.daemon_threads = False  # they are waited for
        server.serve_forever()


if __name__ == "__main__":
    main()
