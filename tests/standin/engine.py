#!/usr/bin/env python3
"""A stand-in for an engine (vLLM, `transformers serve`, llama-server): one model of a snapshot, OpenAI's API on a port, no arithmetic.

    engine.py --engine NAME --model-path PATH --served ORG/NAME --port N --script FILE --journal FILE [more]

What more it is given is in its journal, and changes nothing. PATH is a snapshot's folder, or a GGUF file. As the real ones do it ends at once
with words where PATH is no model, answers 404 for another model, and 400 where it is to chat with a model that has no chat template.

The script is a JSON object, read again at each use; what is under "engines": {"NAME": {…}} and then "models": {"ORG/NAME": {…}} wins.

    key                   meaning
    start_delay_s         nothing listens for so long, as vLLM does while it loads
    load_s                it listens, and for so long answers 503 with llama-server's words
    exit_while_loading    {"code": C | "signal": "KILL", "times": N (for ever), "says": [lines]}: it ends so after start_delay_s and load_s
    refuses_flag          {"flag": F, "says": [lines]}: it ends so, with 1, where F is among its words: a quantisation that it can't do
    manners               "vllm" (0.33; by default), "transformers" (5.23: it refuses fields that OpenAI does not have, its errors are under
                          "detail", its streams have no [DONE], and counts in their last choice)
    no_health             there is no /health, only /v1/models
    health_status         what /health answers once the model is loaded
    tokens                how many an answer has (3), or a list of them
    token_delay_ms        between tokens (5)
    first_token_delay_ms  before the first (0)
    cors                  what answers have as Access-Control-Allow-Origin (none)
    no_usage              answers tell no counts
    no_completions        there is no /v1/completions, as in some versions of Transformers
    fails                 {"status": S, "message": M, "times": N}: requests are answered so
    crash_after_tokens    SIGKILL to itself after so many; crash_times: only so often in all (for ever)
    hang_after_tokens     nothing more comes
    ignore_term           SIGTERM is ignored

The journal has a JSON line for each event, with t (epoch), pid, engine, model:
    started argv env (HF_*, CUDA_VISIBLE_DEVICES)   listening port   port_taken port   loaded   exits code says   request path body headers   answered path status
    cancelled tokens   stopping signal
"""
import argparse
import errno
import http.server
import json
import os
import select
import signal
import socket
import socketserver
import sys
import threading
import time

OPENAI_FIELDS = set("model messages prompt suffix stream stream_options max_tokens max_completion_tokens temperature top_p n stop seed user tools "
                    "tool_choice response_format frequency_penalty presence_penalty logit_bias logprobs top_logprobs reasoning_effort "
                    "chat_template_kwargs".split())
LOADING = {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}}
NO_TEMPLATE = ("As of transformers v4.44, default chat template is no longer allowed, so you must provide a chat template "
               "if the tokenizer does not define one.")


