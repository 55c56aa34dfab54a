"""Slots are leases: who has one, how it ends, and what becomes of those who do not come back for it."""
from balancer import AGEING_MS, LEASE_MS, Replica


def test_no_more_than_its_slots_are_given_of_a_backend(a):
    a.backend(slots=2)
    assert [a.enter(one) for one in "123"] == [{"1": "b"}, {"2": "b"}, {}]
    assert a.leave("1") == {"3": "b"}
    assert a.leave("2") == {}


def test_a_grant_is_published_to_its_replica_and_told_again_until_it_is_taken(a, b, redis_server):
    listener = redis_server.connect()
    listener.ask("SUBSCRIBE", "t:grants:b")
    a.backend()
    a.enter("1")
    b.enter("2")
    a.leave("1")
    assert listener.read() == ["message", "t:grants:b", "2 b"]
    assert b.beat().missed == {"2": "b"}
    assert b.beat().missed == {"2": "b"}
    b.ack("2")
    assert b.beat().missed == {}
    listener.close()


def test_what_a_replica_says_it_runs_it_has_taken(a):
    a.backend()
    a.enter("1")
    assert a.beat().missed == {"1": "b"}
    assert a.beat("1").missed == {}


def test_a_lease_that_is_not_renewed_ends_and_its_slot_is_the_next_ones(a, b):
    b.backend()
    a.enter("1")
    b.enter("2")
    assert b.live(LEASE_MS - 1).missed == {}
    assert b.live(1).missed == {"2": "b"}


def test_a_lease_that_is_renewed_lasts(a, b):
    a.backend()
    a.enter("1")
    b.enter("2")
    for _ in range(5):
        assert a.live(LEASE_MS - 1, "1").lost == []
        assert b.beat().missed == {}


def test_who_stood_still_is_told_what_he_lost_and_has_his_place_again(a, b):
    b.backend()
    a.enter("1")
    a.enter("2", priority=6)
    b.live(LEASE_MS)
    assert b.enter("3") == {"3": "b"}
    back = a.beat("1")
    assert back.is_new and back.lost == ["1"], "b has the slot by now, as nobody knew of a"
    a.enter("1")
    a.enter("2", priority=6)
    b.enter("4")
    assert b.leave("3") == {"2": "b"}
    assert a.leave("2") == {"1": "b"}
    assert a.leave("1") == {"4": "b"}


def test_an_answer_that_has_begun_keeps_a_lease_over_and_above(a, b):
    b.backend()
    a.enter("1")
    b.live(LEASE_MS)
    assert b.enter("2") == {"2": "b"}
    assert a.beat("1").lost == ["1"]
    assert a.keep("1") == {}
    assert a.beat("1").lost == []
    b.enter("3")
    assert b.leave("2") == {}, "two had the one slot, and one has it still"
    assert a.leave("1") == {"3": "b"}


def test_a_dead_replica_loses_its_place_in_line(a, b):
    b.backend()
    b.enter("1")
    a.enter("dead")
    b.enter("2")
    assert b.live(LEASE_MS - 1, "1").replicas_n == 2
    assert b.live(1, "1").replicas_n == 1
    assert b.leave("1") == {"2": "b"}
    assert b.leave("2") == {}


def test_a_replica_that_entered_something_and_died_before_its_first_beat_is_noticed(a, balancer):
    a.backend()
    assert Replica(balancer, "young").enter("1") == {"1": "b"}
    a.live(1)
    a.enter("2")
    assert a.live(LEASE_MS - 1).missed == {"2": "b"}


def test_a_grant_that_is_handed_back_is_the_next_ones(a, b):
    a.backend()
    a.enter("1")
    b.enter("2")
    assert a.back("1") == {"2": "b"}
    assert a.beat().missed == {}


def test_who_handed_it_back_and_enters_again_has_his_place_again(a, b):
    a.backend()
    a.backend("c")
    a.enter("now")
    a.enter("1")
    b.enter("2")
    a.leave("now")
    b.enter("3")
    assert a.back("1") == {"2": "b"}
    a.enter("1")
    assert b.leave("2") == {"1": "b"}


def test_a_ticket_that_failed_at_one_backend_enters_again_with_its_place(a, b):
    a.backend()
    a.backend("c")
    ways = [("b", 1000, 0), ("c", 1500, 0)]
    assert a.enter("1", ways=ways) == {"1": "b"}
    a.ack("1")
    b.enter("c is taken", ways=[("c", 1500, 0)])
    b.enter("2", ways=[("c", 1500, 0)])
    assert a.enter("1", ways=[("c", 1500, 0)]) == {}
    assert b.leave("c is taken") == {"1": "c"}


