"""Requests that must be refused, and answers that must not be relayed: (what, bytes, the status that is due), by the kind of
trick. The seeds of tests/fuzz/fuzz_http1.c come from here too."""

HOST = b"Host: localhost"
CHUNKED = b"Transfer-Encoding: chunked"
JSON = b'{"model":"m","prompt":"x","stream":false}'


def request(*lines: bytes, first: bytes = b"GET /api/tags HTTP/1.1", host: bytes = HOST, body: bytes = b"") -> bytes:
    """A request of these lines; the host's first."""
    return b"\r\n".join([first, *([host] if host else []), *lines]) + b"\r\n\r\n" + body


def post(*lines: bytes, body: bytes = b"", version: bytes = b"HTTP/1.1") -> bytes:
    """A POST of these lines."""
    return request(*lines, first=b"POST /api/generate " + version, body=body)


def chunked(body: bytes, *lines: bytes) -> bytes:
    """A POST whose body is these bytes, as they are."""
    return post(CHUNKED, *lines, body=body)


def hosts() -> list:
    """Scenario 2, and what is no name of a host."""
    rows = [("no Host", request(host=b""), 400), ("no Host, another field", request(b"X-Host: localhost", host=b""), 400),
            ("Host twice, the same", request(HOST), 400), ("Host twice", request(b"Host: other"), 400),
            ("Host twice, one empty", request(b"Host:"), 400), ("Host twice in HTTP/1.0",
             request(HOST, first=b"GET /api/tags HTTP/1.0"), 400), ("hOST twice", request(b"hOST: localhost"), 400),
            ("absolute form, no Host", request(first=b"GET http://localhost/api/tags HTTP/1.1", host=b""), 400),
            ("absolute form, no authority", request(first=b"GET http:///api/tags HTTP/1.1"), 400),
            ("absolute form, a user", request(first=b"GET http://a@localhost/api/tags HTTP/1.1"), 400),
            ("absolute form, a bad port", request(first=b"GET http://localhost:x/api/tags HTTP/1.1"), 400),
            ("absolute form, no path", request(first=b"GET http://localhost HTTP/1.1"), 400),
            ("absolute form, another scheme", request(first=b"GET ftp://localhost/api/tags HTTP/1.1"), 400),
            ("authority form", request(first=b"GET localhost:80 HTTP/1.1"), 400)]
    for bad in (b"a b", b"a,b", b"a/b", b"http://a", b"u@a", b"a:x", b"a:-1", b"a:99999", b"a:123456", b"a:1:2", b":80", b":",
                b"[",
                b"[]", b"[::1", b"[::1]x", b"[::1]:x", b"::1", b"a?b", b"a#b", b"a\\b", b"%61", b"a;b", b"a\tb", b'"a"', b"*",
                b"a%00"):
        rows.append((f"Host: {bad.decode()}", request(host=b"Host: " + bad), 400))
    return rows


def names() -> list:
    """Scenario 3, and other lines that are no NAME: VALUE."""
    rows = [("blank before the colon", post(b"Content-Length : 5", body=b"hello"), 400),
            ("tab before the colon", post(b"Content-Length\t: 5", body=b"hello"), 400),
            ("blank before the colon of Host", request(host=b"Host : localhost"), 400),
            ("blank before the colon of Transfer-Encoding", post(b"Transfer-Encoding : chunked", body=b"0\r\n\r\n"), 400),
            ("no colon", request(b"X-A"), 400), ("no name", request(b": a"), 400), ("a colon alone", request(b":"), 400),
            ("blank within a name", request(b"X A: b"), 400), ("a path for a line", request(b"GET /b HTTP/1.1"), 400),
            ("Content_Length", post(b"Content_Length: 5", body=b"hello"), 400),
            ("Transfer_Encoding", post(b"Transfer_Encoding: chunked", body=b"0\r\n\r\n"), 400)]
    for char in b'"(),/;<=>?@[\\]{}':
        rows.append((f"{char:c} in a name", request(b"X-%cA: b" % char), 400))
    return rows


