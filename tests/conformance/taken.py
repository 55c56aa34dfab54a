"""What is to be taken, and as what it is to come to the backend and back."""
import re

from cases import MAY, MUST, Case, Seen
from front import body_of, status_of
from http_cases import CHUNKED, JSON, answer, chunked, post, request
from raw_backend import OK, fields

CLOSE = b"Connection: close"
LENGTH = b"Content-Length: %d" % len(JSON)
INNER = b"GET /api/ps HTTP/1.1\r\nHost: localhost\r\n\r\n"


def answered(seen: Seen) -> str:
    """With the backend's answer."""
    return "" if status_of(seen.answer) == 200 and b'{"ok":true}' in seen.answer else f"it was answered with {seen.answer[:100]!r}"


def got(seen: Seen) -> dict:
    """The fields that the backend has got."""
    return dict(fields(seen.requests[0])) if seen.requests else {}


def backend_gets(*bodies: bytes):
    """Just these requests, with these bodies, each with one framing."""
    def complaint(seen: Seen) -> str:
        if [content(one) for one in seen.requests] != list(bodies):
            return f"the backend got {[content(one)[:60] for one in seen.requests]}"
        return answered(seen)

    return complaint


def content(seen: bytes) -> bytes:
    """A request's body, chunked or not."""
    body = body_of(seen)
    if b"\r\ntransfer-encoding: chunked\r\n" not in seen.partition(b"\r\n\r\n")[0].lower() + b"\r\n":
        return body
    whole = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        length = int(size.split(b";")[0], 16)
        if length == 0:
            break
        whole, body = whole + rest[:length], rest[length + 2:]
    return whole


def removed(*names: str):
    """Fields that end here."""
    def complaint(seen: Seen) -> str:
        left = sorted(set(names) & set(got(seen)))
        return f"the backend got {', '.join(left)}" if left else answered(seen)

    return complaint


def kept(**values):
    """Fields as they are to come."""
    def complaint(seen: Seen) -> str:
        wrong = {name: got(seen).get(name.replace("_", "-")) for name, value in values.items() if not re.fullmatch(value, got(seen).get(name.replace("_", "-")) or "")}
        return f"the backend got {wrong}" if wrong else answered(seen)

    return complaint


def begins(line: bytes):
    """The request line at the backend."""
    return lambda seen: "" if seen.requests and seen.requests[0].startswith(line + b"\r\n") else f"the backend got {seen.raw[:80]!r}"


def count(answers_n: int, requests_n: int):
    """So many answers to the client, and requests at the backend."""
    def complaint(seen: Seen) -> str:
        n = len(re.findall(rb"(?<![\w/])HTTP/1\.1 200 ", seen.answer))
        return "" if (n, len(seen.requests)) == (answers_n, requests_n) else f"{n} answers, {len(seen.requests)} requests at the backend"

    return complaint


def client_gets(pattern: bytes, no: bytes = b""):
    """The answer as it is to come."""
    def complaint(seen: Seen) -> str:
        if not re.search(pattern, seen.answer, re.S | re.I) or (no and re.search(no, seen.answer, re.S | re.I)):
            return f"the client got {seen.answer[:200]!r}"
        return ""

    return complaint


def get(*lines: bytes, first: bytes = b"GET /api/tags HTTP/1.1") -> bytes:
    """A GET that is the last one."""
    return request(*lines, CLOSE, first=first)


def bytewise(sent: bytes) -> tuple:
    """One by one."""
    return tuple(sent[at:at + 1] for at in range(len(sent)))


