"""HTTP on the clients' side of the proxy, byte by byte: what must be refused never reaches the backend, and what is taken
reaches it framed anew. RFC 9110, RFC 9112."""
import json
import os
import re

import pytest

import http_cases
from front import Front, body_of, is_whole_refusal, read_all, status_of
from http_cases import CHUNKED, HOST, JSON, chunked, post, request
from raw_backend import OK, fields

GENERATE = post(b"Content-Length: %d" % len(JSON), body=JSON)


def refuse_all(front, rows, **how) -> None:
    """Each is refused with its status, and nothing of it reaches the backend."""
    complaints = []
    for what, sent, status in rows:
        answer = front.exchange(sent, **how)
        if status in (404, 405) and b"Connection: close" not in answer:  # a good request for what is not there: kept open
            complaints.append(f"{what}: it waits for more")
        elif not is_whole_refusal(answer, status):
            complaints.append(f"{what}: {status} is due, not {answer[:300]!r}")
        if not front.untouched():
            complaints.append(f"{what}: the backend got {front.backend.connections!r}")
            front.backend.forget()
    assert not complaints, "\n".join(complaints)
    assert status_of(front.exchange(request(b"Connection: close"))) == 200  # and goes on


@pytest.fixture
def front(sidecar):
    made = Front(sidecar)
    yield made
    made.backend.close()


# what is refused

def closing(rows) -> list:
    """The same, saying that nothing follows: where a path is refused, the connection would be kept."""
    return [(what, sent.replace(b"\r\n" + HOST, b"\r\nConnection: close\r\n" + HOST, 1), status) for what, sent, status in rows]


def test_hosts_proxy_scenario_2(front):
    refuse_all(front, http_cases.hosts())


def test_blanks_before_colons_and_odd_names_proxy_scenario_3(front):
    refuse_all(front, http_cases.names())


def test_folded_lines_proxy_scenario_4(front):
    refuse_all(front, http_cases.folds())


def test_two_framings_at_once_proxy_scenario_5(front):
    refuse_all(front, http_cases.both_framings())


def test_lengths_proxy_scenarios_6_7(front):
    refuse_all(front, http_cases.lengths())


def test_transfer_encodings_proxy_scenarios_8_12(front):
    refuse_all(front, http_cases.encodings() + http_cases.encodings_of_http_1_0())


def test_sizes_of_chunks_proxy_scenario_9(front):
    refuse_all(front, http_cases.chunk_sizes())


def test_odd_line_ends_proxy_scenario_10(front):
    refuse_all(front, http_cases.line_ends())


def test_odd_bytes_proxy_scenario_11(front):
    refuse_all(front, http_cases.odd_bytes())


def test_too_large_a_head_proxy_scenario_14(front):
    refuse_all(front, http_cases.too_large())
    pid = front.sidecar.process.pid
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        before_kb = int(re.search(r"^RssAnon:\s+(\d+)", file.read(), re.M).group(1))
    crowd = [front.open() for _ in range(50)]
    for sock in crowd:  # endless, each
        try:
            sock.sendall(b"GET / HTTP/1.1\r\nX: " + b"y" * (1 << 20))
        except OSError:
            pass
    answers = [read_all(sock) for sock in crowd]
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        after_kb = int(re.search(r"^RssAnon:\s+(\d+)", file.read(), re.M).group(1))
    for sock in crowd:
        sock.close()
    assert {status_of(answer) for answer in answers} == {431}
    assert "asan" in os.environ.get("BUILD_DIR", "") or after_kb - before_kb < 50 * 2 * 64


def test_just_small_enough_a_head_proxy_scenario_14(front):
    for sent in (request(*[b"X-%d: y" % number for number in range(98)], b"Connection: close"),
                 request(b"Connection: close", first=b"GET /api/tags?" + b"a" * 8182 + b" HTTP/1.1"),
                 request(b"Connection: close", b"X: " + b"y" * 32000)):
        assert status_of(front.exchange(sent)) == 200