def folds() -> list:
    """Scenario 4."""
    return [("a folded line, blank", request(b"X-A: b", b" c"), 400), ("a folded line, tab", request(b"X-A: b", b"\tc"), 400),
            ("a folded first field", request(b" X-A: b", host=b""), 400),
            ("a fold of blanks alone", request(b"X-A: b", b"  "), 400),
            ("blank before the first field", request(host=b" Host: localhost"), 400),
            ("a folded Transfer-Encoding", post(b"Transfer-Encoding:", b" chunked", body=b"0\r\n\r\n"), 400),
            ("a folded Content-Length", post(b"Content-Length:", b" 5", body=b"hello"), 400)]


def both_framings() -> list:
    """Scenario 5."""
    return [("CL, TE", post(b"Content-Length: 5", CHUNKED, body=b"0\r\n\r\n"), 400),
            ("TE, CL", post(CHUNKED, b"Content-Length: 5", body=b"0\r\n\r\n"), 400),
            ("CL 0, TE", post(b"Content-Length: 0", CHUNKED, body=b"0\r\n\r\n"), 400),
            ("CL, TE that is not chunked", post(b"Content-Length: 5", b"Transfer-Encoding: identity", body=b"hello"), 400),
            ("CL, empty TE", post(b"Content-Length: 5", b"Transfer-Encoding:", body=b"hello"), 400),
            ("CL, TE of a GET", request(b"Content-Length: 5", CHUNKED, body=b"0\r\n\r\n"), 400),
            ("CL, TE, a request in the body",
             post(b"Content-Length: 6", CHUNKED, body=b"0\r\n\r\nGET /api/ps HTTP/1.1\r\nHost: localhost\r\n\r\n"), 400)]


def lengths() -> list:
    """Scenarios 6 and 7."""
    rows = [("two CLs", post(b"Content-Length: 5", b"Content-Length: 6", body=b"hello"), 400),
            ("two equal CLs", post(b"Content-Length: 5", b"Content-Length: 5", body=b"hello"), 400),
            ("two CLs, one empty", post(b"Content-Length: 5", b"Content-Length:", body=b"hello"), 400)]
    for bad in (b"5, 5", b"5,5", b"5, 6", b"+5", b"-1", b"-0", b"0x10", b"0x5", b"5_0", b"5.0", b"5e0", b"5 0", b"5;", b"5,",
                b",5", b"'5'",
                b'"5"', b"five", b"", b"0b1", b"1" * 30, b"0" * 30, b"9223372036854775808", b"18446744073709551616", b"5\t0"):
        rows.append((f"Content-Length: {bad.decode()}", post(b"Content-Length: " + bad, body=b"hello"), 400))
    return rows


def encodings() -> list:
    """Scenarios 8 and 12."""
    rows = [("TE twice", post(CHUNKED, CHUNKED, body=b"0\r\n\r\n"), 400),
            ("TE twice, identity", post(CHUNKED, b"Transfer-Encoding: identity", body=b"0\r\n\r\n"), 400),
            ("TE twice, identity first", post(b"Transfer-Encoding: identity", CHUNKED, body=b"0\r\n\r\n"), 400),
            ("tab before chunked", post(b"Transfer-Encoding:\tchunked", body=b"0\r\n\r\n"), 400),
            ("tab behind chunked", post(b"Transfer-Encoding: chunked\t", body=b"0\r\n\r\n"), 400)]
    for bad in (b"xchunked", b"chunkedx", b"chunked, chunked", b"chunked;q=1", b"chunked;", b"chunked,", b",chunked",
                b"gzip, chunked",
                b"chunked, gzip", b"gzip", b"identity", b"identity, chunked", b"", b"x", b'"chunked"', b"'chunked'",
                b"chun ked", b"chunked x",
                b"trailers", b"cow", b"chunked\x0b", b"\x0bchunked", b"\xa0chunked"):
        rows.append((f"Transfer-Encoding: {bad.decode('latin-1')!r}", post(b"Transfer-Encoding: " + bad, body=b"0\r\n\r\n"), 400))
    return rows


