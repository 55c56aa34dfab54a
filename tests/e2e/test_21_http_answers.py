"""HTTP on the backend's side of the proxy, byte by byte: what a backend gets wrong reaches no client, least of all another one.
RFC 9110, RFC 9112."""
import os
import re
import signal
import threading

import pytest

import http_cases
from client import Connection
from front import Front, body_of, is_whole_refusal, read_all, status_of
from http_cases import CHUNKED, JSON, post, request
from process import state_of
from raw_backend import OK, fields
from waiting import SLACK, until


@pytest.fixture
def front(sidecar):
    made = Front(sidecar)
    yield made
    made.backend.close()


# what a backend gets wrong

def test_answers_that_can_be_read_in_two_ways_become_502(front):
    complaints = []
    for what, answer in http_cases.answers():
        front.backend.answer = answer
        front.backend.closes = True
        got = front.exchange(post(b"Content-Length: %d" % len(JSON), b"Connection: close", body=JSON))
        if not is_whole_refusal(got, 502):
            complaints.append(f"{what}: 502 is due, not {got[:300]!r}")
    assert not complaints, "\n".join(complaints)
    front.backend.answer = OK
    assert status_of(front.exchange(request(b"Connection: close"))) == 200


def test_chunks_that_break_end_the_answer_as_broken(front):
    for what, answer in http_cases.chunked_answers():
        front.backend.answer = [answer[:answer.index(b"first\n\r\n") + 8], answer[answer.index(b"first\n\r\n") + 8:]]
        front.backend.closes = True
        got = front.exchange(post(b"Content-Length: %d" % len(JSON), body=JSON))
        assert status_of(got) == 200 and b"chunked" in got and not got.endswith(b"0\r\n\r\n"), what