def test_first_lines_of_other_protocols(front):
    refuse_all(front, http_cases.first_lines())
    assert dict(fields(front.exchange(request(first=b"CONNECT a:1 HTTP/1.1"))))["allow"]


def test_who_speaks_another_protocol_is_told_at_its_first_line(front):
    for line, status in ((b"PING", 400), (b"*1", 400), (b"EHLO example.com", 400), (b"GET /api/tags", 400), (b"USER a HTTP/2.0", 505)):
        assert is_whole_refusal(front.exchange(line + b"\r\n"), status)
    assert front.untouched()


def test_paths_are_refused_or_not_there_but_never_changed(front):
    refuse_all(front, closing(http_cases.paths()))


def test_expectations_that_nobody_can_meet_proxy_scenario_16(front):
    refuse_all(front, http_cases.expectations())


def test_refused_the_same_however_it_is_cut(front):
    rows = [row for row in http_cases.requests() if len(row[1]) < 400 and row[2] not in (404, 405)]
    complaints = []
    for what, sent, status in closing(rows):
        answer = front.exchange(*(sent[at:at + 1] for at in range(len(sent))))
        if status_of(answer) != status or not front.untouched():
            complaints.append(f"{what}: {status} is due, not {answer[:200]!r}")
    assert len(rows) > 150 and not complaints, "\n".join(complaints)


def test_tls_on_the_plain_port_is_told_in_the_log(front):
    for _ in range(2):
        assert front.exchange(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 40) == b""
    front.sidecar.process.wait_log(r"tls_refused .*https")
    assert len(list(front.sidecar.process.logged(r"tls_refused"))) == 1 and front.untouched()


@pytest.mark.parametrize("path, read", [
    ("/api/generate", lambda error: error["error"]), ("/v1/chat/completions", lambda error: error["error"]["message"]),
    ("/v1/messages", lambda error: (error["type"] == "error") and error["error"]["message"])])
def test_a_refusal_has_the_dialect_of_its_path(front, path, read):
    for sent in (request(b"X : y", first=f"POST {path} HTTP/1.1".encode()),
        request(b"Expect: tea", first=f"POST {path} HTTP/1.1".encode()),
                 request(first=f"POST {path}#a HTTP/1.1".encode()),
                 request(b"Connection: close", first=f"GET {path} HTTP/1.1".encode()),
                 request(first=f"POST {path}?{'a' * 9000} HTTP/1.1".encode()),
                 request(b"X: " + b"y" * 40000, first=f"POST {path} HTTP/1.1".encode()),
                 request(b"Content-Length: 999999999999", first=f"POST {path} HTTP/1.1".encode())):
        text = read(json.loads(body_of(front.exchange(sent))))
        assert isinstance(text, str) and len(text) > 10
    assert front.untouched()


# what is taken

def test_one_byte_at_a_time_proxy_scenario_1(front):
    sent = post(b"Content-Length: %d" % len(JSON), b"Connection: close", body=JSON)
    other = chunked(b"5;a=b\r\n" + JSON[:5] + b"\r\n%x\r\n" % (len(JSON) - 5) + JSON[5:] + b"\r\n0\r\nX-Trailer: y\r\n\r\n",
        b"Connection: close")
    whole = re.sub(rb"\r\n(Date|X-Request-Id|X-Sidecar-Load-Ms): [^\r]*", b"", front.exchange(sent))
    for request_bytes in (sent, other):
        answer = front.exchange(*(request_bytes[at:at + 1] for at in range(len(request_bytes))))
        assert re.sub(rb"\r\n(Date|X-Request-Id|X-Sidecar-Load-Ms): [^\r]*", b"", answer) == whole and status_of(answer) == 200
    assert [body_of(seen) for seen in front.backend.requests] == [JSON] * 3


