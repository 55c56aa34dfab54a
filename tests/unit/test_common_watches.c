/* common/watches below a loop, by poll(2) and by epoll(7): wishes that change, hands that change, copies, many at once. */
#include "common/loop.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/loop_taps.h"

static void test_what_is_wanted_less_and_more_by_turns(void **state)
{
    (void)state;
    struct loop loop;
    struct tap taps[PIPES];
    open_all(&loop, taps);
    tap_fill(&taps[0]);
    for (unsigned i = 1; i <= 3; i++) {
        loop_set_events(&loop, taps[0].fds[0], 0);
        assert_int_equal(loop_turn(&loop, 0), 0);
        assert_int_equal(loop_turn(&loop, 0), 0);
        assert_int_equal(taps[0].calls_n, i - 1);
        loop_set_events(&loop, taps[0].fds[0], POLLIN);
        assert_int_equal(loop_turn(&loop, 0), 0);
        assert_int_equal(taps[0].calls_n, i);
    }
    close_all(&loop, taps);
}

static void want_nothing(struct tap *t)
{
    loop_set_events(t->loop, t->other->fds[0], 0);
    t->then = NULL;
}

/* By epoll a tap that wants nothing is not told even of what had happened; by poll it may be, once. */
static void test_a_wish_that_ends_in_the_turn_is_not_told_again(void **state)
{
    (void)state;
    struct loop loop;
    struct tap taps[PIPES];
    open_all(&loop, taps);
    tap_fill(&taps[1]);
    tap_fill(&taps[2]);
    taps[1].then = want_nothing;
    taps[1].other = &taps[2];
    assert_int_equal(loop_turn(&loop, 0), 0);
    unsigned told_n = taps[2].calls_n;
    assert_true(told_n <= (is_epoll ? 0 : 1));
    assert_int_equal(loop_turn(&loop, 0), 0);
    assert_int_equal(taps[2].calls_n, told_n);
    close_all(&loop, taps);
}

static void test_a_descriptor_that_changes_hands(void **state)
{
    (void)state;
    struct loop loop;
    struct tap taps[PIPES], heir = {0};
    open_all(&loop, taps);
    heir.loop = &loop;
    loop_hand_over(&loop, taps[0].fds[0], POLLIN, tapped, &heir);
    tap_fill(&taps[0]);
    assert_int_equal(loop_turn(&loop, 0), 0);
    assert_int_equal(taps[0].calls_n, 0);
    assert_int_equal(heir.calls_n, 1);
    loop_hand_over(&loop, taps[0].fds[0], 0, tapped, &heir);
    assert_int_equal(loop_turn(&loop, 0), 0);
    assert_int_equal(heir.calls_n, 1);
    loop_hand_over(&loop, 1000000, POLLIN, tapped, &heir); /* nobody has it */
    assert_int_equal(loop.watches.fds_n, PIPES);
    close_all(&loop, taps);
}

/* The same pipe lives on in a copy, as a listening socket does in another process. */
static void test_a_copy_tells_nothing_once_its_original_is_removed(void **state)
{
    (void)state;
    struct loop loop;
    struct tap taps[PIPES];
    open_all(&loop, taps);
    int copy_fd = sys_dup_high(taps[0].fds[0], 3);
    assert_true(copy_fd >= 0);
    tap_fill(&taps[0]);
    loop_remove(&loop, taps[0].fds[0]);
    sys_close(taps[0].fds[0]);
    assert_int_equal(loop_turn(&loop, 0), 0);
    assert_int_equal(taps[0].calls_n, 0);
    taps[0].fds[0] = -1;
    sys_close(copy_fd);
    close_all(&loop, taps);
}

/* More than one epoll_wait(2) takes: each has its turn. */
static void test_hundreds_at_once_are_all_told(void **state)
{
    enum { MANY = WATCHES_READY_N + 100 };
    struct loop loop;
    (void)state;
    struct tap *many = calloc(MANY, sizeof *many);
    assert_non_null(many);
    start(&loop);
    for (int i = 0; i < MANY; i++) {
        tap_open(&many[i], &loop);
        tap_fill(&many[i]);
    }
    assert_int_equal(loop_turn(&loop, 0), 0);
    assert_int_equal(loop_turn(&loop, 0), 0);
    for (int i = 0; i < MANY; i++)
        assert_true(many[i].calls_n >= 1);
    tap_drain(&many[MANY - 1]);
    unsigned told_n = many[MANY - 1].calls_n;
    for (int i = 0; i < 3; i++)
        assert_int_equal(loop_turn(&loop, 0), 0);
    assert_int_equal(many[MANY - 1].calls_n, told_n);
    for (int i = 0; i < MANY; i++)
        tap_close(&many[i]);
    free(many);
    loop_fini(&loop);
}

static void test_epoll_takes_no_regular_file_and_no_late_change(void **state)
{
    (void)state;
    struct loop loop;
    struct tap tap;
    int fd = sys_memfd_text("file", "x", 1);
    assert_true(fd >= 0);
    start(&loop);
    assert_int_equal(loop_add(&loop, fd, POLLIN, tapped, &tap), -EPERM);
    assert_int_equal(loop.watches.fds_n, 0);
    tap_open(&tap, &loop);
    assert_int_equal(loop_use_epoll(&loop), -EINVAL);
    tap_fill(&tap);
    assert_int_equal(loop_turn(&loop, 0), 0);
    assert_int_equal(tap.calls_n, 1);
    tap_close(&tap);
    sys_close(fd);
    loop_fini(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_wanted_less_and_more_by_turns),
        cmocka_unit_test(test_a_wish_that_ends_in_the_turn_is_not_told_again),
        cmocka_unit_test(test_a_descriptor_that_changes_hands),
        cmocka_unit_test(test_a_copy_tells_nothing_once_its_original_is_removed),
        cmocka_unit_test(test_hundreds_at_once_are_all_told),
    };
    const struct CMUnitTest epoll_tests[] = {
        cmocka_unit_test(test_epoll_takes_no_regular_file_and_no_late_change),
    };
    int failed_n = cmocka_run_group_tests_name("poll", tests, NULL, NULL);
    is_epoll = 1;
    failed_n += cmocka_run_group_tests_name("epoll", tests, NULL, NULL);
    return failed_n + cmocka_run_group_tests_name("epoll alone", epoll_tests, NULL, NULL);
}
