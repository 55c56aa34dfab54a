"""The clients as processes of their own, which are asked and say what they saw (ask_python.py, ask_node.mjs)."""
import json
import os
import subprocess
import shutil
import sys
import tempfile
import threading

from browser import BrowserAsker, find_browser
from cases import BROWSER, NODE, PYTHON, asks
from real_ollama import real_ollama
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
        self._folder = tempfile.mkdtemp(prefix="sc-")
        self._made = [_python(), _node()]
        self._by_client = {**dict.fromkeys(PYTHON, self._made[0]), **dict.fromkeys(NODE, self._made[1])}
        if not real_ollama():
            del self._by_client["ollama run (Go)"]
        if find_browser():
            self._made.append(BrowserAsker(find_browser(), self._folder))
            self._by_client.update(dict.fromkeys(BROWSER, self._made[-1]))
        self.versions = {name: version for asker in self._made for name, version in asker.versions.items()}

    def close(self):
        """No more questions."""
        for asker in self._made:
            asker.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def ask_all(self, case, port: int, timeout: float, but: tuple = (), **more):
        """All that there are, but for these, ask a sidecar on this port at once: a function that waits for all, and gives
        {(client, api, mode): what it saw}."""
        asked = {}
        for client, api, mode in asks(case):
            if client not in self._by_client or client in but:
                continue
            asker = self._by_client[client]
            asked[client, api, mode] = asker, asker.ask(client=client, api=api, stream=mode == "stream", model=case.model,
                                                        url=f"http://127.0.0.1:{port}", **more)
        return lambda: {key: asker.saw(number, timeout) for key, (asker, number) in asked.items()}


def _python() -> Asker:
    return Asker([sys.executable, os.path.join(HERE, "ask_python.py")], ROOT,
                 {**os.environ, "PYTHONPATH": os.path.join(ROOT, "tests", "e2e"), "OLLAMA_PROGRAM": real_ollama() or ""})


def _node() -> Asker:
    # run as text, packages are found from the folder that they were installed in
    with open(os.path.join(HERE, "ask_node.mjs"), encoding="utf-8") as file:
        source = file.read()
    return Asker(["node", "--input-type=module", "-e", source], os.path.join(ROOT, "build", "node"), dict(os.environ))
