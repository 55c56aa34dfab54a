"""What a case is: bytes that a client sends or a backend answers, and what is due by which section. The rows of tests/e2e/http_cases.py are cases of
what is to be refused; taken.py and answers.py have what is to go through.

must: the RFC says so (MUST). may: it leaves a choice, or says SHOULD, and ours is the stricter one: what can be read in two ways is refused."""
import os
import re
import sys
from dataclasses import dataclass
from typing import Callable, Union

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "e2e"))

import http_cases  # noqa: E402  (the path has to be set first)
from front import status_of  # noqa: E402
from raw_backend import OK  # noqa: E402

MUST, MAY = "must", "may"


@dataclass(frozen=True)
class Seen:
    """What came of it."""
    answer: bytes      # all that the client got
    requests: list     # whole requests that came to the backend
    raw: bytes         # all bytes that came to it


@dataclass(frozen=True)
class Case:
    """One row."""
    section: str
    what: str
    level: str
    sent: tuple                       # pieces, one by one
    complaint: Callable[[Seen], str]  # "" where all is as it is due
    ours: int = 0                     # the very status that we answer with, where that is a promise
    reply: Union[bytes, tuple, Callable] = OK  # the backend's answer
    closes: bool = False              # … which ends its connection

    @property
    def name(self) -> str:
        """As tests are called."""
        return f"{self.section} {self.what}"


def refused(seen: Seen) -> str:
    """An error or the end of the connection, and nothing of it behind the proxy."""
    status = status_of(seen.answer) or int((re.match(rb"HTTP/1\.[01] (\d{3})", seen.answer) or [0, 0])[1])
    if seen.requests:
        return f"the backend got it: {seen.requests[0][:120]!r}"
    return f"it was answered with {status}" if 0 < status < 400 else ""


def not_passed_on(pattern: bytes):
    """Refused, or mended on its way: what the backend gets does not match."""
    def complaint(seen: Seen) -> str:
        found = re.search(pattern, seen.raw, re.S | re.I)
        return f"the backend got {seen.raw[max(0, found.start() - 40):found.end() + 40]!r}" if found else ""

    return complaint


def one_framing(seen: Seen) -> str:
    """Refused, or passed on with one of them alone. RFC 9112, 6.3, 3."""
    heads = [request.partition(b"\r\n\r\n")[0].lower() for request in seen.requests]
    both = [head for head in heads if b"\r\ncontent-length:" in head and b"\r\ntransfer-encoding:" in head]
    inner = [head for head in heads if head.startswith(b"get /api/ps")]
    return f"both framings came to the backend: {both[0][:120]!r}" if both else "a body came to the backend as a request" if inner else ""


def musts(pattern: str):
    """The level of a row, by what it is called."""
    return lambda what: MUST if re.search(pattern, what) else MAY


BAD_HOSTS = r"^no Host|^Host twice|^hOST|^Host: (a b|a/b|http://a|u@a|a:x|a:-1|a:1:2|\[|\[\]|\[::1|\[::1\]x|\[::1\]:x|::1|a\?b|a#b|a\\b|a\tb|\"a\")$"
BAD_LENGTHS = r"^two CLs|^Content-Length: (5, 6|\+5|-1|-0|0x10|0x5|5_0|5\.0|5e0|5 0|5;|'5'|\"5\"|five|0b1|1{30}|9223372036854775808|18446744073709551616|5\t0)$"
BAD_CODINGS = r"^Transfer-Encoding: '(xchunked|chunkedx|chunked, gzip|gzip|identity|x|trailers|cow|chunked x|chun ked)'$"
BAD_CHUNKS = r"0_2e|0x5|b'\\r\\n|\+5|-5|-0|b'g|5g|5\.0|5,5|1{17}|f{16}|b'8000|b';x|(?<!;)\\x00|hellox|hello0|hell\\r"

# (section, rows, the level by its name, what is due instead of a refusal where the RFC has another way)
REFUSED = (
    ("9112 3.2 Host", http_cases.hosts, musts(BAD_HOSTS), None),
    ("9112 5.1 names of fields", http_cases.names, musts("before the colon"), None),
    ("9112 5.2 folded lines", http_cases.folds, musts("folded line|folded Tr|folded Co"), not_passed_on(rb"\r\n[ \t]")),
    ("9112 6.3 two framings", http_cases.both_framings, musts("."), one_framing),
    ("9112 6.2 Content-Length", http_cases.lengths, musts(BAD_LENGTHS), None),
    ("9112 6.1 Transfer-Encoding", http_cases.encodings, musts(BAD_CODINGS), None),
    ("9112 6.1 Transfer-Encoding in HTTP/1.0", http_cases.encodings_of_http_1_0, musts("^$"), None),
    ("9112 7.1 chunks", http_cases.chunk_sizes, musts(BAD_CHUNKS), None),
    ("9112 2.2 ends of lines", http_cases.line_ends, musts("CR within|CR and a field"), not_passed_on(rb"\r[^\n]")),
    ("9110 5.5 bytes of values", http_cases.odd_bytes, musts("0x00 in a value|NUL in Host"), not_passed_on(rb"\0")),
    ("9112 3 request lines", http_cases.first_lines, musts("^$"), None),
    ("9110 10.1.1 Expect", http_cases.expectations, musts("^$"), None),
    ("9112 3, 9110 5.4 too long", http_cases.too_large, musts("^$"), None),
)


def refusals() -> list:
    """All that is refused. Where the RFC has another way as well, that is enough for a `must`."""
    made = []
    for section, rows, level_of, other_way in REFUSED:
        for what, sent, status in rows():
            level = level_of(what)
            closing = sent.replace(b"\r\n" + http_cases.HOST, b"\r\nConnection: close\r\n" + http_cases.HOST, 1) if status in (404, 405, 501) else sent
            made.append(Case(section, what, level, (closing,), other_way if other_way and level == MUST else refused, status))
    return made
