/* common/loop, by poll(2) and by epoll(7): removal and reuse of descriptors while events are handed out, deferred work, timers. */
#include "common/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/loop_taps.h"

static void test_only_ready_descriptors_are_told(void **state)
{
    (void)state;
    struct loop loop;
    struct tap taps[PIPES];
    open_all(&loop, taps);
    tap_fill(&taps[2]);
    tap_fill(&taps[5]);
    assert_int_equal(loop_turn(&loop, 0), 0);
    for (int i = 0; i < PIPES; i++)
        assert_int_equal(taps[i].calls_n, i == 2 || i == 5);
    assert_int_equal(loop_turn(&loop, 0), 0); /* level-triggered: nobody has read */
    assert_int_equal(taps[2].calls_n, 2);
    tap_drain(&taps[2]);
    tap_drain(&taps[5]);
    assert_int_equal(loop_turn(&loop, 0), 0);
    assert_int_equal(taps[2].calls_n, 2);
    close_all(&loop, taps);
}

static void remove_other(struct tap *t)
{
    tap_close(t->other);
}

static void test_a_descriptor_removed_by_another_is_not_called(void **state)
{
    (void)state;
    struct loop loop;
    struct tap taps[PIPES];
    open_all(&loop, taps);
    for (int i = 0; i < PIPES; i++)
        tap_fill(&taps[i]);
    taps[0].then = remove_other;
    taps[0].other = &taps[1];
    taps[6].then = remove_other; /* itself, in its own call */
    taps[6].other = &taps[6];
    assert_int_equal(loop_turn(&loop, 0), 0);
    for (int i = 0; i < PIPES; i++)
        assert_int_equal(taps[i].calls_n, i != 1);
    assert_int_equal(loop.watches.fds_n, PIPES - 2);
    taps[0].then = NULL;
    assert_int_equal(loop_turn(&loop, 0), 0);
    assert_int_equal(taps[7].calls_n, 2);
    assert_int_equal(taps[6].calls_n, 1);
    close_all(&loop, taps);
}

static struct tap reborn;

/* Closes a descriptor that has an event waiting, and opens another of the same number with nothing in it. */
static void reuse_other(struct tap *t)
{
    int number = t->other->fds[0];
    tap_close(t->other);
    reborn = (struct tap){.loop = t->loop};
    assert_int_equal(sys_pipe(reborn.fds, O_NONBLOCK), 0);
    if (reborn.fds[0] != number) { /* make the numbers agree, however they were given out */
        assert_int_equal(dup2(reborn.fds[0], number), number);
        if (reborn.fds[1] == number)
            fail();
        sys_close(reborn.fds[0]);
        reborn.fds[0] = number;
    }
    assert_int_equal(loop_add(t->loop, number, POLLIN, tapped, &reborn), 0);
    t->then = NULL;
}

static void test_a_number_that_is_reused_in_the_turn_gets_no_old_event(void **state)
{
    (void)state;
    struct loop loop;
    struct tap taps[PIPES];
    open_all(&loop, taps);
    tap_fill(&taps[0]);
    tap_fill(&taps[1]);
    taps[0].then = reuse_other;
    taps[0].other = &taps[1];
    assert_int_equal(loop_turn(&loop, 0), 0);
    assert_int_equal(taps[1].calls_n, 0);
    assert_int_equal(reborn.calls_n, 0);
    tap_fill(&reborn);
    assert_int_equal(loop_turn(&loop, 0), 0);
    assert_int_equal(reborn.calls_n, 1);
    tap_close(&reborn);
    close_all(&loop, taps);
}

static void add_many(struct tap *t)
{
    static struct tap more[100];
    for (int i = 0; i < 100; i++)
        tap_open(&more[i], t->loop);
    tap_fill(&more[50]);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(more[i].calls_n, 0);
        tap_close(&more[i]);
    }
    t->then = NULL;
}

static void test_adding_many_during_a_turn_moves_the_tables_safely(void **state)
{
    (void)state;
    struct loop loop;
    struct tap taps[PIPES];
    open_all(&loop, taps);
    for (int i = 0; i < PIPES; i++)
        tap_fill(&taps[i]);
    taps[3].then = add_many;
    assert_int_equal(loop_turn(&loop, 0), 0);
    for (int i = 0; i < PIPES; i++)
        assert_int_equal(taps[i].calls_n, 1);
    assert_int_equal(loop.watches.fds_n, PIPES);
    close_all(&loop, taps);
}