def bodies() -> list:
    """9112 6 and 7: what a body is."""
    plain, section = post(LENGTH, CLOSE, body=JSON), "9112 6 bodies"
    pieces = b"5\r\n" + JSON[:5] + b"\r\n%x\r\n" % (len(JSON) - 5) + JSON[5:] + b"\r\n0\r\n"
    made = [Case(section, "Content-Length", MUST, (plain,), backend_gets(JSON)),
            Case(section, "byte by byte", MUST, bytewise(plain), backend_gets(JSON)),
            Case(section, "a length with zeros in front", MAY, (post(b"Content-Length: 0%d" % len(JSON), CLOSE, body=JSON),), backend_gets(JSON)),
            Case(section, "a body of a GET", MAY, (get(b"Content-Length: 2") + b"{}",), count(1, 1)),
            Case(section, "no body at all", MUST, (get(),), backend_gets(b"")),
            Case(section, "a request within a body is none", MUST, (post(b"Content-Length: %d" % len(INNER), CLOSE, body=INNER),), backend_gets(INNER)),
            Case(section, "a request within a chunk is none", MUST, (chunked(b"%x\r\n%s\r\n0\r\n\r\n" % (len(INNER), INNER), CLOSE),), backend_gets(INNER))]
    for what, body in (("two chunks", pieces + b"\r\n"), ("an extension", pieces.replace(b"5\r\n", b"5;a=b\r\n", 1) + b"\r\n"),
                       ("an extension in quotes", pieces.replace(b"5\r\n", b'5;a="b;c"\r\n', 1) + b"\r\n"), ("an extension without a value", pieces.replace(b"5\r\n", b"5;a\r\n", 1) + b"\r\n"),
                       ("a trailer", pieces + b"X-Trailer: y\r\n\r\n"), ("a trailer that is a length", pieces + b"Content-Length: 99\r\n\r\n"),
                       ("two trailers", pieces + b"X-A: y\r\nX-B: z\r\n\r\n"), ("capital digits", b"%X\r\n" % len(JSON) + JSON + b"\r\n0\r\n\r\n"),
                       ("zeros in front", b"000%x\r\n" % len(JSON) + JSON + b"\r\n000\r\n\r\n"), ("a chunk for each byte", b"".join(b"1\r\n%c\r\n" % byte for byte in JSON) + b"0\r\n\r\n")):
        made.append(Case("9112 7.1 chunks that are good", what, MUST, (chunked(body, CLOSE),), backend_gets(JSON)))
        made.append(Case("9112 7.1 chunks that are good", what + ", byte by byte", MUST, bytewise(chunked(body, CLOSE)), backend_gets(JSON)))
    made.append(Case("9112 7.1 chunks that are good", "an empty body", MUST, (chunked(b"0\r\n\r\n", CLOSE),), backend_gets(b"")))
    made.append(Case("9112 7.1.2 trailers", "none becomes a field", MUST, (chunked(pieces + b"X-Trailer: y\r\nHost: other\r\n\r\n", CLOSE),), removed("x-trailer")))
    for name in (b"chunked", b"Chunked", b"CHUNKED"):
        made.append(Case("9112 6.1 Transfer-Encoding that is good", name.decode(), MUST, (post(b"Transfer-Encoding: " + name, CLOSE, body=pieces + b"\r\n"),), backend_gets(JSON)))
    return made


