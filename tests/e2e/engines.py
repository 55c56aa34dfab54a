"""Engines that are played (../standin/engine.py): their sections, script and journal; and models in a hub's cache, made without a hub."""
import hashlib
import json
import os
import struct
import sys

from standin import HERE
from waiting import until

PROGRAM = os.path.join(os.path.dirname(HERE), "standin", "engine.py")
TEMPLATE = "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}assistant: "
REVISION = "0123456789abcdef0123456789abcdef01234567"
GGUF_U32, GGUF_STRING = 4, 8


def safetensors(floats_n=64, seed=b"") -> bytes:
    """A file of one tensor."""
    data = (hashlib.sha256(seed).digest() * (floats_n // 8 + 1))[:floats_n * 4]
    head = json.dumps({"weight": {"dtype": "F32", "shape": [floats_n], "data_offsets": [0, len(data)]}}).encode()
    return struct.pack("<Q", len(head)) + head + data


def gguf(context_n=4096, template=TEMPLATE) -> bytes:
    """A file of keys alone: what it is, and its chat template, if any."""
    def string(text):
        return struct.pack("<Q", len(text.encode())) + text.encode()

    keys = [string("general.architecture") + struct.pack("<I", GGUF_STRING) + string("llama"),
            string("llama.context_length") + struct.pack("<II", GGUF_U32, context_n)]
    if template:
        keys.append(string("tokenizer.chat_template") + struct.pack("<I", GGUF_STRING) + string(template))
    return b"GGUF" + struct.pack("<IQQ", 3, 0, len(keys)) + b"".join(keys)


class Cache:
    """A hub's cache: a folder of models."""

    def __init__(self, path: str):
        self.path = path
        os.makedirs(path, exist_ok=True)

    def folder(self, name: str) -> str:
        """Where a model is."""
        return os.path.join(self.path, "models--" + name.replace("/", "--"))

    def add(self, name: str, files: dict, revision: str = REVISION) -> str:
        """A model of these files {path: bytes}, as the hub's own client lays it out; its snapshot's path."""
        folder = self.folder(name)
        snapshot = os.path.join(folder, "snapshots", revision)
        for path, data in files.items():
            is_large = path.endswith((".safetensors", ".gguf"))
            digest = hashlib.sha256(data).hexdigest() if is_large else hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
            blob = os.path.join(folder, "blobs", digest)
            link = os.path.join(snapshot, path)
            for parent in (os.path.dirname(blob), os.path.dirname(link), os.path.join(folder, "refs")):
                os.makedirs(parent, exist_ok=True)
            with open(blob, "wb") as file:
                file.write(data)
            os.symlink(os.path.relpath(blob, os.path.dirname(link)), link)
        with open(os.path.join(folder, "refs", "main"), "w", encoding="ascii") as file:
            file.write(revision)
        return snapshot

    def model(self, name: str, template=TEMPLATE, context_n: int = 4096, floats_n: int = 64, **more) -> str:
        """One in safetensors; template None: it has no chat template."""
        config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "max_position_embeddings": context_n}
        tokenizer = {"model_max_length": context_n, **({"chat_template": template} if template else {})}
        return self.add(name, {"config.json": json.dumps(config).encode(), "tokenizer_config.json": json.dumps(tokenizer).encode(),
                               "model.safetensors": safetensors(floats_n, name.encode())}, **more)

    def gguf(self, name: str, file: str = "model-Q4_K_M.gguf", **keys) -> str:
        """One in a GGUF file."""
        return self.add(name, {file: gguf(**keys)})


class Engines:
    """The played engines of one sidecar, and its cache of models."""

    def __init__(self, sidecar):
        self.sidecar = sidecar
        self.cache = Cache(os.path.join(sidecar.directory, "hub"))
        self._script = os.path.join(sidecar.directory, "engines.json")
        self._journal = os.path.join(sidecar.directory, "engines.jsonl")
        self._names: list = []
        sidecar.env["HF_HUB_CACHE"] = self.cache.path
        sidecar.configure("models", serve="yes")

    def command(self, name: str, path: str = "%(path)s") -> str:
        """The words of a played engine's template."""
        return (f"{sys.executable} {PROGRAM} --engine {name} --model-path {path} --served %(model)s --port %(port)s "
                f"--script {self._script} --journal {self._journal} --length %(length)s")

    def add(self, name: str = "played", formats: str = "safetensors", **keys) -> str:
        """The section of one more; those added are preferred in that order, and there is no other. Its name."""
        path = "%(file)s" if formats == "gguf" else "%(path)s"
        self.sidecar.configure(f"engine:{name}", **{"command": self.command(name, path), "formats": formats, **keys})
        self._names.append(name)
        self.sidecar.configure("models", engines=", ".join(self._names))
        return name

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

    def starts(self) -> list:
        """The starts but for those whose port somebody else had by then: they are made again with another one."""
        taken = {entry["pid"] for entry in self.journal("port_taken")}
        return [entry for entry in self.journal("started") if entry["pid"] not in taken]

    def wait(self, event: str, timeout: float = 5, count: int = 1, **fields) -> dict:
        """The count-th journal entry of that kind, once it is there."""
        def look():
            found = self.journal(event, **fields)
            return found[count - 1] if len(found) >= count else None

        return until(look, timeout, f"{event} {fields or ''} ({count}x) in the engines' journal",
                     lambda: "\n".join(map(str, self.journal()[-20:])) + "\n" + self.sidecar.process.tail())
