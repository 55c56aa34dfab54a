"""Who may do what, and what is told about who asks: addresses, proxies in front, names, web origins, circles."""
import ctypes
import os
import re
import shutil
import socket
import subprocess
import threading
import time

import pytest

from client import Background, Connection
from process import MARK
from waiting import SLACK, until

GENERATE = {"model": "m", "prompt": "x", "stream": False}
EVIL = "https://evil.example"


class From(Connection):
    """A connection from another address of this machine."""

    def __init__(self, port, source, host="127.0.0.1"):  # pylint: disable=super-init-not-called
        self.sock = socket.create_connection((host, port), 10 * SLACK, source_address=(source, 0))
        self.host = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._buffer = b""
        self._method = ""


def ask_from(sidecar, source, method="POST", path="/api/generate", body=None, headers=(), host="127.0.0.1"):
    """One request from that address, read to its end."""
    with From(sidecar.port, source, host) as connection:
        answer = connection.request(method, path, GENERATE if body is None and method == "POST" else body, headers)
        answer.body  # pylint: disable=pointless-statement
        return answer


def refused(answer, status=403, *names):
    """The refusal's text, which names these."""
    assert answer.status == status, (answer.status, answer.body)
    text = answer.json["error"] if isinstance(answer.json["error"], str) else answer.json["error"]["message"]
    assert all(name in text for name in names), text
    return text


def seen(sidecar, path="/api/generate"):
    """The headers of the last request that the backend saw, names in small letters."""
    headers = {}
    for name, value in sidecar.backend.requests(path)[-1]["headers"]:
        headers.setdefault(name.lower(), []).append(value)
    return headers


def delete(sidecar, source="127.0.0.1", headers=()):
    return ask_from(sidecar, source, "DELETE", "/api/delete", {"model": "none"}, headers)


# whom to believe

def test_headers_of_a_stranger_are_not_believed_and_forbid_changes(sidecar):
    sidecar.boot(tokens=1)
    assert delete(sidecar).status == 404  # the stand-in has no such model: it was asked
    for header in [("X-Forwarded-For", "127.0.0.1"), ("Forwarded", "for=127.0.0.1"), ("X-Forwarded-Host", "localhost"),
                   ("X-Forwarded-Proto", "https"), ("X-Real-IP", "127.0.0.1"), ("Via", "1.1 squid")]:
        refused(delete(sidecar, headers=[header]), 403, "trusted_proxies = 127.0.0.1")
    assert ask_from(sidecar, "127.0.0.1", headers=[("X-Forwarded-For", "8.8.8.8")]).status == 200
    assert seen(sidecar)["x-forwarded-for"] == ["127.0.0.1"]


def test_a_trusted_proxy_tells_who_asks(sidecar):
    sidecar.configure("proxy", trusted_proxies="127.0.0.2, 10.0.0.0/8", open="private")
    sidecar.configure("supervisor", log_level="debug")
    sidecar.boot(tokens=1)
    for headers, status in [
            ([("X-Forwarded-For", "127.0.0.1")], 404), ([("Forwarded", 'for="[::1]:1234";proto=https')], 404), ([], 403),
            ([("X-Forwarded-For", "127.0.0.1, 192.168.0.7")], 403), ([("X-Forwarded-For", "127.0.0.1, 192.168.0.7, 10.1.2.3")], 403),
            ([("X-Forwarded-For", "127.0.0.1"), ("X-Forwarded-For", "8.8.8.8")], 403), ([("X-Forwarded-For", "unknown")], 403),
            ([("Forwarded", 'for=127.0.0.1;x="'), ("X-Forwarded-For", "127.0.0.1")], 403),
            ([("Forwarded", "for=127.0.0.1"), ("X-Forwarded-For", "127.0.0.3")], 403), ([("Via", "1.1 nginx")], 403)]:
        answer = delete(sidecar, "127.0.0.2", headers)
        if headers:
            assert answer.status == status, (headers, answer.status, answer.body)
        else:
            assert answer.status == 404  # the proxy itself, for nobody else
    refused(delete(sidecar, "127.0.0.2", [("X-Forwarded-For", "192.168.0.7")]), 403, "manage_from")
    refused(delete(sidecar, "127.0.0.2", [("Via", "1.1 nginx")]), 403, "does not say who asks", "X-Forwarded-For")
    for client, status in [("192.168.0.7", 200), ("8.8.8.8", 403), ("8.8.8.8, 192.168.0.7", 200), ("2001:db8::1", 403), ("fd00::7", 200)]:
        assert ask_from(sidecar, "127.0.0.2", headers=[("X-Forwarded-For", client)]).status == status, client
    refused(ask_from(sidecar, "127.0.0.2", headers=[("X-Forwarded-For", "8.8.8.8")]), 403, "8.8.8.8", "open = yes")
    refused(delete(sidecar, "127.0.0.3", [("X-Forwarded-For", "127.0.0.1")]), 403, "trusted_proxies = 127.0.0.3")
    for client in ("8.8.8.8", "unknown", "127.0.0.3"):
        sidecar.process.wait_log(rf" refused id=\w+ client={client} status=403 ")