def test_other_ways_that_cross_with_a_grant_do_not_take_it_away(a, b):
    a.backend()
    b.enter("now")
    a.enter("1")
    b.leave("now")
    assert a.enter("1", ways=[("b", 2000, 0)]) == {"1": "b"}, "told again"
    assert b.enter("2") == {}
    a.ack("1")
    assert a.beat("1").lost == []


def test_what_was_begun_while_redis_was_away_is_held_over_and_above(a, b):
    a.backend()
    assert a.hold("1") == {} and b.hold("2") == {}
    assert a.enter("3") == {}
    assert a.leave("1") == {}
    assert b.leave("2") == {"3": "b"}


def test_a_hold_is_a_lease_like_any_other(a, b):
    a.backend()
    b.hold("1")
    a.enter("2")
    assert a.live(LEASE_MS).missed == {"2": "b"}
    assert b.beat("1").lost == ["1"]


def test_nothing_new_goes_to_a_drained_backend(a, b):
    a.backend()
    a.enter("1")
    a.drain("b")
    assert b.beat().drained == {"b"}
    a.enter("2")
    assert a.leave("1") == {}
    assert b.drain("b", False) == {"2": "b"}
    assert a.beat().drained == set()


def test_a_drained_backend_is_remembered_when_all_replicas_were_gone(a, b, balancer):
    a.backend("c")
    a.backend("b")
    a.drain("b")
    balancer.later(LEASE_MS)
    back = b.beat()
    assert back.is_new and back.drained == {"b"} and balancer.connection.ask("HKEYS", "t:backends") == ["b"]


def test_a_backend_of_which_nobody_has_said_so_is_not_said_to_be_not_drained(a, b):
    """Who knows that it is drained tells a Redis that has lost it."""
    a.backend()
    assert b.beat().told == {}
    a.drain("b")
    assert b.beat().told == {"b": 1}
    a.drain("b", False)
    assert b.beat().told == {"b": 0}


def test_what_was_drained_and_is_gone_makes_room(a):
    """As with addresses of pods."""
    for number in range(300):
        a.backend(f"gone{number}")
        a.drain(f"gone{number}")
        a.backend(f"gone{number}", slots=0)
    a.backend()
    assert a.enter("1") == {"1": "b"}


def test_who_goes_gives_back_all_that_he_has(a, b):
    a.backend()
    b.enter("1")
    b.enter("2")
    a.enter("3")
    assert b.bye() == {"3": "b"}
    assert a.beat().replicas_n == 1
    assert a.leave("3") == {}


def test_another_replicas_tickets_cannot_be_left(a, b):
    a.backend()
    a.enter("1")
    b.enter("2")
    assert b.leave("1") == {} and b.back("1") == {} and b.ack("1") == {} and b.keep("1") == {}
    assert a.beat().missed == {"1": "b"}


def test_a_clock_that_is_set_back_makes_nobody_wait_for_it(a, b, balancer):
    """Nor does who comes then stand before those that have waited."""
    b.backend()
    a.enter("1")
    b.enter("2")
    balancer.at(balancer.now_ms - 3_600_000)
    b.enter("3")
    assert b.live(LEASE_MS).missed == {"2": "b"}
    assert b.leave("2") == {"3": "b"}


def test_fewer_slots_end_nobodys_answer(a):
    a.backend(slots=2)
    a.enter("1")
    a.enter("2")
    a.backend(slots=1)
    a.enter("3")
    assert a.leave("1") == {}
    assert a.leave("2") == {"3": "b"}


def test_replicas_that_do_not_agree_on_slots_are_told(a, b):
    assert a.backend(slots=2) == 0
    assert b.backend(slots=3) == 1
    assert a.backend(slots=3) == 0


def test_the_slots_that_only_one_said_go_with_what_he_said(a, b):
    """As of a replica whose breaker lets one request try a backend, and opens again; or that dies meanwhile."""
    a.backend(slots=4)
    b.backend(slots=1)
    b.backend(slots=0)
    assert [len(a.enter(f"1{number}")) for number in range(5)] == [1, 1, 1, 1, 0]
    a.leave("13", "14")
    b.backend(slots=1)
    a.live(LEASE_MS, "10", "11", "12")
    assert a.enter("2") == {"2": "b"}, "the other one is dead"


