"""Model names: [host/][namespace/]model[:tag], compared without case, as Ollama 0.9.5 has them."""
import re
from typing import NamedTuple, Optional

HOST = "registry.ollama.ai"
NAMESPACE = "library"
TAG = "latest"

_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,349}\Z")
_NAMESPACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,79}\Z")
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}\Z")


class Name(NamedTuple):
    """A complete, valid name; parse() is the only way to get one from text."""

    host: str
    namespace: str
    model: str
    tag: str

    @property
    def short(self) -> str:
        """The form that Ollama lists: defaults left out, the tag never."""
        tail = f"{self.model}:{self.tag}"
        if self.host.lower() != HOST:
            return f"{self.host}/{self.namespace}/{tail}"
        return tail if self.namespace.lower() == NAMESPACE else f"{self.namespace}/{tail}"

    @property
    def key(self) -> str:
        """What two spellings of the same model have in common."""
        return "/".join(self).lower()


def parse(text) -> Optional[Name]:
    """The name in text, or None where Ollama would call it invalid."""
    if not isinstance(text, str):
        return None
    rest, tag = text, TAG
    if rest.rfind(":") > rest.rfind("/"):
        rest, tag = rest.rsplit(":", 1)
    parts = rest.rsplit("/", 2)
    if len(parts) == 3:
        host, namespace, model = parts
        host = host.split("://", 1)[-1]
    else:
        host, namespace, model = HOST, parts[0] if len(parts) == 2 else NAMESPACE, parts[-1]
    if not (_HOST.match(host) and _NAMESPACE.match(namespace) and _PART.match(model) and _PART.match(tag)):
        return None
    return Name(host, namespace, model, tag)
