"""Who is given a slot first: priorities, ageing, fairness between payers, and one model after the other. Each would fail with first come, first served."""
from balancer import AGEING_MS, LEASE_MS, RESIDENCY_MS, Replica


def served(replica, first, most=100) -> list:
    """The order in which all that wait are given the one slot, from who has it now: each gives it back at once."""
    order = [first]
    for _ in range(most):
        granted = replica.leave(order[-1])
        if not granted:
            return order
        order.extend(granted)
    raise AssertionError(order)


def test_equals_are_served_as_they_came(a):
    a.backend()
    assert a.enter("now") == {"now": "b"}
    for one in "zyxw":
        assert a.enter(one) == {}
    assert served(a, "now") == ["now", "z", "y", "x", "w"]


def test_a_higher_priority_is_served_first(a):
    a.backend()
    a.enter("now")
    for one, priority in (("low", 1), ("usual", 5), ("high", 9), ("usual too", 5)):
        a.enter(one, priority=priority)
    assert served(a, "now") == ["now", "high", "usual", "usual too", "low"]


def test_who_has_waited_long_enough_is_served_before_higher_ones(a, balancer):
    a.backend()
    a.enter("now")
    a.enter("low", priority=4)
    a.live(AGEING_MS - 1, "now")
    a.enter("high", priority=5)
    balancer.later(2)
    a.enter("later", priority=5)
    assert served(a, "now") == ["now", "high", "low", "later"]


def test_who_asks_much_does_not_hold_up_who_asks_little(a, b):
    a.backend()
    a.enter("now")
    for i in range(5):
        a.enter(f"much {i}", payer=7, cost_ms=1000)
    b.enter("little", payer=8, cost_ms=1000)
    order = served_by_both(a, b, "now")
    assert order == ["now", "much 0", "little", "much 1", "much 2", "much 3", "much 4"]


def served_by_both(a, b, first) -> list:
    """… of two replicas: each can only give back what is its own."""
    order = [first]
    while True:
        granted = a.leave(order[-1]) or b.leave(order[-1])
        if not granted:
            return order
        order.extend(granted)


def test_a_payers_own_high_class_does_not_wait_behind_his_flood(a):
    a.backend()
    a.enter("now")
    for i in range(40):
        a.enter(f"flood {i}", payer=7, cost_ms=10_000)
    a.enter("urgent", payer=7, priority=6, cost_ms=10_000)
    assert served(a, "now")[1] == "urgent"


def tag_of(balancer, one) -> int:
    """How far behind now it was put as it came."""
    return next(int(row["g"]) - int(row["t"]) for row in balancer.journal() if row["e"] == "enter" and row["id"] == one)


def test_nobody_is_put_behind_by_more_than_fair_max(a, balancer):
    balancer.journal_on()
    for i in range(5):
        a.enter(f"flood {i}", payer=7, cost_ms=10_000, fair_max_ms=12_000)
    assert [tag_of(balancer, f"flood {i}") - 4 * AGEING_MS for i in range(5)] == [0, 10_000, 12_000, 12_000, 12_000]


def test_what_is_over_is_not_counted(a, balancer):
    """Answered, given up, handed back, lost with its replica: no request of a payer stands behind what he has not there any more."""
    balancer.journal_on()
    a.backend()
    a.enter("answered", payer=7, cost_ms=30_000)
    a.enter("given up", payer=7, cost_ms=30_000)
    a.leave("answered", "given up")
    a.enter("handed back", payer=7, cost_ms=30_000)
    a.back("handed back")
    dying = Replica(balancer, "dying")
    dying.enter("lost", payer=7, cost_ms=30_000)
    a.live(LEASE_MS + 1000)
    a.enter("next", payer=7)
    assert tag_of(balancer, "next") == 4 * AGEING_MS


def test_who_comes_back_is_owed_once(a, balancer):
    balancer.journal_on()
    a.backend()
    a.enter("1", payer=7, cost_ms=4000)
    a.ack("1")
    a.enter("1", payer=7, cost_ms=9000)
    a.back("1")
    a.enter("1", payer=7, cost_ms=9000)
    a.enter("2", payer=7)
    assert tag_of(balancer, "2") == 4 * AGEING_MS + 4000


def test_a_payers_own_lower_class_stands_behind_his_higher(a):
    a.backend()
    a.enter("now")
    for i in range(5):
        a.enter(f"high {i}", payer=7, priority=5, cost_ms=20_000)
    a.enter("low", payer=7, priority=3, cost_ms=20_000)
    assert served(a, "now") == ["now"] + [f"high {i}" for i in range(5)] + ["low"]