def encodings_of_http_1_0() -> list:
    """Scenario 12."""
    return [("chunked in HTTP/1.0", post(CHUNKED, body=b"0\r\n\r\n", version=b"HTTP/1.0"), 400),
            ("chunked in HTTP/1.0, kept", post(CHUNKED, b"Connection: keep-alive", body=b"0\r\n\r\n", version=b"HTTP/1.0"), 400),
            ("chunked and CL in HTTP/1.0", post(CHUNKED, b"Content-Length: 5", body=b"0\r\n\r\n", version=b"HTTP/1.0"), 400)]


def chunk_sizes() -> list:
    """Scenario 9, and what else is wrong with chunks."""
    rows = []
    for bad in (b"0_2e\r\n", b"0x5\r\n", b"\r\n", b" 5\r\n", b"\t5\r\n", b"5 \r\n", b"5\t\r\n", b"+5\r\n", b"-5\r\n",
                b"-0\r\n", b"g\r\n", b"5g\r\n",
                b"5.0\r\n", b"5,5\r\n", b"5 5\r\n", b"1" * 17 + b"\r\n", b"0" * 16 + b"5\r\n", b"f" * 16 + b"\r\n",
                b"8" + b"0" * 15 + b"\r\n",
                b";x\r\n", b"5 ;x\r\n", b"5;\x01\r\n", b"5;\x00\r\n", b"5;\x7f\r\n", b"5;\xe9\r\n", b"\x005\r\n",
                b"5\x00\r\n", b"\xb2\r\n",
                b"5;" + b"x" * 9000 + b"\r\n"):
        rows.append((f"chunk {bad[:20]!r}", chunked(bad + b"hello\r\n0\r\n\r\n"), 400))
    for bad in (b"5\r\nhellox\r\n", b"5\r\nhello0\r\n\r\n", b"5\r\nhell\r\n0\r\n\r\n", b"5\r\nhello\r\n\r\n",
                b"5\r\nhello\n\n", b"0\r\nx\r\n\r\n",
                b"0\r\n: x\r\n\r\n", b"0\r\nX : y\r\n\r\n", b"0\r\nX: y\r\n z\r\n\r\n", b"0\r\n y\r\n\r\n",
                b"0\r\nX: \x01\r\n\r\n", b"0\r\nX: \xe9\r\n\r\n",
                b"0\r\n" + b"X: y\r\n" * 2000 + b"\r\n"):
        rows.append((f"chunks {bad[:24]!r}", chunked(bad), 400))
    return rows


def line_ends() -> list:
    """Scenario 10."""
    good = request(b"X-A: b")
    rows = [("LF alone", good.replace(b"\r\n", b"\n"), 400), ("LF behind the first line", good.replace(b"\r\n", b"\n", 1), 400),
            ("LF behind the last field", good.replace(b"b\r\n", b"b\n"), 400), ("LF for the empty line", good[:-2] + b"\n", 400),
            ("CR alone", good.replace(b"\r\n", b"\r") + b"xx", 400), ("CR within a value", request(b"X-A: b\rc"), 400),
            ("CR within a name", request(b"X-\rA: b"), 400), ("CR and a field", request(b"X-A: b\rContent-Length: 5"), 400),
            ("CR CR LF", good.replace(b"b\r\n", b"b\r\r\n"), 400), ("LF CR", good.replace(b"\r\n", b"\n\r"), 400),
            ("CR at the start", b"\r" + good, 400), ("LF at the start", b"\n" + good, 400),
            ("three empty lines", b"\r\n" * 3 + good, 400),
            ("CR in the target", request(first=b"GET /api/tags\r HTTP/1.1"), 400),
            ("CR for a blank", request(first=b"GET\r/api/tags HTTP/1.1"), 400)]
    for bad in (b"5\nhello\r\n0\r\n\r\n", b"5\r\nhello\n0\r\n\r\n", b"5\rhello\r\n0\r\n\r\n", b"5\r\nhello\r0\r\n\r\n",
                b"5;a\nb\r\nhello\r\n0\r\n\r\n",
                b"5;a\rb\r\nhello\r\n0\r\n\r\n", b"0\n\r\n", b"0\r\n\nxx", b"0\r\nX: y\n\r\n", b"0\r\n\rxx",
                b"5\r\r\nhello\r\n0\r\n\r\n"):
        rows.append((f"chunks {bad[:24]!r}", chunked(bad), 400))
    return rows