static void test_one_watch_a_descriptor_and_none_for_no_descriptor(void **state)
{
    (void)state;
    struct loop loop;
    struct tap taps[PIPES];
    open_all(&loop, taps);
    assert_int_equal(loop_add(&loop, taps[0].fds[0], POLLIN, tapped, &taps[0]), -EINVAL);
    assert_int_equal(loop_add(&loop, -1, POLLIN, tapped, &taps[0]), -EINVAL);
    loop_remove(&loop, -1);
    loop_remove(&loop, 1000000);
    loop_set_events(&loop, 1000000, POLLIN);
    close_all(&loop, taps);
}

static void test_events_can_be_switched_off_but_hang_ups_come(void **state)
{
    (void)state;
    struct loop loop;
    struct tap taps[PIPES];
    open_all(&loop, taps);
    tap_fill(&taps[0]);
    loop_set_events(&loop, taps[0].fds[0], 0);
    assert_int_equal(loop_turn(&loop, 0), 0);
    assert_int_equal(taps[0].calls_n, 0);
    sys_close(taps[0].fds[1]);
    taps[0].fds[1] = -1;
    assert_int_equal(loop_turn(&loop, 0), 0);
    assert_int_equal(taps[0].calls_n, 1);
    assert_true(taps[0].revents & POLLHUP);
    close_all(&loop, taps);
}

struct note {
    struct loop *loop;
    struct deferred work;
    struct note *next; /* deferred by this one's work */
    unsigned runs_n;
};

static void note_run(void *context)
{
    struct note *n = context;
    n->runs_n++;
    if (n->next)
        loop_defer(n->loop, &n->next->work);
}

static void note_init(struct note *n, struct loop *loop)
{
    *n = (struct note){.loop = loop, .work = {.fn = note_run, .context = n}};
}

static struct note *noted;

static void defer_and_look(struct tap *t)
{
    loop_defer(t->loop, &noted->work);
    loop_defer(t->loop, &noted->work);
    assert_int_equal(noted->runs_n, 0); /* not in the middle of the turn */
}

static void test_deferred_work_runs_once_at_the_end_of_the_turn(void **state)
{
    (void)state;
    struct loop loop;
    struct tap taps[PIPES];
    struct note first, second;
    open_all(&loop, taps);
    note_init(&first, &loop);
    note_init(&second, &loop);
    first.next = &second;
    noted = &first;
    tap_fill(&taps[0]);
    taps[0].then = defer_and_look;
    assert_int_equal(loop_turn(&loop, 0), 0);
    assert_int_equal(first.runs_n, 1);
    assert_int_equal(second.runs_n, 1); /* what deferred work defers comes in the same turn */
    tap_drain(&taps[0]);
    assert_int_equal(loop_turn(&loop, 0), 0);
    assert_int_equal(first.runs_n, 1);
    loop_defer(&loop, &first.work); /* outside of a turn: before the next one waits */
    assert_int_equal(loop_turn(&loop, 0), 0);
    assert_int_equal(first.runs_n, 2);
    close_all(&loop, taps);
}

static void free_it(void *context)
{
    free(context);
}

static void test_deferred_work_may_free_itself(void **state)
{
    (void)state;
    struct loop loop;
    start(&loop);
    for (int i = 0; i < 3; i++) {
        struct deferred *d = calloc(1, sizeof *d);
        assert_non_null(d);
        *d = (struct deferred){.fn = free_it, .context = d};
        loop_defer(&loop, d);
    }
    assert_int_equal(loop_turn(&loop, 0), 0);
    assert_null(loop.deferred_first);
    loop_fini(&loop);
}

static void count(void *context, int64_t now_ms)
{
    (void)now_ms;
    ++*(unsigned *)context;
}

static void stop(void *context, int64_t now_ms)
{
    (void)now_ms;
    loop_stop(context);
}

static void test_deferred_work_that_is_forgotten_does_not_run(void **state)
{
    (void)state;
    struct loop loop;
    struct note notes[4];
    start(&loop);
    for (int i = 0; i < 4; i++) {
        note_init(&notes[i], &loop);
        if (i < 3)
            loop_defer(&loop, &notes[i].work);
    }
    loop_forget(&loop, &notes[1].work);
    loop_forget(&loop, &notes[2].work); /* the last one */
    loop_forget(&loop, &notes[3].work); /* none */
    loop_defer(&loop, &notes[3].work);
    assert_int_equal(loop_turn(&loop, 0), 0);
    unsigned expected[] = {1, 0, 0, 1};
    for (int i = 0; i < 4; i++)
        assert_int_equal(notes[i].runs_n, expected[i]);
    loop_defer(&loop, &notes[1].work);
    assert_int_equal(loop_turn(&loop, 0), 0);
    assert_int_equal(notes[1].runs_n, 1);
    loop_fini(&loop);
}

