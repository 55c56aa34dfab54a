/* proxy/balance: in which order requests are served, and who may wait: tags, classes, payers. */
#include "proxy/balance/balance.h"
#include "tests/unit/balance_scene.h"

static void test_first_come_first_served_in_a_class(void **state)
{
    (void)state;
    backends(1);
    for (int i = 0; i < 5; i++)
        enter(asker(i, 5, 0, SECOND), "m");
    assert_int_equal(balance_place(b, &askers[4].ticket), 4);
    int served = next();
    for (int i = 0; i < 5; i++, served = serve(served, SECOND)) {
        assert_int_equal(served, i);
        assert_int_equal(next(), -1); /* one slot, one holder */
    }
    assert_int_equal(served, -1);
}

static void test_the_higher_class_is_served_first(void **state)
{
    (void)state;
    backends(1);
    for (int i = 0; i < 10; i++)
        enter(asker(i, (unsigned)i, 0, SECOND), "m");
    int served = next();
    for (int i = 9; i >= 0; i--, served = serve(served, SECOND))
        assert_int_equal(served, i);
}

/* High ones come as fast as they are served, for ever. */
static void test_a_low_class_is_served_at_last(void **state)
{
    (void)state;
    backends(1);
    enter(asker(0, 0, 0, SECOND), "m");
    enter(asker(1, 9, 0, SECOND), "m");
    int64_t since_ms = now_ms;
    int served = next();
    for (int i = 2; served != 0; i = i % (ASKERS - 1) + 1) {
        assert_true(now_ms - since_ms <= 9 * rules.ageing_ms + SECOND);
        enter(asker(i, 9, 0, SECOND), "m");
        served = serve(served, SECOND);
    }
    assert_true(now_ms - since_ms > 8 * rules.ageing_ms); /* and not before its time */
}

/* By arrival alone the other one would be the twenty-first. */
static void test_a_flood_of_one_delays_nobody_else(void **state)
{
    (void)state;
    backends(1);
    for (int i = 0; i < 20; i++)
        enter(asker(i, 5, 7, 10 * SECOND), "m");
    enter(asker(20, 5, 8, 10 * SECOND), "m");
    int served = next();
    assert_int_equal(served, 0);
    served = serve(served, SECOND);
    enter(asker(21, 5, 9, 10 * SECOND), "m");
    assert_int_equal(served, 20);
    served = serve(served, SECOND);
    assert_int_equal(served, 21); /* who came later still, too */
    assert_int_equal(serve(served, SECOND), 1);
}

static void test_two_floods_are_served_in_turn(void **state)
{
    (void)state;
    backends(1);
    for (int i = 0; i < 20; i++)
        enter(asker(i, 5, 7, 10 * SECOND), "m");
    for (int i = 20; i < 40; i++)
        enter(asker(i, 5, 8, 10 * SECOND), "m");
    int of_first_n = 0, served = next();
    for (int i = 0; i < 20; i++, served = serve(served, SECOND))
        of_first_n += served < 20;
    assert_int_equal(of_first_n, 10);
}

static void test_the_flooders_own_high_class_overtakes(void **state)
{
    (void)state;
    backends(1);
    for (int i = 0; i < 20; i++)
        enter(asker(i, 5, 7, 60 * SECOND), "m");
    assert_int_equal(next(), 0);
    enter(asker(20, 6, 7, 60 * SECOND), "m");
    assert_int_equal(serve(0, SECOND), 20);
}

/* Whatever was thought of what he has had, answered or given up: afterwards he is as everybody else. */
static void test_a_flood_is_forgotten_when_it_is_over(void **state)
{
    (void)state;
    backends(1);
    for (int i = 0; i < 50; i++)
        enter(asker(i, 5, 7, 3600 * SECOND), "m");
    assert_int_equal(next(), 0);
    for (int i = 0; i < 50; i++)
        leave(i);
    now_ms += SECOND;
    enter(asker(0, 5, 7, SECOND), "m");
    enter(asker(1, 5, 8, SECOND), "m");
    assert_int_equal(next(), 0);
}

/* One that comes back to the line is owed as before, and once. */
static void test_who_comes_back_is_owed_once(void **state)
{
    (void)state;
    backends(1);
    enter(asker(0, 5, 7, 4 * SECOND), "m");
    assert_int_equal(next(), 0);
    leave(0);
    assert_int_equal(balance_enter(b, &askers[0].ticket, "m", 1, now_ms), BALANCE_WAIT);
    enter(asker(1, 5, 7, 4 * SECOND), "m");
    assert_int_equal(askers[1].ticket.tag_ms, askers[0].ticket.tag_ms + 4 * SECOND);
}

/* Nobody knows what the model takes, and 30 s are assumed: another one's lower class, and his own, come behind his high one nevertheless. */
static void test_a_guess_turns_no_classes_round(void **state)
{
    (void)state;
    backends(1);
    for (int i = 0; i < 8; i++) {
        struct balance_ticket *t = asker(i, i % 2 ? 5 : 4, i % 4 < 2 ? 7 : 8, 20 * SECOND);
        t->is_guess = 1;
        askers[i].ways[0].load_ms = 10 * SECOND;
        enter(t, "m");
    }
    int served = next();
    for (int i = 0; i < 8; i++, served = serve(served, 100))
        assert_int_equal(askers[served].ticket.priority, i < 4 ? 5 : 4);
}

