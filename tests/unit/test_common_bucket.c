/* common/bucket: bursts, rates and odd clocks. */
#include "common/bucket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static unsigned taken(struct bucket *b, unsigned tries_n, int64_t now_ms)
{
    unsigned n = 0;
    for (unsigned i = 0; i < tries_n; i++)
        n += (unsigned)bucket_take(b, now_ms);
    return n;
}

static void test_a_burst_passes_and_then_the_rate(void **state)
{
    (void)state;
    struct bucket b;
    bucket_init(&b, 200, 1000, 5000);
    assert_int_equal(taken(&b, 3000, 5000), 1000);
    assert_int_equal(taken(&b, 3000, 6000), 200);
    assert_int_equal(taken(&b, 10, 6004), 0);
    assert_int_equal(taken(&b, 10, 6005), 1); /* 200 a second: one in 5 ms */
    assert_int_equal(taken(&b, 10, 6009), 0); /* parts of one are kept */
    assert_int_equal(taken(&b, 10, 6010), 1);
}

static void test_a_pause_fills_it_no_higher_than_the_burst(void **state)
{
    (void)state;
    struct bucket b;
    bucket_init(&b, 3, 7, 0);
    assert_int_equal(taken(&b, 100, 0), 7);
    assert_int_equal(taken(&b, 100, INT64_MAX / 2), 7);
    assert_int_equal(taken(&b, 100, INT64_MAX / 2 + 1000), 3);
}

static void test_no_rate_is_no_limit(void **state)
{
    (void)state;
    struct bucket b;
    bucket_init(&b, 0, 0, 0);
    assert_int_equal(taken(&b, 100000, 0), 100000);
}

static void test_a_clock_that_goes_back_takes_nothing_away(void **state)
{
    (void)state;
    struct bucket b;
    bucket_init(&b, 10, 10, 100000);
    assert_int_equal(taken(&b, 100, 100000), 10);
    assert_int_equal(taken(&b, 100, 0), 0);
    assert_int_equal(taken(&b, 100, 1000), 10);
}

static void test_a_change_keeps_what_still_fits(void **state)
{
    (void)state;
    struct bucket b;
    bucket_init(&b, 100, 500, 0);
    bucket_change(&b, 2, 10, 0);
    assert_int_equal(taken(&b, 100, 0), 10);
    bucket_change(&b, 1000, 5000, 0);
    assert_int_equal(taken(&b, 100, 0), 0);
    assert_int_equal(taken(&b, 100, 10), 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_burst_passes_and_then_the_rate),
        cmocka_unit_test(test_a_pause_fills_it_no_higher_than_the_burst),
        cmocka_unit_test(test_no_rate_is_no_limit),
        cmocka_unit_test(test_a_clock_that_goes_back_takes_nothing_away),
        cmocka_unit_test(test_a_change_keeps_what_still_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
