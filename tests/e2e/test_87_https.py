"""[backend:NAME] by https: libcurl on the loop, certificates checked, nothing of the client told, streams as they come."""
import socket
import threading

import pytest

from played_backend import CLOSE, END, HANG, Held, head
from played_openai import error, event, part
from raw_client import memory_kb
from waiting import until

CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
KEY = "sk-test-0123456789abcdef"
PATH = "/v1/chat/completions"


def ask(sidecar, body=None, path=PATH, headers=(), method="POST"):
    """An answer, read to its end."""
    with sidecar.connect() as connection:
        answer = connection.request(method, path, body or (CHAT if method == "POST" else None), headers)
        answer.body  # pylint: disable=pointless-statement
        return answer


@pytest.fixture
def hosted(sidecar, authority, openai_backend):
    """start(name="localhost", days=2, is_signed=True, **keys) makes a backend by https with such a certificate, and a proxy before it."""
    def start(name="localhost", days=2, is_signed=True, ini=None, env=None, **keys):
        backend = openai_backend("hosted", key=KEY, prefix="/api", context=authority.context(name, days, is_signed),
                                 ini={"key": KEY, "models": "m", **(ini or {})}, **keys)
        sidecar.configure("proxy", backend="http://127.0.0.1:9", access_log="json")
        sidecar.env.update({"SSL_CERT_FILE": authority.path, **(env or {})})
        sidecar.start("ollama-proxy")
        sidecar.process.wait_log(" listening ")
        return backend
    return start


def test_a_stream(sidecar, hosted):
    backend = hosted()
    headers = [("Authorization", "Bearer sk-of-the-client"), ("X-Forwarded-For", "192.0.2.1"), ("X-Request-Id", "mine"), ("Cookie", "a=b"),
               ("User-Agent", "a client")]
    answer = ask(sidecar, {**CHAT, "stream": True, "stream_options": {"include_usage": True}}, headers=headers)
    assert answer.status == 200 and answer.clean and answer.header("X-Sidecar-Backend") == "hosted"
    (asked,) = backend.journal
    expected = b"".join(step.split(b"\r\n", 1)[1][:-2] for step in backend.stream(asked)[1:-1])
    assert answer.body == expected and asked.path == "/api/v1/chat/completions"
    assert asked.headers["authorization"] == f"Bearer {KEY}" and asked.headers["user-agent"] == "a client"
    told = {"via", "forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-request-id", "cookie", "expect"}
    assert not told & set(asked.headers)
    until(lambda: backend.listed, 10, "its list to be asked for")
    assert backend.listed[0].headers["user-agent"] == "ollama-sidecar" and "via" not in backend.listed[0].headers


def test_pieces_come_as_they_are_sent(sidecar, hosted):
    backend = hosted()
    gates = [threading.Event() for _ in range(3)]
    steps = [head("text/event-stream")]
    for gate in gates:
        steps += [event(part(True, "to")), gate]
    backend.answers["/api" + PATH] = [*steps, event(part(True, None, "stop")), event(b"[DONE]"), END]
    with sidecar.connect() as connection:
        pieces = connection.request("POST", PATH, {**CHAT, "stream": True}).pieces()
        for gate in gates:
            _, piece = next(pieces)
            assert piece.count(b"data:") == 1
            gate.set()
        assert b"".join(piece for _, piece in pieces).endswith(b"data: [DONE]\n\n")


def test_one_object_and_a_kept_connection(sidecar, hosted):
    backend = hosted()
    for _ in range(3):
        answer = ask(sidecar)
        assert answer.status == 200 and answer.clean and answer.json["usage"]["total_tokens"] == 5
    assert len(backend.journal) == 3 and backend.handshakes <= 2  # one of them for the list


@pytest.mark.parametrize("how, words", [({"days": -1}, "expired"), ({"is_signed": False}, "self"), ({"name": "other.example"}, "localhost")])
def test_a_certificate_that_is_not_right(sidecar, hosted, how, words):
    backend = hosted(**how)
    answer = ask(sidecar)
    message = answer.json["error"]["message"]
    assert answer.status == 502 and "takes no connection" in message and "certificate" in message.lower() and words in message
    assert not backend.requests
    row, = ask(sidecar, path="/health", method="GET").json["backends"]
    assert row["state"] == "failed" and words in row["error"]


