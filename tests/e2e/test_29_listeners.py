"""Listeners and the control socket change by a reload; a restart of the proxy under load loses no request."""
import json
import os
import signal
import socket
import threading

import pytest

import ports
from client import Background, Connection, ask
from process import state_of
from waiting import SLACK, until

GENERATE = {"model": "m", "prompt": "x", "stream": False}


def listen(sidecar, *addresses):
    """[proxy] listen is these."""
    sidecar.configure("proxy", listen=", ".join(addresses))
    sidecar.write_ini()


def reload(sidecar):
    """A reload that is accepted."""
    sidecar.write_ini()
    run = sidecar.ctl("reload")
    assert run.returncode == 0, run.stdout + run.stderr + sidecar.process.tail()


def refused(sidecar) -> str:
    """A reload that is not; what it says."""
    sidecar.write_ini()
    run = sidecar.ctl("reload")
    assert run.returncode == 1, run.stdout + run.stderr + sidecar.process.tail()
    assert "nothing has changed" in run.stdout + run.stderr
    return run.stdout + run.stderr


def is_refused(port, host="127.0.0.1") -> bool:
    """Nobody listens there."""
    try:
        socket.create_connection((host, port), 3).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False


def sockets_of(pid) -> list:
    """Its descriptors that are sockets."""
    links = [f"/proc/{pid}/fd/{fd}" for fd in os.listdir(f"/proc/{pid}/fd")]
    return [os.readlink(link) for link in links if os.path.islink(link) and os.readlink(link).startswith("socket:")]


def listed(sidecar) -> list:
    """What `sidecarctl status` says of listeners."""
    return json.loads(sidecar.ctl("--json", "status").stdout)["listen"]


class Load:
    """Clients that ask in a row until they are told to end; each keeps count, and every error."""

    def __init__(self, sidecar, kept: int, fresh: int):
        self.sidecar = sidecar
        self.errors, self.asked_n, self.closed_n = [], 0, 0
        self.lock = threading.Lock()
        self.is_over = False
        self.threads = [threading.Thread(target=self.run, args=(number, number < kept), daemon=True) for number in range(kept + fresh)]
        for thread in self.threads:
            thread.start()

    def one(self, connection, number):
        """A request and its whole answer: every third is a stream."""
        if number % 3 == 0:
            answer = connection.request("POST", "/api/generate", {**GENERATE, "stream": True})
            last = list(answer.objects())[-1][1]
            assert answer.status == 200 and answer.clean and last.get("done"), last
        else:
            answer = connection.request("GET", "/api/version")
            assert answer.status == 200 and "version" in answer.json and answer.clean
        return answer.header("connection", "").lower() == "close"

    def run(self, number, is_kept):
        """One client."""
        connection = None
        while not self.is_over:
            try:
                if not connection:
                    connection = Connection(self.sidecar.port, timeout=20)
                is_last = self.one(connection, number)
                with self.lock:
                    self.asked_n += 1
                    self.closed_n += is_last
                if is_last or not is_kept:
                    connection.close()
                    connection = None
            except Exception as error:  # each is a lost request
                with self.lock:
                    self.errors.append(f"{'kept' if is_kept else 'fresh'} {number}: {error!r}")
                connection = None

    def more(self, count: int):
        """So many more requests are answered."""
        goal = self.asked_n + count
        until(lambda: self.asked_n >= goal or self.errors, 20, f"{count} more requests", lambda: str(self.errors[:5]))

    def end(self):
        """The errors."""
        self.is_over = True
        for thread in self.threads:
            thread.join(20 * SLACK)
            assert not thread.is_alive()
        return self.errors


@pytest.mark.limit(120)
def test_ten_restarts_of_the_proxy_under_load_lose_nothing_proxy_scenario_38(sidecar):
    sidecar.boot(tokens=4, token_delay_ms=20)
    load = Load(sidecar, 25, 25)
    load.more(100)
    pids = set()
    for _ in range(10):
        assert sidecar.ctl("restart", "proxy").returncode == 0
        load.more(60)
        pids.add(sidecar.pid_of("proxy"))
    assert load.end() == [] and load.asked_n >= 700 and len(pids) == 10
    until(lambda: len(sidecar.process.logged(r" drained pid=")) == 10, 10, "the end of ten old proxies")
    assert load.closed_n == 0  # a restart is none of the clients' business
    assert sidecar.stop() == 0


