"""A proxy that is played (../standin/proxy.py), by which a test asks the supervisor for engines and for jobs of the hub."""
import json
import os
import shlex
import shutil
import socket
import sys

from engines import REVISION
from sidecar import program
from standin import HERE
from waiting import until

PROGRAM = os.path.join(os.path.dirname(HERE), "standin", "proxy.py")
WANT, ENGINE_START, ENGINE_STOP, ASK = 16, 22, 23, 25


class PlayedProxy:
    """A supervisor whose ollama-proxy is ours. The supervisor finds its own programs beside itself, so it is a copy in a folder of this test."""

    def __init__(self, sidecar):
        self.sidecar = sidecar
        self.path = os.path.join(sidecar.directory, "played.sock")
        self.folder = os.path.join(sidecar.directory, "own")
        os.mkdir(self.folder)
        shutil.copy2(program("ollama-supervisor"), self.folder)
        os.symlink(program("ollama-preload"), os.path.join(self.folder, "ollama-preload"))
        self.put("ollama-proxy", f"exec {shlex.quote(sys.executable)} {shlex.quote(PROGRAM)}")
        sidecar.env["PLAYED_PROXY"] = self.path
        sidecar.configure("program:ollama", autostart="no")
        sidecar.configure("supervisor", log_level="debug")
        sidecar.configure("models", serve="yes")

    def put(self, name: str, words: str) -> None:
        """One of the supervisor's own programs, as a script."""
        path = os.path.join(self.folder, name)
        if os.path.islink(path):
            os.unlink(path)
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"#!/bin/sh\n{words}\n")
        os.chmod(path, 0o755)

    def start(self) -> "PlayedProxy":
        """The supervisor, until its proxy is ready."""
        self.sidecar.write_ini()
        self.sidecar.process = self.sidecar.launch([os.path.join(self.folder, "ollama-supervisor"), "-c", self.sidecar.ini])
        self.sidecar.processes.append(self.sidecar.process)
        self.sidecar.process.wait_log(r"state program=proxy from=starting to=ready")
        return self

    def ask(self, **question) -> dict:
        """One question of PROGRAM's."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(60)
            client.connect(self.path)
            client.sendall(json.dumps(question).encode() + b"\n")
            with client.makefile("r") as lines:
                return json.loads(lines.readline())

    def start_engine(self, model: str, engine: str = "played", length: int = 4096, precision: str = "full", file: str = "", revision: str = REVISION) -> None:
        """engine: its name."""
        detail = f"{engine} {revision} {length} {precision}" + (f" {file}" if file else "")
        self.ask(send=[ENGINE_START, 0, model, detail])

    def stop_engine(self, model: str) -> None:
        """What serves it."""
        self.ask(send=[ENGINE_STOP, 0, model, ""])

    def rows(self) -> list:
        """The page's instances."""
        return self.ask(rows=True)["rows"]

    def row(self, model: str) -> dict:
        """The model's last row; {} where there is none."""
        return max((row for row in self.rows() if row["model"] == model), key=lambda row: row["number"], default={})

    def wait_row(self, model: str, state: str, timeout: float = 10, **fields) -> dict:
        """The model's row, once it is in this state, and has these values."""
        def look():
            row = self.row(model)
            return row if row.get("state") == state and all(row[key] == value for key, value in fields.items()) else None

        return until(look, timeout, f"{model} {state} {fields or ''}", lambda: f"{self.rows()}\n{self.sidecar.process.tail()}")
