"""A real Ollama on PATH, and a models folder that it can use without a network."""
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


class RealModels:
    """Made once a session: `ollama create` of a tiny random model."""

    def __init__(self, path, directory):
        self.path = path
        self.directory = directory
        port = free()
        env = {"PATH": os.environ["PATH"], "HOME": directory, "OLLAMA_HOST": f"127.0.0.1:{port}",
               "OLLAMA_MODELS": os.path.join(directory, "models")}
        gguf = os.path.join(directory, "tiny.gguf")
        tiny_model.write(gguf)
        with open(os.path.join(directory, "Modelfile"), "w", encoding="utf-8") as file:
            file.write(f"FROM {gguf}\nPARAMETER num_predict 40\nPARAMETER num_ctx 2048\n")
        with subprocess.Popen([path, "serve"], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
            try:
                self._wait(port)
                subprocess.run([path, "create", "tiny", "-f", os.path.join(directory, "Modelfile")], env=env, check=True,
                               capture_output=True, timeout=60)
            finally:
                server.terminate()

    @staticmethod
    def _wait(port):
        deadline = time.monotonic() + START_LIMIT_S
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/api/version", timeout=2).close()
                return
            except OSError:
                assert time.monotonic() < deadline, "the real ollama does not answer"
                time.sleep(0.02)

    def use(self, sidecar):
        """Let this Sidecar run the real Ollama on these models."""
        sidecar.env["PATH"] = os.path.dirname(self.path) + ":" + os.environ["PATH"]
        sidecar.env["OLLAMA_MODELS"] = os.path.join(self.directory, "models")
        sidecar.env["HOME"] = self.directory
        sidecar.configure("environment", OLLAMA_NUM_PARALLEL=None)
        sidecar.configure("preload", models="tiny")