@pytest.mark.limit(120)
def test_reloads_of_a_parameter_and_of_listeners_under_load_lose_nothing(sidecar):
    sidecar.boot(tokens=4, token_delay_ms=20)
    other = ports.free()
    load = Load(sidecar, 15, 15)
    for turn in range(6):
        before = sidecar.pid_of("proxy")
        if turn % 2:
            sidecar.configure("proxy", max_clients=str(500 + turn))
        else:
            listen(sidecar, *([f"127.0.0.1:{other}"] if turn % 4 == 0 else []), f"127.0.0.1:{sidecar.port}")
        reload(sidecar)
        until(lambda: sidecar.pid_of("proxy") != before, 5, "another proxy")
        load.more(60)
    assert load.end() == []


def test_kept_connections_live_on_through_a_restart_with_what_they_sent(sidecar):
    sidecar.boot(tokens=1)
    kept = [sidecar.connect(timeout=20) for _ in range(300)]
    for connection in kept[1:]:
        assert connection.request("GET", "/live").body
    before = sidecar.pid_of("proxy")
    assert sidecar.ctl("restart", "proxy").returncode == 0
    for connection in kept:  # one of them had not asked yet
        connection.send("GET", "/api/version")
    for connection in kept:
        assert connection.receive().json["version"]
    sidecar.process.wait_log(rf" drained pid={before}\b")
    for connection in kept:
        assert connection.request("GET", "/ready").status == 200
        connection.close()


def test_kept_connections_wait_for_a_proxy_that_stands_still(sidecar):
    """The successor hangs in its start: what was handed over waits in the kernel."""
    sidecar.boot(tokens=1)
    with sidecar.connect(timeout=20) as connection:
        assert connection.request("GET", "/live").body
        with sidecar.connect() as half:
            half.sock.sendall(b"GET /live HTTP/1.1\r\nHo")  # under way: it stays with the old one
            before = sidecar.pid_of("proxy")
            assert sidecar.ctl("restart", "proxy").returncode == 0
            os.kill(sidecar.pid_of("proxy"), signal.SIGSTOP)
            connection.send("GET", "/live")
            half.sock.sendall(b"st: localhost\r\n\r\n")
            assert half.receive().status == 200
            sidecar.process.wait_log(rf" drained pid={before}\b")
            os.kill(sidecar.pid_of("proxy"), signal.SIGCONT)
            assert connection.receive().status == 200


def test_a_stopped_proxy_keeps_nobody_hanging(sidecar):
    sidecar.boot(tokens=1)
    with sidecar.connect() as connection:
        assert connection.request("GET", "/live").body
        assert sidecar.ctl("stop", "proxy").returncode == 0
        with pytest.raises((EOFError, ConnectionError)):
            connection.line()


def test_a_stop_answers_who_asks_in_a_row_and_tells_him_that_it_was_the_last_proxy_scenario_38(sidecar):
    sidecar.boot(tokens=30, token_delay_ms=50)
    with sidecar.connect(timeout=20) as stream, sidecar.connect() as row, sidecar.connect() as fresh:
        streaming = stream.request("POST", "/api/generate", {**GENERATE, "stream": True})
        pieces = streaming.objects()
        next(pieces)
        assert row.request("GET", "/live").body
        sidecar.process.kill(signal.SIGTERM)
        sidecar.process.wait_log(r" drain ")
        answer = row.request("GET", "/ready")
        assert answer.status == 503 and answer.body and answer.header("connection") == "close"
        assert fresh.request("GET", "/ready").status == 503
        assert list(pieces)[-1][1]["done"] and streaming.clean
    assert sidecar.process.wait(10) == 0