def heads() -> list:
    """9112 3 and 5: what a head may be."""
    line, field, host = "9112 3 request lines that are good", "9112 5 fields that are good", "9112 3.2 targets"
    made = [Case("9112 2.2 ends of lines that are good", "an empty line before the request", MAY, (b"\r\n" + get(),), answered),
            Case(line, "a query", MUST, (get(first=b"GET /api/tags?a=b&c=%20 HTTP/1.1"),), begins(b"GET /api/tags?a=b&c=%20 HTTP/1.1")),
            Case(line, "an empty query", MUST, (get(first=b"GET /api/tags? HTTP/1.1"),), answered),
            Case(line, "a query with all that it may have", MUST, (get(first=b"GET /api/tags?a=/?:@!$&'()*+,;=-._~ HTTP/1.1"),), answered),
            Case(line, "8,000 bytes", MUST, (get(first=b"GET /api/tags?" + b"a" * 7980 + b" HTTP/1.1"),), answered),
            Case(line, "HTTP/1.0 has HTTP/1.1 for an answer", MUST, (request(first=b"GET /api/tags HTTP/1.0"),), client_gets(rb"^HTTP/1\.1 200 ")),
            Case(line, "HTTP/1.0 without Host", MUST, (request(first=b"GET /api/tags HTTP/1.0", host=b""),), answered),
            Case(line, "HTTP/1.0 is passed on as our version", MAY, (request(first=b"GET /api/tags HTTP/1.0"),), begins(b"GET /api/tags HTTP/1.1"))]
    for target in (b"http://localhost/api/tags", b"HTTP://localhost/api/tags", b"http://localhost:11434/api/tags?a=b", b"http://[::1]/api/tags"):
        path = b"/api/tags" + target.partition(b"tags")[2]
        made.append(Case(host, "absolute form " + target.decode(), MUST, (get(first=b"GET " + target + b" HTTP/1.1"),), begins(b"GET " + path + b" HTTP/1.1")))
    for value in (b"localhost", b"localhost:11434", b"LOCALHOST", b"127.0.0.1", b"127.0.0.1:80", b"[::1]", b"[::1]:8080", b"localhost:"):
        made.append(Case("9112 3.2 Host that is good", value.decode(), MUST, (request(CLOSE, host=b"Host: " + value),), answered))
    for what, sent, wanted in (("no blank behind the colon", b"X-A:b", "b"), ("many blanks around it", b"X-A:   b  ", "b"), ("tabs around it", b"X-A:\tb\t", "b"), ("an empty value", b"X-A:", ""),
                               ("blanks within", b"X-A: b  c", "b  c"), ("a colon within", b"X-A: b:c", "b:c"), ("quotes within", b'X-A: "b, c"', '"b, c"'), ("all that a value may have", b"X-A: !#$%&'*+-.^_`|~{}[]<>?@\\", None),
                               ("a long one", b"X-A: " + b"y" * 7000, "y" * 7000)):
        made.append(Case(field, what, MUST, (get(sent),), answered if wanted is None else kept(x_a=re.escape(wanted))))
    made += [Case(field, "names in any case", MUST, (request(b"cOnNeCtIoN: close", b"CONTENT-LENGTH: 0", first=b"POST /api/generate HTTP/1.1"),), backend_gets(b"")),
             Case(field, "all characters of a token", MUST, (get(b"X!#$%&'*+-.^`|~9: b"),), answered),
             Case(field, "ninety of them", MAY, (get(*[b"X-%d: y" % number for number in range(90)]),), answered),
             Case(field, "the same twice: in order", MUST, (get(b"X-A: b", b"X-A: c"),),
                  lambda seen: "" if re.findall(r"[bc]", ",".join(value for name, value in (fields(seen.requests[0]) if seen.requests else []) if name == "x-a")) == ["b", "c"] else "not b, c")]
    return made


def connections() -> list:
    """9112 9 and 9110 7.6: connections, and what ends at each of them."""
    hop, kept_open = "9110 7.6.1 Connection", "9112 9 connections"
    two = request() + get()
    made = [Case(hop, "what it names", MUST, (get(b"Connection: X-Mine", b"X-Mine: y"),), removed("x-mine")),
            Case(hop, "two that it names", MUST, (get(b"Connection: X-Mine, X-Other", b"X-Mine: y", b"X-Other: z"),), removed("x-mine", "x-other")),
            Case(hop, "in another case", MUST, (get(b"connection: x-MINE", b"X-Mine: y"),), removed("x-mine")),
            Case(hop, "and what it does not name stays", MUST, (get(b"Connection: X-Mine", b"X-Mine: y", b"X-Stays: z"),), kept(x_stays="z")),
            Case(hop, "Content-Length can't be named away", MUST, (post(b"Connection: close, Content-Length", LENGTH, body=JSON),), backend_gets(JSON)),
            Case(hop, "Host can't be named away", MUST, (get(b"Connection: Host"),), kept(host=".+")),
            Case("9110 7.6.1 fields of one connection", "Keep-Alive", MAY, (get(b"Keep-Alive: timeout=5"),), removed("keep-alive")),
            Case("9110 7.6.1 fields of one connection", "Proxy-Connection", MAY, (get(b"Proxy-Connection: keep-alive"),), removed("proxy-connection")),
            Case("9110 7.6.1 fields of one connection", "TE", MAY, (get(b"TE: trailers", b"Connection: TE"),), removed("te")),
            Case("9110 7.8 Upgrade", "is not passed on", MAY, (get(b"Connection: Upgrade", b"Upgrade: x/1"),), removed("upgrade")),
            Case("9110 7.6.3 Via", "names us", MUST, (get(),), kept(via=r"1\.1 .+")),
            Case("9110 7.6.3 Via", "names us behind whoever it names", MUST, (get(b"Via: 1.1 first"),), kept(via=r"(1\.1 first, ?)?1\.1 (?!first)\S+")),
            Case(kept_open, "two requests on one", MUST, (two,), count(2, 2)), Case(kept_open, "byte by byte", MUST, bytewise(two), count(2, 2)),
            Case(kept_open, "twenty in a row at once", MUST, (request() * 19 + get(),), count(20, 20)),
            Case(kept_open, "close: nothing behind it is read", MUST, (get() + request(),), count(1, 1)),
            Case(kept_open, "HTTP/1.0 ends it", MUST, (request(first=b"GET /api/tags HTTP/1.0") + request(),), count(1, 1)),
            Case(kept_open, "HTTP/1.0 that asks to keep it", MAY, (request(b"Connection: keep-alive", first=b"GET /api/tags HTTP/1.0") + request(first=b"GET /api/tags HTTP/1.0"),), count(2, 2)),
            Case(kept_open, "bodies in a row", MUST, (post(LENGTH, body=JSON) + chunked(b"2\r\n{}\r\n0\r\n\r\n") + post(LENGTH, CLOSE, body=JSON),), count(3, 3)),
            Case(kept_open, "a pipeline ends at what is refused", MUST, (request() + request(b"X : y") + request(),), count(1, 1)),
            Case("9110 10.1.1 Expect that can be met", "100-continue with its body", MUST, (post(b"Expect: 100-continue", LENGTH, CLOSE, body=JSON),), lambda seen: "" if b" 200 " in seen.answer and len(seen.requests) == 1 else "no 200"),
            Case("9110 10.1.1 Expect that can be met", "of HTTP/1.0 it is none", MUST, (post(b"Expect: 100-continue", LENGTH, body=JSON, version=b"HTTP/1.0"),), client_gets(rb"^HTTP/1\.1 200 "))]
    return made