def test_the_host_that_a_trusted_proxy_was_asked_for(sidecar):
    sidecar.configure("proxy", trusted_proxies="127.0.0.2", allowed_hosts="app.example.com, *.team.example")
    sidecar.boot(tokens=1)
    behind = [("X-Forwarded-For", "127.0.0.1"), ("Host", f"127.0.0.1:{sidecar.port}")]
    for host, status in [("app.example.com", 200), ("a.team.example:443", 200), ("rebound.example", 403), ("team.example", 403)]:
        assert ask_from(sidecar, "127.0.0.2", headers=[*behind, ("X-Forwarded-Host", host)]).status == status, host
    for proxys, pages in [("app.example.com", "rebound.example"), ("rebound.example", "app.example.com")]:
        both = [*behind, ("Forwarded", f"for=127.0.0.1;host={proxys}"), ("X-Forwarded-Host", pages)]
        refused(ask_from(sidecar, "127.0.0.2", headers=both), 403, "in two ways")
    page = [*behind, ("X-Forwarded-Host", "app.example.com"), ("Origin", "https://app.example.com")]
    answer = ask_from(sidecar, "127.0.0.2", headers=page)
    assert answer.status == 200 and answer.header("access-control-allow-origin") == "https://app.example.com"
    refused(ask_from(sidecar, "127.0.0.1", headers=page), 403, "cors_origins")  # nobody's word


@pytest.mark.parametrize("lines", [
    {"trusted_proxies": "nginx, 10.0.0.1/8, 10.0.0.0/8, 127.0.0.1:80", "allowed_hosts": "http://a.example"}])
def test_every_bad_entry_is_told_with_its_line(sidecar, lines):
    sidecar.configure("proxy", **lines)
    sidecar.write_ini()
    checked = sidecar.run("ollama-supervisor", "-c", sidecar.ini, "--check")
    assert checked.returncode == 100
    told = [line for line in checked.stderr.splitlines() if "error: [proxy]" in line]
    assert len(told) == 4 and all(re.match(rf"{sidecar.ini}:\d+: error: ", line) for line in told), checked.stderr
    assert "write 10.0.0.0/8" in checked.stderr


# what the backend is told

def test_the_backend_is_told_who_asks_and_through_whom(sidecar):
    sidecar.boot(tokens=1)
    answer = ask_from(sidecar, "127.0.0.2", headers=[("X-Forwarded-Port", "1"), ("X-Real-IP", "9.9.9.9"), ("X-Forwarded-Proto", "https")])
    host, told = f"127.0.0.1:{sidecar.port}", seen(sidecar)
    assert told["host"] == [f"127.0.0.1:{sidecar.backend.port}"]
    assert told["x-forwarded-for"] == ["127.0.0.2"] and told["x-forwarded-host"] == [host] and told["x-forwarded-proto"] == ["http"]
    assert told["forwarded"] == [f'for=127.0.0.2;host="{host}";proto=http']
    assert "x-real-ip" not in told and "x-forwarded-port" not in told
    assert re.fullmatch(r"1\.1 sidecar-[0-9a-f]{16}", told["via"][0]) and answer.header("via") == told["via"][0]
    assert answer.header("x-request-id") == told["x-request-id"][0]


