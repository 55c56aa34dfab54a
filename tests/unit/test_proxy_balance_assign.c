/* proxy/balance: which backend a request gets, and for which it had better wait. */
#include "proxy/balance/balance.h"
#include "tests/unit/balance_scene.h"

/* A load there would cost nothing. */
static int is_loaded(int index, const char *model)
{
    struct balance_way ways[BALANCE_BACKENDS];
    for (int i = 0; i < BALANCE_BACKENDS; i++)
        ways[i] = (struct balance_way){.run_ms = i == index ? 0 : BALANCE_NO_WAY, .load_ms = 60 * SECOND};
    return balance_cost_ms(b, model, ways, 0) == 0;
}

static void test_the_fastest_free_one_is_taken(void **state)
{
    (void)state;
    backends(3);
    struct asker *a = &askers[0];
    enter(asker(0, 5, 0, 9 * SECOND), "m");
    a->ways[1].run_ms = 3 * SECOND;
    assert_int_equal(next(), 0);
    assert_int_equal(a->ticket.backend, 1);
    assert_int_equal(a->ticket.ends_ms, now_ms + 3 * SECOND);
}

static void test_a_load_counts_where_the_model_is_not_loaded(void **state)
{
    (void)state;
    static const char *const names[] = {"other", "m:latest"};
    backends(2);
    balance_set_loaded(b, 1, names, 2, now_ms);
    assert_true(is_loaded(1, "M"));
    assert_false(is_loaded(0, "m"));
    enter(asker(0, 5, 0, 3 * SECOND), "m");
    askers[0].ways[0] = (struct balance_way){.run_ms = SECOND, .load_ms = 10 * SECOND};
    askers[0].ways[1].load_ms = 10 * SECOND;
    assert_int_equal(next(), 0);
    assert_int_equal(askers[0].ticket.backend, 1);
    assert_int_equal(askers[0].ticket.ends_ms, now_ms + 3 * SECOND);
}

static void test_a_slot_is_expected_to_be_free_when_its_load_and_answer_have_ended(void **state)
{
    (void)state;
    backends(1);
    for (int i = 0; i < 2; i++) {
        enter(asker(i, 5, 0, 3 * SECOND), "m");
        askers[i].ways[0].load_ms = 10 * SECOND;
    }
    assert_int_equal(next(), 0);
    assert_int_equal(askers[0].ticket.ends_ms, now_ms + 13 * SECOND);
    assert_int_equal(balance_wait_ms(b, &askers[1].ticket, now_ms), 13 * SECOND);
    assert_int_equal(serve(0, SECOND), 1);
    assert_int_equal(askers[1].ticket.ends_ms, now_ms + 3 * SECOND); /* it is loaded by now */
}

static void test_another_one_in_its_place_has_nothing_loaded(void **state)
{
    (void)state;
    backends(1);
    enter(asker(0, 5, 0, SECOND), "m");
    assert_int_equal(next(), 0);
    balance_set_backend(b, 0, 0, 1, 0);
    balance_set_backend(b, 0, 1, 1, 1);
    assert_false(is_loaded(0, "m"));
}

static void test_what_was_given_counts_as_loaded_until_it_is_told_anew(void **state)
{
    (void)state;
    static const char *const names[] = {"other"};
    backends(1);
    balance_set_loaded(b, 0, names, 1, now_ms);
    enter(asker(0, 5, 0, SECOND), "m");
    assert_int_equal(next(), 0);
    assert_true(is_loaded(0, "m"));
    balance_set_loaded(b, 0, names, 1, now_ms - 1); /* it was asked before */
    assert_true(is_loaded(0, "m"));
    balance_set_loaded(b, 0, names, 1, now_ms + 1);
    assert_false(is_loaded(0, "m"));
    assert_true(is_loaded(0, "other"));
}

/* The fast one is busy for a second more, and takes a second; the slow one is free and takes ten. */
static void test_who_is_fast_is_waited_for(void **state)
{
    (void)state;
    backends(2);
    enter(asker(0, 5, 0, SECOND), "m");
    askers[0].ways[1].run_ms = 10 * SECOND;
    assert_int_equal(next(), 0);
    assert_int_equal(askers[0].ticket.backend, 0);
    enter(asker(1, 5, 0, SECOND), "m");
    askers[1].ways[1].run_ms = 10 * SECOND;
    assert_int_equal(next(), -1);
    assert_int_equal(again_ms, now_ms + SECOND);
    assert_int_equal(balance_wait_ms(b, &askers[1].ticket, now_ms), SECOND);
    assert_int_equal(serve(0, SECOND), 1);
    assert_int_equal(askers[1].ticket.backend, 0);
}

