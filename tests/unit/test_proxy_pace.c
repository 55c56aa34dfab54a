/* proxy/pace: who is too slow, and who is only slow. */
#include "proxy/pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { RATE = 1024, GRACE_MS = 30000 };

/* Feeds `bytes` every `every_ms`, as somebody who is waited for; when it is too slow, or -1 after an hour. */
static int64_t slow_at_ms(int64_t rate, uint64_t bytes, int64_t every_ms)
{
    struct pace_in p;
    pace_in_begin(&p, rate, GRACE_MS, 0);
    pace_in_wait(&p, rate, 1, 0);
    for (int64_t at_ms = 0; at_ms < 3600 * 1000;) {
        int64_t left_ms = pace_in_left_ms(&p, rate);
        if (left_ms >= 0 && left_ms <= every_ms)
            return at_ms + left_ms;
        at_ms += every_ms;
        pace_in_wait(&p, rate, 1, at_ms);
        pace_in_came(&p, rate, GRACE_MS, bytes);
    }
    return -1;
}

static void test_one_byte_in_ten_seconds_ends_with_the_grace(void **state)
{
    (void)state;
    assert_in_range(slow_at_ms(RATE, 1, 10000), GRACE_MS, GRACE_MS + 10);
    assert_in_range(slow_at_ms(RATE, 0, 1000), GRACE_MS, GRACE_MS);
}

static void test_just_below_the_rate_ends_late_and_just_above_never(void **state)
{
    (void)state;
    assert_int_equal(slow_at_ms(RATE, 1025, 1000), -1);
    assert_int_equal(slow_at_ms(RATE, 2, 1), -1);              /* small pieces are not rounded away */
    assert_int_equal(slow_at_ms(RATE, 20 * 1024, 20000), -1);  /* nor do pauses within the grace matter */
    assert_in_range(slow_at_ms(RATE, 512, 1000), 2 * GRACE_MS - 2000, 2 * GRACE_MS + 2000);
    assert_in_range(slow_at_ms(RATE, 1, 1), 1000000, 3600000);
}

static void test_what_was_sent_faster_buys_no_more_than_the_grace(void **state)
{
    (void)state;
    struct pace_in p;
    pace_in_begin(&p, RATE, GRACE_MS, 0);
    pace_in_wait(&p, RATE, 1, 0);
    pace_in_came(&p, RATE, GRACE_MS, 1 << 30);
    pace_in_came(&p, RATE, GRACE_MS, UINT64_MAX);
    assert_int_equal(pace_in_left_ms(&p, RATE), GRACE_MS);
    pace_in_wait(&p, RATE, 1, GRACE_MS);
    assert_int_equal(pace_in_left_ms(&p, RATE), 0);
}

static void test_the_time_in_which_we_do_not_read_is_ours(void **state)
{
    (void)state;
    struct pace_in p;
    pace_in_begin(&p, RATE, GRACE_MS, 0);
    pace_in_wait(&p, RATE, 1, 0);
    pace_in_wait(&p, RATE, 0, 1000);
    pace_in_wait(&p, RATE, 0, 500000);
    pace_in_wait(&p, RATE, 1, 1000000);
    assert_int_equal(pace_in_left_ms(&p, RATE), GRACE_MS - 1000);
    pace_in_wait(&p, RATE, 1, INT64_MAX / 2); /* longer than can be reckoned */
    assert_int_equal(pace_in_left_ms(&p, RATE), 0);
}

static void test_without_a_rate_nobody_is_too_slow(void **state)
{
    (void)state;
    assert_int_equal(slow_at_ms(0, 0, 1000), -1);
    struct pace_in p; /* and the largest of all overflow nothing */
    int64_t most = INT64_C(1) << 40;
    pace_in_begin(&p, most, PACE_GRACE_MAX_MS, 0);
    pace_in_wait(&p, most, 1, 0);
    pace_in_came(&p, most, PACE_GRACE_MAX_MS, 65536);
    pace_in_wait(&p, most, 1, PACE_GRACE_MAX_MS - 1);
    assert_int_equal(pace_in_left_ms(&p, most), 1);
}

static void test_who_takes_nothing_is_stalled(void **state)
{
    (void)state;
    struct pace_out p;
    pace_out_begin(&p, 0);
    assert_false(pace_out_is_stalled(&p, 5000, 120, 30));
    assert_false(pace_out_is_stalled(&p, 5000, 120, 60));
    assert_false(pace_out_is_stalled(&p, 5000, 120, 119));
    assert_true(pace_out_is_stalled(&p, 5000, 120, 120));
    pace_out_begin(&p, 0);
    assert_false(pace_out_is_stalled(&p, -1, 120, 60)); /* where the kernel does not tell */
    assert_true(pace_out_is_stalled(&p, -1, 120, 120));
}

static void test_who_takes_a_byte_now_and_then_is_not(void **state)
{
    (void)state;
    struct pace_out p;
    pace_out_begin(&p, 0);
    for (int64_t at_ms = 30, left = 5000; at_ms < 3000; at_ms += 30)
        assert_false(pace_out_is_stalled(&p, at_ms % 90 == 0 ? --left : left, 120, at_ms));
    assert_false(pace_out_is_stalled(&p, 9000, 120, 3050)); /* more was queued: that says nothing */
    assert_true(pace_out_is_stalled(&p, 9000, 120, 3110));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_byte_in_ten_seconds_ends_with_the_grace),
        cmocka_unit_test(test_just_below_the_rate_ends_late_and_just_above_never),
        cmocka_unit_test(test_what_was_sent_faster_buys_no_more_than_the_grace),
        cmocka_unit_test(test_the_time_in_which_we_do_not_read_is_ours),
        cmocka_unit_test(test_without_a_rate_nobody_is_too_slow),
        cmocka_unit_test(test_who_takes_nothing_is_stalled),
        cmocka_unit_test(test_who_takes_a_byte_now_and_then_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
