"""Which models are in memory: loading, expiry after keep_alive, and how many requests one may answer at once."""
import sys
import threading
import time
from contextlib import contextmanager

from . import generate, process, script, settings, store
from .journal import note

_lock = threading.RLock()
_loaded: dict = {}


class LoadError(Exception):
    """A scripted failure to load."""


# What a model is loaded with (api/types.go, Runner): another value loads it again. What is not named is the model's own, so 0 here.
_OPTIONS = {"num_ctx": 4096, "num_batch": 512, "num_gpu": -1, "main_gpu": 0, "num_thread": 0, "use_mmap": None}


def _wanted(options) -> dict:
    """The load-time options of a request, with what Ollama takes where it names none; integers cut off, as in Go."""
    named = {key: value for key, value in (options or {}).items() if key in _OPTIONS and value is not None}
    for key, value in named.items():
        if isinstance(value, bool) != (key == "use_mmap") or not isinstance(value, (bool, int, float)):
            raise LoadError(f'option "{key}" must be of type {"boolean" if key == "use_mmap" else "integer"}')
    return {**_OPTIONS, **{key: value if isinstance(value, bool) else int(value) for key, value in named.items()}}


class Runner:
    """A model in memory."""

    def __init__(self, name, options: dict):
        self.name = name
        self.options = options
        self.process = None
        self.is_lost = False
        self.ready = False
        self.users = 0
        self.busy = 0
        self.keep_alive = settings.keep_alive()
        self.expires = time.time() + self.keep_alive

    def needs_reload(self, options: dict) -> bool:
        """server/sched.go needsReload: num_gpu = -1 is no difference."""
        own = {**self.options, "num_gpu": -1} if options["num_gpu"] < 0 else self.options
        return own != options


def _drop(runner, **why) -> None:
    """Out of memory: it is not known any more, and its process is killed."""
    del _loaded[runner.name.key]
    if runner.process is not None:
        runner.process.end()
    note("unloaded", model=runner.name.short, **why)


def _sweep() -> None:
    """Unload what has expired. Called wherever somebody could see the difference; no timer is needed."""
    now = time.time()
    for runner in list(_loaded.values()):
        if runner.ready and runner.users == 0 and (runner.expires <= now or runner.is_lost):
            _drop(runner)


def _has_room(at_most: int) -> bool:
    """For one more model: server/sched.go findRunnerToUnload takes one that nobody uses."""
    idle = [runner for runner in _loaded.values() if runner.ready and runner.users == 0]
    if at_most and len(_loaded) >= at_most and idle:
        _drop(min(idle, key=lambda runner: runner.expires), why="room")
    return not at_most or len(_loaded) < at_most


def _find(name, options: dict, at_most: int):
    """The runner to use (counted), to wait for (not ready, or in use with other options), or to make: (runner, is_ours)."""
    _sweep()
    runner = _loaded.get(name.key)
    if runner is not None and runner.ready and runner.needs_reload(options):
        if runner.users:
            return None, False
        _drop(runner, why="options")
        runner = None
    if runner is None:
        if not _has_room(at_most):
            return None, False
        runner = _loaded[name.key] = Runner(name, options)
        return runner, True
    if not runner.ready:
        return None, False
    runner.users += 1
    return runner, False


def _work_to_load(conn, runner, rules: dict) -> None:
    """What a load takes of time; with a process, of the processor's."""
    seconds = rules.get("load_s", 0)
    if rules.get("runner"):
        runner.process = process.Process(runner.name.short)
        note("runner", model=runner.name.short, runner=runner.process.pid)
    for half in range(2):
        try:
            if runner.process is None:
                conn.wait(seconds / 2)
            else:
                runner.process.work(conn, -1 if rules.get("eat_while_loading") else seconds / 2)
        except process.Lost as error:
            words = "llama runner process has terminated: " + runner.process.how_it_ended()
            print(f'time={time.strftime("%Y-%m-%dT%H:%M:%S")}.000Z level=ERROR source=sched.go:489 '
                  f'msg="error loading llama server" error="{words}"', file=sys.stderr, flush=True)
            raise LoadError(words) from error
        if half == 0 and "crash_while_loading" in rules:
            generate.crash(rules["crash_while_loading"], "crash_while_loading")


def _load(conn, name, rules: dict, options: dict) -> Runner:
    """The model's runner, loaded by the first who asks; the others wait. A load dies with its client."""
    while True:
        with _lock:
            runner, is_ours = _find(name, options, rules.get("loaded_at_most", 0))
        if is_ours:
            break
        if runner is not None:
            return runner
        conn.wait(0.01)
    try:
        _work_to_load(conn, runner, rules)
        failure = rules.get("load_fails")
        if failure and script.strikes(rules, "load_fails", name.key):
            note("fault", what="load_fails", id=conn.request.id)
            raise LoadError(failure if isinstance(failure, str)
                            else "llama runner process has terminated: exit status 2")
    except BaseException:
        with _lock:
            _loaded.pop(name.key, None)
        if runner.process is not None:
            runner.process.end()
        note("load_aborted", model=name.short, id=conn.request.id)
        raise
    with _lock:
        runner.ready, runner.users = True, 1
    named = {key: value for key, value in options.items() if value != _OPTIONS[key]}
    note("loaded", model=name.short, seconds=rules.get("load_s", 0), options=named)
    return runner


@contextmanager
def using(conn, name, rules: dict, keep_alive, options=None, is_answering=True):
    """The model is in memory, and answering, for the body of the with statement."""
    runner = _load(conn, name, rules, _wanted(options))
    seconds = settings.duration(keep_alive)
    if seconds is not None:  # who says nothing leaves it as it is
        runner.keep_alive = seconds
    counted = is_answering and rules.get("parallel")
    try:
        while counted:
            with _lock:
                if runner.busy < rules["parallel"]:
                    runner.busy += 1
                    break
            conn.wait(0.005)
        try:
            yield runner
        finally:
            if counted:
                with _lock:
                    runner.busy -= 1
    finally:
        with _lock:
            runner.users -= 1
            runner.expires = time.time() + runner.keep_alive
            _sweep()


def expire(name) -> None:
    """keep_alive 0 without a prompt: out of memory as soon as nobody uses it."""
    with _lock:
        runner = _loaded.get(name.key)
        if runner is not None:
            runner.expires = runner.keep_alive = 0
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
                      "expires_at": store.stamp(expires), "size_vram": script.for_model(runner.name).get("size_vram", 0)})
    return sorted(shown, key=lambda model: model["expires_at"], reverse=True)
