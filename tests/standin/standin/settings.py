"""The OLLAMA_* variables, read the way Ollama reads them."""
import os
import re
import socket
from typing import Optional, Tuple

FOREVER = float("inf")
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"([0-9]*\.?[0-9]+)(ns|us|µs|ms|s|m|h)")


def variable(name: str) -> str:
    """Ollama strips blanks and quotes from every variable."""
    return os.environ.get(name, "").strip().strip("\"'")


def host() -> Tuple[str, int]:
    """OLLAMA_HOST: [scheme://]host[:port][/path], [v6]:port, a bare v6 address, or :port."""
    text = variable("OLLAMA_HOST")
    port, (scheme, found, rest) = "11434", text.partition("://")
    if found:
        port = {"http": "80", "https": "443"}.get(scheme, port)
    else:
        rest = text
    hostport = rest.split("/", 1)[0]
    name, given = _split(hostport)
    if name is None:
        bare = hostport.strip("[]")
        return (bare if _is_v6(bare) else hostport) or "127.0.0.1", int(port)
    if re.match(r"[+-]?[0-9]+\Z", given) and 0 <= int(given) <= 65535:
        port = str(int(given))
    return name, int(port)


def _split(hostport: str) -> Tuple[Optional[str], str]:
    """host and port, or (None, "") where there is no port to split off."""
    bracketed = re.match(r"\[([^\[\]]*)\]:([^:\[\]]*)\Z", hostport)
    plain = re.match(r"([^:\[\]]*):([^:\[\]]*)\Z", hostport)
    match = bracketed or plain
    return (match.group(1), match.group(2)) if match else (None, "")


def _is_v6(text: str) -> bool:
    try:
        socket.inet_pton(socket.AF_INET6, text)
        return True
    except OSError:
        return False


def duration(value) -> Optional[float]:
    """Seconds from a number or a Go duration; negative means forever, None that it cannot be read."""
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return FOREVER if value < 0 else float(value)
    if not isinstance(value, str):
        return None
    text = value.strip()
    sign, text = (-1, text[1:]) if text.startswith("-") else (1, text.lstrip("+"))
    if re.match(r"[0-9]+\Z", text):
        total = float(text)
    elif text and _DURATION.sub("", text) == "":
        total = sum(float(number) * _UNITS[unit] for number, unit in _DURATION.findall(text))
    else:
        return None
    return FOREVER if sign < 0 and total > 0 else total


def keep_alive() -> float:
    """How long a model stays loaded unless a request says otherwise."""
    seconds = duration(variable("OLLAMA_KEEP_ALIVE")) if variable("OLLAMA_KEEP_ALIVE") else None
    return 300.0 if seconds is None else seconds


def models_dir() -> str:
    """Where models live."""
    return variable("OLLAMA_MODELS") or os.path.join(os.path.expanduser("~"), ".ollama", "models")


def no_prune() -> bool:
    """OLLAMA_NOPRUNE: whatever is not one of Go's words for false counts as true."""
    text = variable("OLLAMA_NOPRUNE")
    return bool(text) and text not in ("0", "f", "F", "false", "FALSE", "False")


def origins() -> list:
    """Origins that browsers may come from; * stands for anything."""
    allowed = [origin for origin in variable("OLLAMA_ORIGINS").split(",") if origin]
    for name in ("localhost", "127.0.0.1", "0.0.0.0"):
        for scheme in ("http", "https"):
            allowed += [f"{scheme}://{name}", f"{scheme}://{name}:*"]
    return allowed + [f"{scheme}://*" for scheme in ("app", "file", "tauri", "vscode-webview", "vscode-file")]