def methods() -> list:
    """9110 9."""
    section = "9110 9 methods"
    head = dict(reply=lambda seen, _: OK[:-11] if seen.startswith(b"HEAD ") else OK)
    return [Case(section, "HEAD has no body", MUST, (request(first=b"HEAD /api/tags HTTP/1.1") + get(),), client_gets(rb"^HTTP/1\.1 200 [^\x00]*?\r\n\r\nHTTP/1\.1 200 "), **head),
            Case(section, "HEAD has the length of GET", MAY, (get(first=b"HEAD /api/tags HTTP/1.1"),), client_gets(rb"\r\nContent-Length: 11\r\n"), **head),
            Case(section, "a method is known by its case", MUST, (get(first=b"get /api/tags HTTP/1.1"),), lambda seen: "" if not any(one.startswith(b"GET ") for one in seen.requests) else "it was taken for GET"),
            Case(section, "CONNECT is no tunnel", MAY, (get(first=b"CONNECT localhost:80 HTTP/1.1"),), lambda seen: "it was" if status_of(seen.answer) == 200 else ""),
            Case(section, "TRACE echoes nothing", MAY, (get(b"Authorization: Bearer x", first=b"TRACE /api/tags HTTP/1.1"),), client_gets(rb"^HTTP/1\.1 4\d\d", rb"Bearer x"))]