@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_cut_at_every_offset_proxy_scenario_1(front, framing):
    sent = {"length": post(b"Content-Length: %d" % len(JSON), b"Connection: close", body=JSON),
            "chunks": chunked(b"5\r\n" + JSON[:5] + b"\r\n%x\r\n" % (len(JSON) - 5) + JSON[5:] + b"\r\n0\r\n\r\n",
                b"Connection: close")}[framing]
    for cut in range(1, len(sent)):
        assert status_of(front.exchange(sent[:cut], sent[cut:], pause=0.0005)) == 200, cut
    assert {body_of(seen) for seen in front.backend.requests} == {JSON}
    assert len(front.backend.requests) == len(sent) - 1


def test_sizes_with_zeros_in_front_are_read_as_they_are(front):
    answer = front.exchange(chunked(b"000000000000000a\r\n0123456789\r\n00000\r\n\r\n", b"Connection: close"))
    assert status_of(answer) == 200 and body_of(front.backend.requests[0]) == b"0123456789"


def test_trailers_are_read_and_dropped_proxy_scenario_13(front):
    first = chunked(b"5\r\nhello\r\n0\r\nX-Trailer: y\r\nContent-Length: 99\r\nHost: other\r\n\r\n", b"Trailer: X-Trailer")
    answer = front.exchange(first + post(b"Content-Length: 2", b"Connection: close", body=b"{}"))
    assert answer.count(b"HTTP/1.1 200") == 2
    assert [body_of(seen) for seen in front.backend.requests] == [b"hello", b"{}"]
    names = {name for seen in front.backend.requests for name, _ in fields(seen)}
    assert not names & {"x-trailer", "trailer", "transfer-encoding"}


def test_what_the_backend_gets_is_framed_anew_proxy_scenario_18(front):
    inner = b"GET /api/ps HTTP/1.1\r\nHost: localhost\r\n\r\n"
    body = b"{" + inner + b"}"
    front.exchange(post(b"Content-Length: %d" % len(body), body=body) + chunked(b"%x;%s\r\n%s\r\n0\r\n\r\n" % (len(body),
        b"x" * 50, body), b"Connection: close"))
    front.exchange(post(b"Connection: close", b"Content-Length: %d" % len(body), body=body, version=b"HTTP/1.0"))
    assert len(front.backend.requests) == 3  # and none for /api/ps
    for seen in front.backend.requests:
        head = fields(seen)
        assert seen.startswith(b"POST /api/generate HTTP/1.1\r\n") and body_of(seen) == body
        assert [value for name, value in head if name == "content-length"] == [str(len(body))]
        assert not [name for name, _ in head if name == "transfer-encoding"]


def test_pipelines_are_answered_in_order_proxy_scenario_17(front):
    front.backend.answer = lambda seen, _: OK.replace(b"11\r\n\r\n",
        b"%d\r\n\r\n" % len(body_of(seen))).replace(b'{"ok":true}', body_of(seen))
    for count in (2, 50):
        front.backend.forget()
        bodies = [b'{"model":"m","n":%d}' % number for number in range(count)]
        sent = b"".join(post(b"Content-Length: %d" % len(body), *([b"Connection: close"] if body == bodies[-1] else []),
            body=body) for body in bodies)
        for pieces in ([sent], [sent[at:at + 7] for at in range(0, len(sent), 7)]):
            answer = front.exchange(*pieces)
            assert re.findall(rb'\{"model":"m","n":\d+\}', answer) == bodies and answer.count(b"HTTP/1.1 200 OK") == count
        assert [body_of(seen) for seen in front.backend.requests] == bodies * 2


def test_a_pipeline_ends_at_what_is_refused_proxy_scenario_17(front):
    answer = front.exchange(GENERATE + b"POST / HTTP/1.1\r\n\r\n" + GENERATE)
    assert [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+)", answer)] == [200, 400]
    assert len(front.backend.requests) == 1


