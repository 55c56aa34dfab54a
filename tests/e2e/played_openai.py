"""A backend that speaks OpenAI's API, as vLLM and llama-server do: models, chat, completions, embeddings, by http or https; it
keeps a journal of what it saw, and fails as a test wants."""
import base64
import json
import os
import ssl
import struct
import subprocess
import threading

from played_backend import END, PlayedBackend, chunk, head, single

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def event(value) -> bytes:
    """One event of a stream, in a chunk of its own."""
    return chunk(b"data: " + (value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()) + b"\n\n")


def part(is_chat: bool, text=None, reason=None, model="m", **delta):
    """One event's object."""
    said = {"delta": {**({} if text is None else {"content": text}), **delta}} if is_chat else {"text": text or ""}
    return {"id": "played-1", "object": "chat.completion.chunk" if is_chat else "text_completion", "created": 1700000000, "model": model,
            "choices": [{"index": 0, **said, "logprobs": None, "finish_reason": reason}]}


def error(status: str, message: str, kind="invalid_request_error", code=None, *lines) -> list:
    """The steps of an error in OpenAI's shape; lines: more of the head."""
    body = json.dumps({"error": {"message": message, "type": kind, "param": None, "code": code}}).encode()
    return [head("application/json", *lines, framing=f"Content-Length: {len(body)}", status=status), body]


class Request:
    """One request as it came."""

    def __init__(self, raw):
        lines = raw[0].decode("latin-1").split("\r\n")
        self.method, self.path, _ = lines[0].split(" ")
        self.headers = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines[1:])}
        self.body = raw[1]

    @property
    def json(self):
        """Its body."""
        return json.loads(self.body)


class PlayedOpenai(PlayedBackend):
    """Answers like a good backend; `answers[path]` has other steps for a path (bytes, CLOSE, RESET, HANG, an Event), or a function of the
    request that gives them. A request without the right key gets 401, where there is one."""

    def __init__(self, models=("m",), key=None, prefix="", context=None):
        self.models = list(models)
        self.key = key
        self.prefix = prefix
        self.answers: dict = {}
        self.tokens = ["to", "ken"]
        self.context = context
        self.handshakes = 0
        self.journal: list = []   # what was asked of it but for lists of models
        self.listed: list = []    # … and those
        super().__init__(self._play)

    @property
    def url(self) -> str:
        """Where it is, as [backend:NAME] url says it."""
        return f"{'https' if self.context else 'http'}://{'localhost' if self.context else '127.0.0.1'}:{self.port}{self.prefix}"

    def _serve(self, sock):
        if self.context:
            try:
                sock = self.context.wrap_socket(sock, server_side=True)
            except (OSError, ssl.SSLError):
                return
            self.handshakes += 1
            self._open.append(sock)
        super()._serve(sock)

    def _play(self, raw):
        request = Request(raw)
        (self.listed if request.method == "GET" else self.journal).append(request)
        if self.key is not None and request.headers.get("authorization") != f"Bearer {self.key}":
            return error("401 Unauthorized", "Incorrect API key provided", code="invalid_api_key")
        steps = self.answers.get(request.path) or self._good(request)
        steps = steps(request) if callable(steps) else steps
        return self._wait(steps)

    @staticmethod
    def _wait(steps):
        for step in steps:
            if isinstance(step, threading.Event):
                if not step.wait(30):
                    return
            else:
                yield step

    def _good(self, request) -> list:
        path = request.path[len(self.prefix):] if request.path.startswith(self.prefix) else ""
        if path == "/v1/models":
            return single({"object": "list", "data": [{"id": name, "object": "model", "created": 1700000000, "owned_by": "played"}
                                                      for name in self.models]})
        if path == "/v1/embeddings":
            texts = request.json["input"] if isinstance(request.json["input"], list) else [request.json["input"]]
            packed = base64.b64encode(struct.pack("<2f", 0.5, -0.25)).decode()
            vector = packed if request.json.get("encoding_format") == "base64" else [0.5, -0.25]
            return single({"object": "list", "model": request.json["model"], "usage": {"prompt_tokens": 3, "total_tokens": 3},
                           "data": [{"object": "embedding", "index": i, "embedding": vector} for i in range(len(texts))]})
        if path not in ("/v1/chat/completions", "/v1/completions"):
            return error("404 Not Found", f"no such path: {request.path}")
        return self.stream(request) if request.json.get("stream") else self.whole(request)

    def stream(self, request, end=True) -> list:
        """The steps of a stream."""
        is_chat, model = request.path.endswith("chat/completions"), request.json.get("model")
        steps = [head("text/event-stream")]
        if is_chat:
            steps.append(event(part(True, "", model=model, role="assistant")))
        steps += [event(part(is_chat, token, model=model)) for token in self.tokens]
        if not end:
            return [*steps, END]
        steps.append(event(part(is_chat, None, "stop", model=model)))
        if (request.json.get("stream_options") or {}).get("include_usage"):
            steps.append(event({**part(is_chat, model=model), "choices": [], "usage": USAGE}))
        return [*steps, event(b"[DONE]"), END]

    def whole(self, request) -> list:
        """The steps of a single object."""
        is_chat, text = request.path.endswith("chat/completions"), "".join(self.tokens)
        said = {"message": {"role": "assistant", "content": text}} if is_chat else {"text": text}
        return single({"id": "played-1", "object": "chat.completion" if is_chat else "text_completion", "created": 1700000000,
                       "model": request.json.get("model"), "choices": [{"index": 0, **said, "logprobs": None, "finish_reason": "stop"}],
                       "usage": USAGE})


def openssl(folder, *words, text=""):
    """Run openssl in a folder."""
    subprocess.run(["openssl", *words], cwd=folder, input=text, text=True, capture_output=True, check=True)


class Authority:
    """A certificate authority of the test alone."""

    def __init__(self, folder):
        self.folder = os.path.join(folder, "authority")
        os.makedirs(self.folder)
        self.path = os.path.join(self.folder, "ca.pem")
        openssl(self.folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key",
                "-out", "ca.pem", "-days", "2", "-subj", "/CN=test authority")

    def context(self, name="localhost", days=2, is_signed=True):
        """A server's context with a certificate for that name; days < 0: one that has expired."""
        base = f"{name}-{days}-{is_signed}".replace("*", "_")
        config = os.path.join(self.folder, f"{base}.cnf")
        with open(config, "w", encoding="utf-8") as file:
            file.write(f"subjectAltName=DNS:{name}\n")
        openssl(self.folder, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{base}.key",
                "-out", f"{base}.csr", "-subj", f"/CN={name}")
        signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"] if is_signed else ["-signkey", f"{base}.key"]
        openssl(self.folder, "x509", "-req", "-in", f"{base}.csr", *signed, "-out", f"{base}.pem", "-days", str(days), "-extfile", config)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(os.path.join(self.folder, f"{base}.pem"), os.path.join(self.folder, f"{base}.key"))
        return context