def test_a_trusted_proxy_s_lists_are_continued(sidecar):
    sidecar.configure("proxy", trusted_proxies="loopback", listen=f"127.0.0.1:{sidecar.port}, [::1]:{sidecar.port}", open="yes")
    sidecar.boot(tokens=1)
    headers = [("Host", "inner"), ("X-Forwarded-For", "2001:db8::1"), ("X-Forwarded-For", "8.8.8.8"), ("X-Forwarded-Proto", "https"),
               ("X-Forwarded-Host", "app.example.com"), ("X-Forwarded-Port", "443"), ("Via", "2 fly.io")]
    assert ask_from(sidecar, "::1", headers=headers, host="::1").status == 200
    told = seen(sidecar)
    assert told["x-forwarded-for"] == ["2001:db8::1, 8.8.8.8, ::1"] and told["x-forwarded-proto"] == ["https"]
    assert told["x-forwarded-host"] == ["app.example.com"] and "x-forwarded-port" not in told
    assert told["forwarded"] == ['for=8.8.8.8, for="[::1]";host="inner";proto=http']
    assert told["via"][0] == "2 fly.io" and told["via"][1].startswith("1.1 sidecar-") and len(told["via"]) == 2


def test_nobody_is_told_where_that_is_not_wanted(sidecar):
    sidecar.configure("proxy", forwarded="no")
    sidecar.boot(tokens=1)
    assert ask_from(sidecar, "127.0.0.1", headers=[("X-Forwarded-For", "1.1.1.1"), ("X-Other", "stays")]).status == 200
    told = seen(sidecar)
    assert not [name for name in told if name.startswith(("x-forwarded", "forwarded"))] and told["x-other"] == ["stays"]
    assert told["via"][0].startswith("1.1 sidecar-")


@pytest.mark.parametrize("given, is_kept", [("abc-DEF_1.2", True), ("x" * 128, True), ("x" * 129, False), ("a b", False), ('a"b', False),
                                            ("", False)])
def test_request_ids(sidecar, given, is_kept):
    sidecar.boot(tokens=1)
    answer = ask_from(sidecar, "127.0.0.1", headers=[("X-Request-Id", given)])
    (told,) = seen(sidecar)["x-request-id"]
    assert answer.header("x-request-id") == told
    assert told == given if is_kept else re.fullmatch(r"[0-9a-f]{16}", told)
    refusal = ask_from(sidecar, "127.0.0.1", "GET", "/nowhere", headers=[("X-Request-Id", given)])
    assert refusal.status == 404 and (refusal.header("x-request-id") == given) == is_kept


# circles