def test_the_same_model_goes_first_for_a_while_and_then_the_other_has_its_turn(a, balancer):
    a.backend()
    assert a.enter("x1", model="x", ways=[("b", 1000, 3000)]) == {"x1": "b"}
    balancer.later(1)
    a.enter("y1", model="y", ways=[("b", 1000, 3000)])
    balancer.later(1)
    a.enter("x2", model="x", ways=[("b", 1000, 3000)])
    a.enter("x3", model="x", ways=[("b", 1000, 3000)])
    assert a.leave("x1") == {"x2": "b"}
    a.live(RESIDENCY_MS, "x2")
    assert a.leave("x2") == {"y1": "b"}
    assert a.leave("y1") == {"x3": "b"}


def test_a_change_of_models_waits_until_it_is_worth_three_loads(a):
    a.backend()
    ways = [("b", 1000, 8000)]
    a.enter("x1", model="x", ways=ways)
    a.enter("y1", model="y", ways=ways)
    a.enter("x2", model="x", ways=ways)
    a.enter("x3", model="x", ways=ways)
    a.live(RESIDENCY_MS, "x1")
    assert a.leave("x1") == {"x2": "b"}
    a.live(3 * 8000 - RESIDENCY_MS, "x2")
    assert a.leave("x2") == {"y1": "b"}


def test_another_model_need_not_wait_where_nobody_wants_the_one_that_is_loaded(a):
    a.backend()
    assert a.enter("x1", model="x") == {"x1": "b"}
    a.enter("y1", model="y")
    assert a.leave("x1") == {"y1": "b"}


def test_a_model_that_is_loaded_beside_the_other_is_no_change(a):
    a.backend(slots=2)
    a.loaded("b", "x", "y")
    assert a.enter("x1", model="x") == {"x1": "b"}
    assert a.enter("y1", model="y") == {"y1": "b"}
    a.enter("x2", model="x")
    a.enter("y2", model="y")
    assert a.leave("y1") == {"x2": "b"}
    assert a.leave("x1") == {"y2": "b"}


def test_a_request_goes_where_it_is_expected_to_end_first(a):
    a.backend("slow")
    a.backend("fast")
    assert a.enter("1", ways=[("slow", 4000, 0), ("fast", 1000, 0)]) == {"1": "fast"}


def test_it_waits_for_a_fast_one_rather_than_take_a_slow_one(a):
    a.backend("slow")
    a.backend("fast")
    ways = [("slow", 10_000, 0), ("fast", 1000, 0)]
    assert a.enter("1", ways=ways) == {"1": "fast"}
    assert a.enter("2", ways=ways) == {}
    assert [a.enter(str(i), ways=ways) for i in range(3, 5)] == [{}] * 2
    assert a.enter("5", ways=ways) == {"5": "slow"}, "the line for the fast one is nearly as long as the slow one takes"
    assert a.leave("1") == {"2": "fast"}


def test_of_equals_the_one_with_fewer_taken_slots_is_chosen(a):
    a.backend("p", slots=2)
    a.backend("q", slots=2)
    ways = [("p", 1000, 0), ("q", 1000, 0)]
    assert [list(a.enter(str(i), ways=ways).values()) for i in range(4)] == [["p"], ["q"], ["p"], ["q"]]


def test_of_equals_the_heavier_one_gets_more(a):
    a.backend("p", slots=4, weight=1)
    a.backend("q", slots=4, weight=3)
    ways = [("p", 1000, 0), ("q", 1000, 0)]
    assert [list(a.enter(str(i), ways=ways).values())[0] for i in range(5)] == ["p", "q", "q", "q", "p"]


def test_a_free_backend_serves_its_model_behind_a_hundred_of_another(a):
    a.backend("p")
    a.backend("q")
    a.enter("now", model="x", ways=[("p", 1000, 0)])
    for i in range(100):
        a.enter(f"x {i}", model="x", ways=[("p", 1000, 0)])
    assert a.enter("y", model="y", ways=[("q", 1000, 0)]) == {"y": "q"}


def test_places_and_waits_are_told_in_the_order_of_service(a, b):
    a.backend()
    a.loaded("b", "m")
    a.enter("now")
    a.enter("2")
    b.enter("1", priority=6)
    a.enter("3", priority=4, model="other")
    mine, theirs = a.beat("now"), b.beat()
    assert theirs.places == {"1": 1} and mine.places == {"2": 2, "3": 3}
    assert theirs.waits_ms == {"1": 1000} and mine.waits_ms["2"] == 2000


def test_ways_change_and_the_place_stays(a):
    a.backend("b")
    a.backend("c", slots=1)
    a.enter("now")
    a.enter("1")
    a.enter("2")
    assert a.enter("2", ways=[("c", 1000, 0)]) == {"2": "c"}
    a.enter("3")
    a.enter("1", ways=[("b", 2000, 0)])
    assert a.leave("now") == {"1": "b"}
