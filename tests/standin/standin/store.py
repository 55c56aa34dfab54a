"""Models on disk, laid out as Ollama does: manifests/HOST/NAMESPACE/MODEL/TAG and blobs/sha256-HEX.

The big layer is a sparse file and its digest comes from the model's name: nothing here hashes gigabytes. An
interrupted download leaves sha256-HEX-partial (the data) and sha256-HEX-partial-0 (how far it came).
"""
import hashlib
import json
import os
import threading
from datetime import datetime, timezone

from . import names, settings
from .names import Name

MODEL = "application/vnd.ollama.image.model"
TEMPLATE = "application/vnd.ollama.image.template"
CONFIG = "application/vnd.docker.container.image.v1+json"
_lock = threading.RLock()


def stamp(seconds: float) -> str:
    """A time as Go writes it."""
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def digest_of(data: bytes) -> str:
    """sha256:HEX of some bytes."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def blob_path(digest: str) -> str:
    """Where a blob is, or will be."""
    return os.path.join(settings.models_dir(), "blobs", digest.replace(":", "-"))


def manifest_path(name: Name) -> str:
    """Where a model's manifest is, or will be."""
    return os.path.join(settings.models_dir(), "manifests", *name)


def details(name: Name) -> dict:
    """A plausible description, guessed from the name."""
    family = name.model.lower().rstrip("0123456789.-") or "llama"
    size = name.tag.upper() if name.tag[:1].isdigit() else "1.2B"
    return {"model_format": "gguf", "model_family": family, "model_families": [family], "model_type": size,
            "file_type": "Q8_0", "architecture": "amd64", "os": "linux", "name": name.short}


def layers_for(name: Name, size: int) -> list:
    """What the registry would list for a model: (media type, digest, size, content or None for the big one)."""
    config = json.dumps(details(name)).encode()
    template = b"{{ if .System }}{{ .System }}\n{{ end }}{{ .Prompt }}\n"
    big = digest_of(f"stand-in weights of {name.key}".encode())
    return [(MODEL, big, size, None), (TEMPLATE, digest_of(template), len(template), template),
            (CONFIG, digest_of(config), len(config), config)]


def write_manifest(name: Name, layers: list) -> None:
    """Make a model exist; its blobs have to be there."""
    entries = [{"mediaType": media, "digest": digest, "size": size} for media, digest, size, _ in layers]
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
                "config": entries[-1], "layers": entries[:-1]}
    path = manifest_path(name)
    with _lock:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path + ".new", "w", encoding="utf-8") as file:
            json.dump(manifest, file)
        os.replace(path + ".new", path)


def write_blob(digest: str, content, size: int) -> None:
    """A whole blob at once; without content, a sparse file."""
    path = blob_path(digest)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        if content is None:
            file.truncate(size)
        else:
            file.write(content)


def install(text: str, size: int = 1 << 20) -> None:
    """Seed a model, as if it had been pulled long ago."""
    name = names.parse(text)
    if name is None:
        raise ValueError(f"STANDIN_MODELS: bad name {text!r}")
    layers = layers_for(name, size)
    for _, digest, length, content in layers:
        if not os.path.exists(blob_path(digest)):
            write_blob(digest, content, length)
    if not os.path.exists(manifest_path(name)):
        write_manifest(name, layers)


def every_name() -> list:
    """All installed models."""
    root, found = os.path.join(settings.models_dir(), "manifests"), []
    for directory, _, files in os.walk(root):
        parts = os.path.relpath(directory, root).split(os.sep)
        if len(parts) == 3:
            found += [Name(*parts, tag) for tag in files if not tag.endswith(".new")]
    return found


def find(text):
    """The installed model of that name in any case, or None."""
    wanted = names.parse(text)
    if wanted is None:
        return None
    return next((name for name in every_name() if name.key == wanted.key), None)


def manifest(name: Name) -> dict:
    """A model's manifest."""
    with open(manifest_path(name), encoding="utf-8") as file:
        return json.load(file)


def facts(name: Name) -> dict:
    """A model as /api/tags lists it."""
    path = manifest_path(name)
    with open(path, "rb") as file:
        raw = file.read()
    content = json.loads(raw)
    with open(blob_path(content["config"]["digest"]), encoding="utf-8") as file:
        config = json.load(file)
    size = sum(layer["size"] for layer in content["layers"]) + content["config"]["size"]
    described = {"parent_model": "", "format": config["model_format"], "family": config["model_family"],
                 "families": config["model_families"], "parameter_size": config["model_type"],
                 "quantization_level": config["file_type"]}
    return {"name": name.short, "model": name.short, "modified_at": stamp(os.stat(path).st_mtime), "size": size,
            "digest": hashlib.sha256(raw).hexdigest(), "details": described}


def listing() -> list:
    """All models, the latest first. One that vanishes meanwhile is left out."""
    found = []
    for name in every_name():
        try:
            found.append(facts(name))
        except (OSError, ValueError, KeyError):
            continue
    return sorted(found, key=lambda model: model["modified_at"], reverse=True)


def copy(source: Name, target: Name) -> None:
    """A second manifest over the same blobs."""
    with _lock:
        entries = manifest(source)
        layers = [(e["mediaType"], e["digest"], e["size"], None) for e in entries["layers"] + [entries["config"]]]
        write_manifest(target, layers)


def delete(name: Name) -> None:
    """Remove a model and the blobs that no other model uses."""
    with _lock:
        entries = manifest(name)
        os.remove(manifest_path(name))
        used = _used()
        for entry in entries["layers"] + [entries["config"]]:
            if entry["digest"] not in used and os.path.exists(blob_path(entry["digest"])):
                os.remove(blob_path(entry["digest"]))


def _used() -> set:
    """Digests of all blobs that some manifest names."""
    used = set()
    for name in every_name():
        content = manifest(name)
        used.update(entry["digest"] for entry in content["layers"] + [content["config"]])
    return used


def prune() -> None:
    """What Ollama does at each start without OLLAMA_NOPRUNE: unused blobs go, and so do partial downloads."""
    directory = os.path.join(settings.models_dir(), "blobs")
    os.makedirs(directory, exist_ok=True)
    if settings.no_prune():
        return
    used = _used()
    for file in os.listdir(directory):
        if file.replace("-", ":", 1) not in used:
            os.remove(os.path.join(directory, file))