def relay(target):
    """A port that passes on bytes to another one: the port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def pump(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def serve():
        while True:
            client = listener.accept()[0]
            server = socket.create_connection(("127.0.0.1", target), 10 * SLACK)
            for pair in ((client, server), (server, client)):
                threading.Thread(target=pump, args=pair, daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    return listener.getsockname()[1]


def test_a_backend_that_leads_back_is_told(sidecar):
    sidecar.configure("proxy", backend=f"http://127.0.0.1:{relay(sidecar.port)}")
    sidecar.configure("program:ollama", autostart="no")
    sidecar.start()
    sidecar.process.wait_log(r" listening ")
    body = {**GENERATE, "messages": [{"role": "user", "content": "x"}]}
    for path in ("/api/generate", "/v1/chat/completions", "/v1/messages"):
        until(lambda: ask_from(sidecar, "127.0.0.1", path=path, body=body).status == 508, 5, "508")
        answer = ask_from(sidecar, "127.0.0.1", path=path, body=body)
        assert answer.status == 508
        told = answer.json["error"]
        assert "[proxy] backend" in (told if isinstance(told, str) else told["message"])
    sidecar.process.wait_log(r" refused .*status=508 .*here before")


def test_a_request_that_an_older_proxy_sent_is_known_after_a_restart(sidecar):
    sidecar.boot(tokens=1)
    ask_from(sidecar, "127.0.0.1")
    (via,) = seen(sidecar)["via"]
    old = sidecar.pid_of("proxy")
    assert sidecar.ctl("restart", "proxy").returncode == 0
    until(lambda: sidecar.pid_of("proxy") != old and not os.path.exists(f"/proc/{old}"), 10, "another proxy")
    before = len(sidecar.backend.requests("/api/generate"))
    refused(ask_from(sidecar, "127.0.0.1", headers=[("Via", "1.1 other"), ("Via", via)]), 508, "[proxy] backend")
    assert len(sidecar.backend.requests("/api/generate")) == before
    assert ask_from(sidecar, "127.0.0.1", headers=[("Via", "1.1 sidecar-0000000000000000")]).status == 200


def test_many_refusals_do_not_fill_the_log(sidecar):
    sidecar.boot(tokens=1)
    ask_from(sidecar, "127.0.0.1")
    (via,) = seen(sidecar)["via"]

    started = time.monotonic()
    for _ in range(100):
        assert ask_from(sidecar, "127.0.0.1", headers=[("Via", via)]).status == 508
    sidecar.process.wait_log(r" refused .*status=508")
    assert 10 <= len(sidecar.process.logged(r" refused .*status=508")) <= 10 + 10 * (time.monotonic() - started) + 1

    def rest_is_told():
        ask_from(sidecar, "127.0.0.1", headers=[("Via", via)])
        return sidecar.process.logged(r" untold n=\d+")

    until(rest_is_told, 5, "how many were not told")


def test_two_sidecars_in_a_row_are_no_circle(sidecar, folder):
    inner = type(sidecar)(os.path.join(folder, "inner"))
    os.mkdir(inner.directory)
    try:
        inner.boot(tokens=1)
        sidecar.configure("proxy", backend=f"http://127.0.0.1:{inner.port}")
        sidecar.configure("program:ollama", autostart="no")
        sidecar.start()
        sidecar.wait_ready()
        assert ask_from(sidecar, "127.0.0.1").status == 200
        told = seen(inner)
        assert len(set(told["via"])) == 2 and told["x-forwarded-for"] == ["127.0.0.1"]
    finally:
        assert not inner.clean_up()


@pytest.mark.parametrize("backend", ["127.0.0.1", "localhost", "0.0.0.0"])
def test_a_backend_that_is_our_own_listener_is_a_mistake(sidecar, backend):
    sidecar.configure("proxy", listen=f"0.0.0.0:{sidecar.port}", backend=f"http://{backend}:{sidecar.port}")
    sidecar.write_ini()
    checked = sidecar.run("ollama-supervisor", "-c", sidecar.ini, "--check")
    assert checked.returncode == 100 and "one of our own listeners" in checked.stderr


def test_a_name_that_leads_to_our_own_listener_is_warned_of(sidecar):
    name = socket.gethostname()
    try:
        socket.gethostbyname(name)
    except OSError:
        pytest.skip(f"{name}, this machine's own name, can't be resolved")
    sidecar.configure("proxy", listen=f"0.0.0.0:{sidecar.port}", backend=f"http://{name}:{sidecar.port}", open="yes")
    sidecar.configure("program:ollama", autostart="no")
    sidecar.start()
    sidecar.process.wait_log(rf" backend_circle backend={name}:{sidecar.port} listener=0\.0\.0\.0:{sidecar.port} hint=")
    refused(ask_from(sidecar, "127.0.0.1"), 508, "[proxy] backend")


# names and pages

LOCAL = ["localhost", "LOCALHOST.", "127.0.0.1:9", "[::1]:9", "192.168.7.7", "ollama", "ollama:11434", "app.internal", "app.flycast:80",
         "box.local", "nas.lan", "", "sidecar.example.com", "a.b.team.example"]
FOREIGN = ["rebound.example", "localhost.evil.example", "127.0.0.1.nip.io", "0x7f.1", "2130706433", "0x7f000001", "127.1",
           "team.example", "evil.example:11434"]


@pytest.mark.parametrize("where", ["no", "private"])
def test_a_rebound_name_gets_nothing_from_near_addresses(sidecar, where):
    sidecar.configure("proxy", open=where, allowed_hosts="sidecar.example.com, *.team.example")
    sidecar.boot(tokens=1)
    for host in LOCAL:
        assert ask_from(sidecar, "127.0.0.1", headers=[("Host", host)]).status == 200, host
    before = len(sidecar.backend.requests("/api/generate"))
    for host in FOREIGN:
        refused(ask_from(sidecar, "127.0.0.1", headers=[("Host", host)]), 403, "allowed_hosts")
        refused(ask_from(sidecar, "127.0.0.1", "GET", "/api/tags", headers=[("Host", host)]), 403, "allowed_hosts")
        page = [("Host", host), ("Origin", f"http://{host}")]  # the same origin, as its browser sees it
        refused(ask_from(sidecar, "127.0.0.1", headers=page), 403, "allowed_hosts")
        refused(ask_from(sidecar, "127.0.0.1", "DELETE", "/api/delete", {"model": "m"}, [("Host", host)]), 403, "allowed_hosts")
        assert ask_from(sidecar, "127.0.0.1", "GET", "/live", headers=[("Host", host)]).status == 200
    assert len(sidecar.backend.requests("/api/generate")) == before


def test_where_all_may_ask_any_name_will_do_but_not_for_changes(sidecar):
    sidecar.configure("proxy", open="yes")
    sidecar.boot(tokens=1)
    for host in LOCAL + FOREIGN:
        assert ask_from(sidecar, "127.0.0.1", headers=[("Host", host)]).status == 200, host
    refused(delete(sidecar, headers=[("Host", "rebound.example")]), 403, "allowed_hosts")


@pytest.mark.parametrize("host", ["user@localhost", "localhost/x", "a b", "<x>", "localhost\\", "a,b", "localhost:8x",
                                  "localhost:65536", ":80"])
def test_what_is_no_host_at_all_is_malformed(sidecar, host):
    sidecar.boot(tokens=1)
    assert ask_from(sidecar, "127.0.0.1", headers=[("Host", host)]).status == 400


def test_foreign_origins_are_refused_before_any_work(sidecar):
    sidecar.configure("proxy", open="yes", cors_origins="https://app.example.com")
    sidecar.boot(tokens=1)
    before = len(sidecar.backend.journal("request"))
    for origin in [EVIL, "null", "http://localhost.evil.example", "https://app.example.com.evil.example", "http://app.example.com"]:
        for method, path in [("POST", "/api/generate"), ("GET", "/api/tags"), ("OPTIONS", "/api/generate"), ("GET", "/health"),
                             ("GET", "/nowhere")]:
            answer = ask_from(sidecar, "127.0.0.1", method, path, headers=[("Origin", origin)])
            refused(answer, 403, "cors_origins")
            assert answer.header("access-control-allow-origin") is None and "Origin" in answer.header("vary")
    assert len(sidecar.backend.journal("request")) == before
    for origin in ["http://localhost:3000", "file://", "vscode-webview://x"]:
        assert ask_from(sidecar, "127.0.0.1", headers=[("Origin", origin)]).status == 200, origin


def test_ollama_s_own_list_of_origins_can_be_left_out(sidecar):
    sidecar.configure("proxy", cors_builtin="no")
    sidecar.boot(tokens=1)
    for origin, status in [("http://localhost:3000", 200), ("http://127.0.0.1:1", 200), ("file://", 403), ("app://x", 403),
                           ("http://0.0.0.0", 403)]:
        assert ask_from(sidecar, "127.0.0.1", headers=[("Origin", origin)]).status == status, origin


@pytest.mark.parametrize("method, headers, status", [
    ("GET", {"Site": "cross-site", "Mode": "no-cors", "Dest": "image"}, 403), ("GET", {"Site": "cross-site"}, 403),
    ("POST", {"Site": "cross-site", "Mode": "navigate"}, 403), ("GET", {"Site": "cross-site", "Mode": "navigate"}, 200),
    ("GET", {"Site": "same-origin", "Mode": "cors"}, 200), ("GET", {"Site": "none", "Mode": "navigate"}, 200),
    ("GET", {"Mode": "cors"}, 200)])
def test_a_page_of_another_site_is_refused_without_its_origin(sidecar, method, headers, status):
    sidecar.configure("proxy", open="yes")
    sidecar.boot(tokens=1)
    path = "/api/tags" if method == "GET" else "/api/generate"
    answer = ask_from(sidecar, "127.0.0.1", method, path, headers=[(f"Sec-Fetch-{name}", value) for name, value in headers.items()])
    assert answer.status == status
    if status == 403:
        refused(answer, 403, "cors_origins")


def test_a_browser_app_can_read_our_errors(sidecar):
    sidecar.configure("proxy", cors_origins="https://app.example.com", max_body="2K", open="no", write_timeout="1s")
    sidecar.boot(tokens=1)
    app = ("Origin", "https://app.example.com")

    def readable(answer, status):
        assert answer.status == status and answer.header("access-control-allow-origin") == app[1], (answer.status, answer.headers)
        assert answer.header("vary") == "Origin" and "X-Request-Id" in answer.header("access-control-expose-headers")
        assert answer.json["error"] and answer.header("x-request-id")

    readable(ask_from(sidecar, "127.0.0.1", "GET", "/nowhere", headers=[app]), 404)
    readable(ask_from(sidecar, "127.0.0.1", "GET", "/api/generate", headers=[app]), 405)
    readable(ask_from(sidecar, "127.0.0.1", "GET", "/api//tags", headers=[app]), 400)
    readable(ask_from(sidecar, "127.0.0.1", headers=[app, ("Host", "rebound.example")]), 403)
    readable(ask_from(sidecar, "127.0.0.1", body=b"x" * 3000, headers=[app]), 413)
    with sidecar.connect() as connection:  # a body that is too large, found out in the middle of it
        connection.send("POST", "/api/generate", b"", [app, ("Transfer-Encoding", "chunked")])
        connection.sock.sendall(b"1000\r\n" + b"x" * 4096 + b"\r\n")
        readable(connection.receive(), 413)
    with sidecar.connect() as connection:  # … and one that is malformed
        connection.send("POST", "/api/generate", b"", [app, ("Transfer-Encoding", "chunked")])
        connection.sock.sendall(b"zz\r\n")
        readable(connection.receive(), 400)
    with sidecar.connect() as connection:  # … and one that does not come
        connection.send("POST", "/api/generate", b"{", [app, ("Content-Length", "9")])
        readable(connection.receive(), 408)


# addresses that are really elsewhere

class Net:
    """A network namespace with a private and a public address of its own; what runs in it sees nothing else."""
    PRIVATE, PUBLIC = "10.9.0.7", "203.0.113.7"

    def __init__(self, mark):
        words = ["unshare", "-n", "sh", "-c", "ip link set lo up && ip addr add 10.9.0.1/24 dev lo && ip addr add 10.9.0.7/32 dev lo && "
                 "ip addr add 203.0.113.7/32 dev lo && ip -6 addr add fd00:9::7/128 dev lo && ip -6 addr add 2001:db8::7/128 dev lo && "
                 "echo up && exec sleep 600"]
        self.popen = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, MARK: mark})
        self.is_up = self.popen.stdout.readline() == b"up\n"
        self.why = "" if self.is_up else self.popen.stderr.read().decode().strip()

    def call(self, function, *args, **kwargs):
        """The function's result, as of a thread that is in there."""
        def inside():
            with open(f"/proc/{self.popen.pid}/ns/net", encoding="ascii") as file:
                if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), 0x40000000) != 0:  # CLONE_NEWNET
                    raise OSError(ctypes.get_errno(), "setns")
            return function(*args, **kwargs)
        return Background(inside).result(20)

    def close(self):
        """Its end."""
        self.popen.kill()
        self.popen.communicate()


