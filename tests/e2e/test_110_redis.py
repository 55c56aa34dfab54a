"""What a Redis says that does not do what it is to: each is told in words, and requests are answered all the same."""
import resource
import signal
import socket

import pytest

import ports
from fleet import Fleet
from redis_server import PROGRAM, RedisServer
from waiting import until

pytestmark = pytest.mark.skipif(not PROGRAM, reason="no redis-server on PATH")


@pytest.fixture
def start_redis():
    """start_redis("--requirepass", "x") gives a server."""
    started = []

    def start(*config):
        started.append(RedisServer(config=config))
        return started[-1]
    yield start
    for server in started:
        server.end()


@pytest.fixture
def fleet(sidecar):
    """One backend."""
    made = Fleet(sidecar)
    made.add("one", slots=2)
    return made


@pytest.fixture
def many_files():
    """many_files(n): so many may be open here, and in what is started."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)

    def allow(count):
        if before[1] < count:
            pytest.skip(f"no more than {before[1]} open files")
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(before[0], count), before[1]))
    yield allow
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def open_with(fleet, port, **keys):
    """The proxy, with its Redis there."""
    fleet.sidecar.configure("redis", **{"url": f"redis://127.0.0.1:{port}", "timeout": "500ms", **keys})
    fleet.open()
    return fleet.sidecar.process


def wait_up_again(process):
    """It was up, and away."""
    until(lambda: len(process.logged(" redis_up ")) == 2, 20, "Redis to be up again", process.tail)


def is_answered(sidecar):
    """Its requests are."""
    return sidecar.generate().status == 200


def test_a_wrong_password_is_told_and_not_shown(sidecar, fleet, start_redis):
    server = start_redis("--requirepass", "sesame-right")
    process = open_with(fleet, server.port, url=f"redis://:sesame-wrong@127.0.0.1:{server.port}")
    process.wait_log(r' redis_away reason="WRONGPASS .*\[redis\] password')
    assert is_answered(sidecar)
    assert not process.logged("sesame")
    assert "sesame" not in str(sidecar.ask("GET", "/status").body)


def test_none_where_one_is_wanted(sidecar, fleet, start_redis):
    process = open_with(fleet, start_redis("--requirepass", "sesame").port)
    process.wait_log(r" redis_away .*NOAUTH.*password_file")
    assert is_answered(sidecar)


def test_a_password_from_a_file(sidecar, fleet, start_redis):
    server = start_redis("--requirepass", "sesame")
    sidecar.write("redis-password", "sesame\n")
    process = open_with(fleet, server.port, password_file="redis-password", prefix="other")
    process.wait_log(" redis_up ")
    assert is_answered(sidecar)


WRONG = {
    "a replica": (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE"), "READONLY.*name the primary"),
    "full": (("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "SET", "maxmemory", "0"), "OOM.*maxmemory"),
    "other data under our keys": (("SET", "ollama-sidecar:tickets", "x"), ("DEL", "ollama-sidecar:tickets"), r"WRONGTYPE.*another \[redis\] prefix"),
    "keys of another version": (("SET", "ollama-sidecar:schema", "77"), ("SET", "ollama-sidecar:schema", "1"), "SCHEMA.*77"),
}


@pytest.mark.parametrize("case", WRONG)
def test_it_does_not_do_and_then_does(sidecar, fleet, start_redis, case):
    """While it does not, the proxy grants by itself; and when it does again, Redis does."""
    wrong, right, words = WRONG[case]
    server = start_redis()
    process = open_with(fleet, server.port)
    process.wait_log(" redis_up ")
    connection = server.connect()
    connection.ask("DEL", "ollama-sidecar:tickets")
    assert connection.ask(*wrong) == "OK"
    call = sidecar.background("POST", "/api/generate", {"model": "m", "prompt": "x", "stream": False})
    process.wait_log(f" redis_away .*{words}", timeout=10)
    assert call.result().status == 200 and is_answered(sidecar)
    connection.ask(*right)
    wait_up_again(process)
    assert is_answered(sidecar)


def test_scripts_that_are_flushed_are_loaded_again(sidecar, fleet, start_redis):
    server = start_redis()
    process = open_with(fleet, server.port)
    process.wait_log(" redis_up ")
    connection = server.connect()
    for _ in range(3):
        connection.ask("SCRIPT", "FLUSH")
        assert is_answered(sidecar)
    assert not process.logged(" redis_away ")


def test_what_is_no_redis(sidecar, fleet):
    """The Ollama itself, by mistake."""
    process = open_with(fleet, fleet.backends["one"].port)
    process.wait_log(' redis_away reason="what answers there is no Redis')
    assert is_answered(sidecar)


def test_what_never_answers_holds_nobody(sidecar, fleet):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        process = open_with(fleet, silent.getsockname()[1])
        assert is_answered(sidecar)
        process.wait_log(" redis_away .*does not answer in time")
        assert is_answered(sidecar)


def test_it_hangs_while_requests_wait(sidecar, fleet, start_redis):
    """A Redis that stands still, as a machine under load does: who waits for its word is let through after the timeout."""
    server = start_redis()
    process = open_with(fleet, server.port)
    process.wait_log(" redis_up ")
    server.process.kill(signal.SIGSTOP)
    assert is_answered(sidecar)
    process.wait_log(" redis_away .*does not answer in time")
    server.process.kill(signal.SIGCONT)
    wait_up_again(process)


def test_nobody_is_there_at_first(sidecar, fleet, start_redis):
    port = ports.free()
    process = open_with(fleet, port)
    process.wait_log(" redis_away .*refused")
    assert is_answered(sidecar)
    server = RedisServer(port=port)
    try:
        process.wait_log(" redis_up ", timeout=20)
        assert is_answered(sidecar)
    finally:
        server.end()


def test_who_starts_alone_waits_for_nobody(sidecar, fleet, start_redis):
    server = start_redis()
    open_with(fleet, server.port).wait_log(" redis_up ")
    answer = sidecar.generate()
    assert answer.status == 200 and int(answer.header("X-Sidecar-Queue-Ms") or 0) < 1000, "others would be waited for 2 s"


def test_its_state_is_told(sidecar, fleet, start_redis):
    server = start_redis()
    open_with(fleet, server.port).wait_log(" redis_up ")
    told = sidecar.ask("GET", "/status").json["redis"]
    assert told["state"] == "up" and told["replicas"] == 1 and told["error"] is None and told["address"] == f"127.0.0.1:{server.port}"
    server.kill()
    told = until(lambda: [told for told in [sidecar.ask("GET", "/status").json["redis"]] if told["state"] == "away"], 10, "it to be away")[0]
    assert told["error"]


def test_a_journal_ends_when_nobody_wants_it_any_more(sidecar, fleet, start_redis):
    """Also one that begins after Redis has lost it."""
    server = start_redis()
    process = open_with(fleet, server.port, journal="yes")
    process.wait_log(" redis_up ")
    connection = server.connect()
    connection.ask("FLUSHALL")
    until(lambda: connection.ask("XLEN", "ollama-sidecar:journal") > 0, 10, "the journal")
    until(lambda: connection.ask("PTTL", "ollama-sidecar:journal") > 0, 10, "its end to be set")
    assert 0 < connection.ask("PTTL", "ollama-sidecar:journal:on") <= 70_000


def test_every_key_has_an_end_or_belongs_to_the_queue(sidecar, fleet, start_redis):
    """What is left behind when all has ended, and nothing of what was said is in it."""
    server = start_redis()
    sidecar.configure("key:team", secret="sk-local-0123456789abcdef0123456789abcdef", requests_per_minute=1000)
    process = open_with(fleet, server.port)
    process.wait_log(" redis_up ")
    key = [("Authorization", "Bearer sk-local-0123456789abcdef0123456789abcdef")]
    for number in range(4):
        assert sidecar.ask("POST", "/api/generate", {"model": "m", "prompt": f"sesame {number}", "stream": False}, key).status == 200
    connection = server.connect()
    limit = "ollama-sidecar:limit:key:team"
    until(lambda: connection.ask("EXISTS", limit) == 1, 5, "the limit to be told")
    assert connection.ask("PTTL", limit) > 0
    until(lambda: connection.ask("HLEN", "ollama-sidecar:tickets") == 0, 5, "all to have left")
    dumped = [str(connection.ask("HGETALL", name)) for name in connection.ask("KEYS", "*") if connection.ask("TYPE", name) == "hash"]
    assert not any("sesame" in text or "sk-local" in text for text in dumped)
    process.end()
    left = set(connection.ask("KEYS", "*")) - {limit}
    fixed = {"schema", "state", "fair", "learnt", "learnt:order"}
    assert left <= {f"ollama-sidecar:{name}" for name in fixed}, left


MANY = 4500  # more than may be under way to Redis at once


@pytest.mark.limit(120)
def test_thousands_wait_and_all_that_is_known_of_them_changes(sidecar, fleet, start_redis, many_files):
    """All are told anew, in parts: Redis is not left for being given too much at once."""
    many_files(MANY + 500)
    server = start_redis()
    fleet.add("two", slots=1)
    for backend in fleet.backends.values():
        backend.script(tokens=2, hang_after_tokens=1)
    sidecar.configure("proxy", max_queue=2 * MANY, max_clients=2 * MANY)
    process = open_with(fleet, server.port, timeout="2s")
    process.wait_log(" redis_up ")
    waiting = []
    for number in range(MANY):
        waiting.append(sidecar.connect(timeout=60))
        waiting[-1].send("POST", "/api/generate", {"model": "m", "prompt": f"request {number}"})
    connection = server.connect()
    until(lambda: connection.ask("HLEN", "ollama-sidecar:tickets") == MANY, 20, "all to be in line", process.tail)
    assert sidecar.ask("POST", "/sidecar/backends/two/drain").status == 200
    until(lambda: not any("two" in text for text in connection.ask("HVALS", "ollama-sidecar:tickets") if '"line"' in text), 20, "all to be told", process.tail)
    assert not process.logged(" redis_away ")
    for one in waiting:
        one.close()