def test_listeners_come_and_go_and_streams_go_on(sidecar):
    sidecar.boot(tokens=60, token_delay_ms=30)
    first, second, third = sidecar.port, ports.free(), ports.free()

    def one(number):
        with Connection(first, timeout=20) as connection:
            answer = connection.request("POST", "/api/generate", {**GENERATE, "stream": True, "prompt": f"p{number}"})
            return len(list(answer.objects())), answer.clean

    streams = [Background(one, number) for number in range(20)]
    until(lambda: len(sidecar.backend.requests("/api/generate")) == 20, 10, "20 streams")
    listen(sidecar, f"127.0.0.1:{first}", f"127.0.0.1:{second}", f"[::1]:{third}")
    reload(sidecar)
    assert ask(second, "GET", "/live").status == 200
    with Connection(third, "::1") as connection:
        assert connection.request("GET", "/live", headers=[("Host", "localhost")]).status == 200
    assert listed(sidecar) == [f"127.0.0.1:{first}", f"127.0.0.1:{second}", f"[::1]:{third}"]
    listen(sidecar, f"127.0.0.1:{second}")
    reload(sidecar)
    assert listed(sidecar) == [f"127.0.0.1:{second}"]
    for port, host in ((first, "127.0.0.1"), (third, "[::1]")):
        sidecar.process.wait_log(rf" listener_leaves address={host.replace('[', chr(92) + '[')}:{port}")
    until(lambda: is_refused(first) and is_refused(third, "::1"), 10, "the removed ones' end")
    assert ask(second, "GET", "/live").status == 200
    assert [one.result(20) for one in streams] == [(61, True)] * 20
    assert f"listen = 127.0.0.1:{second}" in sidecar.ctl("dump").stdout
    assert sidecar.stop() == 0


def test_who_came_to_a_listener_that_is_removed_is_served(sidecar):
    sidecar.boot(tokens=1)
    other = ports.free()
    proxy = sidecar.pid_of("proxy")
    os.kill(proxy, signal.SIGSTOP)  # it takes nobody: they wait in the kernel's queue
    waiting = [sidecar.connect(timeout=20) for _ in range(50)]
    for connection in waiting:
        connection.send("GET", "/api/version")
    old, sidecar.port = sidecar.port, other
    listen(sidecar, f"127.0.0.1:{other}")
    reload(sidecar)
    for connection in waiting:
        assert connection.receive().json["version"]
    os.kill(proxy, signal.SIGCONT)  # it has that socket too, until it drains
    sidecar.process.wait_log(rf" listener_closed address=127.0.0.1:{old}")
    until(lambda: is_refused(old), 10, "the end of the last copy")
    assert sidecar.wait_ready()


def test_a_listener_that_leaves_may_come_back_at_once(sidecar):
    sidecar.boot(tokens=1)
    other, first = ports.free(), sidecar.port
    for _ in range(3):
        for port in (other, first):
            listen(sidecar, f"127.0.0.1:{port}")
            reload(sidecar)
            assert ask(port, "GET", "/live").status == 200
    proxy = sidecar.pid_of("proxy")
    sidecar.process.wait_log(rf" listener_closed address=127.0.0.1:{other}", timeout=10)
    assert ask(first, "GET", "/live").status == 200 and is_refused(other)
    reload(sidecar)  # nothing is new: that there was one to leave is no reason to restart
    assert sidecar.pid_of("proxy") == proxy
    listening = until(lambda: len(sockets_of(proxy)) < 9 and sockets_of(proxy), 5, "the proxy's copy to be closed")
    assert len(listening) == len(set(listening))


@pytest.mark.parametrize("one, two", [("127.0.0.1:{}", "0.0.0.0:{}"), ("0.0.0.0:{}", "127.0.0.1:{}"), ("[::]:{}", "0.0.0.0:{}"),
                                      ("0.0.0.0:{}", "[::]:{}"), ("127.0.0.1:{}", "[::]:{}")])
