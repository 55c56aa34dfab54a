"""Several stand-ins behind one proxy."""
import json
import os
import signal

import ports
import standin
from waiting import until


def _are_known(proxy, names) -> bool:
    answer = proxy.ask("GET", "/status")  # with keys nobody may look
    return answer.status != 200 or all(row["models_n"] or row["error"] for row in answer.json["backends"] if row["name"] in names)


def wait_known(proxy, names) -> None:
    """Until it has read what each of these says of its models: that it is up, or was asked, is no such thing."""
    until(lambda: _are_known(proxy, names), 20, "what each has to be known", proxy.process.tail)


class Fleet:
    """Their scripts and journals by name, and the proxy before them."""

    def __init__(self, sidecar):
        self.sidecar = sidecar
        self.backends: dict = {}
        self.running: dict = {}
        sidecar.configure("balancer", probe_interval="300ms", probe_timeout="2s", slow_start="0", rise=1, fall=2)

    def add(self, name: str, models: str = "m", slots: int = 1, started: bool = True, **script) -> standin.Backend:
        """One more, with a section of its own."""
        directory = os.path.join(self.sidecar.directory, name)
        os.mkdir(directory)
        backend = standin.Backend(directory, ports.free())
        backend.installed = models
        backend.script(**script)
        self.backends[name] = backend
        self.sidecar.configure(f"backend:{name}", url=f"http://127.0.0.1:{backend.port}", api="ollama", slots=slots)
        if started:
            self.start(name)
        return backend

    def start(self, name: str) -> None:
        """It listens."""
        backend = self.backends[name]
        before = len(backend.journal("listening"))
        process = standin.start(backend, self.sidecar.mark, backend.installed)
        self.sidecar.processes.append(process)
        self.running[name] = process
        backend.wait("listening", count=before + 1)

    def kill(self, name: str) -> None:
        """It is gone, at once."""
        self.running[name].stop(signal.SIGKILL)

    def open(self, program: str = "ollama-proxy", **keys) -> None:
        """The proxy, when it knows what each of those that run has."""
        self.sidecar.configure("proxy", access_log="json", **keys)
        self.sidecar.start(program)
        self.sidecar.process.wait_log(" listening ")
        for name in self.running:
            self.backends[name].wait("request", path="/api/tags")
        wait_known(self.sidecar, self.running)

    def open_both(self, second) -> None:
        """The proxy, and `second`, another one that knows the same."""
        second.settings = json.loads(json.dumps(self.sidecar.settings))
        second.configure("proxy", listen=f"127.0.0.1:{second.port}", access_log="json")
        second.configure("supervisor", control_socket=second.socket, state_dir=os.path.join(second.directory, "state"))
        self.open()
        second.start("ollama-proxy")
        for each in (self.sidecar, second):
            each.process.wait_log(" redis_up ", timeout=20)
            each.process.wait_log(" member_up ", timeout=20)
        wait_known(second, self.running)

    def asked(self, name: str, path: str = "/api/generate") -> list:
        """What it was asked to do, but for loads of a model."""
        return [entry for entry in self.backends[name].requests(path) if '"prompt"' in entry["body"] or '"messages"' in entry["body"]]

    def counts(self, path: str = "/api/generate") -> dict:
        """How many each was asked for."""
        return {name: len(self.asked(name, path)) for name in self.backends}

    def wait_asked(self, name: str, count: int = 1, path: str = "/api/generate"):
        """Until it was."""
        return until(lambda: len(self.asked(name, path)) >= count, 10, f"{name} to be asked {count}x",
                     lambda: self.sidecar.process.tail())