/* With four slots a payer may send four times as much. */
static void test_what_a_payer_owes_is_what_he_takes_of_all_slots(void **state)
{
    (void)state;
    balance_set_backend(b, 0, 3, 1, 1);
    balance_set_backend(b, 1, 1, 1, 1);
    balance_set_backend(b, 2, 7, 1, 0); /* closed */
    for (int i = 0; i < 3; i++) {
        struct balance_ticket *t = asker(i, 5, 7, 8 * SECOND);
        askers[i].ways[1].run_ms = 4 * SECOND; /* the shortest way, with its load */
        askers[i].ways[1].load_ms = 2 * SECOND;
        enter(t, "m");
        assert_int_equal(t->tag_ms, now_ms + 4 * rules.ageing_ms + i * 6 * SECOND / 4);
    }
}

static void test_who_comes_back_keeps_his_place(void **state)
{
    (void)state;
    backends(1);
    enter(asker(0, 5, 0, SECOND), "m");
    assert_int_equal(next(), 0);
    now_ms += SECOND;
    enter(asker(1, 5, 0, SECOND), "m");
    leave(0);
    assert_int_equal(balance_enter(b, &askers[0].ticket, "m", 1, now_ms), BALANCE_WAIT);
    assert_int_equal(next(), 0);
}

static void test_who_comes_when_too_many_wait(void **state)
{
    (void)state;
    waiting.limit_n = 1;
    backends(1);
    enter(asker(0, 5, 0, SECOND), "m");
    assert_int_equal(next(), 0);
    enter(asker(1, 5, 0, SECOND), "m");
    assert_int_equal(balance_enter(b, asker(2, 9, 0, SECOND), "m", 0, now_ms), BALANCE_FULL);
    assert_int_equal(balance_enter(b, &askers[2].ticket, "m", 1, now_ms), BALANCE_WAIT); /* it was let in before */
}

/* … for a model that others wait for; who need not wait is served. */
static void test_a_full_queue_of_one_model_keeps_nobody_off_another(void **state)
{
    (void)state;
    waiting.limit_n = 2;
    backends(2);
    for (int i = 0; i < 3; i++) {
        enter(asker(i, 5, 0, SECOND), "a");
        askers[i].ways[1].run_ms = BALANCE_NO_WAY;
        assert_int_equal(next(), i ? -1 : 0);
    }
    assert_int_equal(balance_enter(b, asker(3, 5, 0, SECOND), "a", 0, now_ms), BALANCE_FULL);
    assert_int_equal(balance_enter(b, asker(3, 5, 0, SECOND), "b", 0, now_ms), BALANCE_WAIT);
    assert_int_equal(next(), 3);
}

/* max_queue = 0: nobody waits, and who need not is served. */
static void test_where_nobody_may_wait(void **state)
{
    (void)state;
    waiting.limit_n = 0;
    backends(1);
    enter(asker(0, 5, 0, SECOND), "m");
    assert_int_equal(next(), 0);
    assert_int_equal(balance_enter(b, asker(1, 5, 0, SECOND), "m", 0, now_ms), BALANCE_FULL);
}

struct seen {
    size_t n;
    int64_t last_tag_ms, last_wait_ms;
};

static int on_each(void *context, const struct balance_ticket *t, const char *model, size_t place, int64_t wait_ms)
{
    struct seen *s = context;
    assert_true(t->tag_ms >= s->last_tag_ms && wait_ms >= s->last_wait_ms);
    assert_int_equal(place, s->n);
    assert_string_equal(model, (((struct asker *)t->context) - askers) % 2 ? "a" : "b");
    *s = (struct seen){place + 1, t->tag_ms, wait_ms};
    return place == 9;
}

static void test_all_that_wait_are_told_in_order(void **state)
{
    (void)state;
    struct seen seen = {0};
    backends(1);
    for (int i = 0; i < 20; i++)
        enter(asker(i, (unsigned)i % 10, 0, SECOND), i % 2 ? "a" : "b");
    assert_int_equal(balance_each(b, now_ms, on_each, &seen), 1);
    assert_int_equal(seen.n, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_first_come_first_served_in_a_class), TEST(test_the_higher_class_is_served_first), TEST(test_a_low_class_is_served_at_last),
        TEST(test_a_flood_of_one_delays_nobody_else), TEST(test_two_floods_are_served_in_turn), TEST(test_the_flooders_own_high_class_overtakes),
        TEST(test_a_flood_is_forgotten_when_it_is_over), TEST(test_who_comes_back_is_owed_once), TEST(test_a_guess_turns_no_classes_round),
        TEST(test_what_a_payer_owes_is_what_he_takes_of_all_slots), TEST(test_who_comes_back_keeps_his_place), TEST(test_who_comes_when_too_many_wait),
        TEST(test_a_full_queue_of_one_model_keeps_nobody_off_another), TEST(test_where_nobody_may_wait), TEST(test_all_that_wait_are_told_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
