/* supervisor/falling: the steps in which everything falls asleep, and what keeps it awake. */
#include "supervisor/falling.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { T = 1000000 };

static struct falling f;

/* Awake, with or without doors. */
static void begin(int has_doors)
{
    falling_init(&f, T);
    f.has_doors = has_doors;
}

static void step(enum falling_event event, int64_t after_ms, enum falling_order order, enum falling_state state)
{
    assert_int_equal(falling_event(&f, event, T + after_ms), order);
    assert_int_equal(f.state, state);
}

static void test_no_cell_is_empty(void **state)
{
    (void)state;
    for (int s = 0; s < FALLING_STATE_COUNT; s++) {
        for (int e = 0; e < FALLING_EVENT_COUNT; e++) {
            enum falling_state next;
            enum falling_order order;
            assert_true(falling_cell((enum falling_state)s, (enum falling_event)e, &next, &order));
            /* what was shut is opened, and only that, whenever it wakes */
            int was_shut = s == FALLING_CLOSING || s == FALLING_CONFIRMING;
            if (next == FALLING_AWAKE)
                assert_int_equal(order == FALLING_OPEN, was_shut);
            /* nothing but a yes to the last question ends everything */
            assert_int_equal(order == FALLING_ACT, s == FALLING_CONFIRMING && e == FALLING_YES);
        }
    }
}

static void test_the_whole_way(void **state)
{
    (void)state;
    begin(1);
    assert_int_equal(falling_limit_ms(&f), -1);
    step(FALLING_IDLE, 0, FALLING_ASK, FALLING_ASKING);
    assert_int_equal(falling_limit_ms(&f), T + FALLING_ANSWER_MS);
    assert_false(falling_is_shut(&f));
    step(FALLING_YES, 10, FALLING_SHUT, FALLING_CLOSING);
    assert_true(falling_is_shut(&f));
    assert_int_equal(falling_limit_ms(&f), T + 10 + FALLING_SHUT_MS);
    step(FALLING_UNCLEAR, 20, FALLING_NOTHING, FALLING_CLOSING);
    step(FALLING_CLEAR, 30, FALLING_CONFIRM, FALLING_CONFIRMING);
    assert_int_equal(falling_limit_ms(&f), T + 30 + FALLING_ANSWER_MS);
    step(FALLING_YES, 40, FALLING_ACT, FALLING_ASLEEP);
    assert_int_equal(falling_limit_ms(&f), -1);
    step(FALLING_BUSY, 50, FALLING_NOTHING, FALLING_ASLEEP);
}

static void test_ollama_alone_needs_no_doors(void **state)
{
    (void)state;
    begin(0);
    step(FALLING_IDLE, 0, FALLING_ASK, FALLING_ASKING);
    step(FALLING_YES, 1, FALLING_ACT, FALLING_ASLEEP);
}

static void test_any_work_or_doubt_keeps_it_awake(void **state)
{
    (void)state;
    static const enum falling_event doubts[] = {FALLING_BUSY, FALLING_NO, FALLING_LATE};
    for (size_t i = 0; i < sizeof doubts / sizeof *doubts; i++) {
        begin(1);
        step(FALLING_IDLE, 0, FALLING_ASK, FALLING_ASKING);
        step(doubts[i], 1, FALLING_NOTHING, FALLING_AWAKE);
        step(FALLING_YES, 2, FALLING_NOTHING, FALLING_AWAKE); /* too late */
        step(FALLING_IDLE, 3, FALLING_ASK, FALLING_ASKING);
        step(FALLING_YES, 4, FALLING_SHUT, FALLING_CLOSING);
        step(FALLING_CLEAR, 5, FALLING_CONFIRM, FALLING_CONFIRMING);
        step(doubts[i], 6, FALLING_OPEN, FALLING_AWAKE);
    }
    begin(1);
    step(FALLING_IDLE, 0, FALLING_ASK, FALLING_ASKING);
    step(FALLING_UNCLEAR, 1, FALLING_NOTHING, FALLING_AWAKE); /* somebody is at the door */
}

static void test_who_comes_in_last_has_the_time_that_is_left(void **state)
{
    (void)state;
    begin(1);
    step(FALLING_IDLE, 0, FALLING_ASK, FALLING_ASKING);
    step(FALLING_YES, 0, FALLING_SHUT, FALLING_CLOSING);
    step(FALLING_CLEAR, 3000, FALLING_CONFIRM, FALLING_CONFIRMING);
    step(FALLING_UNCLEAR, 3001, FALLING_NOTHING, FALLING_CLOSING);
    assert_int_equal(falling_limit_ms(&f), T + FALLING_SHUT_MS); /* not anew */
    step(FALLING_LATE, FALLING_SHUT_MS, FALLING_OPEN, FALLING_AWAKE);
}

static void test_it_looks_soon_and_then_less_often_and_never_beyond_the_limit(void **state)
{
    (void)state;
    begin(1);
    step(FALLING_IDLE, 0, FALLING_ASK, FALLING_ASKING);
    step(FALLING_YES, 0, FALLING_SHUT, FALLING_CLOSING);
    assert_int_equal(falling_look_ms(&f, T), T + FALLING_SETTLE_MS);
    assert_int_equal(falling_look_ms(&f, T + 40), T + 60);
    assert_int_equal(falling_look_ms(&f, T + 4000), T + 4050);
    assert_int_equal(falling_look_ms(&f, T + FALLING_SHUT_MS - 1), T + FALLING_SHUT_MS);
    int looks_n = 0;
    for (int64_t now_ms = T; now_ms < falling_limit_ms(&f); now_ms = falling_look_ms(&f, now_ms))
        looks_n++;
    assert_in_range(looks_n, 50, 120);
}

static void test_what_is_clear(void **state)
{
    (void)state;
    static const struct {
        struct falling_view view;
        int64_t after_ms;
        int is_clear;
    } cases[] = {
        {{.half_open = 0, .blind_ms = 3000}, FALLING_SETTLE_MS, 1},
        {{.half_open = 0, .blind_ms = 3000}, FALLING_SETTLE_MS - 1, 0},
        {{.half_open = 1, .blind_ms = 3000}, 4000, 0},
        {{.half_open = -5, .blind_ms = 3000}, 2999, 0}, /* can't be told */
        {{.half_open = -5, .blind_ms = 3000}, 3000, 1},
        {{.half_open = -5, .blind_ms = 3000, .is_waited = 1}, 4000, 0},
        {{.half_open = 0, .blind_ms = 3000, .is_waited = 1}, 4000, 0},
    };
    begin(1);
    step(FALLING_IDLE, 0, FALLING_ASK, FALLING_ASKING);
    step(FALLING_YES, 0, FALLING_SHUT, FALLING_CLOSING);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(falling_is_clear(&f, &cases[i].view, T + cases[i].after_ms), cases[i].is_clear);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_cell_is_empty),
        cmocka_unit_test(test_the_whole_way),
        cmocka_unit_test(test_ollama_alone_needs_no_doors),
        cmocka_unit_test(test_any_work_or_doubt_keeps_it_awake),
        cmocka_unit_test(test_who_comes_in_last_has_the_time_that_is_left),
        cmocka_unit_test(test_it_looks_soon_and_then_less_often_and_never_beyond_the_limit),
        cmocka_unit_test(test_what_is_clear),
    };
    return cmocka_run_group_tests_name("supervisor/falling", tests, NULL, NULL);
}
