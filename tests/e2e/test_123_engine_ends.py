"""What engines leave behind, and what they say that is none of OpenAI's."""
import os
import signal
import sys

import pytest

from client import Background, Connection, ask
from test_122_swap import HELLO, chat, ready, said
from waiting import until

GARBAGE = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.wfile.write(sys.argv[2].encode().decode("unicode_escape").encode("latin-1"))
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
HEAD = r"HTTP/1.1\x20200\x20OK\r\nContent-Type:application/json\r\nContent-Length:"


@pytest.fixture(name="server")
def fixture_server(sidecar, engines):
    """start(max_cache_models): a model server without Ollama; the models a/a and b/b are in its cache."""
    def start(models_n=1):
        for model in ("a/a", "b/b"):
            engines.cache.model(model)
        sidecar.configure("program:ollama", autostart="no")
        sidecar.configure("models", max_cache_models=str(models_n))
        sidecar.start()
        until(lambda: ready(sidecar), 10, "the proxy answers", sidecar.process.tail)
        return sidecar.port

    return start


@pytest.mark.parametrize("said_, words", [
    (r"\x00\xff", "a control character in the header"),
    (HEAD + "0\\r\\n\\r\\n", "an empty answer"),
    (HEAD + "9\\r\\n\\r\\n{\"a\":[1,2", "an object that is none of OpenAI's"),
    (HEAD + "2\\r\\n\\r\\n[]", "an object that is none of OpenAI's"),
    (HEAD + "90\\r\\n\\r\\n{\"a\":", "broke off"),
])
def test_an_answer_that_is_none_is_told_in_words(sidecar, server, said_, words):
    path = sidecar.write("garbage.py", GARBAGE)
    saying = sidecar.write("saying", said_)
    starter = sidecar.write("garbage.sh", f'exec {sys.executable} {path} "$1" "$(cat {saying})"\n')
    sidecar.configure("engine:garbage", command=f"sh {starter} %(port)s %(path)s")
    sidecar.configure("models", engines="garbage")
    answer = ask(server(), "POST", "/chat", {"model": "a/a", "messages": HELLO}, timeout=20)
    assert answer.status == 502 and words in answer.json["error"] == answer.json["detail"]


def test_who_leaves_an_answer_that_hangs_gives_its_place_back(server, engines):
    engines.add()
    engines.script(models={"a/a": {"hang_after_tokens": 1}})
    port = server()
    with Connection(port, timeout=30) as connection:
        connection.send("POST", "/v1/chat/completions", {"model": "a/a", "messages": HELLO, "stream": True})
        next(connection.receive().lines())
        other = Background(chat, port, "b/b")
    assert said(other.result(30)) == "I am b/b"


def test_what_an_engine_has_started_ends_with_it(sidecar, server, engines):
    engines.add()
    starter = sidecar.write("forks.sh", 'sleep 4321 & exec "$@"\n')
    sidecar.configure("engine:played", command=f"sh {starter} {engines.command('played')}")
    port = server()

    def helpers():
        return [pid for pid, command in sidecar.programs().items() if command == "sleep 4321"]

    assert said(chat(port, "a/a")) == "I am a/a"
    of_a, = helpers()
    assert said(chat(port, "b/b")) == "I am b/b"
    of_b, = until(lambda: [pid for pid in helpers() if pid != of_a] if of_a not in helpers() else None, 10, "that of a/a is gone")
    assert of_b != of_a and sidecar.stop() == 0
    assert not sidecar.programs()


def test_a_stop_ends_engines_that_load_and_tells_who_waits(sidecar, server, engines):
    engines.add()
    engines.script(load_s=600, ignore_term=True)
    sidecar.configure("supervisor", shutdown_timeout="4s")
    port = server(2)
    waiting = [Background(chat, port, model) for model in ("a/a", "b/b")]
    engines.wait("listening", timeout=20, count=2)
    assert sidecar.stop() == 0
    for one in waiting:
        answer = one.result(20)
        assert answer.status == 503 and answer.json["error"]["message"] == "the server is shutting down"
    assert not sidecar.programs()


def test_a_supervisor_that_is_killed_leaves_no_engine(sidecar, server, engines):
    engines.add()
    assert said(chat(server(), "a/a")) == "I am a/a"
    os.kill(sidecar.process.pid, signal.SIGKILL)
    until(lambda: not sidecar.programs(), 15, "all are gone", lambda: str(sidecar.programs()))
