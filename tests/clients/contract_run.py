"""Asks every client for every case at once, and judges what they saw."""
import importlib.util
import os
import sys

import pytest

from asking import HERE, ROOT, Asker
from contract_cases import NODE, PENDING, PYTHON, asks, tag_of

SEEN_WITHIN_S = 120  # of a real Ollama, all at once, on a busy machine


class Contract:
    """The two processes with the clients in them."""

    def __init__(self):
        folder = os.path.join(HERE, "contract")
        with open(os.path.join(folder, "ask.mjs"), encoding="utf-8") as file:
            source = file.read()  # run as text, packages are found from the folder that they were installed in
        python = Asker([sys.executable, os.path.join(folder, "ask.py")], ROOT, dict(os.environ))
        node = Asker(["node", "--input-type=module", "-e", source], os.path.join(ROOT, "build", "node"), dict(os.environ))
        self._by_client = {**dict.fromkeys(PYTHON, python), **dict.fromkeys(NODE, node)}

    def ask(self, client: str, case: str, sidecar, **more):
        """One question; a function that waits for what the client saw."""
        asker = self._by_client[client]
        number = asker.ask(client=client, case=case, url=f"http://127.0.0.1:{sidecar.port}", **more)
        return lambda: asker.saw(number, SEEN_WITHIN_S)

    def ask_all(self, sidecar, wanted=None, **more) -> dict:
        """{(client, name of the case): what it saw} of every question."""
        waits = {(client, case.name): self.ask(client, case.name, sidecar, model=case.model, tag=tag_of(client, case), **more)
                 for client, case in asks() if wanted is None or case.name in wanted}
        return {key: wait() for key, wait in waits.items()}

    def close(self):
        """No more questions."""
        for asker in set(self._by_client.values()):
            asker.close()


def expect_pending(request, client: str, case) -> None:
    """A test of what is not there yet is to fail."""
    reason, clients = PENDING.get(case.name, ("", ()))
    if client in clients:
        request.applymarker(pytest.mark.xfail(strict=True, reason=reason))


def judge_error(case, client: str, saw: dict) -> None:
    """Its own kind of error, with what the proxy said."""
    error = saw["error"]
    assert error, f"no error, but {saw['value']}"
    if case.error < 0:
        return
    assert error["status_code"] == case.error, error
    assert all(word in error["message"] for word in case.words), error
    if case.param and client in ("openai (Python)", "openai (Node)"):
        assert error["param"] in case.param, error
    if case.code and client in ("openai (Python)", "openai (Node)"):
        assert error["code"] == case.code, error
    if client == "openai (Python)":
        assert error["name"] == {400: "BadRequestError", 404: "NotFoundError"}.get(case.error, "InternalServerError"), error


def has_clients() -> bool:
    """Whether all are installed."""
    packages = os.path.join(ROOT, "build", "node", "node_modules")
    return (all(importlib.util.find_spec(name) for name in ("openai", "ollama", "langchain_openai", "langchain_ollama"))
            and all(os.path.isdir(os.path.join(packages, name)) for name in ("openai", "ollama", "ai", "ai-sdk-ollama", "@ai-sdk/openai")))