@pytest.mark.parametrize("framing", ["length", "chunks", "end"])
def test_an_answer_cut_at_every_offset(front, framing):
    line = b'{"response":"a"}\n'
    answer = {"length": http_cases.answer(b"Content-Length: 34", body=line * 2),
        "end": http_cases.answer(b"Connection: close", body=line * 2),
              "chunks": http_cases.answer(CHUNKED,
                  body=b"11;x=y\r\n" + line + b"\r\n0011\r\n" + line + b"\r\n0\r\nX-Trailer: y\r\n\r\n")}[framing]
    answer = answer.replace(b"HTTP/1.1 200", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200", 1)
    front.backend.closes = framing == "end"
    cuts = iter(range(1, len(answer)))
    front.backend.answer = lambda seen, _: (lambda cut: [answer[:cut], answer[cut:]])(next(cuts))
    whole = None
    with Connection(front.port) as connection:
        for cut in range(1, len(answer)):
            got = connection.request("POST", "/api/generate", JSON)
            assert (got.status, got.body, got.clean) == (200, line * 2, True), cut
            names = [(name, value) for name, value in got.headers if name not in ("Date", "X-Request-Id", "X-Sidecar-Load-Ms")]
            assert "Date" in dict(got.headers)
            whole = whole or names
            assert names == whole and "x-trailer" not in dict(got.headers)


GOOD, EVIL = OK.replace(b"true", b"good"), OK.replace(b"true", b"evil")
# What an answer is, and what comes behind it though nothing may.
BEHIND = [("a body of HEAD", b"HEAD", OK[:-11], b'{"a":"evil"}'), ("an answer behind HEAD", b"HEAD", OK[:-11], EVIL),
          ("a body of 204", b"GET", http_cases.answer(b"Content-Length: 4", first=b"HTTP/1.1 204 No Content"), b"evil"),
          ("chunks of 204", b"GET", http_cases.answer(CHUNKED, first=b"HTTP/1.1 204 No Content"), b"4\r\nevil\r\n0\r\n\r\n"),
          ("a body of 304", b"GET", http_cases.answer(b"Content-Length: 4", first=b"HTTP/1.1 304 Not Modified"), b"evil"),
          ("bytes behind the answer", b"GET", OK, b"evil"), ("a second answer", b"GET", OK, EVIL),
          ("behind the last chunk", b"GET", http_cases.answer(CHUNKED, body=b"2\r\n{}\r\n0\r\n\r\n"), EVIL)]


def is_of_one_answer(got: bytes, answer: bytes) -> bool:
    is_one = status_of(got) == status_of(answer) and got.count(b"HTTP/1.1 ") == 1
    return is_one and body_of(got) == body_of(answer) and b"evil" not in got


@pytest.mark.parametrize("what, method, answer, rest", BEHIND, ids=[row[0] for row in BEHIND])
def test_what_comes_with_an_answer_is_never_another_s(front, what, method, answer, rest):
    front.backend.answer = lambda seen, _: answer + rest if b"/api/tags" in seen else GOOD
    for _ in range(5):
        got = front.exchange(request(first=method + b" /api/tags HTTP/1.1") + request(b"Connection: close",
            first=b"GET /api/ps HTTP/1.1"))
        first, second = re.fullmatch(rb"(HTTP/1.1 .*)(HTTP/1.1 .*)", got, re.S).groups()
        assert is_of_one_answer(first, answer) and body_of(second) == b'{"ok":good}', what


@pytest.mark.parametrize("what, method, answer, rest", BEHIND, ids=[row[0] for row in BEHIND])
@pytest.mark.parametrize("order", ["before", "after"])
def test_what_comes_behind_an_answer_is_never_another_s(front, order, what, method, answer, rest):
    """… also where it comes beside the next request: what is in a kept connection is looked for before it is used."""
    go_on, sent = threading.Event(), threading.Event()

    def evil():
        yield answer
        go_on.wait(10 * SLACK)
        yield rest
        sent.set()

    front.backend.answer = lambda seen, _: evil() if b"/api/tags" in seen else GOOD
    with front.open() as first, front.open() as second:
        second.sendall(request(first=b"GET /live HTTP/1.1"))  # it is known before all stops
        assert status_of(second.recv(1 << 16)) == 200
        first.sendall(request(first=method + b" /api/tags HTTP/1.1"))
        got = first.recv(1 << 16)
        os.kill(front.sidecar.process.pid, signal.SIGSTOP)
        until(lambda: state_of(front.sidecar.process.pid) == "T", 5, "the proxy stopped")
        try:
            if order == "after":
                second.sendall(request(b"Connection: close", first=b"GET /api/ps HTTP/1.1"))
            go_on.set()
            assert sent.wait(10 * SLACK)
            if order == "before":
                second.sendall(request(b"Connection: close", first=b"GET /api/ps HTTP/1.1"))
        finally:
            os.kill(front.sidecar.process.pid, signal.SIGCONT)
        other = read_all(second)
    assert is_of_one_answer(got, answer) and is_of_one_answer(other, GOOD), what


def test_a_flood_of_hints_costs_nothing_and_ends(front):
    hint = b"HTTP/1.1 100 Continue\r\n\r\n"
    front.backend.answer = hint * 500 + OK
    assert body_of(front.exchange(request(b"Connection: close"))) == b'{"ok":true}'
    front.backend.answer = hint * 20000 + OK
    assert status_of(front.exchange(request(b"Connection: close"))) == 502


def test_a_redirect_is_not_followed(front):
    front.backend.answer = http_cases.answer(b"Location: http://127.0.0.1:1/", b"Content-Length: 0",
        first=b"HTTP/1.1 307 Temporary Redirect")
    answer = front.exchange(request(b"Connection: close"))
    assert status_of(answer) == 307 and len(front.backend.requests) == 1


def test_an_answer_s_connection_takes_away_what_it_names(front):
    front.backend.answer = http_cases.answer(b"Connection: close, X-Mine, Content-Type", b"X-Mine: y",
        b"Keep-Alive: timeout=5", b"X-Other: stays", b"Content-Length: 2", body=b"{}")
    front.backend.closes = True
    head = dict(fields(front.exchange(request(b"Connection: close"))))
    assert head["content-type"] == "application/json" and head["x-other"] == "stays" and not {"x-mine", "keep-alive"} & set(head)


# lines

def ndjson(body: bytes) -> list:
    """The chunks of an answer of these bytes, head first."""
    return [http_cases.answer(CHUNKED).replace(b"json", b"x-ndjson"), b"%x\r\n" % len(body) + body + b"\r\n", b"0\r\n\r\n"]


def test_a_line_in_seven_pieces_and_two_in_one_proxy_scenario_29(front):
    first, second, third = (b'{"response":"%s","n":12345678901234567890,"done":%s}\n' % words for words in (
        (b"one", b"false"), (b"tw\xc3\xb6", b"false"), (b"three", b"true")))
    head, chunk, last = ndjson(first)
    seventh = len(chunk) // 7 + 1
    front.backend.answer = [head, *(chunk[at:at + seventh] for at in range(0, len(chunk), seventh)),
        b"%x\r\n" % len(second + third) + second + third + b"\r\n", last]
    with Connection(front.port) as connection:
        answer = connection.request("POST", "/api/generate", JSON)
        assert [line + b"\n" for _, line in answer.lines()] == [first, second, third] and answer.clean


def test_a_line_of_3_mb_proxy_scenario_30(front):
    line = b'{"done":true,"context":[' + b",".join(b"%d" % number for number in range(480000)) + b"]}\n"
    front.backend.answer = ndjson(line)
    assert len(line) > 3 << 20
    with Connection(front.port) as connection:
        answer = connection.request("POST", "/api/generate", JSON)
        assert answer.body == line and answer.clean
        body = b'{"model":"m","context":' + line[23:-2] + b"}"
        assert connection.request("POST", "/api/generate", body).body == line
    assert body_of(front.backend.requests[-1]) == body
    with open(f"/proc/{front.sidecar.process.pid}/status", encoding="ascii") as file:
        assert "asan" in os.environ.get("BUILD_DIR",
            "") or int(re.search(r"^VmHWM:\s+(\d+)", file.read(), re.M).group(1)) < 24 << 10