def test_the_same_port_on_another_address_without_a_gap(sidecar, one, two):
    listen(sidecar, one.format(sidecar.port))
    sidecar.boot(tokens=1)
    load = Load(sidecar, 5, 5)
    load.more(20)
    for address in (two, one):
        listen(sidecar, address.format(sidecar.port))
        reload(sidecar)
        load.more(50)
        assert listed(sidecar) == [address.format(sidecar.port)]
    assert load.end() == []
    with socket.socket() as stranger:  # nobody binds beside us, not even who is willing to share
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with pytest.raises(OSError):
            stranger.bind(("127.0.0.1", sidecar.port))
            stranger.listen()


def test_a_taken_port_refuses_all_of_it_and_names_the_holder(sidecar):
    sidecar.boot(tokens=1)
    free, taken = ports.free(), ports.free()
    before = {name: sidecar.pid_of(name) for name in ("ollama", "proxy")}
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", taken))
        holder.listen()
        listen(sidecar, f"127.0.0.1:{sidecar.port}", f"127.0.0.1:{free}", f"127.0.0.1:{taken}")
        sidecar.configure("program:more", command="sleep 600")
        sidecar.configure("supervisor", control_socket=os.path.join(sidecar.directory, "other.sock"))
        told = refused(sidecar)
    assert f"127.0.0.1:{taken} is in use by" in told and f"(pid {os.getpid()})" in told
    assert is_refused(free) and not os.path.exists(os.path.join(sidecar.directory, "other.sock"))
    assert {name: sidecar.pid_of(name) for name in before} == before
    assert listed(sidecar) == [f"127.0.0.1:{sidecar.port}"] and not sidecar.process.logged(" exec program=more")
    assert sidecar.generate().status == 200
    reload_fds = len(os.listdir(f"/proc/{sidecar.process.pid}/fd"))
    sidecar.configure("supervisor", control_socket="/proc/nobody/x.sock")
    listen(sidecar, f"127.0.0.1:{free}")
    assert "/proc/nobody/x.sock" in refused(sidecar) and is_refused(free)
    assert len(os.listdir(f"/proc/{sidecar.process.pid}/fd")) == reload_fds


@pytest.mark.parametrize("addresses, told", [
    (["127.0.0.1:0"], "0"), (["127.0.0.1:{}", "127.0.0.1:{}"], "twice"), (["127.0.0.1:{}", "localhost:{}"], "twice"),
    (["127.0.0.1:{}", "0.0.0.0:{}"], "overlap"), ([""], "listen"), (["example.com:{}"], "name"), (["192.0.2.1:{}"], "no such address")])
def test_what_can_not_be_listened_on_is_refused(sidecar, addresses, told):
    sidecar.boot(tokens=1)
    listen(sidecar, *[address.format(sidecar.port) for address in addresses])
    assert told in refused(sidecar)
    assert sidecar.generate().status == 200


def test_listen_from_the_environment_wins_over_the_file_also_in_a_reload(sidecar):
    first, second = sidecar.port, ports.free()
    env = sidecar.write("env", f"OLLAMA_HTTP_PORT={first}\n")
    sidecar.configure("supervisor", env_file=env)
    listen(sidecar, "127.0.0.1:1")
    sidecar.boot(tokens=1)
    for line, port in ((f"OLLAMA_HTTP_PORT={second}\n", second), (f"PORT={first}\n", first),
                       (f"SIDECAR_PROXY_LISTEN=127.0.0.1:{second}\nPORT={first}\n", second)):
        sidecar.write("env", line)
        reload(sidecar)
        assert listed(sidecar) == [f"127.0.0.1:{port}"]
        assert ask(port, "GET", "/live").status == 200


def test_ollama_is_moved_out_of_a_new_listeners_way_and_back_proxy_scenario_32(sidecar):
    """Its port was a listener's until a moment ago: it starts there when the listener has left, and who asks meanwhile waits."""
    both, other = sidecar.backend.port, sidecar.port
    listen(sidecar, f"127.0.0.1:{both}")
    sidecar.port = both
    sidecar.boot(tokens=1)
    assert sidecar.process.logged(" ollama_moved ")
    listen(sidecar, f"127.0.0.1:{other}")
    sidecar.port = other
    reload(sidecar)
    assert sidecar.generate().status == 200
    assert sidecar.process.logged(rf" listener_closed address=127.0.0.1:{both}")
    assert not sidecar.process.logged(r"program=ollama .*to=backoff"), sidecar.process.tail()
    assert ask(both, "GET", "/api/version").status == 200  # it is Ollama itself
    listen(sidecar, f"127.0.0.1:{both}")
    assert "Ollama would have to leave" in refused(sidecar)
    assert sidecar.generate().status == 200


