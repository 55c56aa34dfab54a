"""/api/pull: progress lines as Ollama sends them, resume from -partial files, and the scripted ways to fail.

Two pulls of one layer share its download, and it goes on as long as one of their clients is there. Like the real
one, a line without progress has no `completed`, and lines come every 60 ms whether bytes do or not.
"""
import json
import os
import threading
import time

from . import script, store
from .journal import note
from .wire import Drop

TICK = 0.06
_lock = threading.Lock()
_leaders: dict = {}


class PullError(Exception):
    """Ends a pull with {"error": …}."""


def _scripted_error(name, rules: dict, path: str):
    """The text of the scripted error, and whether it comes before the download or in the middle of it."""
    kind = rules.get("pull_error")
    if not kind or kind == "success_but_absent" or not script.strikes(rules, "pull_error", name.key):
        return None, None
    url = f"https://{name.host}/v2/{name.namespace}/{name.model}/manifests/{name.tag}"
    texts = {"disk_full": f"write {path}-partial: no space left on device",
             "unknown_model": "pull model manifest: file does not exist",
             "dead_network": f'pull model manifest: Get "{url}": dial tcp: lookup {name.host} on 127.0.0.53:53: '
                             "no such host"}
    return texts.get(kind, str(kind)), ("middle" if kind == "disk_full" else "start")


class Layer:
    """The download of one big blob."""

    def __init__(self, name, rules: dict, digest: str, size: int):
        self.name, self.rules, self.digest, self.size = name, rules, digest, size
        self.path = store.blob_path(digest)
        self.rate = max(1, rules.get("pull_rate_bytes_s", size / 1.5))
        self.done = self._resumed()
        self._stalled = None
        self._spared = False

    def _resumed(self) -> int:
        try:
            with open(self.path + "-partial-0", encoding="utf-8") as file:
                return min(self.size, int(json.load(file)["Completed"]))
        except (OSError, ValueError, KeyError):
            return 0

    def save(self) -> None:
        """Put down how far it came, as Ollama does beside its partial file."""
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        with open(self.path + "-partial", "ab") as file:
            file.truncate(self.size)
        with open(self.path + "-partial-0", "w", encoding="utf-8") as file:
            json.dump({"N": 0, "Offset": 0, "Size": self.size, "Completed": self.done}, file)

    def finish(self) -> None:
        """The partial file becomes the blob."""
        self.save()
        os.replace(self.path + "-partial", self.path)
        os.remove(self.path + "-partial-0")

    def _reaches(self, fault: str) -> bool:
        mark = self.rules.get(fault)
        return mark is not None and self.done >= int(mark * self.size)

    def advance(self, seconds: float, middle_error) -> None:
        """Some more bytes, unless the script has other ideas."""
        before = self.done
        limits = [self.size] + [max(before, int(self.rules[fault] * self.size))
                                for fault in ("pull_fail_at", "pull_stall_at") if self.rules.get(fault) is not None]
        goal = before + int(self.rate * seconds) + 1
        self.done = min([goal] + [limit for limit in limits if limit > before] or [self.size])
        if middle_error and self.done >= self.size // 2:
            self.save()
            raise PullError(middle_error)
        if self._reaches("pull_stall_at"):
            if self._stalled is None:
                self._stalled = script.strikes(self.rules, "pull_stall", self.name.key, 1)
                if self._stalled:
                    note("fault", what="pull_stall_at", model=self.name.short)
            if self._stalled:
                self.done = max(before, int(self.rules["pull_stall_at"] * self.size))
        if not self._stalled and self._reaches("pull_fail_at") and not self._spared:
            self._spared = not script.strikes(self.rules, "pull_fail", self.name.key, 1)
            if not self._spared:
                note("fault", what="pull_fail_at", model=self.name.short)
                self.save()
                raise PullError("max retries exceeded: unexpected EOF")

    @property
    def silent(self) -> bool:
        """Stalled so badly that no lines come either."""
        return bool(self._stalled and self.rules.get("pull_stall_silent"))


def _progress(digest: str, size: int, done: int) -> dict:
    line = {"status": f"pulling {digest[7:19]}", "digest": digest, "total": size}
    if done:
        line["completed"] = done
    return line


def _download(conn, layer: Layer, middle_error, send) -> None:
    """Drive the download of a layer, or watch the one who does."""
    ticked = time.monotonic()
    while not os.path.exists(layer.path):
        with _lock:
            leading = _leaders.setdefault(layer.digest, layer) is layer
        shown = layer if leading else _leaders.get(layer.digest, layer)
        try:
            conn.wait(TICK)
            now = time.monotonic()
            if leading:
                layer.advance(now - ticked, middle_error)
                layer.save()
            ticked = now
            if not shown.silent:
                send(_progress(layer.digest, layer.size, shown.done))
            if leading and layer.done >= layer.size:
                layer.finish()
                with _lock:
                    del _leaders[layer.digest]
        except BaseException:
            with _lock:
                if _leaders.get(layer.digest) is layer:
                    del _leaders[layer.digest]
            raise


def run(conn, name, send) -> None:
    """Pull a model, telling send() each step. PullError, ClientGone or Drop end it early."""
    rules = script.for_model(name)
    size = int(rules.get("pull_bytes", 64 << 20))
    layers = store.layers_for(name, size)
    error, where = _scripted_error(name, rules, store.blob_path(layers[0][1]))
    big = Layer(name, rules, layers[0][1], size)
    note("pull_start", id=conn.request.id, model=name.short, resumed_at=big.done)
    try:
        send({"status": "pulling manifest"})
        conn.wait(0.01)
        if where == "start":
            raise PullError(error)
        for _, digest, length, content in layers:
            if os.path.exists(store.blob_path(digest)):
                send(_progress(digest, length, length))
            elif content is None:
                _download(conn, big, error, send)
            else:
                store.write_blob(digest, content, length)
                send(_progress(digest, length, length))
        send({"status": "verifying sha256 digest"})
        send({"status": "writing manifest"})
        if rules.get("pull_error") != "success_but_absent":
            store.write_manifest(name, layers)
        send({"status": "success"})
        note("pull_done", id=conn.request.id, model=name.short)
    except (PullError, Drop) as failure:
        note("pull_failed", id=conn.request.id, model=name.short, error=str(failure))
        raise