/* … but not for ever: what lasts longer than was thought is thought to last longer still. */
static void test_who_is_fast_is_not_waited_for_for_ever(void **state)
{
    (void)state;
    backends(2);
    for (int i = 0; i < 2; i++) {
        enter(asker(i, 5, 0, SECOND), "m");
        askers[i].ways[1].run_ms = 10 * SECOND;
    }
    assert_int_equal(next(), 0);
    int64_t since_ms = now_ms;
    while (next() < 0) {
        assert_true(again_ms > now_ms);
        now_ms = again_ms;
    }
    assert_int_equal(askers[1].ticket.backend, 1);
    assert_in_range(now_ms - since_ms, 2 * SECOND, 40 * SECOND);
}

/* Who stands in line behind many others takes the slow one, though the fast one is the best for those before. */
static void test_behind_many_the_slow_one_is_taken(void **state)
{
    (void)state;
    backends(2);
    for (int i = 0; i < 20; i++) {
        enter(asker(i, 5, 0, SECOND), "m");
        askers[i].ways[1].run_ms = 5 * SECOND;
    }
    assert_int_equal(next(), 0);
    int other = next();
    assert_in_range(other, 2, 5);
    assert_int_equal(askers[other].ticket.backend, 1);
    assert_int_equal(next(), -1);
}

static void test_equals_take_turns(void **state)
{
    (void)state;
    backends(3);
    int counts[3] = {0};
    for (int i = 0; i < 30; i++) {
        enter(asker(i, 5, 0, SECOND), "m");
        assert_int_equal(next(), i);
        counts[askers[i].ticket.backend]++;
        now_ms += SECOND;
        leave(i);
    }
    for (int i = 0; i < 3; i++)
        assert_int_equal(counts[i], 10);
}

/* Half a second of a hundred is no reason. */
static void test_who_is_nearly_as_good_is_an_equal(void **state)
{
    (void)state;
    backends(2);
    int counts[2] = {0};
    for (int i = 0; i < 10; i++) {
        enter(asker(i, 5, 0, 100 * SECOND), "m");
        askers[i].ways[1].run_ms += SECOND / 2;
        assert_int_equal(next(), i);
        counts[askers[i].ticket.backend]++;
        now_ms += SECOND;
        leave(i);
    }
    assert_int_equal(counts[0], 5);
}

static void test_of_equals_the_heavier_one_has_more(void **state)
{
    (void)state;
    balance_set_backend(b, 0, 8, 1, 1);
    balance_set_backend(b, 1, 8, 3, 1);
    for (int i = 0; i < 8; i++) {
        enter(asker(i, 5, 0, SECOND), "m");
        assert_int_equal(next(), i);
    }
    assert_int_equal(balance_used_n(b, 0), 2);
    assert_int_equal(balance_used_n(b, 1), 6);
}

/* The number of changes of models at backend 0 while two lines are never empty. */
static void test_two_models_do_not_thrash_one_backend(void **state)
{
    (void)state;
    backends(1);
    const char *models[] = {"a", "b"};
    for (int i = 0; i < 10; i++)
        enter(asker(i, 5, 0, SECOND), models[i % 2]);
    int served = -1, swaps_n = 0, done_n = 0;
    const char *there = NULL;
    int64_t since_ms = now_ms;
    while (now_ms < since_ms + 100 * SECOND) {
        served = served < 0 ? next() : serve(served, SECOND);
        if (served < 0) {
            assert_true(again_ms > now_ms); /* nobody of the resident model is there for now */
            now_ms = again_ms;
            continue;
        }
        const char *model = models[served % 2];
        swaps_n += there != NULL && model != there;
        there = model;
        done_n++;
        int spare = 10 + served % 2; /* who has gone comes again */
        while (askers[spare].ticket.lane)
            spare += 2;
        enter(asker(spare, 5, 0, SECOND), model);
    }
    assert_in_range(swaps_n, 5, 10);
    assert_in_range(done_n, 95, 101); /* and it was never idle */
}