def test_listeners_change_while_the_proxy_is_stopped_or_waits(sidecar):
    other = ports.free()
    sidecar.boot(tokens=1)
    first = sidecar.port
    assert sidecar.ctl("stop", "proxy").returncode == 0
    sidecar.process.wait_log(r"program=proxy .*to=down")
    listen(sidecar, f"127.0.0.1:{other}")
    reload(sidecar)
    until(lambda: is_refused(first), 5, "the end of what nobody serves")
    with Connection(other, timeout=20) as waiting:
        waiting.send("GET", "/live")
        assert sidecar.ctl("start", "proxy").returncode == 0
        assert waiting.receive().status == 200


def test_the_control_socket_moves_and_the_asker_is_answered(sidecar):
    sidecar.boot(tokens=1)
    old, new = sidecar.socket, os.path.join(sidecar.directory, "deep", "er", "new.sock")
    follower = socket.socket(socket.AF_UNIX)
    follower.connect(old)
    follower.sendall(b"tail -f\n")
    assert b'"ok":true' in follower.recv(100)
    proxy = sidecar.pid_of("proxy")
    sidecar.configure("supervisor", control_socket=new)
    reload(sidecar)  # asked over the old one
    assert not os.path.exists(old) and os.stat(new).st_mode & 0o777 == 0o600
    assert sidecar.ctl("status").returncode == 111  # nobody answers there
    sidecar.socket = new
    assert sidecar.ctl("status").returncode == 0
    assert sidecar.run("sidecarctl", "-c", sidecar.ini, "status").returncode == 0  # found by the file
    assert sidecar.pid_of("proxy") == proxy
    follower.sendall(b"x")  # it still follows
    sidecar.configure("supervisor", control_socket=old)
    reload(sidecar)
    sidecar.socket = old
    assert sidecar.ctl("status").returncode == 0 and not os.path.exists(new)
    follower.close()
    head, tail = os.path.split(old)
    sidecar.configure("supervisor", control_socket=f"{head}/./{tail}")  # where it is
    reload(sidecar)
    assert sidecar.ctl("status").returncode == 0
    assert sidecar.stop() == 0
    assert not os.path.exists(old)


def test_old_proxies_are_few_and_the_oldest_ends_honestly(sidecar):
    sidecar.boot(tokens=2000, token_delay_ms=50)
    streams, pids = [], []
    for number in range(13):
        connection = sidecar.connect(timeout=20)
        answer = connection.request("POST", "/api/generate", {**GENERATE, "stream": True})
        pieces = answer.objects()
        next(pieces)
        streams.append((connection, answer, pieces))
        pids.append(sidecar.pid_of("proxy"))
        assert sidecar.ctl("restart", "proxy").returncode == 0
        until(lambda: sidecar.pid_of("proxy") != pids[-1], 5, f"restart {number}")
    last = list(streams[0][2])[-1][1]
    assert "error" in last and not streams[0][1].clean
    sidecar.process.wait_log(rf" drained pid={pids[0]}\b")
    assert sum(bool(state_of(pid)) for pid in pids) <= 12
    for _, answer, pieces in streams[3:]:
        assert "response" in next(pieces)[1]
    for connection, _, _ in streams:
        connection.close()


def test_a_proxy_alone_says_that_it_does_not_reload(sidecar):
    process = sidecar.start("ollama-proxy")
    process.wait_log(" listening ")
    process.kill(signal.SIGHUP)
    process.wait_log(r" reload .*restart")
    assert ask(sidecar.port, "GET", "/live").status == 200
    assert process.stop() == 0
