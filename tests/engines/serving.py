"""A sidecar that serves models of a hub, as its users see it."""
import os

from process import state_of
from sidecar import Sidecar
from waiting import until


class Serving(Sidecar):
    """No Ollama; one engine, whose program is real."""

    def __init__(self, directory, hub):
        super().__init__(directory)
        self.configure("program:ollama", autostart="no")
        self.configure("models", serve="yes")
        self.env.update(HF_ENDPOINT=hub.url, HF_HOME=os.path.join(directory, "hf"))

    def use(self, engine, path="", **keys):
        """This engine alone, its program in this folder."""
        self.configure("models", engines=engine, **keys)
        if path:
            self.env["PATH"] = path + ":" + self.env["PATH"]

    def serve(self):
        """Start it; it is ready without any model."""
        self.start()
        self.process.wait_log(" proxy listening ", 20)
        return self

    def pull(self, model, timeout=120, **keys):
        """POST /pull: its answer."""
        answer = self.ask("POST", "/pull", {"model": model, **keys}, timeout=timeout)
        assert answer.status == 200, answer.body
        return answer.json

    def chat(self, model, text="hi", timeout=120, **keys):
        """POST /chat: the answer as it came."""
        return self.ask("POST", "/chat", {"model": model, "messages": [{"role": "user", "content": text}], "max_tokens": 4, **keys}, timeout=timeout)

    def said(self, model, **keys):
        """… in one object, of an answer that has to be good."""
        answer = self.chat(model, **keys)
        assert answer.status == 200 and answer.json.get("done"), (answer.status, answer.body, self.process.tail(100))
        return answer.json

    def loaded(self):
        """{name: backend} of the models that are loaded."""
        return {row["model"]: row["backend"] for row in self.ask("GET", "/models").json["models"] if row["loaded"]}

    def engines(self, word):
        """The pids of processes of ours with this among their words."""
        return [pid for pid, command in self.programs().items() if word in command.split() and state_of(pid) not in ("", "Z")]

    def wait_engine(self, word, timeout=30):
        """The pid of the first."""
        return until(lambda: self.engines(word), timeout, f"a process with {word}", lambda: f"{self.programs()}\n{self.process.tail(100)}")[0]