@pytest.fixture
def net(sidecar):
    """A namespace in which the sidecar will run, listening on every address."""
    for tool in ("unshare", "nsenter", "ip"):
        if not shutil.which(tool):
            pytest.skip(f"there is no {tool}")
    made = Net(sidecar.mark)
    if not made.is_up:
        made.close()
        pytest.skip(f"no network namespace can be made: {made.why}")
    sidecar.before = ["nsenter", f"--net=/proc/{made.popen.pid}/ns/net"]
    sidecar.installed = "m"
    sidecar.configure("proxy", listen=f"[::]:{sidecar.port}")
    sidecar.backend.script(tokens=1)
    yield made
    sidecar.clean_up()
    made.close()


@pytest.mark.parametrize("where, manage, statuses", [
    ("no", "loopback", {"127.0.0.1": (200, 404), "10.9.0.7": (403, 403), "203.0.113.7": (403, 403)}),
    ("private", "loopback", {"127.0.0.1": (200, 404), "10.9.0.7": (200, 403), "203.0.113.7": (403, 403)}),
    ("private", "private", {"10.9.0.7": (200, 404), "203.0.113.7": (403, 403), "fd00:9::7": (200, 404), "2001:db8::7": (403, 403)}),
    ("yes", "private", {"10.9.0.7": (200, 404), "203.0.113.7": (200, 403), "2001:db8::7": (200, 403)})])
