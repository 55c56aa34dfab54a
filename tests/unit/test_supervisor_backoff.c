/* supervisor/backoff: how long to wait before the next start, and when to give up. */
#include "supervisor/backoff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct backoff_rule rule = {.min_ms = 500, .max_ms = 30000, .window_ms = 300000, .max_restarts = 10};

/* scenario 32 */
static void test_the_first_at_once_then_doubling_up_to_the_cap(void **state)
{
    (void)state;
    static const int64_t waits[] = {0, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000, -1, -1};
    struct backoff b;
    assert_int_equal(backoff_init(&b, &rule), 0);
    for (size_t i = 0; i < sizeof waits / sizeof *waits; i++)
        assert_int_equal(backoff_exit(&b, &rule, 1000 + (int64_t)i, 0), waits[i]);
    backoff_fini(&b);
}

/* scenario 32 */
static void test_jitter_adds_less_than_a_tenth_and_never_takes_away(void **state)
{
    (void)state;
    static const uint32_t dice[] = {0, 1, 999, 1000, 12345, UINT32_MAX};
    int has_varied = 0;
    for (size_t i = 0; i < sizeof dice / sizeof *dice; i++) {
        struct backoff b;
        assert_int_equal(backoff_init(&b, &rule), 0);
        assert_int_equal(backoff_exit(&b, &rule, 0, dice[i]), 0); /* at once means at once */
        for (int64_t base = 500; base <= 16000; base *= 2) {
            int64_t wait = backoff_exit(&b, &rule, 0, dice[i]);
            assert_true(wait >= base && wait < base + base / 10);
            has_varied |= wait > base;
        }
        backoff_fini(&b);
    }
    assert_true(has_varied);
}

/* scenario 34 */
static void test_exits_older_than_the_window_are_forgotten(void **state)
{
    (void)state;
    struct backoff b;
    assert_int_equal(backoff_init(&b, &rule), 0);
    assert_int_equal(backoff_exit(&b, &rule, 0, 0), 0);
    assert_int_equal(backoff_exit(&b, &rule, 1000, 0), 500);
    assert_int_equal(backoff_exit(&b, &rule, 299999, 0), 1000);
    assert_int_equal(backoff_exit(&b, &rule, 300500, 0), 1000); /* the first one is gone */
    assert_int_equal(backoff_exit(&b, &rule, 900000, 0), 0);    /* all are */
    backoff_fini(&b);
}

/* scenario 34 */
static void test_a_program_that_dies_now_and_then_is_never_given_up(void **state)
{
    (void)state;
    struct backoff b;
    assert_int_equal(backoff_init(&b, &rule), 0);
    for (int64_t i = 0; i < 1000; i++)
        assert_true(backoff_exit(&b, &rule, i * 31000, 7) >= 0);
    backoff_fini(&b);
}

static void test_no_restarts_at_all(void **state)
{
    (void)state;
    struct backoff_rule none = rule;
    struct backoff b;
    none.max_restarts = 0;
    assert_int_equal(backoff_init(&b, &none), 0);
    assert_int_equal(backoff_exit(&b, &none, 5, 0), -1);
    backoff_reset(&b);
    assert_int_equal(backoff_exit(&b, &none, 5000000, 0), -1);
    backoff_fini(&b);
}

static void test_one_restart(void **state)
{
    (void)state;
    struct backoff_rule one = rule;
    struct backoff b;
    one.max_restarts = 1;
    assert_int_equal(backoff_init(&b, &one), 0);
    assert_int_equal(backoff_exit(&b, &one, 0, 0), 0);
    assert_int_equal(backoff_exit(&b, &one, 1, 0), -1);
    assert_int_equal(backoff_exit(&b, &one, 300000, 0), 0);
    backoff_fini(&b);
}

static void test_a_reset_starts_afresh(void **state)
{
    (void)state;
    struct backoff b;
    assert_int_equal(backoff_init(&b, &rule), 0);
    for (int i = 0; i < 11; i++)
        (void)!backoff_exit(&b, &rule, i, 0);
    assert_int_equal(backoff_exit(&b, &rule, 11, 0), -1);
    backoff_reset(&b);
    assert_int_equal(backoff_exit(&b, &rule, 12, 0), 0);
    backoff_fini(&b);
    backoff_fini(&b);
}

static void test_the_largest_rule_does_not_overflow(void **state)
{
    (void)state;
    struct backoff_rule large = {86400000, 86400000, 86400000, 1000};
    struct backoff b;
    assert_int_equal(backoff_init(&b, &large), 0);
    for (int i = 0; i < 1000; i++) {
        int64_t wait = backoff_exit(&b, &large, 1, UINT32_MAX);
        assert_true(wait >= 0 && wait < 86400000 / 10 * 11);
    }
    assert_int_equal(backoff_exit(&b, &large, 1, 0), -1);
    backoff_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_first_at_once_then_doubling_up_to_the_cap),
        cmocka_unit_test(test_jitter_adds_less_than_a_tenth_and_never_takes_away),
        cmocka_unit_test(test_exits_older_than_the_window_are_forgotten),
        cmocka_unit_test(test_a_program_that_dies_now_and_then_is_never_given_up),
        cmocka_unit_test(test_no_restarts_at_all),
        cmocka_unit_test(test_one_restart),
        cmocka_unit_test(test_a_reset_starts_afresh),
        cmocka_unit_test(test_the_largest_rule_does_not_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
