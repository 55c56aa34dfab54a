"""Which handler answers what, and Ollama's guards against foreign hosts and origins."""
import fnmatch
import ipaddress
import re
import socket

from . import api, infer, script, settings, v1
from .generate import FOREVER
from .journal import note

ROUTES = {
    "/": {"HEAD": api.root, "GET": api.root},
    "/api/version": {"HEAD": api.version, "GET": api.version},
    "/api/tags": {"HEAD": api.tags, "GET": api.tags},
    "/api/ps": {"GET": api.ps},
    "/api/show": {"POST": api.show},
    "/api/generate": {"POST": infer.generate_handler},
    "/api/chat": {"POST": infer.chat_handler},
    "/api/embed": {"POST": api.embed},
    "/api/embeddings": {"POST": api.embeddings},
    "/api/pull": {"POST": api.pull},
    "/api/delete": {"DELETE": api.delete},
    "/api/copy": {"POST": api.copy},
    "/api/create": {"POST": api.create},
    "/v1/models": {"GET": v1.models},
    "/v1/chat/completions": {"POST": v1.chat},
    "/v1/completions": {"POST": v1.completions},
    "/v1/embeddings": {"POST": v1.embeddings},
}


def _pprof(conn):
    """Ollama serves Go's profiler to whoever asks, which a proxy had better not pass on."""
    conn.answer(200, "text/html; charset=utf-8", b"<html><title>/debug/pprof/</title></html>\n")


def _methods(path: str):
    if re.match(r"/api/blobs/[^/]+\Z", path):
        return {"HEAD": api.blobs, "POST": api.blobs}
    if re.match(r"/v1/models/[^/]+\Z", path):
        return {"GET": v1.model}
    if path.startswith("/debug/pprof/"):
        return {"GET": _pprof}
    return ROUTES.get(path)


def _local_host(value: str) -> bool:
    """Whether Ollama, bound to loopback, takes this Host."""
    host = re.sub(r":[0-9]*\Z", "", value) if not value.endswith("]") else value
    host = host.strip("[]").lower()
    try:
        address = ipaddress.ip_address(host)
        return address.is_loopback or address.is_private or address.is_unspecified
    except ValueError:
        known = ("", "localhost", socket.gethostname().lower())
        return host in known or host.endswith((".localhost", ".local", ".internal"))


def _guard(conn, loopback: bool) -> bool:
    """Whether the request may go on; where not, it has been answered. Adds the headers of CORS."""
    request = conn.request
    origin = request.header("origin")
    if origin and origin not in (f"http://{request.header('host')}", f"https://{request.header('host')}"):
        if not any(fnmatch.fnmatchcase(origin, pattern) for pattern in settings.origins()):
            conn.answer(403, "")
            return False
        conn.extra = [("Access-Control-Allow-Origin", origin), ("Vary", "Origin")]
        if request.method == "OPTIONS":
            wanted = request.header("access-control-request-headers", "content-type")
            conn.answer(204, "", b"", [("Access-Control-Allow-Methods", "GET,POST,PUT,PATCH,DELETE,HEAD,OPTIONS"),
                                       ("Access-Control-Allow-Headers", wanted)])
            return False
    if loopback and not _local_host(request.header("host")):
        conn.answer(403, "")
        return False
    if loopback and request.method == "OPTIONS":
        conn.answer(204, "")
        return False
    return True


def dispatch(conn, loopback: bool) -> None:
    """Answer conn.request."""
    request = conn.request
    if script.read().get("hang_everything"):
        note("fault", what="hang_everything", id=request.id)
        conn.wait(FOREVER)
    if not _guard(conn, loopback):
        return
    methods = _methods(request.path)
    if methods is None:
        conn.answer(404, "text/plain", b"404 page not found")
    elif request.method not in methods:
        conn.answer(405, "text/plain", b"405 method not allowed", [("Allow", ", ".join(methods))])
    else:
        try:
            methods[request.method](conn)
        except api.Refuse as error:
            if request.path.startswith("/v1/"):
                v1.refuse(conn, error)
            else:
                conn.error(error.status, str(error))
