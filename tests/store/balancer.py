"""The script of proxy/store/balance as a replica calls it, under a clock that the test sets."""
import glob
import os
import re

from resp import Connection, RedisError

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CLOCK = "redis.call('TIME')"
LEASE_MS, RESIDENCY_MS, AGEING_MS, FAIR_MAX_MS = 10_000, 10_000, 15_000, 600_000
START_MS = 1_700_000_000_000


def script() -> str:
    """The script's text."""
    text = ""
    for name in sorted(glob.glob(os.path.join(TOP, "proxy", "store", "balance", "*.lua"))):
        with open(name, encoding="utf-8") as file:
            text += file.read()
    return text


def with_clock(text: str) -> str:
    """… which asks the key test:clock for the time: seconds and microseconds, as TIME has them."""
    assert text.count(CLOCK) == 1, "the script reads the clock in one place"
    return text.replace(CLOCK, "redis.call('LRANGE', 'test:clock', 0, 1)")


class Balancer:
    """One Redis' script, and the time that it believes in."""

    def __init__(self, connection: Connection, text: str = "", prefix: str = "t"):
        self.connection = connection
        self.prefix = prefix
        self._sha = connection.ask("SCRIPT", "LOAD", with_clock(text or script()))
        self.now_ms = START_MS
        self.at(self.now_ms)

    def at(self, now_ms: int):
        """The time is this."""
        self.now_ms = now_ms
        self.connection.ask("DEL", "test:clock")
        self.connection.ask("RPUSH", "test:clock", now_ms // 1000, now_ms % 1000 * 1000)

    def later(self, by_ms: int):
        """Time passes, and somebody calls now and then, as replicas do."""
        for step_ms in [1000] * (by_ms // 1000) + [by_ms % 1000]:
            self.at(self.now_ms + step_ms)
            self.call("nobody", "ack")

    def call(self, replica: str, *words):
        """A command."""
        return self.connection.ask("EVALSHA", self._sha, 1, self.prefix, "1", words[0], replica, *words[1:])

    def journal_on(self):
        """The script keeps its journal."""
        self.connection.ask("SET", f"{self.prefix}:journal:on", 1)

    def journal(self) -> list:
        """All that it has written: [{"e": …, "t": …}…]."""
        return [dict(zip(row[1][::2], row[1][1::2])) for row in self.connection.ask("XRANGE", f"{self.prefix}:journal", "-", "+")]

    def journal_end(self, rows_n: int) -> list:
        """The last rows."""
        found = self.connection.ask("XREVRANGE", f"{self.prefix}:journal", "+", "-", "COUNT", rows_n)
        return [dict(zip(row[1][::2], row[1][1::2])) for row in reversed(found)]

    def keys(self) -> set:
        """All keys below the prefix."""
        return {key[len(self.prefix):] for key in self.connection.ask("KEYS", f"{self.prefix}:*")}


class Beat:
    """What a beat replied."""

    def __init__(self, reply: list):
        self.replicas_n, self.lost, missed, places, drained, learnt, is_new, self.settles_in_ms = reply
        self.missed = {one: backend for one, backend in missed}
        self.places = {one: place for one, place, _ in places}
        self.waits_ms = {one: wait for one, _, wait in places}
        self.told = {backend: is_drained for backend, is_drained in drained}
        self.drained = {backend for backend, is_drained in drained if is_drained}
        self.learnt = [tuple(row) for row in learnt]
        self.is_new = bool(is_new)


class Replica:
    """A replica's calls, each with this test's usual words. Calls that grant return {id: backend} of all replicas' grants."""

    def __init__(self, balancer: Balancer, name: str):
        self.balancer, self.name = balancer, name

    def call(self, *words):
        """A command and its grants."""
        return {one: backend for _, one, backend in self.balancer.call(self.name, *words)}

    def enter(self, one, model="m", ways=(("b", 1000, 5000),), priority=5, payer=0, cost_ms=1000, ageing_ms=AGEING_MS, fair_max_ms=FAIR_MAX_MS,
              residency_ms=RESIDENCY_MS, lease_ms=LEASE_MS):
        """A ticket waits."""
        return self.call("enter", one, model, priority, payer, cost_ms, ageing_ms, fair_max_ms, residency_ms, lease_ms, *[word for way in ways for word in way])

    def leave(self, *ids):
        """They want nothing more."""
        return self.call("leave", *ids)

    def ack(self, *ids):
        """Their grants were taken."""
        return self.call("ack", *ids)

    def back(self, *ids):
        """… were not."""
        return self.call("back", *ids)

    def keep(self, *ids):
        """Their answers have begun."""
        return self.call("keep", *ids)

    def hold(self, one, backend="b", model="m", ends_in_ms=1000, lease_ms=LEASE_MS):
        """It is in a slot already."""
        return self.call("hold", one, backend, model, ends_in_ms, lease_ms)

    def backend(self, name="b", slots=1, weight=1):
        """A backend; 1 where another replica says otherwise."""
        return self.balancer.call(self.name, "backend", name, slots, weight)[1]

    def loaded(self, name, *models):
        """What it says that it has loaded."""
        return self.call("loaded", name, *models)

    def drain(self, name, is_drained=True):
        """Nothing new goes there, or does again."""
        return self.call("drain", name, int(is_drained))

    def learnt(self, backend, model, text):
        """For the others."""
        return self.call("learnt", backend, model, text)

    def beat(self, *ids, lease_ms=LEASE_MS, is_first=False) -> Beat:
        """It lives, and runs these."""
        return Beat(self.balancer.call(self.name, "beat", lease_ms, int(is_first), *ids))

    def live(self, for_ms, *ids) -> Beat:
        """Time passes, and it beats each second; the last beat."""
        for step_ms in [1000] * (for_ms // 1000) + [for_ms % 1000]:
            self.balancer.at(self.balancer.now_ms + step_ms)
            last = self.beat(*ids)
        return last

    def bye(self):
        """It goes."""
        return self.call("bye")


def refused(replica: Replica, *words) -> str:
    """The error that this call gets."""
    try:
        reply = replica.call(*words)
    except RedisError as error:
        return re.sub(r" script: [0-9a-f]{40}.*", "", str(error))
    raise AssertionError(f"{words}: {reply}")
