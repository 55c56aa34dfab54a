"""Jobs of `ollama-preload --hub` in a cache of their own, before a small hub (hub_server.py)."""
import json
import os
import socket
import subprocess
import threading
import uuid

import pytest

from hub_server import Hub
from process import MARK, clean_up
from sidecar import PASSED_ON, program
from standin import PATH
from waiting import SLACK, until


class Job:
    """One that runs; its lines as they come."""

    def __init__(self, env, request, channel="pipe", before=(), arguments=()):
        self.lines = []
        line = request if isinstance(request, bytes) else json.dumps(request).encode() + b"\n"
        words = [*before, program("ollama-preload"), "--hub", *arguments]
        if channel == "socket":
            self.ours, theirs = socket.socketpair()
            self.popen = subprocess.Popen(words, env=env, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, start_new_session=True)
            theirs.close()
            self.ours.sendall(line)
            self.reader = self.ours.makefile("rb")
        else:
            self.ours = None
            self.popen = subprocess.Popen(words, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
            try:
                self.popen.stdin.write(line)
                self.popen.stdin.close()
            except BrokenPipeError:
                pass
            self.reader = self.popen.stdout
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        try:
            for line in self.reader:
                self.lines.append(json.loads(line))
        except (OSError, ValueError) as error:
            if not self.reader.closed:
                self.lines.append({"broken": str(error)})

    def said(self, **members):
        """The lines that have these members."""
        return [line for line in list(self.lines) if all(line.get(name) == value for name, value in members.items())]

    def wait_said(self, timeout=10, **members):
        return until(lambda: self.said(**members), timeout, f"a line with {members}", lambda: str(self.lines))[0]

    def leave(self):
        """Its reader goes."""
        self.ours.shutdown(socket.SHUT_RDWR)
        self.ours.close()

    def kill(self):
        self.popen.kill()
        self.popen.wait()

    def wait(self, timeout=20):
        """The last line, when it has ended as it should."""
        code = self.popen.wait(timeout * SLACK)
        self.thread.join(5 * SLACK)
        told = self.popen.stderr.read().decode()
        assert code == 0, (code, told, self.lines)
        assert "Sanitizer" not in told and "runtime error" not in told, told
        return self.lines[-1] if self.lines else None


class Jobs:
    """A folder with HF_HOME in it, and a hub."""

    def __init__(self, directory):
        self.directory = directory
        self.home = os.path.join(directory, "hf")
        self.cache = os.path.join(self.home, "hub")
        self.hub = Hub()
        self.mark = uuid.uuid4().hex
        self.env = {"PATH": PATH, "HOME": directory, "HF_HOME": self.home, "HF_ENDPOINT": self.hub.url, MARK: self.mark,
                    **{name: os.environ[name] for name in PASSED_ON if name in os.environ}}
        self.jobs = []

    def close(self):
        self.hub.close()
        for job in self.jobs:
            if job.popen.poll() is None:
                job.kill()
        return clean_up([], {self.mark})

    def start(self, do, model=None, channel="pipe", before=(), arguments=(), **members):
        """A job that is under way."""
        job = Job(self.env, {"do": do, **({"model": model} if model else {}), **members}, channel, before, arguments)
        self.jobs.append(job)
        return job

    def run(self, do, model=None, **members):
        """The last line of a job."""
        return self.start(do, model, **members).wait()

    def pull(self, model="org/model", **members):
        """A pull that has to succeed: its last line."""
        last = self.run("pull", model, **members)
        assert last.get("status") == "success", last
        return last

    def refused(self, model="org/model", code=None, do="pull", **members):
        """A job that has to fail: its last line."""
        last = self.run(do, model, **members)
        assert last.get("code") == code, last
        assert len(last["error"]) > 20 and last["error"].isprintable(), last
        return last

    def listed(self):
        """{name: line} of the models that are whole."""
        job = self.start("list")
        last = job.wait()
        assert last["done"] and last["models_n"] == len(job.lines) - 1, job.lines
        return {line["model"]: line for line in job.lines[:-1]}

    # what is on the disk

    def folder(self, model="org/model"):
        return os.path.join(self.cache, "models--" + model.replace("/", "--"))

    def blobs(self, model="org/model"):
        """{name: bytes} of the files there."""
        folder, found = os.path.join(self.folder(model), "blobs"), {}
        for name in os.listdir(folder) if os.path.isdir(folder) else ():
            with open(os.path.join(folder, name), "rb") as file:
                found[name] = file.read()
        return found

    def snapshot(self, revision, model="org/model"):
        """{path: bytes} of a snapshot; a link that leads nowhere is None."""
        top, found = os.path.join(self.folder(model), "snapshots", revision), {}
        for at, _, names in os.walk(top):
            for name in names:
                path = os.path.join(at, name)
                if os.path.exists(path):
                    with open(path, "rb") as file:
                        found[os.path.relpath(path, top)] = file.read()
                else:
                    found[os.path.relpath(path, top)] = None
        return found


def files(seed=1, weights_n=40_000, **more):
    """A small model's files: what is wanted of it, and a README that is not."""
    weights = (bytes(range(256)) * (weights_n // 256 + 1))[:weights_n - 1] + bytes([seed])
    return {"config.json": json.dumps({"architectures": ["LlamaForCausalLM"], "max_position_embeddings": 2048, "seed": seed}).encode(),
            "tokenizer.json": b'{"version":"1.0"}', "tokenizer_config.json": b'{"chat_template":"{{ messages }}"}', "README.md": b"# a model\n",
            "model.safetensors": weights, **more}


def wanted(content):
    """Of such files those that are pulled."""
    return {path: text for path, text in content.items() if not path.endswith((".md", ".gitattributes"))}


@pytest.fixture
def jobs(folder):
    """Jobs; afterwards nothing of them may be left."""
    made = Jobs(folder)
    yield made
    complaints = made.close()
    assert not complaints, complaints