def test_a_backend_is_gone_when_the_last_replica_has_it_no_more(a, b):
    a.backend()
    b.backend()
    a.backend(slots=0)
    assert b.enter("1") == {"1": "b"}
    b.backend(slots=0)
    b.leave("1")
    assert b.enter("2") == {}
    assert b.balancer.connection.ask("HKEYS", "t:backends") == []


def test_nothing_is_granted_before_all_have_told_what_they_have(fresh):
    a, b = Replica(fresh, "a"), Replica(fresh, "b")
    first = a.beat()
    assert first.is_new and first.settles_in_ms == 2000
    a.backend()
    assert a.enter("1") == {}
    fresh.later(1500)
    assert b.beat().settles_in_ms == 500
    b.hold("2")
    fresh.later(500)
    assert a.beat().missed == {}, "b has it still"
    assert b.leave("2") == {"1": "b"}


def test_who_begins_where_nobody_is_known_is_granted_at_once(fresh):
    a, b = Replica(fresh, "a"), Replica(fresh, "b")
    assert a.beat(is_first=True).settles_in_ms == 0
    a.backend(slots=2)
    assert a.enter("1") == {"1": "b"}
    assert b.beat(is_first=True).settles_in_ms == 0
    assert b.enter("2") == {"2": "b"}
    assert a.live(1000, "1").settles_in_ms == 0


def test_who_was_there_before_redis_lost_all_of_it_is_waited_for_though_one_has_just_begun(fresh):
    begun, old = Replica(fresh, "begun"), Replica(fresh, "old")
    begun.beat(is_first=True)
    begun.backend()
    assert old.beat().settles_in_ms == 2000
    assert begun.enter("1") == {}
    fresh.later(1999)
    assert begun.beat().settles_in_ms == 1
    fresh.later(1)
    assert begun.beat().missed == {"1": "b"}


def test_who_begins_waits_for_those_that_redis_knows(a, balancer):
    a.backend()
    balancer.at(balancer.now_ms + 2000)
    assert Replica(balancer, "begun").beat(is_first=True).settles_in_ms == 2000


def test_whoever_calls_first_when_all_is_lost_waits_for_the_others(a, balancer):
    balancer.connection.ask("FLUSHDB")
    balancer.at(balancer.now_ms + 1)
    a.enter("1")
    assert Replica(balancer, "begun").beat(is_first=True).settles_in_ms == 2000


def test_what_others_have_learnt_is_told_once(a, b):
    a.learnt("b", "m", "1 2 3")
    a.learnt("b", "m", "4 5 6")
    b.learnt("b", "n", "7")
    assert b.beat().learnt == [("b", "m", "4 5 6")]
    assert b.beat().learnt == []
    assert a.beat().learnt == [("b", "n", "7")]
    a.learnt("b", "m", "8")
    assert b.beat().learnt == [("b", "m", "8")]


def test_who_comes_later_is_told_all_that_was_learnt(a, balancer):
    a.learnt("b", "m", "1")
    assert Replica(balancer, "young").beat().learnt == [("b", "m", "1")]


def test_nothing_is_left_behind(a, b, balancer):
    a.backend()
    for i in range(20):
        a.enter(f"a{i}", payer=1, model=f"m{i % 3}")
        b.enter(f"b{i}", payer=2)
    for i in range(20):
        a.leave(f"a{i}")
    b.bye()
    a.backend(slots=0)
    a.bye()
    assert balancer.keys() == {":schema", ":state"}


def test_what_lapsed_is_not_remembered_for_ever(a, balancer):
    a.backend()
    a.hold("slot")
    for i in range(5000):
        a.enter(str(i))
    balancer.later(LEASE_MS)
    a.beat()
    assert balancer.connection.ask("HLEN", "t:tickets") == 4096


def test_what_redis_has_evicted_is_forgotten_and_the_rest_goes_on(a, balancer):
    a.backend()
    a.enter("1")
    a.enter("2")
    balancer.connection.ask("DEL", "t:tickets")
    assert a.beat("1").lost == ["1"]
    assert a.enter("2") == {"2": "b"}
    assert a.bye() == {}
    assert balancer.keys() == {":schema", ":state"}


def test_nobody_owes_for_what_redis_has_evicted(a, balancer):
    a.enter("1", payer=7, cost_ms=30_000)
    balancer.connection.ask("DEL", "t:tickets")
    balancer.journal_on()
    a.enter("2", payer=7)
    assert [int(row["g"]) - int(row["t"]) for row in balancer.journal()] == [4 * AGEING_MS]