/* Who waits for another backend is looked at again when this one may change models, though that other is expected later. */
static void test_it_is_looked_at_again_when_a_model_has_stayed_long_enough(void **state)
{
    (void)state;
    backends(2);
    enter(asker(0, 5, 0, SECOND), "a");
    askers[0].ways[1].run_ms = BALANCE_NO_WAY;
    enter(asker(1, 5, 0, 12 * SECOND), "b");
    askers[1].ways[0].run_ms = BALANCE_NO_WAY;
    assert_int_equal(next(), 0);
    assert_int_equal(next(), 1);
    leave(0);
    enter(asker(2, 5, 0, 12 * SECOND), "b");
    askers[2].ways[0].load_ms = SECOND;
    enter(asker(3, 5, 0, SECOND), "a");
    askers[3].ways[1].run_ms = BALANCE_NO_WAY;
    askers[3].ways[0].load_ms = SECOND;
    balance_set_backend(b, 0, 2, 1, 1);
    assert_int_equal(next(), 3);
    enter(asker(4, 5, 0, SECOND), "a");
    askers[4].ways[0].run_ms = 100 * SECOND;
    askers[4].ways[1].run_ms = 1;
    assert_int_equal(next(), -1);
    assert_int_equal(again_ms, now_ms + 10 * SECOND);
}

/* A load of 5 s: the model stays for three times that. */
static void test_a_model_that_takes_long_to_load_stays_longer(void **state)
{
    (void)state;
    backends(1);
    for (int i = 0; i < 30; i++) {
        enter(asker(i, 5, 0, SECOND), i == 1 ? "b" : "a");
        askers[i].ways[0].load_ms = 5 * SECOND;
    }
    int64_t since_ms = now_ms;
    for (int served = next(); served != 1; served = serve(served, SECOND))
        assert_true(now_ms < since_ms + 15 * SECOND);
    assert_int_equal(now_ms, since_ms + 15 * SECOND);
}

/* The other backend has the model, and is busy for ten seconds more: that is less than to take the model from those who wait for it here. */
static void test_a_backend_that_others_want_as_it_is_is_left_to_them(void **state)
{
    (void)state;
    backends(2);
    for (int i = 0; i < 2; i++) {
        enter(asker(i, 5, 0, 10 * SECOND), i ? "b" : "a");
        askers[i].ways[!i].run_ms = BALANCE_NO_WAY;
        assert_int_equal(next(), i);
    }
    leave(0);
    now_ms += 100 * SECOND; /* whoever has stayed long enough */
    enter(asker(2, 5, 0, 10 * SECOND), "b");
    enter(asker(3, 5, 0, 10 * SECOND), "a");
    for (int i = 2; i < 4; i++)
        for (int k = 0; k < 2; k++)
            askers[i].ways[k].load_ms = 20 * SECOND;
    askers[1].ticket.ends_ms = now_ms + 10 * SECOND;
    assert_int_equal(next(), 3);
    assert_int_equal(askers[3].ticket.backend, 0);
    assert_int_equal(next(), -1);
    assert_int_equal(serve(1, 10 * SECOND), 2);
    assert_int_equal(askers[2].ticket.backend, 1);
}

/* Others wait for the model that is there, but may not have it there. */
static void test_a_model_nobody_may_have_there_keeps_nobody_off(void **state)
{
    (void)state;
    backends(2);
    for (int i = 0; i < 3; i++) {
        enter(asker(i, 5, 0, SECOND), i == 2 ? "b" : "a");
        askers[i].ways[1].run_ms = BALANCE_NO_WAY;
    }
    assert_int_equal(next(), 0);
    askers[1].ways[0].run_ms = BALANCE_NO_WAY;
    assert_int_equal(serve(0, SECOND), 2);
}

static void test_a_model_that_was_unloaded_keeps_nobody_off(void **state)
{
    (void)state;
    backends(1);
    enter(asker(0, 5, 0, SECOND), "a");
    assert_int_equal(next(), 0);
    enter(asker(1, 5, 0, SECOND), "b");
    enter(asker(2, 5, 0, SECOND), "a");
    now_ms += SECOND;
    balance_set_loaded(b, 0, NULL, 0, now_ms);
    assert_int_equal(serve(0, 0), 1);
}

