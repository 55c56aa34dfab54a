"""A real Ollama on PATH, and a models folder that it can use without a network."""
import contextlib
import os
import subprocess
import time
import urllib.request

import tiny_model
from ports import free

START_LIMIT_S = 30


def real_ollama():
    """The path of the `ollama` on PATH that is no stand-in, or None."""
    for directory in os.environ["PATH"].split(":"):
        path = os.path.join(directory, "ollama")
        if os.access(path, os.X_OK) and os.path.isfile(path):
            version = subprocess.run([path, "--version"], capture_output=True, text=True, check=False, timeout=30,
                                     env={**os.environ, "OLLAMA_HOST": "127.0.0.1:1"})
            if "standin" not in version.stdout + version.stderr:
                return path
    return None


@contextlib.contextmanager
def serving(path, directory):
    """The environment for the command-line client, while a server of its own runs on the models there."""
    port = free()
    env = {"PATH": os.environ["PATH"], "HOME": directory, "OLLAMA_HOST": f"127.0.0.1:{port}",
           "OLLAMA_MODELS": os.path.join(directory, "models")}
    with subprocess.Popen([path, "serve"], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            _wait(port)
            yield env
        finally:
            server.terminate()


def _wait(port):
    deadline = time.monotonic() + START_LIMIT_S
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/api/version", timeout=2).close()
            return
        except OSError:
            assert time.monotonic() < deadline, "the real ollama does not answer"
            time.sleep(0.02)


class RealModels:
    """Made once a session: `ollama create` of random models, `tiny` at first."""

    def __init__(self, path, directory):
        self.path = path
        self.directory = directory
        self.create({"tiny": tiny_model.Shape()}, "PARAMETER num_predict 40\nPARAMETER num_ctx 2048\n")

    def create(self, shapes: dict, parameters: str = "") -> None:
        """Models of these names and shapes."""
        with serving(self.path, self.directory) as env:
            for name, shape in shapes.items():
                gguf, modelfile = os.path.join(self.directory, "a.gguf"), os.path.join(self.directory, "Modelfile")
                tiny_model.write(gguf, shape)
                with open(modelfile, "w", encoding="utf-8") as file:
                    file.write(f"FROM {gguf}\n{parameters}")
                subprocess.run([self.path, "create", name, "-f", modelfile], env=env, check=True, capture_output=True, timeout=120)
                os.unlink(gguf)

    def use(self, sidecar):
        """Let this Sidecar run the real Ollama on these models."""
        sidecar.env["PATH"] = os.path.dirname(self.path) + ":" + os.environ["PATH"]
        sidecar.env["OLLAMA_MODELS"] = os.path.join(self.directory, "models")
        sidecar.env["HOME"] = self.directory
        sidecar.configure("environment", OLLAMA_NUM_PARALLEL=None)
        sidecar.configure("preload", models="tiny")
