"""R4.9: [optimizer] cache = redis. An answer that one proxy has made is told by another one."""
import json
import signal

import pytest

from waiting import until

PATH = "/v1/chat/completions"
CHAT = {"model": "qwen3:4b", "messages": [{"role": "user", "content": "hi"}], "temperature": 0}


@pytest.fixture
def two(sidecar, second, redis):
    """start(**optimizer): a sidecar, and a second proxy before the same Ollama."""
    def start(redis_keys=None, **optimizer):
        sidecar.installed = "qwen3:4b,qwen3:0.6b"
        sidecar.configure("optimizer", enabled="yes", cache="redis", **optimizer)
        sidecar.configure("redis", url=f"redis://127.0.0.1:{redis.port}", timeout="500ms", **(redis_keys or {}))
        sidecar.configure("proxy", pull_missing="yes")  # so that the list of models is there before an answer, which is kept only then
        sidecar.start()
        sidecar.wait_ready()
        for section in ("optimizer", "redis"):
            second.configure(section, **sidecar.settings[section])
        second.configure("proxy", pull_missing="yes", listen=f"127.0.0.1:{second.port}", backend=f"http://127.0.0.1:{sidecar.backend.port}")
        second.start("ollama-proxy")
        for each in (sidecar, second):
            each.process.wait_log(" store_up ")
        return second
    return start


def say(sidecar, body=None, headers=()):
    """Its answer, which was read."""
    answer = sidecar.ask("POST", PATH, body or CHAT, headers)
    assert answer.status == 200 and answer.body and answer.clean, answer.body
    return answer


def told(sidecar, body=None, headers=()):
    """Whether it was a hit."""
    return say(sidecar, body, headers).header("X-Sidecar-Cache")


def generations(sidecar):
    """How many the Ollama has made."""
    return len(sidecar.backend.requests("/api/chat"))


def kept(redis):
    """The keys of what is kept there."""
    connection = redis.connect()
    keys = [key for key in connection.ask("KEYS", "ollama-sidecar:cache:*") if not key.endswith(":secret")]
    connection.close()
    return keys


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_r4_9_what_one_has_made_the_other_tells(sidecar, two, redis, stream):
    second = two()
    body = {**CHAT, "stream": stream}
    first = say(sidecar, body)
    assert first.header("X-Sidecar-Cache") == "miss"
    until(lambda: kept(redis), 5, "it to be kept")
    other = say(second, body)
    assert other.header("X-Sidecar-Cache") == "hit" and other.body == first.body
    assert other.header("X-Sidecar-Strategy") == first.header("X-Sidecar-Strategy") and int(other.header("Age")) >= 0
    assert generations(sidecar) == 1
    assert told(second, {**body, "messages": [{"role": "user", "content": "other"}]}) == "miss"


def test_it_goes_when_it_is_too_old(sidecar, two, redis):
    second = two(cache_ttl="1500ms")
    assert told(sidecar) == "miss"
    until(lambda: kept(redis), 5, "it to be kept")
    assert told(second) == "hit"
    until(lambda: not kept(redis), 10, "it to go")
    assert told(second) == "miss"


def test_who_wants_none_gets_none(sidecar, two, redis):
    second = two()
    assert told(sidecar) == "miss"
    until(lambda: kept(redis), 5, "it to be kept")
    assert told(second, headers=[("Cache-Control", "no-cache")]) == "miss"
    assert told(second, headers=[("Cache-Control", "no-store")]) is None


def test_a_redis_that_stands_still_is_a_miss(sidecar, two, redis):
    second = two()
    assert told(sidecar) == "miss"
    until(lambda: kept(redis), 5, "it to be kept")
    redis.process.kill(signal.SIGSTOP)
    assert told(second) == "miss"
    second.process.wait_log(" store_away .*in time")
    assert told(second) == "hit"  # by its own memory
    redis.process.kill(signal.SIGCONT)
    until(lambda: len(second.process.logged(" store_up ")) == 2, 15, "it to be back", second.process.tail)


def test_what_stands_there_is_no_answer_of_ours(sidecar, two, redis):
    """Others may have written it: it is a miss, and no error."""
    second = two()
    assert told(sidecar) == "miss"
    key = until(lambda: kept(redis), 5, "it to be kept")[0]
    connection = redis.connect()
    good = connection.ask("GET", key)
    for number, bad in enumerate(["", "1", "x\n" * 5, good.replace("1 ", "2 ", 1), good.replace("\n", "\r\n"), good[:20]]):
        connection.ask("SET", key, bad)
        answer = say(second)
        assert answer.header("X-Sidecar-Cache") == ("miss" if number == 0 else "hit")  # its own, from then on
    connection.ask("DEL", key)
    connection.ask("LPUSH", key, "x")
    third = {**CHAT, "messages": [{"role": "user", "content": "third"}]}
    assert told(second, third) == "miss"
    connection.close()


def test_of_another_key_it_is_another_one(sidecar, two, redis):
    second = two()
    assert told(sidecar) == "miss"
    until(lambda: kept(redis), 5, "it to be kept")
    secret = redis.connect().ask("GET", "ollama-sidecar:cache:secret")
    assert len(secret) == 32 and json.dumps(CHAT) not in str(kept(redis))
    assert told(second, {**CHAT, "seed": 3}) == "miss"


def test_nothing_large_is_sent_there(sidecar, two, redis):
    sidecar.backend.script(tokens=12, token_bytes=100000, token_delay_ms=0)
    second = two(cache_bytes="64M")
    assert told(sidecar) == "miss"
    assert told(sidecar) == "hit"
    assert told(second) == "miss" and not kept(redis)
