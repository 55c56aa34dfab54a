"""What a backend gets wrong: nothing of it may look whole to a client."""
import re

import http_cases
from cases import MAY, MUST, Case, Seen
from front import status_of
from http_cases import CHUNKED, JSON, answer, post

SENT = (post(b"Content-Length: %d" % len(JSON), b"Connection: close", body=JSON),)
BAD_LENGTHS = r"^two CLs|CL (\+11|-1|0xb)|an empty CL|30 digits"


def no_answer(seen: Seen) -> str:
    """502, or the end of the connection."""
    status = status_of(seen.answer)
    return f"it was passed on as {status}: {seen.answer[:120]!r}" if 0 < status < 500 else ""


def is_whole(got: bytes) -> bool:
    """Whether a client would take it for a complete answer: by its length, or by a last chunk. To the end of the connection nobody can say."""
    head, _, body = got.partition(b"\r\n\r\n")
    length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.I)
    if re.search(rb"\r\ntransfer-encoding: *chunked", head, re.I):
        return body.endswith(b"0\r\n\r\n")
    return bool(length) and len(body) == int(length.group(1))


def no_whole_answer(seen: Seen) -> str:
    """An error, or an answer that breaks off."""
    return f"it looks complete: {seen.answer[-80:]!r}" if status_of(seen.answer) == 200 and is_whole(seen.answer) else ""


def cases() -> list:
    """Heads that can be read in two ways, bodies that break, and bodies that are cut."""
    made = [Case("9112 6.3 answers with a bad head", what, MUST if re.search(BAD_LENGTHS, what) else MAY, SENT, no_answer, 502, reply, True)
            for what, reply in http_cases.answers()]
    made += [Case("9112 7.1 answers with bad chunks", what, MUST, SENT, no_whole_answer, 0, reply, True) for what, reply in http_cases.chunked_answers()]
    whole = {"a length": answer(b"Content-Length: 34", body=b'{"response":"a"}\n' * 2), "chunks": answer(CHUNKED, body=b"11\r\n" + b'{"response":"a"}\n' + b"\r\n0\r\n\r\n")}
    for framing, reply in whole.items():
        head = reply.index(b"\r\n\r\n") + 4
        for left in sorted({head, head + 1, head + 10, len(reply) - 7, len(reply) - 2, len(reply) - 1}):
            made.append(Case("9112 8 answers that are cut", f"{framing}, {len(reply) - left} bytes before the end", MUST, SENT, no_whole_answer, 0, reply[:left], True))
    made.append(Case("9112 8 answers that are cut", "within its head", MUST, SENT, no_answer, 502, whole["a length"][:20], True))
    made.append(Case("9112 8 answers that are cut", "before its first byte", MUST, SENT, no_answer, 502, b"", True))
    return made
