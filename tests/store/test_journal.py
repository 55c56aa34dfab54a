"""What the script writes down: replicas that are played by chance, replayed by tests/soak/checker.py, which has to find each of the mutants below."""
import pytest

from balancer import Balancer, script
from checker import Checker
from played_replicas import World
from resp import RedisError


def play(connection, seed: int, text: str = "", for_ms: int = 60_000):
    """A minute of four replicas: the world afterwards, and the checker's faults."""
    connection.ask("FLUSHALL")
    balancer = Balancer(connection, text)
    balancer.journal_on()
    balancer.call("nobody", "ack")
    balancer.later(2000)
    world = World(balancer, seed)
    try:
        world.run(for_ms)
        is_finished = world.finish()
    except (RedisError, RecursionError):  # a mutant's
        is_finished = False
    checker = Checker(world.deaths, world.forgotten)
    faults = checker.check(balancer.journal(), is_ended=True)
    if not is_finished:
        faults.append("lost: somebody waits in vain")
    return world, checker, faults


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.limit(60)
def test_what_replicas_do_and_suffer_breaks_no_promise(connection, seed):
    world, checker, faults = play(connection, seed)
    assert faults == []
    assert checker.granted_n >= len(world.answered) > 50
    assert world.answered | world.cancelled | world.died_with == {str(n + 1) for n in range(world.requests_n)}


# A mistake that somebody could make in the script, as (what, by what it is replaced), and the rule of the checker that finds it.
MUTANTS = {
    "a lease is forgotten": (("call('ZADD', LEASES, now + lease_ms, id)", ""), "slots"),
    "a ticket is granted twice": (("call('ZREM', line_key(t.m), line_member(id, t))", "", "if t and t.state == 'line' then\n                all", "if t then\n                all",
                                   "t.lease, t.ways = 'slot', name, now, ends, lease_ms, nil", "t.lease = 'slot', name, now, ends, lease_ms"), "once"),
    "a slot more than there are": (("free = math.max(0, b.slots - #its)", "free = math.max(0, b.slots - #its + 1)"), "slots"),
    "slots over and above do not count": (("hold('keep', id, t, t.b, t.ends, t.lease)", "note('keep', {id = id, r = me, b = t.b, m = t.m, l = t.lease})"), "slots"),
    "nobody looks at drained": (("if b and b.slots > 0 and not b.drained then", "if b and b.slots > 0 then"), "slots"),
    "the last are first": (("if x.t.g ~= y.t.g then return x.t.g < y.t.g end", "if x.t.g ~= y.t.g then return x.t.g > y.t.g end"), "order"),
    "of a line the last stand first": (("call('ZADD', line_key(t.m), t.g, line_member", "call('ZADD', line_key(t.m), -t.g, line_member"), "order"),
    "a tag without its class": ((" + (9 - priority) * ageing", ""), "tags"),
    "a tag without its payer": (("return now + math.min(owed, fair_most)", "return now"), "tags"),
    "a payer's classes do not know of each other": (("for class = priority, 9 do", "for class = priority, priority do"), "tags"),
    "a high class waits behind a low one's flood": (("for class = priority, 9 do", "for class = 0, 9 do"), "tags"),
    "what is over is owed still": (("owe(t, -(t.c or 0))", "owe(t, 0)"), "tags"),
    "who comes back is the last": (("        let_go(id, t)\n        event = 'again'", "        let_go(id, t)\n        event, t.g = 'again', t.g + 1"), "tags"),
    "leases do not end": (("for _, id in ipairs(call('ZRANGEBYSCORE', LEASES, '-inf', now)) do", "for _, id in ipairs({}) do"), "leases"),
    "leases end too early": (("call('ZRANGEBYSCORE', LEASES, '-inf', now)", "call('ZRANGEBYSCORE', LEASES, '-inf', now + 1000)"), "leases"),
    "the dead stay": (("for _, replica in ipairs(call('ZRANGEBYSCORE', REPLICAS, '-inf', now)) do", "for _, replica in ipairs({}) do"), "leases"),
    "who stood still is not told": (("elseif t or is_new == 0 then", "elseif false then"), "leases"),
    "a grant is told once": (("if t.r == me and not t.acked then", "if false then"), "lost"),
    "other ways take a grant back": (("if t and t.state == 'slot' and not t.acked then -- the two crossed", "if false then"), "leases"),
    "what is handed back keeps its slot": (("        lapse(id, t)\n        note('back'", "        note('back'"), "slots"),
}


@pytest.mark.parametrize("name", MUTANTS)
@pytest.mark.limit(60)
def test_a_mistake_is_found(connection, name):
    changes, rule = MUTANTS[name]
    text = script()
    for right, wrong in zip(changes[::2], changes[1::2]):
        assert text.count(right) == 1, "the script has this once"
        text = text.replace(right, wrong)
    found = set()
    for seed in range(6):
        found |= {fault.split(":")[0] for fault in play(connection, seed, text, 30_000)[2]}
        if rule in found:
            return
    raise AssertionError(f"{rule} should have been found, and there was {found or 'nothing'}")