def test_expect_100_continue_proxy_scenario_16(front):
    with front.open() as sock:
        sock.sendall(post(b"Expect: 100-Continue", b"Content-Length: %d" % len(JSON)))
        assert sock.recv(1 << 16) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(JSON)
        assert status_of(sock.recv(1 << 16)) == 200
    assert "expect" not in dict(fields(front.backend.requests[0]))
    assert front.exchange(post(b"Expect: 100-continue", b"Connection: close", b"Content-Length: %d" % len(JSON),
        body=JSON)).startswith(b"HTTP/1.1 200")
    assert front.exchange(post(b"Expect: 100-continue", b"Content-Length: %d" % len(JSON), body=JSON,
        version=b"HTTP/1.0")).startswith(b"HTTP/1.1 200")
    front.backend.forget()
    for sent, status in ((post(b"Expect: 100-continue", b"Content-Length: 9999999999"), 413),
        (request(b"Expect: 100-continue", b"Content-Length: 5",
                         first=b"POST /nope HTTP/1.1"), 404), (post(b"Expect: 100-continue", b"Origin: http://evil.example",
                         b"Content-Length: 5"), 403)):
        answer = front.exchange(sent)  # the final status at once, and the end, as what comes next could be body or request
        assert status_of(answer) == status and b" 100 " not in answer and b"Connection: close" in answer
    assert front.untouched()


def test_head(front):
    front.backend.answer = lambda seen, _: OK[:-11] if seen.startswith(b"HEAD ") else OK
    answer = front.exchange(request(first=b"HEAD /api/tags HTTP/1.1") + request(b"Connection: close"))
    first, second = answer.split(b"HTTP/1.1 200 OK\r\n")[1:]
    assert first.endswith(b"\r\n\r\n") and b"Content-Length: 11" in first and body_of(second) == b'{"ok":true}'
    for path, status in ((b"/nope", 404), (b"/api/generate", 405), (b"//", 400)):
        answer = front.exchange(request(b"Connection: close", first=b"HEAD %s HTTP/1.1" % path))
        assert status_of(answer) == status and body_of(answer) == b""


def test_http_1_0_with_and_without_keep_alive(front):
    old = request(first=b"GET /api/tags HTTP/1.0", host=b"")
    assert front.exchange(old + old).count(b"HTTP/1.1 200") == 1  # the first ends the connection
    kept = request(b"Connection: keep-alive", first=b"GET /api/tags HTTP/1.0")
    answer = front.exchange(kept + old)
    assert answer.count(b"HTTP/1.1 200") == 2 and b"Connection: keep-alive" in answer
    front.backend.answer = http_cases.answer(CHUNKED, body=b"5\r\nhello\r\n0\r\n\r\n")
    answer = front.exchange(kept + old)
    assert answer.count(b"HTTP/1.1 200") == 1 and body_of(answer) == b"hello" and b"Transfer-Encoding" not in answer


def test_wrong_methods_are_told_the_right_ones(front):
    for method, path, allowed in (("GET", "/api/generate", "POST, OPTIONS"), ("POST", "/api/tags", "GET, HEAD, OPTIONS"),
        ("PUT", "/api/delete", "DELETE, OPTIONS"),
                                  ("DELETE", "/api/blobs/sha256:0", "HEAD, POST, OPTIONS"), ("TRACE", "/api/ps", "GET, OPTIONS"),
                                  ("PROPFIND", "/v1/models", "GET, OPTIONS"), ("POST", "/health", "GET, HEAD"),
                                  ("HEAD", "/api/chat", "POST, OPTIONS")):
        answer = front.exchange(request(b"Connection: close", first=f"{method} {path} HTTP/1.1".encode()))
        assert status_of(answer) == 405 and dict(fields(answer))["allow"] == allowed
    assert front.untouched()


