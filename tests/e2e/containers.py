"""Several stand-ins in the file of [proxy] containers."""
import json
import os

import ports
import standin


class Containers:
    """Their scripts and journals by name; the file names all of them, whether they listen or not."""

    def __init__(self, sidecar, *names: str, **entry):
        self.sidecar = sidecar
        self.backends = {name: self._make(name) for name in names}
        self.write(**entry)
        sidecar.configure("proxy", containers="containers.config.json")
        sidecar.configure("balancer", probe_interval="300ms", probe_timeout="2s", slow_start="0", rise=1, fall=2)

    def _make(self, name: str) -> standin.Backend:
        directory = os.path.join(self.sidecar.directory, name)
        os.mkdir(directory)
        return standin.Backend(directory, ports.free())

    def write(self, *names: str, **entry) -> None:
        """The file: those named, or all; entry: further members of each."""
        entries = [{"name": name, "host": "127.0.0.1", "port": self.backends[name].port, **entry} for name in names or self.backends]
        self.sidecar.write("containers.config.json", json.dumps(entries, indent=1))

    def start(self, name: str, installed: str = "", **script):
        """It listens, with these models installed; its process."""
        backend = self.backends[name]
        backend.script(**script)
        before = len(backend.journal("listening"))
        process = standin.start(backend, self.sidecar.mark, installed)
        self.sidecar.processes.append(process)
        backend.wait("listening", count=before + 1)
        return process

    def pulled(self, name: str) -> list:
        """What it was asked to pull, in order."""
        return [entry["model"] for entry in self.backends[name].journal("pull_start")]
