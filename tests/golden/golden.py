"""Golden files: what an agent sends, what the backend is asked, what it answers, what the agent gets (README.md)."""
import json
import os
import re

HERE = os.path.dirname(os.path.abspath(__file__))
MARK = b"=== "
# Long text in a request stands in its file as @{text CHARACTERS}, and is made here: the same each time.
LONG = re.compile(rb"@\{text (\d+)\}")
WORDS = ("the tool reads a <path> of the workspace and \"says\" so; each step is <b>one</b> tool & no more, "
         "C:\\work\\src\ttabs too, na\u00efve caf\u00e9 \u2713 \U0001f9ea. ").split(" ")
# What we make up ourselves, other each time, and what stands for it.
VARYING = ((rb'"id":"(chatcmpl|cmpl|call)[-_][A-Za-z0-9_-]*?(_\d+)?"', rb'"id":"\1-ID\2"'), (rb'"created":\d+', rb'"created":0'))


def long_text(characters: int) -> bytes:
    """So many characters of a prompt with tools as XML, as they stand within a JSON string."""
    parts, size, n = [], 0, 0
    while size < characters:
        name = f"tool_{n % 12}"
        body = " ".join(WORDS[(n * 7 + i) % len(WORDS)] for i in range(40))
        part = f"## {name}\nDescription: {body}\nUsage:\n<{name}>\n<path>src/{n}.c</path>\n</{name}>\n\n"
        parts.append(part)
        size, n = size + len(part), n + 1
    return json.dumps("".join(parts)[:characters], ensure_ascii=False).encode()[1:-1]


class Golden:
    """One file: sections of bytes, each behind a line `=== NAME`; the last one is `=== end`."""

    def __init__(self, name: str):
        self.path = os.path.join(HERE, name + ".golden")
        with open(self.path, "rb") as file:
            pieces = (b"\n" + file.read()).split(b"\n" + MARK)
        assert pieces[0] == b"" and pieces[-1] == b"end\n", f"{self.path}: begins with `=== about`, ends with `=== end`"
        self.sections = [tuple(piece.partition(b"\n")[::2]) for piece in pieces[1:-1]]

    def all(self, name: str) -> list:
        """The sections of that name."""
        return [content for other, content in self.sections if other == name.encode()]

    def text(self, name: str) -> str:
        """The one section of that name, or nothing."""
        return b"\n".join(self.all(name)).decode()

    def request(self):
        """Method, path, headers and body of what the client sends."""
        head, body = _expand(self.all("client asks")[0]).split(b"\n\n", 1)
        first, *lines = head.decode().split("\n")
        method, path = first.split(" ")
        return method, path, [tuple(line.split(": ", 1)) for line in lines], body

    def answers(self) -> list:
        """(status, type, body) for each request in turn, the last for all that follow."""
        return [_answer(content) for content in self.all("backend answers")]

    def saw(self, asked: list, got: bytes) -> list:
        """The file's sections as they are now: what the backend was asked, what the client got."""
        asked = [(b"backend is asked", _fold(self, one)) for one in asked]
        for pattern, instead in VARYING:
            got = re.sub(pattern, instead, got)
        return ([section for section in self.sections if section[0] not in (b"backend is asked", b"client gets")]
                + asked + [(b"client gets", _fold(self, got))])

    def write(self, sections: list) -> None:
        """The file anew."""
        with open(self.path, "wb") as file:
            for name, content in sections:
                file.write(MARK + name + b"\n" + content + b"\n")
            file.write(MARK + b"end\n")


def _expand(content: bytes) -> bytes:
    return LONG.sub(lambda match: long_text(int(match.group(1))), content)


def _fold(golden: Golden, content: bytes) -> bytes:
    """With long text by its name, wherever it stands unchanged."""
    for match in LONG.finditer(golden.all("client asks")[0]):
        content = content.replace(long_text(int(match.group(1))), match.group(0))
    return content


def _answer(content: bytes):
    head, body = content.split(b"\n\n", 1)
    status, content_type = head.decode().split(" ")
    return int(status), content_type, body


def names() -> list:
    """All there are."""
    return sorted(entry[:-len(".golden")] for entry in os.listdir(HERE) if entry.endswith(".golden"))