class Engine:
    """The one model, its script and its journal."""

    def __init__(self, words):
        parser = argparse.ArgumentParser(allow_abbrev=False)
        for name in ("engine", "model-path", "served", "script", "journal"):
            parser.add_argument("--" + name, required=True)
        parser.add_argument("--port", type=int, required=True)
        self.given, self.more = parser.parse_known_args(words)
        self.is_loaded = threading.Event()
        self.answered_n = 0
        self._journal = os.open(self.given.journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def note(self, event, **fields):
        """Append to the journal: one write(2), as others write there too."""
        line = {"t": time.time(), "pid": os.getpid(), "event": event, "engine": self.given.engine, "model": self.given.served, **fields}
        os.write(self._journal, (json.dumps(line) + "\n").encode())

    def script(self):
        """The script as it is now, for this engine and model."""
        try:
            with open(self.given.script, encoding="utf-8") as file:
                whole = json.load(file)
        except FileNotFoundError:
            return {}
        merged = {**whole, **whole.get("engines", {}).get(self.given.engine, {})}
        return {**merged, **merged.get("models", {}).get(self.given.served, {})}

    def strikes(self, what, times):
        """Whether a fault that happens `times` times in all (None: always) happens now; counted for all processes with this script."""
        with open(f"{self.given.script}.{what}.{self.given.engine}.{self.given.served.replace('/', '--')}", "ab") as file:
            before = file.tell()
            if times is None or before < times:
                file.write(b".")
                return True
        return False

    def ends(self, code, lines):
        """Say this, and end."""
        self.note("exits", code=code, says=lines)
        print("\n".join(lines), file=sys.stderr, flush=True)
        os._exit(code)

    def look_at_model(self):
        """What a real engine finds out first: that there is a model."""
        path = self.given.model_path
        if path.endswith(".gguf"):
            if not os.path.exists(path):
                self.ends(1, [f"gguf_init_from_file: failed to open GGUF file '{path}'"])
        elif not os.path.exists(os.path.join(path, "config.json")):
            self.ends(1, [f"OSError: {path} does not appear to have a file named config.json"])

    def has_chat_template(self):
        """As Transformers looks for it; a GGUF file has its own."""
        path = self.given.model_path
        if path.endswith(".gguf"):
            with open(path, "rb") as file:
                return b"tokenizer.chat_template" in file.read(1 << 20)
        if os.path.exists(os.path.join(path, "chat_template.jinja")):
            return True
        try:
            with open(os.path.join(path, "tokenizer_config.json"), encoding="utf-8") as file:
                return bool(json.load(file).get("chat_template"))
        except FileNotFoundError:
            return False

    def load(self):
        """Load as the script says; on a thread of its own."""
        script = self.script()
        time.sleep(script.get("load_s", 0))
        fault = script.get("exit_while_loading")
        if fault and self.strikes("exit_while_loading", fault.get("times")):
            if "signal" in fault:
                self.note("exits", signal=fault["signal"])
                os.kill(os.getpid(), getattr(signal, "SIG" + fault["signal"]))
            self.ends(fault.get("code", 1), fault.get("says", ["torch.OutOfMemoryError: CUDA out of memory."]))
        self.is_loaded.set()
        self.note("loaded")

    def run(self):
        """Serve until a signal."""
        self.note("started", argv=sys.argv[1:], env={k: v for k, v in os.environ.items() if k.startswith("HF_") or k == "CUDA_VISIBLE_DEVICES"})
        script = self.script()
        signal.signal(signal.SIGTERM, signal.SIG_IGN if script.get("ignore_term") else self._stop)
        refused = script.get("refuses_flag")
        if refused and refused["flag"] in self.more:
            self.ends(1, refused.get("says", [f"ValueError: {refused['flag']} is not possible here"]))
        self.look_at_model()
        time.sleep(script.get("start_delay_s", 0))
        try:
            server = Server(("127.0.0.1", self.given.port), Handler)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                self.note("port_taken", port=self.given.port)  # by anybody on this machine; the supervisor gives it another one
            raise
        server.engine = self
        self.note("listening", port=self.given.port)
        threading.Thread(target=self.load, daemon=True).start()
        server.serve_forever()

    def _stop(self, number, _frame):
        self.note("stopping", signal=number)
        os._exit(0)


class Server(http.server.ThreadingHTTPServer):
    """One thread a connection."""
    daemon_threads = True
    request_queue_size = 128
    engine: Engine

    def server_bind(self):
        """Without asking who 127.0.0.1 is."""
        socketserver.TCPServer.server_bind(self)


class Handler(http.server.BaseHTTPRequestHandler):
    """The API of one engine."""
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    @property
    def engine(self):
        """The server's."""
        return self.server.engine

    def log_message(self, format, *args):  # pylint: disable=redefined-builtin
        """The journal has it."""

    def _say(self, status, value):
        body = json.dumps(value).encode()
        self.engine.note("answered", path=self.path, status=status)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    @property
    def _is_transformers(self):
        return self.engine.script().get("manners") == "transformers"

    def _fail(self, status, message, kind="BadRequestError"):
        self._say(status, {"detail": message} if self._is_transformers else {"error": {"message": message, "type": kind, "param": None, "code": status}})

    def do_GET(self):  # pylint: disable=invalid-name
        """Health and the list of the one model."""
        script = self.engine.script()
        if self.path == "/health" and not script.get("no_health"):
            if not self.engine.is_loaded.is_set():
                self._say(503, LOADING)
            else:
                self._say(script.get("health_status", 200), {"status": "ok"})
        elif self.path == "/v1/models" and not self.engine.is_loaded.is_set():
            self._say(503, LOADING)
        elif self.path == "/v1/models":
            self._say(200, {"object": "list", "data": [{"id": self.engine.given.served, "object": "model", "created": 1700000000, "owned_by": "engine"}]})
        else:
            self._fail(404, "Not Found")

    def do_POST(self):  # pylint: disable=invalid-name
        """Chats and completions."""
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            body = json.loads(raw)
        except ValueError:
            return self._fail(400, "the body is not JSON")
        script = self.engine.script()
        self.engine.note("request", path=self.path, body=body, headers=list(map(list, self.headers.items())))
        paths = ["/v1/chat/completions"] + ([] if script.get("no_completions") else ["/v1/completions"])
        fault = script.get("fails")
        strange = body.keys() - OPENAI_FIELDS
        if self.path not in paths:
            self._fail(404, "Not Found")
        elif self.headers.get("Content-Type", "").split(";")[0] != "application/json":
            self._fail(400, "Unsupported Media Type: Only 'application/json' is allowed")
        elif self._is_transformers and strange:
            self._fail(422, f"Unexpected fields in the request: {strange}")
        elif not self.engine.is_loaded.is_set():
            self._say(503, LOADING)
        elif body.get("model") not in (self.engine.given.served, self.engine.given.model_path):
            self._fail(400 if self._is_transformers else 404, f"The model `{body.get('model')}` does not exist.", "NotFoundError")
        elif fault and self.engine.strikes("fails", fault.get("times")):
            self._fail(fault.get("status", 500), fault.get("message", "scripted"), "InternalServerError")
        elif self.path.endswith("chat/completions") and not self.engine.has_chat_template():
            self._fail(500 if self._is_transformers else 400, NO_TEMPLATE)
        else:
            self._answer(body, script)
        return None

    def end_headers(self):
        """As the base does, with what the script wants beside."""
        if "cors" in self.engine.script():
            self.send_header("Access-Control-Allow-Origin", self.engine.script()["cors"])
        super().end_headers()

    # ---- an answer ----

    def _answer(self, body, script):
        is_chat = self.path.endswith("chat/completions")
        wanted = script.get("tokens", ["I", " am ", self.engine.given.served])
        tokens = wanted if isinstance(wanted, list) else ["tok "] * wanted
        most = body.get("max_completion_tokens") or body.get("max_tokens") or len(tokens)
        reason = "length" if most < len(tokens) else "stop"
        asked = body.get("prompt") or " ".join(str(message.get("content")) for message in body.get("messages", []))
        said = tokens[:most]
        usage = None if script.get("no_usage") else {"prompt_tokens": len(str(asked).split()), "completion_tokens": len(said),
                                                     "total_tokens": len(str(asked).split()) + len(said)}
        name = {"id": "engine-1", "created": int(time.time()), "model": body["model"]}
        if body.get("stream"):
            is_wanted = self._is_transformers or (body.get("stream_options") or {}).get("include_usage")
            self._stream(is_chat, said, reason, name, script, usage if is_wanted else None)
        elif self._pace(said, script, lambda text: None):
            text = "".join(said)
            choice = {"message": {"role": "assistant", "content": text}} if is_chat else {"text": text}
            self._say(200, {**name, "object": "chat.completion" if is_chat else "text_completion",
                            "choices": [{"index": 0, **choice, "logprobs": None, "finish_reason": reason}], **({"usage": usage} if usage else {})})

    def _stream(self, is_chat, said, reason, name, script, usage):
        def part(text, why=None, **delta):
            choice = {"delta": {**({} if text is None else {"content": text}), **delta}} if is_chat else {"text": text or ""}
            return {**name, "object": "chat.completion.chunk" if is_chat else "text_completion",
                    "choices": [{"index": 0, **choice, "logprobs": None, "finish_reason": why}]}

        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if is_chat:
            self._event(part("", role="assistant"))
        if not self._pace(said, script, lambda text: self._event(part(text))):
            return
        if self._is_transformers:
            self._event({**part(None, reason), **({"usage": usage} if usage else {})})
        else:
            self._event(part(None, reason))
            if usage:
                self._event({**part(None), "choices": [], "usage": usage})
            self._event("[DONE]")
        self.wfile.write(b"0\r\n\r\n")
        self.engine.note("answered", path=self.path, status=200)

    def _event(self, value):
        data = b"data: " + (value if isinstance(value, str) else json.dumps(value)).encode() + b"\n\n"
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def _pace(self, tokens, script, tell):
        """Each token at its time; False where the client has left."""
        for number, text in enumerate(tokens):
            if script.get("crash_after_tokens") == number and self.engine.strikes("crash", script.get("crash_times")):
                os.kill(os.getpid(), signal.SIGKILL)
            hangs = script.get("hang_after_tokens") == number
            delay_ms = script.get("first_token_delay_ms", 0) if number == 0 else script.get("token_delay_ms", 5)
            if self._left_within(None if hangs else delay_ms) or not self._told(tell, text):
                self.engine.note("cancelled", path=self.path, tokens=number)
                self.close_connection = True
                return False
        return True

    def _left_within(self, delay_ms):
        gone = select.poll()
        gone.register(self.connection, select.POLLRDHUP | select.POLLHUP | select.POLLERR)
        return bool(gone.poll(delay_ms))

    @staticmethod
    def _told(tell, text):
        try:
            tell(text)
        except (BrokenPipeError, ConnectionResetError, socket.timeout):
            return False
        return True


if __name__ == "__main__":
    Engine(sys.argv[1:]).run()