def test_peers_that_are_really_elsewhere(sidecar, net, where, manage, statuses):
    sidecar.configure("proxy", open=where, manage_from=manage)
    sidecar.start()
    sidecar.process.wait_log(r" ready after_ms=")

    def both(source):
        host = "fd00:9::7" if ":" in source else "127.0.0.1" if source == "127.0.0.1" else "10.9.0.1"
        return tuple(ask_from(sidecar, source, *request, host=host).status
                     for request in [(), ("DELETE", "/api/delete", {"model": "none"})])

    assert {source: net.call(both, source) for source in statuses} == statuses
    for source, (status, _) in statuses.items():
        if status == 200:
            assert any(dict(entry["headers"]).get("X-Forwarded-For") == source for entry in sidecar.backend.requests("/api/generate"))


def test_a_public_client_behind_a_private_proxy(sidecar, net):
    sidecar.configure("proxy", open="private", manage_from="private", trusted_proxies="10.9.0.7, fd00::/8")
    sidecar.start()
    sidecar.process.wait_log(r" ready after_ms=")

    def status(source, client, host):
        return ask_from(sidecar, source, headers=[("X-Forwarded-For", client)], host=host).status

    for source, client, host, expected in [
            ("10.9.0.7", "203.0.113.9", "10.9.0.1", 403), ("10.9.0.7", "192.168.3.3", "10.9.0.1", 200),
            ("203.0.113.7", "192.168.3.3", "10.9.0.1", 403), ("fd00:9::7", "2001:db8::9", "fd00:9::7", 403),
            ("fd00:9::7", "2001:db8::9, fd00::3", "fd00:9::7", 403), ("fd00:9::7", "192.168.3.3", "fd00:9::7", 200)]:
        assert net.call(status, source, client, host) == expected, (source, client)


def test_an_address_of_this_machine_as_backend_is_warned_of(sidecar, net):
    sidecar.configure("proxy", backend=f"http://10.9.0.1:{sidecar.port}", open="private")
    sidecar.configure("program:ollama", autostart="no")
    sidecar.start()
    sidecar.process.wait_log(r" backend_circle backend=10\.9\.0\.1:")
    refused(net.call(ask_from, sidecar, "10.9.0.7", host="10.9.0.1"), 508, "[proxy] backend")
