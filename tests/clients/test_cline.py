"""Cline's command-line agent does a task through the proxy, before a model that is played: it is to create a file, and to say that
it is done. Cline 2 has its tools as XML in its prompt, Cline 3 as native tools.

Both run without an account: a provider of OpenAI's kind, its address, any key. What they would ask or tell the world is switched
off, and led to a proxy that refuses it."""
import json
import os
import socket
import subprocess
import threading

import pytest

from played_backend import END, PlayedBackend, chunk, head, single
from sidecar import Sidecar
from waiting import SLACK

HERE = os.path.dirname(os.path.abspath(__file__))
PACKAGES = os.path.join(os.path.dirname(os.path.dirname(HERE)), "build", "node", "node_modules")
CPU = {"x86_64": "x64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
CLINE_2 = os.path.join(PACKAGES, "cline", "dist", "cli.mjs")
CLINE_3 = os.path.join(PACKAGES, "@cline", f"cli-linux-{CPU}", "bin", "cline")
TASK = "Create hello.txt with a greeting"
TEXT = 'Hello, "world" & <all>: \\n stays, naïve ✓'
XML = (f"<thinking>\nA new file.\n</thinking>\n\n<write_to_file>\n<path>hello.txt</path>\n<content>\n{TEXT}\n</content>\n</write_to_file>",
       "<attempt_completion>\n<result>\nhello.txt is there.\n</result>\n</attempt_completion>")


def told(message, done=False, **more):
    """A line of /api/chat."""
    value = {"model": "tiny", "created_at": "2026-01-01T00:00:00Z", "message": {"role": "assistant", **message}, "done": done, **more}
    return chunk(json.dumps(value, ensure_ascii=False).encode() + b"\n")


def said(text):
    """A text in pieces of a few characters, so that tags are cut."""
    return [told({"content": text[at:at + 7]}) for at in range(0, len(text), 7)]


class Model:
    """Answers by turn: `turns(n, asked)` are the lines of the n-th; what it was asked is in `asked`, and in `mapped` where it was asked
    for a summary."""

    def __init__(self, capabilities, turns, names=("tiny:latest",)):
        self.capabilities = capabilities
        self.turns = turns
        self.names = names
        self.asked: list = []
        self.mapped: list = []

    def __call__(self, request):
        if request[0].split(b" ")[1] != b"/api/chat":
            return single({"capabilities": self.capabilities, "template": "{{ .Prompt }}", "details": {}, "model_info": {},
                           "models": [{"name": name, "model": name} for name in self.names]})
        asked = json.loads(request[1])
        end = {"done_reason": "stop", "prompt_eval_count": 12000, "eval_count": 40}
        if asked.get("stream") is False:
            self.mapped.append(asked)
            return single({"model": asked["model"], "message": {"role": "assistant", "content": "a file was made"}, "done": True, **end})
        self.asked.append(asked)
        return [head(), *self.turns(len(self.asked) - 1, asked), told({"content": ""}, True, **end), END]


class Refusing:
    """A proxy for what is not on this machine: it lets nothing through, and says so at once, as who is refused by a closed port tries
    again for long."""

    def __init__(self):
        self.asked: list = []  # what for: the first lines
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with sock:
                sock.settimeout(1)
                try:
                    self.asked.append(sock.recv(1 << 16).split(b"\r\n")[0].decode("latin-1"))
                    sock.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                except OSError:
                    pass

    def close(self):
        """No more of it."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture(scope="module")
def world():
    """All that is not this machine."""
    made = Refusing()
    yield made
    made.close()


@pytest.fixture
def played(folder):
    """start(model, sections) puts the proxy before it; the address for clients."""
    made, backends = Sidecar(folder), []

    def start(model, sections=None):
        backends.append(PlayedBackend(model))
        backends[0].shown = model
        for name, keys in (sections or {}).items():
            made.configure(name, **keys)
        made.configure("proxy", backend=f"http://127.0.0.1:{backends[0].port}", access_log="json")
        made.start("ollama-proxy")
        made.process.wait_log(" listening ")
        return f"http://127.0.0.1:{made.port}/v1"

    yield start
    for backend in backends:
        backend.close()
    complaints = made.clean_up()
    assert not complaints, "\n".join(complaints + [process.tail() for process in made.processes])


def run(folder, world, *words):
    """One command of Cline's, in a home and a workspace of its own; its lines of JSON."""
    work = os.path.join(folder, "work")
    os.makedirs(work, exist_ok=True)
    env = {"PATH": os.environ["PATH"], "HOME": folder, "CLINE_DIR": os.path.join(folder, ".cline"), "CLINE_NO_AUTO_UPDATE": "1",
           "CLINE_OTEL_TELEMETRY_ENABLED": "0", "DO_NOT_TRACK": "1", "CLINE_SESSION_BACKEND_MODE": "local",
           "HTTP_PROXY": world.url, "HTTPS_PROXY": world.url, "NO_PROXY": "127.0.0.1,localhost"}
    done = subprocess.run(words, cwd=work, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90 * SLACK, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def created(folder):
    """The file that was to be made."""
    with open(os.path.join(folder, "work", "hello.txt"), encoding="utf-8") as file:
        return file.read().rstrip("\n")


def need(path, package):
    """Skipped, and said why, where it is not installed."""
    if not os.path.exists(path):
        pytest.skip(f"{package} is not installed: `make check-deps` installs it")


def run_cline_2(folder, world, url, name):
    """Cline 2 does the task, its settings in files; what it says at the end."""
    data = os.path.join(folder, ".cline", "data")
    os.makedirs(data)
    settings = {"actModeApiProvider": "openai", "planModeApiProvider": "openai", "actModeOpenAiModelId": name, "planModeOpenAiModelId": name,
                "openAiBaseUrl": url, "welcomeViewCompleted": True, "telemetrySetting": "disabled"}
    for file_name, value in (("globalState.json", settings), ("secrets.json", {"openAiApiKey": "none"})):
        with open(os.path.join(data, file_name), "w", encoding="utf-8") as file:
            json.dump(value, file)
    events = run(folder, world, "node", CLINE_2, "-y", "--json", TASK)
    return [event["text"] for event in events if event.get("say") == "completion_result"]


def run_cline_3(folder, world, url, name):
    """Cline 3 does the task; how it ended, and what it says."""
    run(folder, world, CLINE_3, "auth", "-p", "openai-compatible", "-k", "none", "-m", name, "-b", url)
    events = run(folder, world, CLINE_3, "--json", "-P", "openai-compatible", "-m", name, "-k", "none", TASK)
    (result,) = [event for event in events if event.get("type") == "run_result"]
    return result["finishReason"], result["text"]


@pytest.mark.limit(200)
def test_cline_2_does_a_task_by_xml(folder, played, world):
    need(CLINE_2, "cline 2 (npm)")
    model = Model(["completion"], lambda n, asked: said(XML[min(n, 1)]))
    assert run_cline_2(folder, world, played(model), "tiny") == ["hello.txt is there."]
    assert created(folder) == TEXT
    first, second = model.asked
    assert len(first["messages"][0]["content"]) > 40000 and "<write_to_file>" in first["messages"][0]["content"]
    assert "tools" not in first and f"<task>\n{TASK}\n</task>" in first["messages"][1]["content"]
    assert second["messages"][2] == {"role": "assistant", "content": XML[0]}  # the XML went to Cline unrepaired, and came back
    assert second["messages"][3]["content"].startswith("[write_to_file for 'hello.txt'] Result:")


def call_of_editor(folder):
    """What Cline 3 is to be called with."""
    return "editor", {"path": os.path.join(folder, "work", "hello.txt"), "new_text": TEXT}


@pytest.mark.limit(200)
@pytest.mark.parametrize("how", ["native", "text"])
def test_cline_3_does_a_task_by_tools(folder, played, world, how):
    need(CLINE_3, f"@cline/cli-linux-{CPU} (npm)")
    name, arguments = call_of_editor(folder)

    def turns(n, _asked):
        if n > 0:
            return said("hello.txt is there.")
        if how == "native":
            return [told({"content": "", "tool_calls": [{"function": {"name": name, "arguments": arguments}}]})]
        return said(f"<tool_call>\n{json.dumps({'name': name, 'arguments': arguments})}\n</tool_call>")

    model = Model(["completion", "tools"] if how == "native" else ["completion"], turns)
    assert run_cline_3(folder, world, played(model), "tiny") == ("completed", "hello.txt is there.")
    assert created(folder) == TEXT
    first, second = model.asked
    if how == "native":
        assert name in [tool["function"]["name"] for tool in first["tools"]]
        assert second["messages"][2]["tool_calls"][0]["function"] == {"name": name, "arguments": arguments}
        assert second["messages"][3]["role"] == "tool" and second["messages"][3]["tool_name"] == name
    else:
        assert "tools" not in first and {message["role"] for message in second["messages"]} <= {"system", "user", "assistant"}
        assert any(name in message["content"] for message in first["messages"] if message["role"] == "system")
