"""The allow-list of paths beside the real Ollama: what it has answers the same through the proxy, and a profiler is
never reached."""
import pytest

import http_cases
from client import ask
from front import exchange
from raw_backend import fields
from said import said

pytestmark = pytest.mark.limit(60)

# What Ollama 0.9.5 serves; bodies that it refuses, or that change nothing.
PATHS = [("GET", "/"), ("HEAD", "/"), ("GET", "/api/version"), ("HEAD", "/api/version"), ("GET", "/api/tags"),
         ("HEAD", "/api/tags"), ("GET", "/api/ps"), ("GET", "/v1/models"), ("GET", "/v1/models/tiny"),
         ("HEAD", "/api/blobs/sha256:" + "0" * 64), ("POST", "/api/blobs/x"), ("POST", "/api/show"),
         ("POST", "/api/generate"), ("POST", "/api/chat"), ("POST", "/api/embed"), ("POST", "/api/embeddings"),
         ("POST", "/api/pull"), ("POST", "/api/push"), ("POST", "/api/create"), ("POST", "/api/copy"),
         ("DELETE", "/api/delete")]
TRANSLATED = [("POST", "/v1/chat/completions"), ("POST", "/v1/completions"), ("POST", "/v1/embeddings"), ("GET", "/v1/models/nosuch")]
OURS = [("GET", "/v1/models/a/b"), ("GET", "/v1/models/a%2fb")]  # a name may have a slash: 0.9.5 knows no such path
NEWER = [("GET", "/api/status"), ("POST", "/api/me"), ("POST", "/api/signout"), ("DELETE", "/api/user/keys/x"),
         ("POST", "/api/experimental/web_search"), ("POST", "/api/experimental/web_fetch"),
         ("GET", "/api/experimental/model-recommendations"), ("POST", "/v1/responses"), ("POST", "/v1/messages"),
         ("POST", "/v1/audio/transcriptions"), ("POST", "/v1/images/generations"), ("POST", "/v1/images/edits")]


def backend_port(sidecar) -> int:
    return int(sidecar.env["OLLAMA_HOST"].rsplit(":", 1)[1])


def test_what_ollama_has_answers_the_same(sidecar):
    sidecar.start()
    sidecar.wait_ready()
    for method, path in PATHS:
        body = b"" if method in ("GET", "HEAD") else b"{"
        direct, through = (ask(port, method, path, body or None) for port in (backend_port(sidecar), sidecar.port))
        assert said(through) == said(direct), (method, path)
    for method, path in TRANSLATED:  # we say ourselves what is wrong, with the same status and in the same shape
        direct, through = (ask(port, method, path, b"{" if method == "POST" else None) for port in (backend_port(sidecar), sidecar.port))
        assert (through.status, set(through.json["error"])) == (direct.status, set(direct.json["error"])), path
    for method, path in OURS:
        through = sidecar.ask(method, path)
        assert through.status == 404 and through.json["error"]["code"] == "model_not_found", path
    for method, path in NEWER:  # 0.9.5 has none of them, and says so itself
        through = sidecar.ask(method, path, None if method == "GET" else b"{")
        assert through.status != 405 and b"there is no path" not in through.body, (method, path)


def test_lists_of_models_that_were_made_in_one_second_are_the_same(sidecar):
    """Their order is another each time that Ollama is asked; nothing else is."""
    copies = [f"copy{number}" for number in range(5)]
    sidecar.start()
    sidecar.wait_ready()
    for name in copies:
        assert sidecar.ask("POST", "/api/copy", {"source": "tiny", "destination": name}).status == 200
    for _ in range(10):
        for path in ("/api/tags", "/v1/models"):
            direct, through = (ask(port, "GET", path) for port in (backend_port(sidecar), sidecar.port))
            assert said(through) == said(direct), path
    for name in copies:
        assert sidecar.ask("DELETE", "/api/delete", {"model": name}).status == 200


def test_no_spelling_reaches_a_profiler(sidecar):
    sidecar.start()
    sidecar.wait_ready()
    for what, sent, status in http_cases.paths():
        if "debug" in what:
            answer = exchange(sidecar.port, sent.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            assert answer.startswith(b"HTTP/1.1 %d " % status) and dict(fields(answer))["content-type"] == "application/json", what
