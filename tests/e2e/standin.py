"""The scripted backend: its script, its journal, and how to start it alone."""
import json
import os
import sys

from process import MARK, Process
from waiting import until

HERE = os.path.dirname(os.path.realpath(__file__))
PROGRAM = os.path.join(os.path.dirname(HERE), "standin", "ollama")
# The stand-in first, then the very python3 that runs the tests: another may be a script that looks for one, a tenth of a second long.
PATH = ":".join([os.path.dirname(PROGRAM), os.path.dirname(sys.executable), os.environ["PATH"]])


class Backend:
    """Files that a stand-in reads and writes, whoever starts it."""

    def __init__(self, directory: str, port: int):
        self.directory = directory
        self.port = port
        self._script = os.path.join(directory, "standin.json")
        self._journal = os.path.join(directory, "journal.jsonl")
        self.models = os.path.join(directory, "models")

    def environment(self, models: str = "") -> dict:
        """The variables for the stand-in; models is the comma list of those already installed."""
        return {"STANDIN_SCRIPT": self._script, "STANDIN_JOURNAL": self._journal, "STANDIN_MODELS": models,
                "STANDIN_STATE": os.path.join(self.directory, "standin-state"), "OLLAMA_MODELS": self.models}

    def script(self, **keys) -> None:
        """Replace the script as a whole."""
        with open(self._script + ".new", "w", encoding="utf-8") as file:
            json.dump(keys, file)
        os.replace(self._script + ".new", self._script)

    def journal(self, event: str = "", **fields) -> list:
        """What happened so far, filtered by event and by fields."""
        try:
            with open(self._journal, encoding="utf-8") as file:
                entries = [json.loads(line) for line in file.read().split("\n")[:-1]]  # the last may be half written
        except FileNotFoundError:
            return []
        return [entry for entry in entries if (not event or entry["event"] == event)
                and all(entry.get(key) == value for key, value in fields.items())]

    def requests(self, path: str) -> list:
        """The requests for a path."""
        return self.journal("request", path=path)

    def wait(self, event: str, timeout: float = 5, count: int = 1, **fields) -> dict:
        """The count-th journal entry of that kind, once it is there."""
        def look():
            found = self.journal(event, **fields)
            return found[count - 1] if len(found) >= count else None

        return until(look, timeout, f"{event} {fields or ''} ({count}x) in the stand-in's journal",
                     lambda: "\n".join(map(str, self.journal()[-20:])))


def start(backend: Backend, mark: str, models: str = "", host: str = "", env=()) -> Process:
    """A stand-in on its own."""
    variables = {"PATH": PATH, "HOME": backend.directory, MARK: mark,
                 "OLLAMA_HOST": host or f"127.0.0.1:{backend.port}", **backend.environment(models), **dict(env)}
    return Process([PROGRAM, "serve"], variables, backend.directory)
