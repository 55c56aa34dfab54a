"""The clients as processes of their own, which are asked and say what they saw (ask_python.py, ask_node.mjs)."""
import json
import os
import subprocess
import sys
import threading

from cases import PYTHON, asks
from waiting import SLACK, until

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
END_S = 5


class Asker:
    """One process with several clients in it."""

    def __init__(self, argv, cwd, env):
        self._popen = subprocess.Popen(argv, cwd=cwd, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._saw: dict = {}
        self._n = 0
        self.versions = json.loads(self._popen.stdout.readline())["versions"]
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self._popen.stdout:
            saw = json.loads(line)
            self._saw[saw["id"]] = saw

    def ask(self, **question) -> int:
        """Ask; the number by which the answer is had."""
        self._n += 1
        self._popen.stdin.write(json.dumps({"id": self._n, **question}) + "\n")
        self._popen.stdin.flush()
        return self._n

    def saw(self, number: int, timeout: float) -> dict:
        """What became of that question."""
        return until(lambda: self._saw.get(number), timeout, f"the end of question {number} to {self._popen.args[0]}")

    def close(self):
        """No more questions."""
        self._popen.stdin.close()
        try:
            self._popen.wait(END_S * SLACK)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()


class Askers:
    """All clients."""

    def __init__(self):
        self._python, self._node = _python(), _node()
        self.versions = {**self._python.versions, **self._node.versions}

    def close(self):
        """No more questions."""
        self._python.close()
        self._node.close()

    def ask_all(self, case, port: int, timeout: float) -> dict:
        """{(client, api, mode): what it saw}; all ask a sidecar on this port at once."""
        asked = {}
        for client, api, mode in asks(case):
            asker = self._python if client in PYTHON else self._node
            asked[client, api, mode] = asker, asker.ask(client=client, api=api, stream=mode == "stream", model=case.model,
                                                        url=f"http://127.0.0.1:{port}")
        return {key: asker.saw(number, timeout) for key, (asker, number) in asked.items()}


def _python() -> Asker:
    return Asker([sys.executable, os.path.join(HERE, "ask_python.py")], ROOT,
                 {**os.environ, "PYTHONPATH": os.path.join(ROOT, "tests", "e2e")})


def _node() -> Asker:
    # run as text, packages are found from the folder that they were installed in
    with open(os.path.join(HERE, "ask_node.mjs"), encoding="utf-8") as file:
        source = file.read()
    return Asker(["node", "--input-type=module", "-e", source], os.path.join(ROOT, "build", "node"), dict(os.environ))
