/* supervisor/live: misses, progress, watchdog. The probe's own ways are tested beside it; here nobody listens. */
#include "supervisor/live.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct world {
    struct loop loop;
    struct probe probe;
    struct probe_room probe_room;
    struct live live;
    struct conf_program conf;
    uint64_t progress;
    int is_working; /* each look finds more of it */
    unsigned hung_n;
    char why[256];
} w;

static char word_none[] = "none", refused_url[] = "http://127.0.0.1:1/api/tags"; /* nobody has port 1 */

static uint64_t progress(void *context)
{
    assert_ptr_equal(context, &w);
    w.progress += w.is_working ? 10 : 0;
    return w.progress;
}

static void hung(void *context, const char *why)
{
    assert_ptr_equal(context, &w);
    w.hung_n++;
    snprintf(w.why, sizeof w.why, "%s", why);
}

static void told(void *context, int is_good)
{
    assert_ptr_equal(context, &w);
    live_told(&w.live, is_good);
}

static const struct live_ops ops = {progress, hung};

static int setup(void **state)
{
    (void)state;
    memset(&w, 0, sizeof w);
    w.conf = (struct conf_program){.live = word_none, .live_interval_ms = 5, .live_misses = 3};
    if (loop_init(&w.loop) < 0)
        return -1;
    probe_init(&w.probe, &w.loop, &w.probe_room, told, &w);
    live_init(&w.live, &w.loop, &w.probe, &ops, &w);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    live_end(&w.live);
    assert_int_equal(timerq_next_ms(&w.loop.timers), -1); /* nothing goes on */
    loop_fini(&w.loop);
    return 0;
}

static void turns_until(int64_t misses_n)
{
    for (int i = 0; i < 1000 && !w.hung_n && w.live.misses_n < misses_n; i++)
        assert_int_equal(loop_turn(&w.loop, 100), 0);
}

/* scenario 42 */
static void test_it_hangs_after_so_many_misses_and_not_before(void **state)
{
    (void)state;
    w.conf.live = refused_url;
    live_begin(&w.live, &w.conf);
    turns_until(2);
    assert_int_equal(w.live.misses_n, 2);
    assert_int_equal(w.hung_n, 0);
    turns_until(3);
    assert_int_equal(w.hung_n, 1);
    assert_string_equal(w.why, "hung: 3 probes of its live URL failed in a row, the last: Connection refused");
    assert_null(w.live.conf); /* it has ended */
    live_begin(&w.live, &w.conf);
    assert_int_equal(w.live.misses_n, 0);
}

static void test_no_miss_counts_while_work_gets_on(void **state)
{
    (void)state;
    w.conf.live = refused_url;
    w.conf.live_misses = 1;
    w.is_working = 1;
    live_begin(&w.live, &w.conf);
    uint64_t before = w.progress;
    for (int i = 0; i < 1000 && w.progress < before + 50; i++)
        assert_int_equal(loop_turn(&w.loop, 100), 0);
    assert_int_equal(w.hung_n, 0);
    assert_int_equal(w.live.misses_n, 0);
    w.is_working = 0;
    turns_until(1);
    assert_int_equal(w.hung_n, 1);
}

static void test_a_watchdog_that_is_fed_is_quiet(void **state)
{
    (void)state;
    w.conf.watchdog_ms = 400; /* so that a busy machine does not pass it in the turns below */
    live_begin(&w.live, &w.conf);
    int64_t first_ms = timerq_next_ms(&w.loop.timers);
    assert_int_equal(first_ms, loop_now_ms(&w.loop) + 400);
    while (loop_now_ms(&w.loop) < first_ms - 380)
        assert_int_equal(loop_turn(&w.loop, 5), 0);
    live_ping(&w.live);
    assert_int_equal(timerq_next_ms(&w.loop.timers), loop_now_ms(&w.loop) + 400);
    assert_int_equal(w.hung_n, 0);
    for (int i = 0; i < 1000 && !w.hung_n; i++)
        assert_int_equal(loop_turn(&w.loop, 100), 0);
    assert_string_equal(w.why, "hung: no WATCHDOG=1 within 400 ms");
}

static void test_without_either_nothing_is_ever_due(void **state)
{
    (void)state;
    live_begin(&w.live, &w.conf);
    live_ping(&w.live);
    live_resumed(&w.live);
    assert_int_equal(timerq_next_ms(&w.loop.timers), -1);
}

/* scenario 52 */
static void test_what_was_missed_before_a_gap_does_not_count(void **state)
{
    (void)state;
    w.conf.live = refused_url;
    w.conf.watchdog_ms = 100000;
    live_begin(&w.live, &w.conf);
    turns_until(2);
    assert_int_equal(w.live.misses_n, 2);
    live_resumed(&w.live);
    assert_int_equal(w.live.misses_n, 0);
    assert_int_equal(w.live.watchdog.at_ms, loop_now_ms(&w.loop) + 100000);
}

static void test_a_ping_before_and_after_is_nobodys(void **state)
{
    (void)state;
    w.conf.watchdog_ms = 10;
    live_ping(&w.live);
    live_begin(&w.live, &w.conf);
    live_end(&w.live);
    live_ping(&w.live);
    assert_int_equal(timerq_next_ms(&w.loop.timers), -1);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_it_hangs_after_so_many_misses_and_not_before),
        CASE(test_no_miss_counts_while_work_gets_on),
        CASE(test_a_watchdog_that_is_fed_is_quiet),
        CASE(test_without_either_nothing_is_ever_due),
        CASE(test_what_was_missed_before_a_gap_does_not_count),
        CASE(test_a_ping_before_and_after_is_nobodys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