def test_what_it_says_of_itself_is_not_passed(sidecar, hosted):
    backend = hosted()
    lines = ("Set-Cookie: __cf_bm=1", "Alt-Svc: h3=\":443\"", "openai-organization: org-x", "openai-processing-ms: 5", "Retry-After: 3")
    backend.answers["/api" + PATH] = error("429 Too Many Requests", "slow down", "rate_limit", None, *lines)
    answer = ask(sidecar)
    assert answer.status == 429 and answer.header("Retry-After") == "3" and answer.header("openai-processing-ms") == "5"
    assert not any(answer.header(name) for name in ("Set-Cookie", "Alt-Svc", "openai-organization"))


def test_a_redirect_is_not_followed(sidecar, hosted):
    backend = hosted()
    backend.answers["/api" + PATH] = [head("text/plain", f"Location: {backend.url}/v1/elsewhere", framing="Content-Length: 0", status="307 Temporary Redirect")]
    assert ask(sidecar).status == 307 and [asked.path for asked in backend.journal] == ["/api" + PATH]


def test_a_stream_that_breaks_is_told(sidecar, hosted):
    backend = hosted()
    backend.answers["/api" + PATH] = [head("text/event-stream"), event(part(True, "to")), CLOSE]
    answer = ask(sidecar, {**CHAT, "stream": True})
    assert not answer.clean and b"broke off" in answer.body
    assert "backend_broken" in sidecar.process.wait_log('"backend":"hosted".*').string


def test_a_client_that_leaves(sidecar, hosted):
    backend = hosted()
    backend.answers["/api" + PATH] = [head("text/event-stream"), event(part(True, "to")), HANG]
    with sidecar.connect() as connection:
        next(connection.request("POST", PATH, {**CHAT, "stream": True}).pieces())
    until(lambda: backend.cuts == 1, 10, "its connection closed")


def test_a_client_that_does_not_read(sidecar, hosted):
    """The backend is held, and the proxy itself has next to nothing of what he does not take."""
    backend = hosted()
    sent = [0]

    def flood(_request):
        yield head("text/event-stream")
        for _ in range(2000):
            sent[0] += 1
            yield event(part(True, "x" * 16000))
        yield event(part(True, None, "stop"))
        yield event(b"[DONE]")
        yield END
    backend.answers["/api" + PATH] = flood
    before_kb = memory_kb(sidecar.process.pid)
    with sidecar.connect() as connection:
        answer = connection.request("POST", PATH, {**CHAT, "stream": True})
        seen = []
        until(lambda: seen.append(sent[0]) or (len(seen) > 20 and seen[-1] == seen[-20]), 15, "the backend to be held")
        assert sent[0] < 1500
        assert memory_kb(sidecar.process.pid) - before_kb < 16 << 10  # a sanitizer keeps some of what was freed
        body = b"".join(piece for _, piece in answer.pieces())
        assert body.count(b"data:") == 2002 and answer.clean


def test_many_at_once(sidecar, hosted):
    backend = hosted()
    held = Held(head("text/event-stream"), event(part(True, None, "stop")), event(b"[DONE]"), END)
    backend.answers["/api" + PATH] = held
    connections = [sidecar.connect() for _ in range(50)]
    for connection in connections:
        connection.send("POST", PATH, {**CHAT, "stream": True})
    until(lambda: len(backend.journal) == 50, 20, "all of them")
    held.go.set()
    for connection in connections:
        answer = connection.receive()
        assert answer.body.endswith(b"data: [DONE]\n\n") and answer.clean
        connection.close()


def test_a_large_body(sidecar, hosted):
    backend = hosted()
    text = "x" * (4 << 20)
    assert ask(sidecar, {**CHAT, "messages": [{"role": "user", "content": text}]}).status == 200
    assert backend.journal[0].json["messages"][0]["content"] == text


def test_by_a_proxy(sidecar, hosted):
    """HTTPS_PROXY is asked to connect."""
    listener = socket.create_server(("127.0.0.1", 0))
    asked = []

    def serve():
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            asked.append(sock.recv(4096).split(b"\r\n")[0])
            sock.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            sock.close()
    threading.Thread(target=serve, daemon=True).start()
    backend = hosted(env={"HTTPS_PROXY": f"http://127.0.0.1:{listener.getsockname()[1]}"})
    answer = ask(sidecar)
    assert answer.status == 502 and "403" in answer.json["error"]["message"]
    assert asked[0] == f"CONNECT localhost:{backend.port} HTTP/1.1".encode() and not backend.requests
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def test_a_name_that_is_nowhere(sidecar):
    sidecar.configure("proxy", backend="http://127.0.0.1:9")
    sidecar.configure("backend:nowhere", url="http://nowhere.invalid:1234", api="openai", models="m")
    sidecar.start("ollama-proxy")
    sidecar.process.wait_log(" listening ", timeout=2)
    answer = ask(sidecar)
    assert answer.status == 502 and "nowhere" in answer.json["error"]["message"] and "resolve" in answer.json["error"]["message"]