/* Of each of two models the first sixteen are looked at: what is done for a slot is bounded. */
static void test_so_many_are_looked_at(void **state)
{
    (void)state;
    backends(2);
    for (int i = 0; i < 40; i++) {
        enter(asker(i, 5, 0, SECOND), i % 2 ? "a" : "b");
        if (i < 34)
            askers[i].ways[1].run_ms = BALANCE_NO_WAY;
    }
    assert_int_equal(next(), 0);
    assert_int_equal(next(), -1);
    assert_int_equal(again_ms, 0); /* no time will change that */
    assert_int_equal(serve(0, SECOND), 2);
    assert_int_equal(serve(2, SECOND), 4);
    assert_int_equal(next(), 34);
}

static void test_a_model_nobody_waits_for_keeps_nobody_off(void **state)
{
    (void)state;
    backends(1);
    enter(asker(0, 5, 0, SECOND), "a");
    assert_int_equal(next(), 0);
    enter(asker(1, 5, 0, SECOND), "b");
    assert_int_equal(serve(0, SECOND), 1);
}

/* 40 wait for a model whose only backend is busy. */
static void test_a_line_hides_no_other(void **state)
{
    (void)state;
    backends(2);
    for (int i = 0; i < 41; i++) {
        enter(asker(i, 9, 0, SECOND), "a");
        askers[i].ways[1].run_ms = BALANCE_NO_WAY;
    }
    enter(asker(41, 0, 0, SECOND), "b");
    assert_int_equal(next(), 0);
    assert_int_equal(next(), 41);
    assert_int_equal(askers[41].ticket.backend, 1);
}

static void test_a_closed_one_gets_nothing(void **state)
{
    (void)state;
    backends(1);
    balance_set_backend(b, 0, 1, 1, 0);
    enter(asker(0, 5, 0, SECOND), "m");
    assert_int_equal(next(), -1);
    assert_int_equal(again_ms, 0);
    assert_int_equal(balance_wait_ms(b, &askers[0].ticket, now_ms), 0);
    balance_set_backend(b, 0, 1, 1, 1);
    assert_int_equal(next(), 0);
}

static void test_fewer_slots_than_are_taken(void **state)
{
    (void)state;
    balance_set_backend(b, 0, 3, 1, 1);
    for (int i = 0; i < 4; i++)
        enter(asker(i, 5, 0, (i + 1) * SECOND), "m");
    for (int i = 0; i < 3; i++)
        assert_int_equal(next(), i);
    balance_set_backend(b, 0, 1, 1, 1);
    assert_int_equal(balance_wait_ms(b, &askers[3].ticket, now_ms), 3 * SECOND);
    assert_int_equal(serve(0, SECOND), -1);
    assert_int_equal(serve(1, SECOND), -1);
    assert_int_equal(serve(2, SECOND), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_fastest_free_one_is_taken), TEST(test_a_load_counts_where_the_model_is_not_loaded),
        TEST(test_a_slot_is_expected_to_be_free_when_its_load_and_answer_have_ended), TEST(test_another_one_in_its_place_has_nothing_loaded),
        TEST(test_what_was_given_counts_as_loaded_until_it_is_told_anew), TEST(test_who_is_fast_is_waited_for),
        TEST(test_who_is_fast_is_not_waited_for_for_ever), TEST(test_behind_many_the_slow_one_is_taken), TEST(test_equals_take_turns),
        TEST(test_who_is_nearly_as_good_is_an_equal), TEST(test_of_equals_the_heavier_one_has_more), TEST(test_two_models_do_not_thrash_one_backend),
        TEST(test_it_is_looked_at_again_when_a_model_has_stayed_long_enough),
        TEST(test_a_model_that_takes_long_to_load_stays_longer), TEST(test_a_backend_that_others_want_as_it_is_is_left_to_them),
        TEST(test_a_model_nobody_waits_for_keeps_nobody_off), TEST(test_a_model_nobody_may_have_there_keeps_nobody_off), TEST(test_a_model_that_was_unloaded_keeps_nobody_off),
        TEST(test_so_many_are_looked_at), TEST(test_a_line_hides_no_other), TEST(test_a_closed_one_gets_nothing),
        TEST(test_fewer_slots_than_are_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
