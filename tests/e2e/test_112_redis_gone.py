"""Two proxies and a Redis that is gone, slow, talks nonsense, or is another one: requests are answered, once each, and the line is one line again."""
import json
import time

import pytest

from client import Background, ask
from fleet import Fleet
from redis_gate import Gate
from redis_server import RedisServer
from waiting import SLACK, until


@pytest.fixture
def gate(redis):
    """The way there."""
    made = Gate(redis.port)
    yield made
    made.end()


@pytest.fixture
def two(sidecar, second, gate):
    """Two proxies before one backend of one slot, up."""
    fleet = Fleet(sidecar)
    fleet.add("one", tokens=3, token_delay_ms=20)
    sidecar.configure("redis", url=f"redis://127.0.0.1:{gate.port}", timeout="500ms", lease="2s")
    fleet.open_both(second)
    fleet.both = (sidecar, second)
    return fleet


def wait_each(fleet, pattern, since=(0, 0)):
    """Until both have said it."""
    for proxy, line in zip(fleet.both, since):
        proxy.process.wait_log(pattern, timeout=20, since=line)


def said(fleet):
    """How much each has said so far."""
    return [len(proxy.process.log) for proxy in fleet.both]


def ask_both(fleet, name, count=4):
    """So many requests of each, at once."""
    return [Background(ask, proxy.port, "POST", "/api/generate", {"model": "m", "prompt": f"{name} {number} of {index}", "stream": False}, (), 30)
            for number in range(count) for index, proxy in enumerate(fleet.both)]


def assert_answered_once(fleet, calls):
    """All of them, and nothing was run twice."""
    assert [call.result(30).status for call in calls] == [200] * len(calls)
    prompts = [json.loads(entry["body"])["prompt"] for entry in fleet.asked("one")]
    assert len(prompts) == len(set(prompts))


def has_shared_line(fleet, redis) -> bool:
    """Whether Redis has granted what is asked now."""
    connection = redis.connect()
    before = connection.ask("HGET", "ollama-sidecar:state", "arrivals")
    assert_answered_once(fleet, ask_both(fleet, f"shared {time.monotonic()}", 2))
    after = connection.ask("HGET", "ollama-sidecar:state", "arrivals")
    connection.close()
    return int(after) >= int(before or 0) + 4


def test_down_and_back_proxy_scenario_37(two, redis):
    assert has_shared_line(two, redis)
    before = said(two)
    calls = ask_both(two, "while it goes")
    redis.kill()
    wait_each(two, " redis_away ", before)
    calls += ask_both(two, "while it is away")
    assert_answered_once(two, calls)
    redis.start()
    wait_each(two, " redis_up ", before)
    assert has_shared_line(two, redis)


def test_slow_within_its_timeout_and_beyond_proxy_scenario_37(two, redis, gate):
    gate.delay_s = 0.1
    assert has_shared_line(two, redis)
    before = said(two)
    gate.delay_s = 2
    began = time.monotonic()
    calls = ask_both(two, "too slow")
    wait_each(two, " redis_away .*does not answer in time", before)
    assert_answered_once(two, calls)
    assert time.monotonic() - began < 6 * SLACK, "who waited for its word was let through after the timeout"
    gate.delay_s = 0
    wait_each(two, " redis_up ", before)
    assert has_shared_line(two, redis)


@pytest.mark.parametrize("nonsense", [b"HTTP/1.1 200 OK\r\n\r\n", b"$5\r\nhello\r\n" * 3, b"*2\r\n:1\r\n:2\r\n", b"*1000000000\r\n", b"\0" * 100, b"+PONG\r\n" * 20])
def test_wrong_replies_proxy_scenario_37(two, redis, gate, nonsense):
    before = said(two)
    gate.nonsense = nonsense
    calls = ask_both(two, "nonsense")
    wait_each(two, " redis_away ", before)
    assert_answered_once(two, calls)
    gate.nonsense = b""
    wait_each(two, " redis_up ", before)
    assert has_shared_line(two, redis)