def odd_bytes() -> list:
    """Scenario 11."""
    rows = []
    for char in (0x00, 0x01, 0x07, 0x08, 0x0b, 0x0c, 0x1b, 0x1f, 0x7f, 0x80, 0x85, 0xa0, 0xc3, 0xff):
        rows += [(f"{char:#04x} in a value", request(b"X-A: b%cc" % char), 400),
            (f"{char:#04x} in a name", request(b"X-%cA: b" % char), 400),
                 (f"{char:#04x} in the target", request(first=b"GET /api/tags?%c HTTP/1.1" % char), 400)]
    rows += [("NUL in the method", request(first=b"GE\0T /api/tags HTTP/1.1"), 400),
        ("NUL behind the version", request(first=b"GET / HTTP/1.1\0"), 400),
             ("NUL in Host", request(host=b"Host: local\0host"), 400), ("NUL at the start", b"\0" + request(), 400),
             ("UTF-8 in a value", request("X-Title: café".encode()), 400),
             ("0x1f in the method", request(first=b"G\x1fT / HTTP/1.1"), 400)]
    return rows


def too_large() -> list:
    """Scenario 14; with max_headers = 32K."""
    return [("a target of 8193 bytes", request(first=b"GET /" + b"a" * 8192 + b" HTTP/1.1"), 414),
            ("a query of 20 KB", request(first=b"GET /api/tags?" + b"a" * 20000 + b" HTTP/1.1"), 414),
            ("a target of 100 KB", request(first=b"GET /" + b"a" * 100000 + b" HTTP/1.1"), 414),
            ("a method of 9 KB", request(first=b"G" * 9000 + b" / HTTP/1.1"), 414),
            ("101 fields", request(*[b"X-%d: y" % number for number in range(100)]), 431),
            ("5000 fields", request(*[b"X: y"] * 5000), 431),
            ("a field of 33 KB", request(b"X: " + b"y" * 33000), 431), ("a name of 33 KB", request(b"X" * 33000 + b": y"), 431),
            ("300 KB of fields", request(*[b"X: " + b"y" * 10000] * 30), 431)]


