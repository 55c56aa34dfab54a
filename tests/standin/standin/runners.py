"""Which models are in memory: loading, expiry after keep_alive, and how many requests one may answer at once."""
import threading
import time
from contextlib import contextmanager

from . import script, settings, store
from .journal import note

_lock = threading.RLock()
_loaded: dict = {}


class LoadError(Exception):
    """A scripted failure to load."""


class Runner:
    """A model in memory."""

    def __init__(self, name):
        self.name = name
        self.ready = False
        self.users = 0
        self.busy = 0
        self.keep_alive = settings.keep_alive()
        self.expires = time.time() + self.keep_alive


def _sweep() -> None:
    """Unload what has expired. Called wherever somebody could see the difference; no timer is needed."""
    now = time.time()
    for key, runner in list(_loaded.items()):
        if runner.ready and runner.users == 0 and runner.expires <= now:
            del _loaded[key]
            note("unloaded", model=runner.name.short)


def _load(conn, name, rules: dict) -> Runner:
    """The model's runner, loaded by the first who asks; the others wait. A load dies with its client."""
    while True:
        with _lock:
            _sweep()
            runner = _loaded.get(name.key)
            if runner is None:
                runner = _loaded[name.key] = Runner(name)
                break
            if runner.ready:
                runner.users += 1
                return runner
        conn.wait(0.01)
    try:
        conn.wait(rules.get("load_s", 0))
        failure = rules.get("load_fails")
        if failure and script.strikes(rules, "load_fails", name.key):
            note("fault", what="load_fails", id=conn.request.id)
            raise LoadError(failure if isinstance(failure, str)
                            else "llama runner process has terminated: exit status 2")
    except BaseException:
        with _lock:
            _loaded.pop(name.key, None)
        raise
    with _lock:
        runner.ready, runner.users = True, 1
    note("loaded", model=name.short, seconds=rules.get("load_s", 0))
    return runner


@contextmanager
def using(conn, name, rules: dict, keep_alive):
    """The model is in memory, and answering, for the body of the with statement."""
    runner = _load(conn, name, rules)
    try:
        while rules.get("parallel"):
            with _lock:
                if runner.busy < rules["parallel"]:
                    runner.busy += 1
                    break
            conn.wait(0.005)
        try:
            yield runner
        finally:
            if rules.get("parallel"):
                with _lock:
                    runner.busy -= 1
    finally:
        with _lock:
            runner.users -= 1
            seconds = settings.duration(keep_alive)
            runner.keep_alive = settings.keep_alive() if seconds is None else seconds
            runner.expires = time.time() + runner.keep_alive
            _sweep()


def expire(name) -> None:
    """keep_alive 0 without a prompt: out of memory as soon as nobody uses it."""
    with _lock:
        runner = _loaded.get(name.key)
        if runner is not None:
            runner.expires = 0
            _sweep()


def listing() -> list:
    """What /api/ps shows."""
    with _lock:
        _sweep()
        runners = [runner for runner in _loaded.values() if runner.ready]
    shown = []
    for runner in runners:
        facts = store.facts(runner.name)
        expires = min(runner.expires, time.time() + 9.2e9)
        shown.append({"name": facts["name"], "model": facts["model"], "size": facts["size"],
                      "digest": facts["digest"], "details": facts["details"],
                      "expires_at": store.stamp(expires), "size_vram": 0})
    return sorted(shown, key=lambda model: model["expires_at"], reverse=True)