def test_failover_to_a_copy_proxy_scenario_37(two, redis, gate):
    """Its copy becomes the primary, and the old one a copy, as Sentinel or a cloud's service do it behind one name."""
    copy = RedisServer(config=("--replicaof", "127.0.0.1", str(redis.port)))
    try:
        mine, theirs = redis.connect(), copy.connect()
        until(lambda: "master_link_status:up" in theirs.ask("INFO", "replication"), 20, "the copy to be one")
        assert has_shared_line(two, redis)
        before = said(two)
        calls = ask_both(two, "failover")
        assert theirs.ask("REPLICAOF", "NO", "ONE") == "OK"
        assert mine.ask("REPLICAOF", "127.0.0.1", copy.port) == "OK"
        wait_each(two, " redis_away .*READONLY", before)
        gate.lead_to(copy.port)
        calls += ask_both(two, "elsewhere")
        assert_answered_once(two, calls)
        wait_each(two, " redis_up ", before)
        assert has_shared_line(two, copy)
    finally:
        copy.end()


def drained(fleet) -> list:
    """Whether each proxy holds the backend for drained."""
    return [proxy.ask("GET", "/status").json["backends"][0]["drained"] for proxy in fleet.both]


def calls_n(connection) -> int:
    """How often the script was called."""
    return int(connection.ask("INFO", "commandstats").partition("cmdstat_evalsha:calls=")[2].partition(",")[0])


def beat_each(redis):
    """Until both have told Redis all that they have, and heard of it."""
    connection = redis.connect()
    until(lambda: connection.ask("ZCARD", "ollama-sidecar:replicas") == 2, 10, "both to be there")
    began = calls_n(connection)
    until(lambda: calls_n(connection) >= began + 8, 10, "beats")
    connection.close()


def start_again(proxy):
    """Another life: it knows nothing."""
    proxy.process.end()
    proxy.start("ollama-proxy")
    proxy.process.wait_log(" redis_up ")
    proxy.process.wait_log(" member_up ")


@pytest.mark.parametrize("how", ["FLUSHALL", "a restart"])
def test_what_is_drained_stays_so_when_redis_has_lost_all(two, redis, how):
    assert two.both[0].ask("POST", "/sidecar/backends/one/drain").status == 200
    until(lambda: drained(two) == [True, True], 5, "both to know it")
    before = said(two)
    if how == "FLUSHALL":
        connection = redis.connect()
        connection.ask("FLUSHALL")
        connection.close()
    else:
        redis.kill()
        wait_each(two, " redis_away ", before)
        redis.start()
        wait_each(two, " redis_up ", before)
    beat_each(redis)
    start_again(two.both[1])
    beat_each(redis)
    assert drained(two) == [True, True], "also who knew nothing of it"
    assert two.both[1].ask("POST", "/sidecar/backends/one/undrain").status == 200
    until(lambda: drained(two) == [False, False], 5, "both to know that it is over")


def test_what_is_drained_while_redis_is_away_is_told_when_it_is_back(two, redis, gate):
    before = said(two)
    gate.nonsense = b"nonsense\r\n"
    wait_each(two, " redis_away ", before)
    assert two.both[0].ask("POST", "/sidecar/backends/one/drain").status == 200
    gate.nonsense = b""
    wait_each(two, " redis_up ", before)
    until(lambda: drained(two) == [True, True], 5, "both to know it")
    beat_each(redis)
    assert drained(two) == [True, True]


def test_who_starts_gives_no_slot_before_redis_has_its_say(two, gate):
    """A proxy that is new knows nothing of what the others have given."""
    first, second = two.both
    two.backends["one"].script(first_token_delay_ms=2000, tokens=1)
    calls = [Background(ask, first.port, "POST", "/api/generate", {"model": "m", "prompt": "first", "stream": False}, (), 30)]
    two.wait_asked("one")
    gate.delay_s = 0.1
    second.process.end()
    second.start("ollama-proxy")
    second.process.wait_log(" member_up ")
    calls.append(Background(ask, second.port, "POST", "/api/generate", {"model": "m", "prompt": "second", "stream": False}, (), 30))
    assert_answered_once(two, calls)
    begun = {entry["id"]: json.loads(entry["body"])["prompt"] for entry in two.asked("one")}
    order = [(entry["event"], begun[entry["id"]]) for entry in two.backends["one"].journal() if entry.get("id") in begun and entry["event"] in ("request", "done")]
    assert order == [("request", "first"), ("done", "first"), ("request", "second"), ("done", "second")]