def test_a_name_by_http(sidecar, openai_backend):
    """A host's name is looked up when it is needed; libcurl knows by itself where *.localhost is."""
    backend = openai_backend("named")
    sidecar.configure("proxy", backend="http://127.0.0.1:9")
    sidecar.configure("backend:named", url=f"http://some.localhost:{backend.port}")
    sidecar.start("ollama-proxy")
    sidecar.process.wait_log(" listening ")
    answer = ask(sidecar, {**CHAT, "stream": True})
    assert answer.status == 200 and answer.body.endswith(b"data: [DONE]\n\n") and "via" in backend.journal[0].headers


@pytest.mark.parametrize("program", ["ollama-supervisor", "ollama-proxy"])
def test_where_libcurl_is_missing(sidecar, authority, openai_backend, program):
    """--check says so; a proxy serves all others."""
    backend = openai_backend("hosted", context=authority.context(), ini={"models": "m"})
    other = openai_backend("other", models=["n"])
    sidecar.configure("proxy", backend="http://127.0.0.1:9")
    for name in ("libcurl.so.4", "libcurl-gnutls.so.4"):
        sidecar.write(name, "")
    sidecar.env["LD_LIBRARY_PATH"] = sidecar.directory
    sidecar.write_ini()
    checked = sidecar.run(program, "-c", sidecar.ini, "--check")
    assert checked.returncode == 100 and "[backend:hosted] url" in checked.stderr and "install libcurl4" in checked.stderr
    assert "[backend:other]" not in checked.stderr
    sidecar.start("ollama-proxy")
    sidecar.process.wait_log(" listening ")
    answer = ask(sidecar)
    assert answer.status == 502 and "hosted" in answer.json["error"]["message"] and "libcurl" in answer.json["error"]["message"]
    assert ask(sidecar, {**CHAT, "model": "n"}).status == 200 and other.journal and not backend.requests


def test_a_good_configuration_is_checked(sidecar, authority, openai_backend):
    openai_backend("hosted", context=authority.context())
    sidecar.write_ini()
    assert sidecar.run("ollama-supervisor", "-c", sidecar.ini, "--check").returncode == 0


@pytest.mark.limit(60)
def test_a_name_server_that_is_silent_holds_nobody_else(sidecar, openai_backend):
    """Neither while a name is looked up, nor when its client leaves, nor when the time is over."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.53.53.53", 53))
    servers = sidecar.write("resolv.conf", "nameserver 127.53.53.53\noptions timeout:30 attempts:1\n")
    sidecar.before = ["unshare", "-m", "sh", "-c", f'mount --bind {servers} /etc/resolv.conf && exec "$@"', "sh"]
    openai_backend("good", ini={"models": "n"})
    sidecar.configure("proxy", backend="http://127.0.0.1:9")
    sidecar.configure("backend:lost", url="https://lost.example.com", api="openai", models="m")
    sidecar.start("ollama-proxy")
    sidecar.process.wait_log(" listening ")
    server.settimeout(10)
    server.recv(512)
    good = {**CHAT, "model": "n"}
    with sidecar.connect() as leaving:
        leaving.send("POST", PATH, CHAT)
        assert sidecar.ask("POST", PATH, good, timeout=2).status == 200
    for _ in range(5):
        assert sidecar.ask("POST", PATH, good, timeout=2).status == 200
    waiting = sidecar.background("POST", PATH, CHAT, timeout=25)
    sidecar.process.wait_log("backend_failed .*backend=lost", timeout=10)  # its list: 3 s
    assert sidecar.ask("POST", PATH, good, timeout=2).status == 200
    answer = waiting.result(25)
    assert answer.status == 502 and "no connection within 10 s" in answer.json["error"]["message"]
    assert sidecar.ask("POST", PATH, good, timeout=2).status == 200
    server.close()
