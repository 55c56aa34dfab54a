/* common/clocks: what three clocks say together. */
#include "common/clocks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

enum { HOUR_MS = 3600000 };

struct look {
    struct clocks passed; /* since the look before */
    enum clocks_event event;
    int64_t by_ms;
};

static void check(const struct look *looks, size_t looks_n)
{
    struct clocks now = {1000, 5000, 9000, 1700000000000}, last = now;
    for (size_t i = 0; i < looks_n; i++) {
        int64_t by_ms = -1;
        now.awake_ms += looks[i].passed.awake_ms;
        now.monotonic_ms += looks[i].passed.monotonic_ms;
        now.boottime_ms += looks[i].passed.boottime_ms;
        now.realtime_ms += looks[i].passed.realtime_ms;
        assert_int_equal(clocks_look(&last, &now, &by_ms), looks[i].event);
        assert_int_equal(by_ms, looks[i].by_ms);
        assert_int_equal(clocks_look(&last, &now, &by_ms), CLOCKS_STEADY); /* each is told once */
    }
}

#define CHECK(...) check((const struct look[]){__VA_ARGS__}, sizeof((const struct look[]){__VA_ARGS__}) / sizeof(struct look))

static void test_time_that_passes_is_steady(void **state)
{
    (void)state;
    CHECK({{0, 0, 0, 0}, CLOCKS_STEADY, 0}, {{10, 10, 10, 10}, CLOCKS_STEADY, 0},
          {{HOUR_MS, HOUR_MS, HOUR_MS, HOUR_MS}, CLOCKS_STEADY, 0}, {{5, 900, 900, 900}, CLOCKS_STEADY, 0});
}

/* scenario 52: SIGSTOP or a frozen cgroup, MONOTONIC goes on */
static void test_a_freeze(void **state)
{
    (void)state;
    CHECK({{2000, HOUR_MS, HOUR_MS, HOUR_MS}, CLOCKS_RESUMED, HOUR_MS - 2000});
}

/* scenario 52: MONOTONIC stands still */
static void test_a_suspend(void **state)
{
    (void)state;
    CHECK({{2000, 2000, HOUR_MS, HOUR_MS}, CLOCKS_RESUMED, HOUR_MS - 2000},
          {{2000, 2000, HOUR_MS, 0}, CLOCKS_RESUMED, HOUR_MS - 2000}); /* and the calendar was not set yet */
}

/* scenarios 51, 52: somebody set the clock, or a snapshot was restored and only the calendar shows it */
static void test_a_step_of_the_calendar(void **state)
{
    (void)state;
    CHECK({{100, 100, 100, HOUR_MS + 100}, CLOCKS_STEPPED, HOUR_MS},
          {{100, 100, 100, -HOUR_MS + 100}, CLOCKS_STEPPED, -HOUR_MS}, {{100, 100, 100, 900}, CLOCKS_STEADY, 0});
}

static void test_a_slewed_clock_is_steady(void **state)
{
    (void)state;
    int64_t day_ms = 24LL * HOUR_MS;
    CHECK({{day_ms, day_ms, day_ms, day_ms + day_ms / 2000}, CLOCKS_STEADY, 0},
          {{day_ms, day_ms, day_ms, day_ms - day_ms / 2000}, CLOCKS_STEADY, 0});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_time_that_passes_is_steady),
        cmocka_unit_test(test_a_freeze),
        cmocka_unit_test(test_a_suspend),
        cmocka_unit_test(test_a_step_of_the_calendar),
        cmocka_unit_test(test_a_slewed_clock_is_steady),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
