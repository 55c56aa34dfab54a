"""requests_per_minute and tokens_per_minute, counted for all proxies that share a Redis."""

import pytest

from waiting import until

KEY = [("Authorization", "Bearer sesame-open-now-0123456789")]


@pytest.fixture
def two(sidecar, second, redis):
    """start({section: keys}): a sidecar, and a second proxy before the same Ollama."""
    def start(sections):
        sidecar.installed = "m"
        sidecar.backend.script(tokens=5, token_delay_ms=0)
        for section, keys in {**sections, "redis": {"url": f"redis://127.0.0.1:{redis.port}", "timeout": "500ms"}}.items():
            sidecar.configure(section, **keys)
            second.configure(section, **keys)
        sidecar.start()
        sidecar.process.wait_log(" ready ", timeout=15)
        second.configure("proxy", listen=f"127.0.0.1:{second.port}", backend=f"http://127.0.0.1:{sidecar.backend.port}")
        second.start("ollama-proxy")
        for each in (sidecar, second):
            each.process.wait_log(" store_up ")
        return second
    return start


def ask(sidecar, headers=()):
    """A short answer, or a refusal."""
    answer = sidecar.ask("POST", "/api/generate", {"model": "m", "prompt": "x", "stream": False}, headers)
    assert answer.status in (200, 429) and answer.body
    return answer


def left(sidecar, what="requests", headers=()):
    """How many it says are left, behind this request."""
    return int(ask(sidecar, headers).header(f"x-ratelimit-remaining-{what}"))


def bucket(redis, name):
    """How many requests and tokens Redis says are left; None: it knows nobody of that name."""
    connection = redis.connect()
    parts = connection.ask("HMGET", f"ollama-sidecar:limit:{name}", 1, 2)
    connection.close()
    return parts and [part and int(part) // 60000 for part in parts]


def test_r4_9_what_one_has_taken_is_missing_at_the_other(sidecar, two, redis):
    second = two({"proxy": {"requests_per_minute": 10}})
    assert [left(sidecar) for _ in range(6)] == [9, 8, 7, 6, 5, 4]
    until(lambda: (bucket(redis, "address:::")[0] or 10) <= 5, 5, "Redis to be told")
    ask(second)  # it does not wait for Redis' word
    until(lambda: bucket(redis, "address:::")[0] <= 4, 5, "Redis to be told")
    assert until(lambda: [count for count in [left(second)] if count <= 3], 5, "the other to hear it")
    statuses = [ask(each).status for _ in range(8) for each in (sidecar, second)]
    assert statuses.count(200) <= 8, statuses  # what each has left, as both may take that before they hear of each other
    until(lambda: bucket(redis, "address:::")[0] < 0, 5, "Redis to be told")
    assert until(lambda: [ask(each).status for each in (sidecar, second)] == [429, 429], 5, "both to hear that nothing is left")


def test_tokens_of_a_key(sidecar, two, redis):
    second = two({"key:team": {"secret": "sesame-open-now-0123456789", "tokens_per_minute": 60}})
    for _ in range(5):
        assert ask(sidecar, KEY).status == 200
    until(lambda: (bucket(redis, "key:team")[1] or 60) < 40, 5, "Redis to be told")
    assert ask(second, KEY).status == 200
    assert until(lambda: [count for count in [left(second, "tokens", KEY)] if count < 40], 5, "the other to hear it")


def test_without_redis_each_counts_by_itself(sidecar, two, redis):
    second = two({"proxy": {"requests_per_minute": 3}})
    redis.kill()
    for each in (sidecar, second):
        each.process.wait_log(" store_away ")
        assert [ask(each).status for _ in range(4)] == [200, 200, 200, 429]


def test_what_stands_there_is_no_bucket(sidecar, two, redis):
    """It is told, and each counts by itself; nobody is refused for it."""
    two({"proxy": {"requests_per_minute": 100}})
    connection = redis.connect()
    connection.ask("SET", "ollama-sidecar:limit:address:::", "x")
    assert ask(sidecar).status == 200
    sidecar.process.wait_log(r" store_away .*WRONGTYPE.*prefix")
    assert ask(sidecar).status == 200
    connection.close()
