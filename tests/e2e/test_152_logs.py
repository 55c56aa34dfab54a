"""GET /sidecar/logs: the lines of programs, as they were and as they come, for who may manage. (R5.3)"""
import json

import pytest

from looking import Events
from test_43_tail import raw
from waiting import until

LOGS = "/sidecar/logs"


def talking(sidecar):
    """A program that says three lines, of which one is hostile, and one each time that it is told to."""
    sidecar.write("go", "")
    sidecar.script_program("talk", "echo one; echo '<script>alert(1)</script>'; echo three; exec tail -n 0 -f go")
    sidecar.boot()
    until(lambda: "three" in sidecar.ctl("tail", "talk").stdout, 10, "its lines")


def lines(answer):
    """The texts of all lines."""
    return [json.loads(line)["line"] for line in answer.body.decode().splitlines()]


def test_the_last_lines_of_a_program(sidecar):
    talking(sidecar)
    answer = sidecar.ask("GET", f"{LOGS}?program=talk")
    assert answer.status == 200 and answer.header("Content-Type") == "application/x-ndjson" and answer.header("X-Content-Type-Options") == "nosniff"
    assert lines(answer) == ["one", "<script>alert(1)</script>", "three"]
    assert lines(sidecar.ask("GET", f"{LOGS}?lines=1&program=talk")) == ["three"]
    assert lines(sidecar.ask("GET", f"{LOGS}?lines=0&program=talk")) == []


def test_lines_are_followed_as_events(sidecar):
    talking(sidecar)
    with Events(sidecar, f"{LOGS}?lines=1&follow=1&program=talk") as events:
        assert events.answer.header("Content-Type") == "text/event-stream"
        assert events.next()[1]["line"] == "three"
        with open(sidecar.directory + "/go", "a", encoding="utf-8") as file:
            file.write("four\n")
        assert events.next()[1]["line"] == "four"
        assert sidecar.ctl("restart", "proxy").returncode == 0
        assert events.next() is None and events.answer.clean is not False


def test_who_reads_lines_leaves_room_for_who_asks_how_it_is(sidecar):
    sidecar.boot()
    readers = []
    try:
        for _ in range(3):
            readers.append(Events(sidecar, f"{LOGS}?lines=0&follow=1"))
            assert readers[-1].answer.status == 200
        refused = sidecar.ask("GET", LOGS)
        assert refused.status == 503 and refused.header("Retry-After") and "sidecarctl tail" in refused.json["error"]
        assert sidecar.ask("GET", "/sidecar/status").json["supervisor"]["programs"]
    finally:
        for one in readers:
            one.connection.close()
    until(lambda: sidecar.ask("GET", LOGS).status == 200, 10, "a place")


def test_where_too_many_follow_who_asks_is_told_to_come_later(sidecar):
    sidecar.boot()
    followers = [raw(sidecar, "tail -f") for _ in range(8)]
    try:
        for one in followers:
            assert one.recv(4096).startswith(b'{"ok":true}')
        for query in ("follow=1", "follow=1&program=ollama"):
            refused = sidecar.ask("GET", f"{LOGS}?{query}")
            assert refused.status == 503 and refused.header("Retry-After") and "follow already" in refused.json["error"], refused.body
        assert sidecar.ask("GET", LOGS).status == 200
    finally:
        for one in followers:
            one.close()
    until(lambda: sidecar.ask("GET", f"{LOGS}?program=ollama").status == 200, 10, "a place")


@pytest.mark.parametrize("query, status, words", [
    ("lines=x", 400, "lines=x"), ("lines=-1", 400, "lines=-1"), ("follow=perhaps", 400, "follow=perhaps"), ("other=1", 400, "program=NAME"),
    ("program=none", 404, "none"), ("program=proxy", 404, "to the log of ollama-supervisor"), ("program=a%20b", 400, "program"), ("program=%zz", 400, "program"),
])
def test_mistakes_say_what_to_do(sidecar, query, status, words):
    sidecar.boot()
    answer = sidecar.ask("GET", f"{LOGS}?{query}")
    assert answer.status == status and words in answer.json["error"], answer.body


def test_it_takes_the_right_to_manage(sidecar):
    sidecar.configure("key:watch", secret="sesame-watch-0123456789", rights="observe")
    sidecar.boot()
    assert sidecar.ask("GET", LOGS, headers=[("Authorization", "Bearer sesame-watch-0123456789")]).status == 403
    assert sidecar.ask("GET", LOGS, headers=[("Origin", "https://evil.example")]).status == 403


def test_a_proxy_alone_has_none(before, sidecar):
    before()
    answer = sidecar.ask("GET", LOGS)
    assert answer.status == 501 and "ollama-supervisor" in answer.json["error"]
