"""Backends whose hosts are names, as of compose's services, headless services and Fly's .internal: each address is a member; they come and go."""
import os
import socket
import subprocess

import pytest

import ports
import standin
from waiting import until

NAME = "ollamas.example"


class Hosts:
    """A host's name that only the proxy knows, by an /etc/hosts of its own; and an Ollama at each of its addresses, all on one port."""

    def __init__(self, sidecar):
        if subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode:
            pytest.skip("no mount namespace for an /etc/hosts of its own (needs root)")
        self.sidecar = sidecar
        self.port = ports.free()
        self.path = os.path.join(sidecar.directory, "hosts")
        self.backends: dict = {}
        self.running: dict = {}
        self.say()
        sidecar.before = ["unshare", "-m", "sh", "-c", f'mount --bind {self.path} /etc/hosts && exec "$@"', "sh"]
        sidecar.configure("balancer", probe_interval="300ms", slow_start="0", rise=1, fall=2, resolve_interval="100ms")
        sidecar.configure("proxy", access_log="json")
        sidecar.configure("backend:team", url=f"http://{NAME}:{self.port}", api="ollama")

    def say(self, *numbers) -> None:
        """These 127.0.0.N are its addresses from now on. It is written over, as another file would not be the one that was mounted."""
        with open(self.path, "w", encoding="utf-8") as file:
            file.write("".join(["127.0.0.1 localhost\n", *(f"127.0.0.{number} {NAME}\n" for number in numbers)]))

    def add(self, number: int, **script) -> standin.Backend:
        """An Ollama there."""
        directory = os.path.join(self.sidecar.directory, f"at-{number}")
        os.mkdir(directory)
        backend = self.backends[number] = standin.Backend(directory, self.port)
        backend.script(**{"tokens": 1, **script})
        self.running[number] = standin.start(backend, self.sidecar.mark, "m", f"127.0.0.{number}:{self.port}")
        self.sidecar.processes.append(self.running[number])
        backend.wait("listening")
        return backend

    def open(self) -> None:
        """The proxy."""
        self.sidecar.start("ollama-proxy")
        self.sidecar.process.wait_log(" listening ")

    def full(self, number: int) -> str:
        """The member's name, where there are several."""
        return f"team/127.0.0.{number}:{self.port}"

    def wait_members(self, *names) -> None:
        """Until these are all, and all are up."""
        def look():
            return {b["name"]: b["state"] for b in self.sidecar.ask("GET", "/health").json["backends"]} == dict.fromkeys(names, "up")
        until(look, 10, f"the members {names}", self.sidecar.process.tail)


@pytest.fixture
def hosts(sidecar):
    """No addresses yet."""
    return Hosts(sidecar)


def ask(sidecar, name=None):
    """Who answers: of all, or that one."""
    headers = [("X-Sidecar-Backend", name)] if name else []
    answer = sidecar.ask("POST", "/api/generate", {"model": "m", "prompt": "x", "stream": False}, headers)
    assert answer.status == 200
    return answer.header("X-Sidecar-Backend")


def test_each_address_is_a_member_as_they_come_and_go(sidecar, hosts):
    for number in (2, 3, 4):
        hosts.add(number)
    hosts.say(3, 2)
    hosts.open()
    hosts.wait_members(hosts.full(2), hosts.full(3))
    for number in (2, 3):
        assert ask(sidecar, hosts.full(number)) == hosts.full(number)
    assert ask(sidecar, "team") in (hosts.full(2), hosts.full(3))
    answer = sidecar.ask("POST", "/api/copy", {"source": "m", "destination": "n"}, [("X-Sidecar-Backend", "team")])
    assert answer.status == 400 and f'one is changed at a time, and several are "team"; the backends are {hosts.full(2)}, {hosts.full(3)}' in answer.json["error"]
    hosts.say(2)
    sidecar.process.wait_log(f"member_gone backend={hosts.full(3)}")
    hosts.wait_members("team")
    assert ask(sidecar) == "team"
    hosts.say(2, 4)
    hosts.wait_members(hosts.full(2), hosts.full(4))
    assert ask(sidecar, hosts.full(4)) == hosts.full(4)
    hosts.say(3)  # another one in the place of both
    hosts.wait_members("team")
    before = len(hosts.backends[3].requests("/api/generate"))
    assert ask(sidecar) == "team"
    asked = hosts.backends[3].requests("/api/generate")
    assert len(asked) > before
    assert {name.lower(): value for name, value in dict(asked[-1]["headers"]).items()}["host"] == f"{NAME}:{hosts.port}"


