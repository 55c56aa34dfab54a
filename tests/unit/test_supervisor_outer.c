/* supervisor/outer: what is said, in which order, and what becomes of it where nobody takes it. */
#include "supervisor/outer.h"

#include "tests/unit/notify_reader.h"

#include <stdlib.h>

static struct loop loop;
static struct outer outer;
static struct notify_reader manager;

static int setup(void **state)
{
    (void)state;
    notify_reader_init(&manager);
    setenv("NOTIFY_SOCKET", manager.path, 1);
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    if (loop_init(&loop) < 0)
        return -1;
    outer_init(&outer, &loop);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    outer_fini(&outer);
    outer_fini(&outer);
    loop_fini(&loop);
    notify_reader_fini(&manager);
    return 0;
}

#define NEXT(text) assert_string_equal(notify_reader_next(&manager), text)

static void test_what_is_said(void **state)
{
    (void)state;
    assert_true(outer_is_there(&outer));
    outer_status(&outer, "starting");
    NEXT("STATUS=starting\n");
    outer_status(&outer, "starting");
    NEXT("");
    outer_extend(&outer, 1500);
    NEXT("EXTEND_TIMEOUT_USEC=1500000\n");
    outer_ready(&outer);
    NEXT("READY=1\n");
    outer_stopping(&outer, 8000);
    NEXT("STOPPING=1\nEXTEND_TIMEOUT_USEC=8000000\n");
    outer_end(&outer, 111, -EADDRINUSE);
    NEXT("ERRNO=98\nEXIT_STATUS=111\n");
    outer_end(&outer, 0, 0);
    NEXT("EXIT_STATUS=0\n");
    NEXT("");
    outer_refuse("no \x1b[1mway", 100);
    NEXT("STATUS=no ?[1mway\nEXIT_STATUS=100\n");
}

static void test_reload_has_the_time(void **state)
{
    (void)state;
    long long at_us = 0;
    int64_t before_us = sys_monotonic_us();
    outer_reloading(&outer);
    assert_int_equal(sscanf(notify_reader_next(&manager), "RELOADING=1\nMONOTONIC_USEC=%lld\n", &at_us), 1);
    assert_true(before_us <= at_us && at_us <= sys_monotonic_us());
    outer_ready(&outer);
    NEXT("READY=1\n");
}