def answers() -> list:
    """What goes back: 9112 4, 6.3; 9110 6.6, 15."""
    made, section = [], "9112 6.3 answers that are good"
    hello = dict(no=rb"x-none")
    for what, reply, pattern in (
            ("a length", answer(b"Content-Length: 5", body=b"hello"), rb"\r\n\r\nhello$"), ("chunks", answer(CHUNKED, body=b"5\r\nhello\r\n0\r\n\r\n"), rb"\r\n\r\n(5\r\nhello\r\n0\r\n\r\n|hello)$"),
            ("chunks with extensions", answer(CHUNKED, body=b"5;a=b\r\nhello\r\n0;c\r\n\r\n"), rb"hello"), ("chunks with a trailer", answer(CHUNKED, body=b"5\r\nhello\r\n0\r\nX-T: y\r\n\r\n"), rb"hello"),
            ("the end of the connection", answer(b"Connection: close", body=b"hello"), rb"\r\n\r\n(5\r\n)?hello"), ("HTTP/1.0", answer(first=b"HTTP/1.0 200 OK", body=b"hello"), rb"^HTTP/1\.[01] 200 .*hello"),
            ("no reason", answer(b"Content-Length: 5", first=b"HTTP/1.1 200 ", body=b"hello"), rb"^HTTP/1\.1 200 .*hello$"), ("an odd reason", answer(b"Content-Length: 5", first=b"HTTP/1.1 200 All's (well)", body=b"hello"), rb"hello$"),
            ("a status that nobody knows", answer(b"Content-Length: 5", first=b"HTTP/1.1 299 Odd", body=b"hello"), rb"^HTTP/1\.1 299 .*hello$"), ("404", answer(b"Content-Length: 5", first=b"HTTP/1.1 404 No", body=b"hello"), rb"^HTTP/1\.1 404 .*hello$"),
            ("503 with Retry-After", answer(b"Content-Length: 5", b"Retry-After: 7", first=b"HTTP/1.1 503 No", body=b"hello"), rb"^HTTP/1\.1 503 .*\r\nRetry-After: 7\r\n"),
            ("a redirect is the client's", answer(b"Content-Length: 0", b"Location: http://127.0.0.1:1/", first=b"HTTP/1.1 307 There"), rb"^HTTP/1\.1 307 .*\r\nLocation: http://127\.0\.0\.1:1/\r\n"),
            ("an empty body", answer(b"Content-Length: 0"), rb"^HTTP/1\.1 200 .*\r\nContent-Length: 0\r\n"), ("two cookies stay two", answer(b"Set-Cookie: a=b", b"Set-Cookie: c=d", b"Content-Length: 0"), rb"Set-Cookie: a=b\r\n.*Set-Cookie: c=d\r\n"),
            ("a coding is left as it is", answer(b"Content-Encoding: x", b"Content-Length: 5", body=b"hello"), rb"\r\nContent-Encoding: x\r\n.*hello$"), ("ETag and Last-Modified", answer(b'ETag: "x"', b"Content-Length: 0"), rb'\r\nETag: "x"\r\n')):
        made.append(Case(section, what, MUST, (get(),), client_gets(pattern, **hello), reply=reply, closes=b"Content-Length" not in reply and CHUNKED not in reply))
    hint = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    made += [Case("9110 15.2 1xx", "100 before an answer", MUST, (get(),), client_gets(rb"HTTP/1\.1 200 .*\{\"ok\":true\}$"), reply=b"HTTP/1.1 100 Continue\r\n\r\n" + OK),
             Case("9110 15.2 1xx", "103 before an answer", MUST, (get(),), client_gets(rb"HTTP/1\.1 200 .*\{\"ok\":true\}$"), reply=hint + OK),
             Case("9110 15.2 1xx", "of HTTP/1.0 never", MUST, (request(first=b"GET /api/tags HTTP/1.0"),), client_gets(rb"^HTTP/1\.1 200 "), reply=hint + OK),
             Case("9110 15.3.5 204", "has no body", MUST, (request() + get(),), client_gets(rb"^HTTP/1\.1 204 ", rb"\r\nTransfer-Encoding:"), reply=answer(first=b"HTTP/1.1 204 No Content").replace(b"Content-Type: application/json\r\n", b"")),
             Case("9110 15.4.5 304", "has no body", MUST, (get(),), client_gets(rb"^HTTP/1\.1 304 [^\x00]*\r\n\r\n$"), reply=answer(b'ETag: "x"', first=b"HTTP/1.1 304 Not Modified")),
             Case("9112 7.1 chunks to HTTP/1.0", "never", MUST, (request(first=b"GET /api/tags HTTP/1.0"),), client_gets(rb"\r\n\r\nhello$", rb"\r\nTransfer-Encoding:"), reply=answer(CHUNKED, body=b"5\r\nhello\r\n0\r\n\r\n")),
             Case("9110 6.6.1 Date", "there is one", MUST, (get(),), client_gets(rb"\r\nDate: \w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT\r\n")),
             Case("9110 6.6.1 Date", "the backend's stays", MAY, (get(),), client_gets(rb"\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"), reply=answer(b"Date: Sun, 06 Nov 1994 08:49:37 GMT", b"Content-Length: 0")),
             Case("9110 7.6.1 answers", "what Connection names ends here", MUST, (get(),), client_gets(rb"^HTTP/1\.1 200 ", rb"\r\nX-Mine:"), reply=answer(b"Connection: X-Mine", b"X-Mine: y", b"Content-Length: 0")),
             Case("9110 7.6.1 answers", "Keep-Alive ends here", MAY, (get(),), client_gets(rb"^HTTP/1\.1 200 ", rb"\r\nKeep-Alive: timeout=777"), reply=answer(b"Keep-Alive: timeout=777", b"Content-Length: 0"))]
    return made


def cases() -> list:
    """All of them."""
    return bodies() + heads() + connections() + methods() + answers()