def test_an_answer_under_way_outlives_its_address(sidecar, hosts):
    hosts.add(2, first_token_delay_ms=2000)
    hosts.add(3, first_token_delay_ms=2000)
    hosts.say(2)
    hosts.open()
    hosts.wait_members("team")
    call = sidecar.background("POST", "/api/generate", {"model": "m", "prompt": "x", "stream": False})
    until(lambda: [entry for entry in hosts.backends[2].requests("/api/generate") if '"prompt"' in entry["body"]], 5, "it to be asked")
    hosts.say(3)
    hosts.wait_members("team")
    assert not sidecar.process.logged("member_gone")
    assert call.result().status == 200
    sidecar.process.wait_log(f"member_gone backend={hosts.full(2)}")


def test_requests_wait_for_a_name_that_is_not_known_yet(sidecar, hosts):
    hosts.add(2)
    hosts.open()
    sidecar.process.wait_log("backend_unresolved backend=team reason=\"ollamas.example can't be looked up: ")
    assert "can't be looked up" in sidecar.ask("GET", "/health").json["error"]
    call = sidecar.background("POST", "/api/generate", {"model": "m", "prompt": "x", "stream": False})
    hosts.say(2)
    assert call.result().status == 200
    sidecar.process.wait_log("backend_resolved backend=team addresses=1")


def test_a_name_that_is_lost_keeps_its_addresses(sidecar, hosts):
    hosts.add(2)
    hosts.say(2)
    hosts.open()
    hosts.wait_members("team")
    hosts.say()
    sidecar.process.wait_log("backend_unresolved backend=team")
    assert ask(sidecar) == "team"


def test_a_name_server_that_is_silent_holds_nobody(sidecar, hosts):
    """Requests for what others have are served at once, and the proxy ends when it is told to."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.53.53.54", 53))
    servers = sidecar.write("resolv.conf", "nameserver 127.53.53.54\noptions timeout:30 attempts:1\n")
    sidecar.before[4] = f"mount --bind {servers} /etc/resolv.conf && {sidecar.before[4]}"
    hosts.add(2)
    hosts.say(2)
    sidecar.configure("backend:lost", url="http://lost.example.com:11434", api="ollama")
    hosts.open()
    server.settimeout(10)
    server.recv(512)
    sidecar.process.wait_log("member_up backend=team")
    for _ in range(3):
        assert sidecar.ask("POST", "/api/generate", {"model": "m", "prompt": "x", "stream": False}, timeout=2).status == 200
    until(lambda: "lost.example.com can't be looked up: no name server has answered yet" in sidecar.ask("GET", "/health").json.get("error", ""), 10, "it to be told")
    assert sidecar.process.stop() == 0
    server.close()


def test_a_load_at_an_address_that_goes_ends_with_it(sidecar, hosts):
    """It is work as long as it goes on, and nobody is to believe that for ever."""
    hosts.add(2, load_s=60)
    hosts.add(3)
    hosts.say(2, 3)
    hosts.open()
    hosts.wait_members(hosts.full(2), hosts.full(3))
    with sidecar.connect() as connection:
        connection.send("POST", "/api/generate", {"model": "m", "prompt": "x"}, [("X-Sidecar-Backend", hosts.full(2))])
        hosts.backends[2].wait("request", path="/api/embed")
    sidecar.process.wait_log('"event":"access".*"ended":"client_gone"')
    assert sidecar.health()["requests"]["in_flight"] == 1
    hosts.say(3)
    sidecar.process.wait_log(" member_gone ")
    assert sidecar.health()["requests"]["in_flight"] == 0