static void test_a_status_is_one_clean_line(void **state)
{
    (void)state;
    char endless[3000];
    outer_status(&outer, "a\nREADY=1\tb\xff\xc3\xa9");
    NEXT("STATUS=a?READY=1?b?\xc3\xa9\n");
    memset(endless, 'x', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    memcpy(endless + OUTER_STATUS_BYTES - 2, "\xc3\xa9", 2); /* it would not be whole */
    outer_status(&outer, endless);
    assert_int_equal(strlen(notify_reader_next(&manager)), strlen("STATUS=\n") + OUTER_STATUS_BYTES - 2);
    outer_status(&outer, "");
    NEXT("STATUS=\n");
}

/* What was kept gets out in one message, the newest of each kind, when there is room again. */
static void test_a_full_queue_keeps_what_matters(void **state)
{
    (void)state;
    unsigned n = notify_reader_fill(&manager);
    outer_status(&outer, "starting");
    outer_status(&outer, "running");
    outer_extend(&outer, 1000);
    outer_ready(&outer);
    while (n-- > 0)
        NEXT("X=1");
    NEXT("");
    for (int i = 0; i < 100 && outer.unsaid; i++)
        assert_int_equal(loop_turn(&loop, 1000), 0); /* its timer, at most half a second */
    NEXT("READY=1\nSTATUS=running\nEXTEND_TIMEOUT_USEC=1000000\n");
    NEXT("");
}

static void test_what_is_no_longer_true_is_not_kept(void **state)
{
    (void)state;
    unsigned n = notify_reader_fill(&manager);
    outer_ready(&outer);
    outer_reloading(&outer);
    assert_int_equal(outer.unsaid & 2, 0); /* an older READY=1 would end this reload */
    outer_ready(&outer);
    outer_stopping(&outer, 1000);
    while (n-- > 0)
        NEXT("X=1");
    outer_status(&outer, "stopping");
    NEXT("STOPPING=1\nSTATUS=stopping\nEXTEND_TIMEOUT_USEC=1000000\n");
}

static void test_tries_grow_apart(void **state)
{
    (void)state;
    int64_t before_ms = 0;
    (void)notify_reader_fill(&manager);
    for (int i = 0; i < 20; i++) {
        outer_ready(&outer);
        assert_true(outer.again_in_ms >= before_ms && outer.again_in_ms <= 30000);
        before_ms = outer.again_in_ms;
    }
    assert_int_equal(before_ms, 30000);
}

static void test_nobody_to_tell(void **state)
{
    (void)state;
    static const char *const none[] = {NULL, ""};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        outer_fini(&outer);
        if (none[i])
            setenv("NOTIFY_SOCKET", none[i], 1);
        else
            unsetenv("NOTIFY_SOCKET");
        setenv("WATCHDOG_USEC", "20000", 1);
        outer_init(&outer, &loop);
        assert_false(outer_is_there(&outer));
        outer_ready(&outer);
        outer_status(&outer, "running");
        outer_reloading(&outer);
        outer_stopping(&outer, 1);
        outer_end(&outer, 0, 0);
        outer_refuse("x", 1);
        assert_int_equal(timerq_next_ms(&loop.timers), -1); /* and nothing wakes us */
        NEXT("");
    }
}

static void test_half_of_the_watchdogs_interval(void **state)
{
    (void)state;
    static const struct {
        const char *usec, *pid;
        int64_t every_ms;
    } cases[] = {
        {"30000000", NULL, 15000}, {"1", NULL, 1},     {"3000", NULL, 1},      {"9223372036854775807", NULL, 2147483647},
        {"0", NULL, 0},            {"-5", NULL, 0},    {"5s", NULL, 0},        {"", NULL, 0},
        {"99999999999999999999", NULL, 0},             {"30000000", "1", 0},   {"30000000", "x", 0},
        {" 30000000", NULL, 0},    {NULL, NULL, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        outer_fini(&outer);
        unsetenv("WATCHDOG_USEC");
        unsetenv("WATCHDOG_PID");
        if (cases[i].usec)
            setenv("WATCHDOG_USEC", cases[i].usec, 1);
        if (cases[i].pid)
            setenv("WATCHDOG_PID", cases[i].pid, 1);
        outer_init(&outer, &loop);
        assert_int_equal(outer.watchdog_every_ms, cases[i].every_ms);
        assert_int_equal(timerq_next_ms(&loop.timers) >= 0, cases[i].every_ms > 0);
    }
}

static void test_a_freeze_is_followed_by_a_ping(void **state)
{
    (void)state;
    outer_resumed(&outer);
    NEXT(""); /* nobody asked for it */
    outer_fini(&outer);
    setenv("WATCHDOG_USEC", "30000000", 1);
    outer_init(&outer, &loop);
    loop.now_ms += 14000;
    outer_resumed(&outer);
    NEXT("WATCHDOG=1\n");
    assert_int_equal(timerq_next_ms(&loop.timers), loop.now_ms + 15000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_is_said, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reload_has_the_time, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_status_is_one_clean_line, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_full_queue_keeps_what_matters, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_no_longer_true_is_not_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tries_grow_apart, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nobody_to_tell, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_freeze_is_followed_by_a_ping, setup, teardown),
        cmocka_unit_test_setup_teardown(test_half_of_the_watchdogs_interval, setup, teardown),
    };
    return cmocka_run_group_tests_name("supervisor/outer", tests, NULL, NULL);
}