def test_upgrades_and_preferences_are_no_obstacle(front):
    for lines in ((b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Key: eA=="),
                  (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk"),
                  (b"Accept: text/event-stream;q=0.5, application/json;q=0.9, */*;q=0", b"Priority: u=1e308")):
        front.backend.forget()
        with front.open() as sock:
            sock.sendall(request(*lines))
            assert status_of(sock.recv(1 << 16)) == 200
        (seen,) = front.backend.requests
        assert not {"upgrade", "http2-settings", "connection"} & set(dict(fields(seen)))
        assert dict(fields(seen)).get("accept", lines[0][8:].decode()) == lines[0][8:].decode()


def test_absolute_targets_are_taken_for_their_path(front):
    for target in (b"http://localhost/api/tags?a=b", b"HTTP://LOCALHOST:11434/api/tags?a=b", b"https://[::1]:80/api/tags?a=b"):
        assert status_of(front.exchange(request(b"Connection: close", host=b"Host: other",
            first=b"GET %s HTTP/1.1" % target))) == 200
    for seen in front.backend.requests:
        assert seen.startswith(b"GET /api/tags?a=b HTTP/1.1\r\n")
        assert dict(fields(seen))["host"] == f"127.0.0.1:{front.sidecar.backend.port}"


def test_connection_takes_away_what_it_names_but_not_what_is_needed(front):
    named = (b"Connection: close, X-Mine, Host, Content-Length, Content-Type, content-encoding, Authorization, X-Request-Id, "
             + b"x" * 100,
             b"X-Mine: y", b"x" * 100 + b": y", b"Content-Type: application/json", b"Content-Encoding: zstd",
             b"Authorization: Bearer k", b"X-Request-Id: mine",
             b"Keep-Alive: 5", b"TE: trailers", b"Proxy-Connection: keep-alive", b"Proxy-Authorization: Basic eA==",
             b"X-Other: stays")
    assert status_of(front.exchange(post(*named, b"Content-Length: %d" % len(JSON), body=JSON))) == 200
    (seen,) = front.backend.requests
    head = dict(fields(seen))
    assert body_of(seen) == JSON and head["content-length"] == str(len(JSON))
    assert head["host"] == f"127.0.0.1:{front.sidecar.backend.port}"
    assert (head["content-type"], head["content-encoding"], head["authorization"]) == ("application/json", "zstd", "Bearer k")
    assert head["x-request-id"] == "mine" and head["x-other"] == "stays"
    assert not {"x-mine", "x" * 100, "keep-alive", "te", "proxy-connection", "proxy-authorization", "connection"} & set(head)


# a refusal can be read by who is still sending

@pytest.mark.parametrize("sent, status", [
    (post(b"Content-Length: 80000000"), 413), (request(b"Content-Length: 80000000", first=b"POST /nope HTTP/1.1"), 404),
    (post(b"Content-Length: 80000000", b"Origin: http://evil.example"), 403), (post(b"Content-Length: x"), 400),
    (chunked(b"x\r\n"), 400),
    (post(b"X: " + b"y" * 40000), 431), (post(b"Expect: tea", b"Content-Length: 80000000"), 417)])
def test_who_sends_on_can_read_why_it_was_refused_proxy_scenario_15(sidecar, sent, status):
    front = Front(sidecar, max_body="100K")
    with front.open() as sock:
        sock.sendall(sent)
        for _ in range(600):  # 40 MB, as of a client that reads nothing before it has sent all
            sock.sendall(b"x" * 65536)
        answer = read_all(sock)
    assert is_whole_refusal(answer, status), answer[:300]
    assert front.untouched()
    front.backend.close()


def test_a_body_beyond_the_limit_in_chunks_proxy_scenario_15(sidecar):
    front = Front(sidecar, max_body="100K")
    answer = front.exchange(chunked(b"8000\r\n" + b"x" * 0x8000 + b"\r\n"), *[b"8000\r\n" + b"x" * 0x8000 + b"\r\n"] * 200)
    assert is_whole_refusal(answer, 413) and b"max_body" in answer and front.untouched()
    front.backend.close()
