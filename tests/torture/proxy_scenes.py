"""What is asked of a tortured proxy: scenes of requests, the backend before which they are played, and what an honest answer is."""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "e2e"))

from client import Connection  # noqa: E402  (the path has to be set first)
from played_backend import END, chunk, head, single  # noqa: E402
from uploads import form, form_headers, image, part  # noqa: E402

WORDS = ["uno ", "dos ", "tres"]
DONE = {"done": True, "done_reason": "stop", "prompt_eval_count": 3, "eval_count": 3}
TAGS = {"models": [{"name": "m:latest", "model": "m:latest", "digest": "0" * 64, "size": 1, "modified_at": "2026-01-01T00:00:00Z", "details": {}}]}
FIXED = {"/api/tags": TAGS, "/api/ps": {"models": []}, "/api/version": {"version": "0.9.5"},
         "/api/embed": {"model": "m", "embeddings": [[0.5, 0.25]], "prompt_eval_count": 1}}
HELLO = [{"role": "user", "content": "hello"}]
JSON = [("Content-Type", "application/json")]


def said(path: str, text: str, **more) -> dict:
    """An object of an answer."""
    words = {"message": {"role": "assistant", "content": text}} if path == "/api/chat" else {"response": text}
    return {"model": "m", **words, "done": False, **more}


def play(request) -> list:
    """An Ollama that has the model m."""
    text, body = request
    path = text.split(b" ")[1].decode()
    if path in FIXED:
        return single(FIXED[path])
    if json.loads(body or b"{}").get("stream", True) is False:
        return single(said(path, "".join(WORDS), **DONE))
    objects = [said(path, word) for word in WORDS] + [said(path, "", **DONE)]
    return [head(), *(chunk(json.dumps(value).encode() + b"\n") for value in objects), END]


# ---- scenes: (method, path, body, headers) in a row on one connection; LEAVES: the client is gone at the first piece of the answer ----

LEAVES = object()


def post(path: str, body, *more, headers=JSON):
    """A request with a body."""
    return ("POST", path, body, list(headers), *more)


def get(path: str):
    """One without."""
    return ("GET", path, None, [])


COMPLETION = {"model": "m", "messages": HELLO}
SCENES = {
    "ollama": ("", [get("/api/tags"), post("/api/generate", {"model": "m", "prompt": "x"}), post("/api/chat", {"model": "m", "messages": HELLO, "stream": False}),
                    post("/api/embed", {"model": "m", "input": "x"}), post("/api/chat", {"model": "m", "messages": HELLO}, LEAVES), get("/api/ps")]),
    "openai": ("", [get("/v1/models"), post("/v1/chat/completions", {**COMPLETION, "stream": True}), post("/v1/chat/completions", COMPLETION),
                    post("/v1/completions", {"model": "m", "prompt": "x", "stream": True}), post("/v1/embeddings", {"model": "m", "input": "x"}),
                    post("/v1/chat/completions", {**COMPLETION, "stream": True}, LEAVES)]),
    "form": ("", [post("/generate", form(part("prompt", "x"), part("model", "m"), part("image", image(3000), "a.png")), headers=form_headers()),
                  post("/generate", {"model": "m", "prompt": "x"})]),
    "seen": ("", [get("/health"), get("/metrics"), get("/status"), get("/sidecar/status"), get("/sidecar/requests"), get("/sidecar/models"), get("/sidecar/settings"),
                  get("/ui"), get("/"), get("/nowhere")]),
    "keys": ("[key:one]\nsecret = sesame-one-0123456789\nrights = inference, observe\nrequests_per_minute = 1000\n",
             [("GET", "/api/tags", None, [("Authorization", "Bearer sesame-one-0123456789")]), ("GET", "/api/tags", None, [("Authorization", "Bearer wrong")]),
              post("/api/generate", {"model": "m", "prompt": "x", "stream": False}, headers=[*JSON, ("Authorization", "Bearer sesame-one-0123456789")])]),
    "fleet": ("[backend:one]\nurl = @BACKEND\napi = ollama\n[backend:two]\nurl = @SECOND\napi = ollama\n[balancer]\nslow_start = 0\nrise = 1\n",
              [post("/api/generate", {"model": "m", "prompt": "x"}), post("/v1/chat/completions", COMPLETION), get("/status"),
               post("/ollama/generate", {"model": "m", "prompt": "x"})]),
    "optimizer": ("[optimizer]\nenabled = yes\ncache = memory\n", [post("/v1/chat/completions", {**COMPLETION, "model": "auto"}),
                                                                   post("/v1/chat/completions", {**COMPLETION, "model": "auto", "stream": True})]),
}


# ---- answers ----

def is_told(answer) -> bool:
    """An error in words, or a page of the health kind: an object, or text for a browser."""
    try:
        return isinstance(answer.json, dict)
    except ValueError:
        return bool(answer.body.strip()) and answer.header("Content-Type", "").startswith("text/")


def words_of(answer) -> str:
    """What is to be the same with and without a fault: what the model said, else that there is anything at all."""
    found = "".join(word for word in WORDS if word.strip() in answer.body.decode("utf-8", "replace"))
    return found or ("something" if answer.body.strip() else "")


def play_request(port: int, request, timeout_s: float):
    """(status, words), or what is wrong with its end."""
    method, path, body, headers = request[:4]
    try:
        with Connection(port, timeout=timeout_s) as connection:
            answer = connection.request(method, path, body, headers)
            if LEAVES in request:
                next(answer.pieces(), None)
                return "left", ""
            text = words_of(answer)
    except TimeoutError:
        return "hangs", ""
    except (EOFError, ConnectionError):
        return "broken off", ""  # which is no clean end: nobody takes it for an answer
    if not answer.clean:
        return "broken off", ""
    if answer.status >= 400 and not is_told(answer):
        return "silent", f"{answer.status} without a word"
    return answer.status, text
