"""A model server: a sidecar without Ollama, one engine that is played, a hub that is scripted, and the cache between them."""
import json
import os

import pytest

from hub_jobs import files
from hub_server import Hub

CHAT = {"messages": [{"role": "user", "content": "Hi"}]}


class Served:
    """Not yet started: boot() does that."""

    def __init__(self, sidecar, engines):
        self.sidecar, self.engines, self.hub = sidecar, engines, Hub()
        sidecar.env["HF_ENDPOINT"] = self.hub.url
        sidecar.configure("program:ollama", autostart="no")
        engines.add()

    def boot(self):
        self.sidecar.start()
        self.sidecar.wait_ready()
        return self

    def commit(self, name="org/model", **keys):
        """A model on the hub; its files."""
        content = files(**keys)
        self.hub.commit(name, content)
        return content

    def folder(self, name="org/model"):
        """Where it is in the cache."""
        return self.engines.cache.folder(name)

    def has(self, name="org/model"):
        return os.path.isdir(os.path.join(self.folder(name), "snapshots"))

    def ask(self, method, path, body=None, headers=(), timeout=20):
        return self.sidecar.ask(method, path, body, headers, timeout)

    def pull(self, model="org/model", timeout=30, **members):
        """POST /pull."""
        return self.ask("POST", "/pull", {"model": model, **members}, timeout=timeout)

    def pull_lines(self, model="org/model", timeout=30, **members):
        """POST /pull as a stream: the status, and all its lines."""
        with self.sidecar.connect(timeout=timeout) as connection:
            answer = connection.request("POST", "/pull", {"model": model, "stream": True, **members})
            return answer.status, [line for _, line in answer.objects()]

    def chat(self, model="org/model", timeout=30, **members):
        """POST /chat."""
        return self.ask("POST", "/chat", {"model": model, **CHAT, **members}, timeout=timeout)

    def models(self):
        """GET /models, by name."""
        answer = self.ask("GET", "/models")
        assert answer.status == 200, answer.body
        return {row["model"]: row for row in answer.json["models"]}


@pytest.fixture
def served(sidecar, engines):
    """A Served, not yet started."""
    made = Served(sidecar, engines)
    yield made
    made.hub.close()


def refused(answer, status, code):
    """The text of an error as clients of Ollama look for it, and those of FastAPI servers."""
    assert answer.status == status, (answer.status, answer.body)
    assert answer.json == {"error": answer.json["error"], "detail": answer.json["error"], **({"code": code} if code else {})}, json.dumps(answer.json)
    return answer.json["error"]
