"""One cold start each: by hand, by a shell script, by ollama-supervisor; from the exec to the first byte of an answer."""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

BY_HAND = "by hand, polled every 5 ms"
POLL_S = 0.005
CONNECT_S = 0.0005
LIMIT_S = 60


class World:
    """An Ollama, a model that it has, and a folder for what is started."""

    def __init__(self, ollama, model, env, scratch):
        self.ollama, self.model, self.scratch = ollama, model, scratch
        self.env = {"PATH": os.path.dirname(ollama) + ":" + os.environ["PATH"], "OLLAMA_NUM_PARALLEL": "1", "HOME": scratch, **env}

    def request(self):
        return json.dumps({"model": self.model, "prompt": "hi", "options": {"num_predict": 1, "use_mmap": True}})


class Start:
    """What one start took, in ms since the exec; phases are what the supervisor itself tells."""

    def __init__(self, first_token_ms, phases):
        self.first_token_ms, self.phases = first_token_ms, phases


def quick_script(folder):
    """A stand-in's script: one token, at once."""
    path = os.path.join(folder, "standin.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"tokens": 1, "token_delay_ms": 0, "first_token_delay_ms": 0}, file)
    return path


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def connect(port, pause_s, until):
    """A connection as soon as somebody listens."""
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S)
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(pause_s)


def message(method, path, body=""):
    return (f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}").encode()


def read_to_body(connection):
    """Everything up to the first byte of the body."""
    got = b""
    while b"\r\n\r\n" not in got or not got.split(b"\r\n\r\n", 1)[1]:
        more = connection.recv(65536)
        if not more:
            break
        got += more
    if b" 200 " not in got.split(b"\r\n", 1)[0]:
        raise OSError(f"no answer with status 200: {got[:200]!r}")
    return got


def ask(port, method, path, body="", pause_s=CONNECT_S):
    """The time when the body's first byte is there."""
    with connect(port, pause_s, time.monotonic() + LIMIT_S) as connection:
        connection.sendall(message(method, path, body))
        read_to_body(connection)
        return time.monotonic()


class Peer:
    """Somebody who starts Ollama; names what is started, and waits for the first token."""
    name = ""
    is_piped = False  # its output is read, else it goes to the log

    def __init__(self, world):
        self.world = world
        self.began = 0.0  # of the last start

    tells_phases = False

    def begin(self, folder, port, env):
        """Start it; the process."""
        raise NotImplementedError

    def first_token(self, process, port):
        """The time when the first byte of an answer is there."""
        raise NotImplementedError

    def phases(self, log):
        """{phase: ms} after the start, as far as they are known."""
        return {}

    def measure(self):
        folder, port = tempfile.mkdtemp(dir=self.world.scratch), free_port()
        env = {**self.world.env, "OLLAMA_HOST": f"127.0.0.1:{port}"}
        with open(os.path.join(folder, "log"), "wb") as log:
            command, env, port = self.begin(folder, port, env)
            self.began = time.monotonic()
            process = subprocess.Popen(command, env=env, cwd=folder, stdout=subprocess.PIPE if self.is_piped else log, stderr=log,
                                       stdin=subprocess.DEVNULL, start_new_session=True)
            try:
                took_ms = (self.first_token(process, port) - self.began) * 1000
                phases = self.wait_phases(log)
            finally:
                self.end(process)
            return Start(took_ms, phases)

    def wait_phases(self, log):
        """They are told a moment after the first token."""
        limit = time.monotonic() + LIMIT_S
        while True:
            with open(log.name, encoding="utf-8", errors="replace") as text:  # the place in the other one is the program's too
                found = self.phases(text.read())
            if found or not self.tells_phases or time.monotonic() > limit:
                return found
            time.sleep(POLL_S)

    def end(self, process):
        process.send_signal(signal.SIGTERM)
        process.wait(LIMIT_S)


class ByHand(Peer):
    """`ollama serve`; GET /api/tags every 5 ms until it answers, then the request."""
    name = BY_HAND

    def begin(self, folder, port, env):
        return [self.world.ollama, "serve"], env, port

    api_at = 0.0

    def first_token(self, process, port):
        while True:
            try:
                self.api_at = ask(port, "GET", "/api/tags", pause_s=POLL_S)
                return ask(port, "POST", "/api/generate", self.world.request())
            except ConnectionError:
                time.sleep(POLL_S)

    def phases(self, log):
        return {"api_ms": (self.api_at - self.began) * 1000}


class Script(Peer):
    """What many start.sh look like: it looks once a second whether Ollama answers."""
    name = "a shell script with sleep 1"
    is_piped = True

    def begin(self, folder, port, env):
        path, url = os.path.join(folder, "start.sh"), f"http://127.0.0.1:{port}"
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"{self.world.ollama} serve >&2 &\ntrap 'kill $!; wait' TERM\n"
                       f"until curl -sf {url}/api/tags >/dev/null; do sleep 1; done\n"
                       f"curl -sN {url}/api/generate -d '{self.world.request()}'\nwait\n")
        return ["sh", path], env, port

    def first_token(self, process, port):
        if not process.stdout.read(1):
            raise OSError("the script has ended without an answer")
        return time.monotonic()


class Ours(Peer):
    """ollama-supervisor; the request is sent as soon as its socket is there, and held."""
    name = "ollama-supervisor"
    tells_phases = True
    models = "none"  # the preload list

    def __init__(self, world, build):
        super().__init__(world)
        self.build = build

    def begin(self, folder, port, env):
        public = free_port()
        with open(os.path.join(folder, "supervisor.ini"), "w", encoding="utf-8") as file:
            file.write(f"[supervisor]\ncontrol_socket = {folder}/control.sock\nstate_dir = {folder}/state\n[proxy]\n"
                       f"listen = 127.0.0.1:{public}\n[preload]\nmodels = {self.models}\n")
        return [os.path.join(self.build, "ollama-supervisor"), "-c", f"{folder}/supervisor.ini"], env, public

    def first_token(self, process, port):
        return ask(port, "POST", "/api/generate", self.world.request())

    def phases(self, log):
        lines = re.findall(r" booted cause=start (.*)$", log, re.M)
        return {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", lines[0])} if lines else {}


class OursWithList(Ours):
    """The same with the model on the preload list, as the shipped files have one."""
    name = "… with a preload list"

    @property
    def models(self):
        return self.world.model


def peers(world, build):
    """By hand first: the others are compared with it."""
    found = [ByHand(world), Ours(world, build), OursWithList(world, build)]
    return found + ([Script(world)] if shutil.which("curl") else [])
