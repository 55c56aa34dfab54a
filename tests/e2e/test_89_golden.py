"""Requests as real agents send them, from bytes to bytes: tests/golden has a file for each.

GOLDEN_UPDATE=1 writes what the backend was asked and what the client got into the files, for `git diff` to be read; what their
lines of `expect` say must hold all the same."""
import json
import os
import sys

import pytest

from played_backend import END, chunk, head, single

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "golden"))

from golden import Golden, long_text, names  # noqa: E402
from reading import Read, check_asked, no_twins  # noqa: E402

IS_UPDATE = bool(os.environ.get("GOLDEN_UPDATE"))
UNEXPECTED = (500, "application/json", b'{"error":"nothing was to be asked"}')
ABOUT_MODELS = ("/api/show", "/api/tags", "/api/ps")


class Ollama:
    """A model of these capabilities, and answers in turn to what is asked of it."""

    def __init__(self, capabilities: list, answers: list):
        self.capabilities = capabilities
        self.answers = answers
        self.asked: list = []  # (path, body) of each, but those about models
        self.shows_n = 0

    def __call__(self, request):
        path = request[0].split(b" ")[1].decode()
        if path in ABOUT_MODELS:
            self.shows_n += path == "/api/show"
            return single({"capabilities": self.capabilities, "template": "{{ .Prompt }}", "details": {"family": "llama"},
                           "model_info": {}, "models": [{"name": "tiny:latest", "model": "tiny:latest"}]})
        self.asked.append((path, request[1]))
        status, content_type, body = self.answers[min(len(self.asked), len(self.answers)) - 1]
        if content_type == "application/json":
            return [head(content_type, framing=f"Content-Length: {len(body)}", status=f"{status} Status"), body]
        return [head(content_type), *(chunk(line) for line in body.splitlines(keepends=True)), END]


def ask(sidecar, golden):
    """The answer to the file's request, read to its end."""
    method, path, headers, body = golden.request()
    with sidecar.connect() as connection:
        answer = connection.request(method, path, body, headers)
        answer.body  # pylint: disable=pointless-statement
        return answer


def scope(ollama, read, wanted):
    """The names that a line of `expect` may use."""
    asks = [json.loads(body, object_pairs_hook=no_twins) for _, body in ollama.asked]
    return {**vars(read), "asks": asks, "asked": asks[-1] if asks else None, "wanted": wanted, "shows_n": ollama.shows_n,
            "path": ollama.asked[-1][0] if ollama.asked else None, "loads": json.loads,
            "long": lambda n: json.loads(b'"' + long_text(n) + b'"'), "__builtins__": {"any": any, "all": all, "len": len, "set": set}}


@pytest.mark.parametrize("name", names())
def test_a_shape(sidecar, before, request, name):
    golden = Golden(name)
    if golden.all("pending"):
        request.applymarker(pytest.mark.xfail(strict=True, reason=golden.text("pending")))
    ollama = Ollama(golden.text("model can").split(), golden.answers() or [UNEXPECTED])
    before(play=ollama).shown = ollama
    wanted = json.loads(golden.request()[3])
    answer = ask(sidecar, golden)
    assert answer.clean
    got = f"{answer.status} {answer.header('Content-Type')}\n\n".encode() + answer.body
    now = golden.saw([f"POST {path}\n\n".encode() + body for path, body in ollama.asked], got)
    if IS_UPDATE:
        golden.write(now)
        golden = Golden(name)
    read = Read(answer.status, answer.header("Content-Type"), answer.body)
    read.check(wanted)
    for path, body in ollama.asked:
        check_asked(path, json.loads(body))
    known = scope(ollama, read, wanted)
    lines = [line for line in golden.text("expect").split("\n") if line]
    assert lines, f"{golden.path} expects nothing"
    for line in lines:
        assert eval(line, known), f"{line}\n{known}"  # pylint: disable=eval-used
    assert now == golden.sections, f"{golden.path} tells of other bytes; GOLDEN_UPDATE=1 shows them in git diff"


def test_there_are_thirty_of_them_and_they_are_small():
    files = [Golden(name).path for name in names()]
    assert len(files) >= 30 and sum(os.path.getsize(path) for path in files) < 300 * 1024
    for path in files:
        assert Golden(os.path.basename(path)[:-len(".golden")]).text("about")