static void test_a_turn_waits_for_the_next_timer_and_no_longer(void **state)
{
    (void)state;
    struct loop loop;
    struct timer due, later;
    unsigned due_n = 0, later_n = 0;
    start(&loop);
    timer_init(&due, count, &due_n);
    timer_init(&later, count, &later_n);
    loop_arm(&loop, &due, loop_now_ms(&loop) - 1000);
    loop_arm(&loop, &later, loop_now_ms(&loop) + 3600000);
    assert_int_equal(loop_turn(&loop, -1), 0); /* returns, though nothing else happens */
    assert_int_equal(due_n, 1);
    assert_int_equal(later_n, 0);
    loop_disarm(&loop, &later);
    assert_int_equal(timerq_next_ms(&loop.timers), -1);
    loop_fini(&loop);
}

static void test_a_run_ends_when_it_is_told_to(void **state)
{
    (void)state;
    struct loop loop;
    struct timer t;
    start(&loop);
    timer_init(&t, stop, &loop);
    loop_arm(&loop, &t, loop_now_ms(&loop));
    assert_int_equal(loop_run(&loop), 0);
    assert_true(loop.is_stopped);
    loop_fini(&loop);
}

static void count_up(void *context, int64_t now_ms)
{
    (void)now_ms;
    ++*(int *)context;
}

/* poll(2) says EINVAL for more descriptors than the process may have, epoll does not care: deadlines are kept in both. */
static void test_a_wait_that_fails_is_told_and_timers_run(void **state)
{
    struct rlimit before, none;
    struct loop loop;
    struct tap tap;
    struct timer timer;
    int fired_n = 0;
    (void)state;
    start(&loop);
    tap_open(&tap, &loop);
    timer_init(&timer, count_up, &fired_n);
    loop_arm(&loop, &timer, loop_now_ms(&loop));
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = (struct rlimit){.rlim_cur = 0, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    int error = loop_turn(&loop, 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(error, is_epoll ? 0 : -EINVAL);
    assert_int_equal(fired_n, 1);
    tap_fill(&tap);
    assert_int_equal(loop_turn(&loop, 0), 0);
    assert_int_equal(tap.calls_n, 1);
    loop_remove(&loop, tap.fds[0]);
    sys_close(tap.fds[0]);
    sys_close(tap.fds[1]);
    loop_fini(&loop);
}

static void test_a_wait_by_epoll_that_fails_is_told_and_timers_run(void **state)
{
    struct loop loop;
    struct timer timer;
    int fired_n = 0;
    (void)state;
    start(&loop);
    timer_init(&timer, count_up, &fired_n);
    loop_arm(&loop, &timer, loop_now_ms(&loop));
    sys_close(loop.watches.epoll_fd);
    assert_int_equal(loop_turn(&loop, 0), -EBADF);
    assert_int_equal(fired_n, 1);
    loop_fini(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_ready_descriptors_are_told),
        cmocka_unit_test(test_a_descriptor_removed_by_another_is_not_called),
        cmocka_unit_test(test_a_number_that_is_reused_in_the_turn_gets_no_old_event),
        cmocka_unit_test(test_adding_many_during_a_turn_moves_the_tables_safely),
        cmocka_unit_test(test_one_watch_a_descriptor_and_none_for_no_descriptor),
        cmocka_unit_test(test_events_can_be_switched_off_but_hang_ups_come),
        cmocka_unit_test(test_deferred_work_runs_once_at_the_end_of_the_turn),
        cmocka_unit_test(test_deferred_work_may_free_itself),
        cmocka_unit_test(test_deferred_work_that_is_forgotten_does_not_run),
        cmocka_unit_test(test_a_turn_waits_for_the_next_timer_and_no_longer),
        cmocka_unit_test(test_a_wait_that_fails_is_told_and_timers_run),
        cmocka_unit_test(test_a_run_ends_when_it_is_told_to),
    };
    const struct CMUnitTest epoll_tests[] = {
        cmocka_unit_test(test_a_wait_by_epoll_that_fails_is_told_and_timers_run),
    };
    int failed_n = cmocka_run_group_tests_name("poll", tests, NULL, NULL);
    is_epoll = 1;
    failed_n += cmocka_run_group_tests_name("epoll", tests, NULL, NULL);
    return failed_n + cmocka_run_group_tests_name("epoll alone", epoll_tests, NULL, NULL);
}
