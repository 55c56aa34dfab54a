"""The command line: serve, and as much of the client as a quick look needs."""
import http.client
import json
import sys

from . import VERSION, settings

USAGE = """Usage:
  ollama serve | list | ps | pull NAME | show NAME | --version

This is a stand-in for Ollama: it speaks the protocol and runs no model."""


def _ask(method: str, path: str, body=None):
    """One request to the server; the open answer, or None where nobody listens."""
    host, port = settings.host()
    connection = http.client.HTTPConnection("127.0.0.1" if host in ("", "0.0.0.0", "::") else host, port)
    try:
        connection.request(method, path, json.dumps(body) if body is not None else None)
        return connection.getresponse()
    except OSError:
        return None


def _need(answer):
    if answer is None:
        raise SystemExit("Error: could not connect to ollama app, is it running?")
    if answer.status >= 400:
        raise SystemExit("Error: " + json.loads(answer.read())["error"])
    return answer


def _version() -> int:
    answer = _ask("GET", "/api/version")
    if answer is None:
        print("Warning: could not connect to a running Ollama instance")
        print(f"Warning: client version is {VERSION}")
    else:
        print(f"ollama version is {json.loads(answer.read())['version']}")
    return 0


def _pull(name: str) -> int:
    for line in _need(_ask("POST", "/api/pull", {"model": name})):
        step = json.loads(line)
        if "error" in step:
            raise SystemExit("Error: " + step["error"])
        share = f" {100 * step.get('completed', 0) // step['total']}%" if step.get("total") else ""
        print(f"\r{step['status']}{share}\033[K", end="" if share else "\n", flush=True)
    return 0


def main(args: list) -> int:
    """Run one command."""
    command = args[0] if args else ""
    if command in ("serve", "start"):
        from .server import serve
        return serve()
    if command in ("--version", "-v"):
        return _version()
    if command in ("list", "ls", "ps"):
        path = "/api/ps" if command == "ps" else "/api/tags"
        print("NAME\tID\tSIZE")
        for model in json.loads(_need(_ask("GET", path)).read())["models"]:
            print(f"{model['name']}\t{model['digest'][:12]}\t{model['size'] / 1e6:.0f} MB")
        return 0
    if command == "pull" and len(args) == 2:
        return _pull(args[1])
    if command == "show" and len(args) == 2:
        facts = json.loads(_need(_ask("POST", "/api/show", {"model": args[1]})).read())
        print("\n".join(f"{key}\t{value}" for key, value in facts["details"].items()))
        return 0
    print(USAGE, file=sys.stdout if command in ("help", "--help", "-h") else sys.stderr)
    return 0 if command in ("help", "--help", "-h") else 1
