"""What the script refuses, in words: arguments, another schema, keys that are somebody else's, a Redis that takes no writes."""
import pytest

from balancer import Replica, refused, script
from redis_server import RedisServer
from resp import RedisError

ENTER = ("enter", "1", "m", 5, 0, 1000, 15000, 60000, 10000, 10000)


@pytest.mark.parametrize("words, said", [
    (("dance",), "SIDECAR ARGUMENT there is no command dance"),
    (("enter",), "SIDECAR ARGUMENT enter lacks ID"),
    (ENTER[:-1], "SIDECAR ARGUMENT enter lacks LEASE_MS"),
    (ENTER + ("b", 1000), "SIDECAR ARGUMENT enter lacks LOAD_MS"),
    (ENTER + ("b", "soon", 0), "SIDECAR ARGUMENT enter: RUN_MS is soon"),
    (ENTER + ("b", "nan", 0), "SIDECAR ARGUMENT enter: RUN_MS is nan"),
    (ENTER + ("b", "inf", 0), "SIDECAR ARGUMENT enter: RUN_MS is inf"),
    (ENTER + ("b", -1, 0), "SIDECAR ARGUMENT enter: RUN_MS is -1"),
    (ENTER + ("b", "1.5", 0), "SIDECAR ARGUMENT enter: RUN_MS is 1.5"),
    (ENTER[:3] + (10,) + ENTER[4:], "SIDECAR ARGUMENT enter: PRIORITY is 10, and 9 is the most"),
    (("hold", "1", "b", "m", 1), "SIDECAR ARGUMENT hold lacks LEASE_MS"),
    (("backend", "b", "many", 1), "SIDECAR ARGUMENT backend: SLOTS is many"),
    (("beat",), "SIDECAR ARGUMENT beat lacks LEASE_MS"),
    (("beat", 10000), "SIDECAR ARGUMENT beat lacks 0|1"),
    (("beat", "a\r\nb"), "SIDECAR ARGUMENT beat: LEASE_MS is a  b"),
])
def test_words_that_are_no_command_are_refused(a, words, said):
    assert refused(a, *words) == said


def test_what_is_refused_changes_nothing(a, balancer):
    before = balancer.keys()
    refused(a, *ENTER, "b", 1000)
    assert balancer.keys() == before


def test_another_replicas_ticket_cannot_be_entered_or_held(a, b):
    a.backend()
    a.enter("1")
    assert refused(b, *ENTER, "b", 1000, 0) == "SIDECAR ARGUMENT enter: the ticket 1 is another replica's"
    assert refused(b, "hold", "1", "b", "m", 1, 10000) == "SIDECAR ARGUMENT hold: the ticket 1 is another replica's"


def test_another_schema_is_refused_by_both_sides(a, balancer):
    balancer.connection.ask("SET", "t:schema", "2")
    assert refused(a, "beat", 10000, 0) == ("SIDECAR SCHEMA the keys below t are of schema 2, this replica's is 1: "
                                         "update all replicas, or give these another [redis] prefix")
    with pytest.raises(RedisError, match="SIDECAR SCHEMA this script's is 1, and 2 was asked for"):
        balancer.connection.ask("EVAL", script(), 1, "t", "2", "beat", "a", 10000, 0)


@pytest.mark.parametrize("key, command", [
    ("t:backends", ("beat", 10000, 0)), ("t:tickets", ENTER), ("t:line:m", ENTER), ("t:leases", ("beat", 10000, 0)), ("t:owed", ENTER[:4] + (7,) + ENTER[5:]),
    ("t:replicas", ("beat", 10000, 0)), ("t:state", ("beat", 10000, 0)), ("t:of:a", ENTER), ("t:learnt", ("learnt", "b", "m", "1")), ("t:schema", ("beat", 10000, 0)),
])
def test_a_key_of_somebody_elses_is_named(a, balancer, key, command):
    balancer.connection.ask("DEL", key)
    balancer.connection.ask(*(("SADD", key, "x") if key == "t:schema" else ("SET", key, "theirs")))
    assert refused(a, *command) == (f"SIDECAR WRONGTYPE the key {key} is no key of ollama-sidecar's: another program uses it. "
                                    "Set another [redis] prefix, or delete it")


def test_a_redis_without_memory_says_so_in_its_own_words(a, balancer):
    memory = balancer.connection.ask("CONFIG", "GET", "maxmemory")[1]
    balancer.connection.ask("CONFIG", "SET", "maxmemory", 1)
    try:
        assert refused(a, "beat", 10000, 0).startswith("OOM ")
    finally:
        balancer.connection.ask("CONFIG", "SET", "maxmemory", memory)


def test_a_redis_that_is_a_copy_of_another_says_so_in_its_own_words(redis_server):
    copy = RedisServer(config=("--replicaof", "127.0.0.1", str(redis_server.port), "--replica-serve-stale-data", "yes"))
    try:
        connection = copy.connect()
        with pytest.raises(RedisError, match="^READONLY "):
            connection.ask("EVAL", script(), 1, "t", "1", "beat", "a", 10000, 0)
        connection.close()
    finally:
        copy.end()


def test_what_is_damaged_is_told(a, balancer):
    balancer.connection.ask("HSET", "t:backends", "b", "{")
    assert refused(a, "beat", 10000, 0).startswith("SIDECAR SCRIPT ")


def test_no_global_variable_is_made(a, balancer, connection):
    """Redis refuses to make one; here every line of every command has run without such an error, and none was made before."""
    a.backend()
    Replica(balancer, "b").enter("1")
    assert connection.ask("EVAL", "local n = 0 for name in pairs(_G) do if name == 'tickets' or name == 'now' then n = n + 1 end end return n", 0) == 0


def test_names_may_have_any_character(a):
    a.backend("a b/[::1]:11434\n")
    assert a.enter('"1"', model="a:b c/é\n", ways=[("a b/[::1]:11434\n", 1, 0)]) == {'"1"': "a b/[::1]:11434\n"}
    a.enter("2:3", model="a:b c/é\n", ways=[("a b/[::1]:11434\n", 1, 0)])
    assert a.leave('"1"') == {"2:3": "a b/[::1]:11434\n"}
