/*
 * common/loop over a clock that the test sets: freezes are not counted. By poll(2) and by
 * epoll(7); the Makefile wraps the system calls.
 */
#include "common/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static int64_t clock_ms;
static int64_t freeze_ms; /* how much later than asked a wait returns, once */
static int64_t asked_ms;
static int is_epoll;

int64_t __wrap_sys_monotonic_ms(void);
int64_t __wrap_sys_monotonic_ms(void)
{
    return clock_ms;
}

static int wait_frozen(int timeout_ms)
{
    asked_ms = timeout_ms;
    clock_ms += (timeout_ms < 0 ? 0 : timeout_ms) + freeze_ms;
    freeze_ms = 0;
    return 0;
}

int __wrap_sys_poll(struct pollfd *fds, size_t fds_n, int timeout_ms);
int __wrap_sys_poll(struct pollfd *fds, size_t fds_n, int timeout_ms)
{
    (void)fds;
    (void)fds_n;
    assert_false(is_epoll);
    return wait_frozen(timeout_ms);
}

int __wrap_sys_epoll_wait(int epoll_fd, struct epoll_event *ready, int ready_n, int timeout_ms);
int __wrap_sys_epoll_wait(int epoll_fd, struct epoll_event *ready, int ready_n, int timeout_ms)
{
    (void)epoll_fd;
    (void)ready;
    (void)ready_n;
    assert_true(is_epoll);
    return wait_frozen(timeout_ms);
}

struct bell {
    struct timer timer;
    unsigned rings_n;
    int64_t at_ms;
};

static void ring(void *context, int64_t now_ms)
{
    struct bell *b = context;
    b->rings_n++;
    b->at_ms = now_ms;
}

static struct loop loop;
static struct bell near, far;

static int setup(void **state)
{
    (void)state;
    clock_ms = 100000;
    freeze_ms = 0;
    near = far = (struct bell){0};
    timer_init(&near.timer, ring, &near);
    timer_init(&far.timer, ring, &far);
    if (loop_init(&loop) < 0)
        return -1;
    return is_epoll ? loop_use_epoll(&loop) : 0;
}

static int teardown(void **state)
{
    (void)state;
    loop_fini(&loop);
    return 0;
}

static void turn(void)
{
    assert_int_equal(loop_turn(&loop, -1), 0);
}

/* scenario 52 */
static void test_a_deadline_that_passed_while_frozen_is_still_to_come(void **state)
{
    (void)state;
    loop_arm(&loop, &near.timer, loop_now_ms(&loop) + 100);
    loop_arm(&loop, &far.timer, loop_now_ms(&loop) + 5000);
    freeze_ms = 3600000;
    turn();
    assert_int_equal(near.rings_n, 0); /* what came due in the freeze may be put off by who sees it, until the next turn */
    assert_int_equal(far.rings_n, 0);  /* this one has run for 100 ms only */
    assert_int_equal(loop_now_ms(&loop), 100100);
    assert_int_equal(loop_monotonic_ms(&loop), 3700100);
    assert_int_equal(loop.frozen_ms, 3600000);
    turn();
    assert_int_equal(asked_ms, 0);
    assert_int_equal(near.rings_n, 1);
    turn();
    assert_int_equal(asked_ms, 4900);
    assert_int_equal(far.rings_n, 1);
    assert_int_equal(far.at_ms, 105000);
}

struct watcher {
    unsigned looks_n;
    int64_t at_ms, frozen_ms;
    unsigned rings_n; /* of the bell, at the look */
};

static void on_woken(void *context)
{
    struct watcher *w = context;
    w->looks_n++;
    w->at_ms = loop_now_ms(&loop);
    w->frozen_ms = loop.frozen_ms;
    w->rings_n = near.rings_n;
}

/* who looks for gaps comes before all that is told, with the time as it is then */
static void test_who_is_woken_looks_first(void **state)
{
    struct watcher w = {0};
    (void)state;
    loop.woken_context = &w;
    loop.woken = on_woken;
    loop_arm(&loop, &near.timer, loop_now_ms(&loop) + 100);
    turn();
    assert_int_equal(w.looks_n, 1);
    assert_int_equal(w.at_ms, 100100);
    assert_int_equal(w.rings_n, 0);
    assert_int_equal(near.rings_n, 1);
    freeze_ms = 5000;
    turn();
    assert_int_equal(w.looks_n, 2);
    assert_int_equal(w.frozen_ms, loop.frozen_ms);
}

static void test_a_freeze_between_two_turns(void **state)
{
    (void)state;
    loop_arm(&loop, &near.timer, loop_now_ms(&loop) + 100);
    clock_ms += 60000;
    assert_int_equal(loop_turn(&loop, 0), 0);
    assert_int_equal(near.rings_n, 0);
    assert_int_equal(loop.frozen_ms, 60000);
}

static void test_to_be_late_by_a_little_is_no_freeze(void **state)
{
    (void)state;
    loop_arm(&loop, &near.timer, loop_now_ms(&loop) + 100);
    loop_arm(&loop, &far.timer, loop_now_ms(&loop) + 1000);
    freeze_ms = LOOP_FREEZE_MS;
    turn();
    assert_int_equal(near.rings_n, 1);
    assert_int_equal(far.rings_n, 1);
    assert_int_equal(loop.frozen_ms, 0);
}

static void test_without_a_deadline_a_long_wait_is_just_long(void **state)
{
    (void)state;
    freeze_ms = 3600000;
    turn();
    assert_int_equal(asked_ms, -1);
    assert_int_equal(loop.frozen_ms, 0);
    assert_int_equal(loop_now_ms(&loop), 3700000);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_deadline_that_passed_while_frozen_is_still_to_come),
        CASE(test_who_is_woken_looks_first),
        CASE(test_a_freeze_between_two_turns),
        CASE(test_to_be_late_by_a_little_is_no_freeze),
        CASE(test_without_a_deadline_a_long_wait_is_just_long),
    };
    int failed_n = cmocka_run_group_tests_name("poll", tests, NULL, NULL);
    is_epoll = 1;
    return failed_n + cmocka_run_group_tests_name("epoll", tests, NULL, NULL);
}