def first_lines() -> list:
    """What is no request line, or one of another protocol."""
    rows = [("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        ("CONNECT", request(first=b"CONNECT example.com:443 HTTP/1.1"), 405),
            ("CONNECT to a path", request(first=b"CONNECT /api/tags HTTP/1.1"), 405),
            ("OPTIONS *", request(first=b"OPTIONS * HTTP/1.1"), 400),
            ("GET *", request(first=b"GET * HTTP/1.1"), 400)]
    for first, status in (
            (b"GET /api/tags", 400), (b"GET", 400), (b"GARBAGE", 400), (b"/api/tags", 400), (b"GET  /api/tags HTTP/1.1", 400),
            (b"GET /api/tags  HTTP/1.1", 400), (b"GET /api/tags HTTP/1.1 ", 400), (b"GET\t/api/tags\tHTTP/1.1", 400),
            (b" GET /api/tags HTTP/1.1", 400),
            (b"GET /api/tags x HTTP/1.1", 400), (b"GET /api/tags HTTP/1.1 x", 400), (b"GET /api/tags http/1.1", 400),
            (b"GET /api/tags HTP/1.1", 400),
            (b"GET /api/tags HTTP/1", 400), (b"GET /api/tags HTTP/1.", 400), (b"GET /api/tags HTTP/.1", 400),
            (b"GET /api/tags HTTP/11", 400),
            (b"GET /api/tags HTTP/1,1", 400), (b"GET /api/tags HTTP/1.1x", 400), (b"GET /api/tags HTTP/01.1", 400),
            (b"GET /api/tags HTTP/1.01", 400),
            (b"GET /api/tags HTTP /1.1", 400), (b"GET /api/tags HTTPS/1.1", 400), (b"GET /api/tags RTSP/1.0", 400),
            (b"GET /api/tags ICE/1.0", 400),
            (b"GET /api/tags HTTP/1.2", 505), (b"GET /api/tags HTTP/1.9", 505), (b"GET /api/tags HTTP/0.9", 505),
            (b"GET /api/tags HTTP/2.0", 505),
            (b"GET /api/tags HTTP/3.0", 505), (b"GET /api/tags HTTP/1.x", 400), (b"GET /api/tags HTTP/+.1", 400),
            (b"get /api/tags HTTP/1.1", 501), (b"GETX /api/tags HTTP/1.1", 501),
            (b"BREW /api/tags HTTP/1.1", 501), (b"G@T /api/tags HTTP/1.1", 400), (b"GE(T /api/tags HTTP/1.1", 400),
            (b"G:T /api/tags HTTP/1.1", 400),
            (b"GET api/tags HTTP/1.1", 400), (b"GET ?a HTTP/1.1", 400), (b"GET \\api\\tags HTTP/1.1", 400),
            (b"GET /api/tags#a HTTP/1.1", 400),
            (b"GET /api/tags?a#b HTTP/1.1", 400), (b"GET #a HTTP/1.1", 400), (b"GET http:/api/tags HTTP/1.1", 400),
            (b"GET javascript:x HTTP/1.1", 400)):
        rows.append((first.decode(), request(first=first), status))
    return rows


def paths() -> list:
    """The rule for paths, in every spelling of a trick: refused where they could be read in two ways, else no such path."""
    rows = []
    for path, status in (
            ("//api/generate", 400), ("/api//generate", 400), ("/api/generate//", 400), ("//", 400), ("/./api/tags", 400),
            ("/api/./tags", 400),
            ("/api/../api/tags", 400), ("/api/tags/..", 400), ("/api/tags/.", 400), ("/..", 400), ("/%2e%2e/api/tags", 400),
            ("/api/%2e/tags", 400),
            ("/api/.%2e/tags", 400), ("/api/%2E%2E/debug/pprof", 400), ("/%2fapi/tags", 400), ("/api%2ftags", 400),
            ("/api%2Ftags", 400),
            ("/api%5ctags", 400), ("/api\\tags", 400), ("\\api\\tags", 400), ("/api/tags%00", 400),
            ("/api/tags%00.html", 400), ("/api/tags%0a", 400),
            ("/api/tags%0d%0aX:y", 400), ("/api/tags%20", 400), ("/api/tags%09", 400), ("/api/tags%7f", 400),
            ("/api/tags%ff", 400),
            ("/api/tags%c0%af", 400), ("/api/tags%e2%80%8b", 400), ("/api/tags%", 400), ("/api/tags%2", 400),
            ("/api/tags%zz", 400),
            ("/api/tags%u0041", 400), ("/api/tags%252e", 400), ("/api/tags;a=b", 400), ("/api;a/tags", 400),
            ("/api/tags%3ba", 400),
            ("/api/{tags}", 400), ("/api/tags|", 400), ("/api/tags^", 400), ("/api/tags`", 400), ('/api/"tags"', 400),
            ("/api/<tags>", 400),
            ("/api/tags/", 404), ("/api/generate/", 404), ("/api/%67enerate", 404), ("/%61pi/tags", 404), ("/API/tags", 404),
            ("/api/Tags", 404),
            ("/api", 404), ("/api/", 404), ("/v1", 404), ("/v1/", 404), ("/v1/models/", 404), ("/api/tags.json", 404),
            ("/api/tags,", 404),
            ("/api/blobs/", 404), ("/api/blobs/a/b", 404), ("/api/blobs/a%2fb", 400), ("/v1/models/a%2f", 400),
            ("/v1/models/a//b", 400),
            ("/v1/models/../tags", 400), ("/v1/models/..%2f..%2fdebug", 400), ("/v1/models/%2e%2e/%2e%2e/debug/pprof/", 400),
            ("/v1/models/a;b", 400),
            ("/debug/pprof", 404), ("/debug/pprof/", 404), ("/debug/pprof/heap", 404), ("/debug/pprof/profile", 404),
            ("/debug/pprof/cmdline", 404),
            ("/debug/pprof/symbol", 404), ("/debug/pprof/trace", 404), ("/debug/pprof/goroutine", 404),
            ("/Debug/pprof/", 404), ("//debug/pprof/", 400),
            ("/debug//pprof/", 400), ("/%64ebug/pprof/", 404), ("/debug%2fpprof", 400), ("/debug/%70prof/", 404),
            ("/./debug/pprof/", 400),
            ("/api/../debug/pprof/", 400), ("/debug/pprof;a/", 400), ("/debug/pprof/%2e", 400), ("/debug/vars", 404),
            ("/debug", 404), ("/metrics/", 404)):
        rows.append((path, request(first=f"GET {path} HTTP/1.1".encode()), status))
    for url, status in (("http://localhost/debug/pprof/", 404), ("http://localhost//api/tags", 400),
        ("HTTP://localhost/api/../x", 400),
                        ("https://localhost/debug/pprof/", 404)):
        rows.append((url, request(first=f"GET {url} HTTP/1.1".encode()), status))
    return rows


def expectations() -> list:
    """Scenario 16: what nobody can meet."""
    rows = [("Expect twice, one unknown", post(b"Expect: 100-continue", b"Expect: tea", b"Content-Length: 5", body=b"hello"),
        417)]
    for bad in (b"tea", b"100-continues", b"200-ok", b"100-continue, tea", b"100-continue;q=1", b""):
        rows.append((f"Expect: {bad.decode()}", post(b"Expect: " + bad, b"Content-Length: 5", body=b"hello"), 417))
    return rows


GROUPS = (hosts, names, folds, both_framings, lengths, encodings, encodings_of_http_1_0, chunk_sizes, line_ends, odd_bytes,
    too_large,
          first_lines, paths, expectations)


def requests() -> list:
    """All of them."""
    return [row for group in GROUPS for row in group()]


def answer(*lines: bytes, first: bytes = b"HTTP/1.1 200 OK", body: bytes = b"") -> bytes:
    """An answer of these lines."""
    return b"\r\n".join([first, b"Content-Type: application/json", *lines]) + b"\r\n\r\n" + body


def answers() -> list:
    """(what, bytes) of a backend; none may be relayed: 502 is due, as no byte has been passed on yet."""
    ok = b'{"ok":true}'
    length = b"Content-Length: 11"
    rows = [("CL and TE", answer(length, CHUNKED, body=b"0\r\n\r\n")), ("TE and CL", answer(CHUNKED, length, body=b"0\r\n\r\n")),
            ("two CLs", answer(length, b"Content-Length: 12", body=ok)), ("two equal CLs", answer(length, length, body=ok)),
            ("a list of CLs", answer(b"Content-Length: 11, 11", body=ok)), ("CL +11", answer(b"Content-Length: +11", body=ok)),
            ("CL -1", answer(b"Content-Length: -1", body=ok)), ("CL 0xb", answer(b"Content-Length: 0xb", body=ok)),
            ("an empty CL", answer(b"Content-Length:", body=ok)),
            ("CL of 30 digits", answer(b"Content-Length: " + b"1" * 30, body=ok)),
            ("TE gzip", answer(b"Transfer-Encoding: gzip", body=ok)),
            ("TE gzip, chunked", answer(b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n")),
            ("TE twice", answer(CHUNKED, CHUNKED, body=b"0\r\n\r\n")),
            ("TE identity", answer(b"Transfer-Encoding: identity", length, body=ok)),
            ("TE in HTTP/1.0", answer(CHUNKED, first=b"HTTP/1.0 200 OK", body=b"0\r\n\r\n")),
            ("Content_Length", answer(b"Content_Length: 1", length, body=ok)),
            ("101", answer(b"Upgrade: x", b"Connection: Upgrade", first=b"HTTP/1.1 101 Switching Protocols")),
            ("a folded line", answer(b"X-A: b", b" c", length, body=ok)),
            ("CR in a value", answer(b"X-A: b\rSet-Cookie: c", length, body=ok)),
            ("LF in a value", answer(b"X-A: b\nSet-Cookie: c", length, body=ok)),
            ("NUL in a value", answer(b"X-A: b\0c", length, body=ok)),
            ("escape in a value", answer(b"X-A: \x1b[2J", length, body=ok)),
            ("blank before the colon", answer(b"Content-Length : 11", body=ok)),
            ("no colon", answer(b"X-A", length, body=ok)), ("no name", answer(b": x", length, body=ok)),
            ("LF alone", answer(length, body=ok).replace(b"\r\n", b"\n")),
            ("300 fields", answer(*[b"X: y"] * 300, length, body=ok)),
            ("a header of 100 KB", answer(b"X: " + b"y" * 100000, length, body=ok)),
            ("not HTTP", b"hello there\r\n\r\n"), ("an empty line first", b"\r\n" + answer(length, body=ok)),
            ("an HTTP/0.9 body", b"<html>hello</html>\r\n\r\n")]
    for first in (b"HTTP/1.1 99 Low", b"HTTP/1.1 1000 High", b"HTTP/1.1 600 High", b"HTTP/1.1 999 High", b"HTTP/1.1 000 Zero",
            b"HTTP/1.1 -20 No",
                  b"HTTP/1.1 2OO OK", b"HTTP/1.1 0x1 No", b"HTTP/1.1  200 OK", b"HTTP/1.1\t200 OK", b"HTTP/1.1 200OK",
                  b"HTTP/1.1200 OK", b"HTTP/1.1 20 OK",
                  b"HTTP/2 200", b"HTTP/2.0 200 OK", b"HTTP/1.2 200 OK", b"HTTP/0.9 200 OK", b"HTTP/01.1 200 OK",
                  b"http/1.1 200 OK", b"ICY 200 OK",
                  b"RTSP/1.0 200 OK", b"HTTP/1.1", b"HTTP/1.1 ", b"HTTP/1.1 200 OK\0", b"200 OK", b"GET / HTTP/1.1"):
        rows.append((repr(first), answer(length, first=first, body=ok)))
    return rows


def chunked_answers() -> list:
    """(what, bytes) whose head is good and whose body breaks: an error, and no proper end."""
    rows = []
    for bad in (b"0_b\r\n", b"0xb\r\n", b"\r\n", b" 5\r\n", b"5 \r\n", b"g\r\n", b"f" * 16 + b"\r\n", b"1" * 17 + b"\r\n",
                b"5\n", b"5;\x01\r\n", b"5\r\nhellox",
                b"5\r\nhello\nx", b"0\r\nX: a\nb\r\n\r\n", b"0\r\n y\r\n\r\n", b"-5\r\n"):
        rows.append((f"chunk {bad[:20]!r}", answer(CHUNKED, body=b"6\r\nfirst\n\r\n" + bad)))
    return rows
