/* supervisor/idle and supervisor/board: is there anything to stay awake for, by what writers of the page say? */
#include "supervisor/board.h"
#include "supervisor/idle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static void test_when_to_sleep(void **state)
{
    (void)state;
    static const struct {
        struct idle_view view;
        int64_t now_ms;
        enum idle_verdict verdict;
        int64_t again_at_ms;
    } cases[] = {
        {{.timeout_ms = 0, .last_active_ms = 0}, 1000000, IDLE_NEVER, -1},
        {{.timeout_ms = 0, .is_busy = 1}, 1000000, IDLE_NEVER, -1},
        {{.timeout_ms = 100, .last_active_ms = 1000}, 1000, IDLE_LATER, 1100},
        {{.timeout_ms = 100, .last_active_ms = 1000}, 1099, IDLE_LATER, 1100},
        {{.timeout_ms = 100, .last_active_ms = 1000}, 1100, IDLE_NOW, 1100},
        {{.timeout_ms = 100, .last_active_ms = 1000}, 9999, IDLE_NOW, 1100},
        {{.timeout_ms = 100, .last_active_ms = 1000, .is_busy = 1}, 9999, IDLE_LATER, 10099},
        {{.timeout_ms = 366LL * 24 * 3600 * 1000, .last_active_ms = 0}, 1, IDLE_LATER, 366LL * 24 * 3600 * 1000},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t again_at_ms = -1;
        assert_int_equal(idle_judge(&cases[i].view, cases[i].now_ms, &again_at_ms), cases[i].verdict);
        assert_int_equal(again_at_ms, cases[i].again_at_ms);
    }
}

static void test_lines_are_counted_together(void **state)
{
    (void)state;
    struct board b;
    struct board_activity a;
    assert_int_equal(board_init(&b), 0);
    int one = board_take_line(&b), two = board_take_line(&b);
    assert_true(one >= 0 && two >= 0 && one != two);
    atomic_store(&b.page->lines[one].in_flight_n, 2);
    atomic_store(&b.page->lines[two].in_flight_n, 3);
    atomic_store(&b.page->lines[two].held_n, 4);
    atomic_store(&b.page->lines[one].last_active_ms, 50);
    atomic_store(&b.page->lines[two].last_active_ms, 70);
    board_activity(&b, 100, &a);
    assert_int_equal(a.in_flight_n, 5);
    assert_int_equal(a.held_n, 4);
    assert_int_equal(a.last_active_ms, 70);
    board_fini(&b);
}

static void test_partial_downloads_are_kept_while_anybody_pulls(void **state)
{
    (void)state;
    struct board b;
    assert_int_equal(board_init(&b), 0);
    assert_false(board_is_pulling(&b));
    atomic_store(&b.page->phase, (uint32_t)CONTRACT_PHASE_LISTED);
    assert_true(board_is_pulling(&b));
    atomic_store(&b.page->phase, (uint32_t)CONTRACT_PHASE_DONE);
    assert_false(board_is_pulling(&b));
    int line = board_take_line(&b);
    atomic_store(&b.page->lines[line].pulls_n, 2);
    assert_true(board_is_pulling(&b));
    board_free_line(&b, line, 100);
    assert_false(board_is_pulling(&b));
    board_fini(&b);
}

static void test_a_writer_that_lies_about_the_future_is_bounded(void **state)
{
    (void)state;
    struct board b;
    struct board_activity a;
    assert_int_equal(board_init(&b), 0);
    int line = board_take_line(&b);
    atomic_store(&b.page->lines[line].last_active_ms, INT64_MAX);
    board_activity(&b, 100, &a);
    assert_int_equal(a.last_active_ms, 100);
    board_free_line(&b, line, 200);
    board_activity(&b, 300, &a);
    assert_int_equal(a.last_active_ms, 200);
    line = board_take_line(&b);
    atomic_store(&b.page->lines[line].last_active_ms, INT64_MIN);
    board_activity(&b, 300, &a);
    assert_int_equal(a.last_active_ms, 200);
    for (int i = 0; i < CONTRACT_LINES; i++) {
        atomic_store(&b.page->lines[i].in_flight_n, UINT32_MAX);
        atomic_store(&b.page->lines[i].held_n, UINT32_MAX);
    }
    board_activity(&b, 300, &a);
    assert_true(a.in_flight_n == (uint64_t)UINT32_MAX * CONTRACT_LINES);
    board_fini(&b);
}

static void test_the_dead_leave_nothing_but_when_they_worked_last(void **state)
{
    (void)state;
    struct board b;
    struct board_activity a;
    assert_int_equal(board_init(&b), 0);
    int line = board_take_line(&b);
    atomic_store(&b.page->lines[line].in_flight_n, 7);
    atomic_store(&b.page->lines[line].last_active_ms, 10);
    board_free_line(&b, line, 500); /* it died at work: that was activity */
    board_activity(&b, 900, &a);
    assert_int_equal(a.in_flight_n, 0);
    assert_int_equal(a.last_active_ms, 500);
    assert_int_equal(atomic_load(&b.page->lines[line].pid), 0);
    board_free_line(&b, -1, 999); /* a program without a line */
    board_fini(&b);
}

static void test_lines_run_out_and_come_back(void **state)
{
    (void)state;
    struct board b;
    assert_int_equal(board_init(&b), 0);
    for (int i = 0; i < CONTRACT_LINES; i++)
        assert_int_equal(board_take_line(&b), i);
    assert_int_equal(board_take_line(&b), -1);
    board_free_line(&b, 5, 1);
    assert_int_equal(board_take_line(&b), 5);
    assert_int_equal(board_take_line(&b), -1);
    board_fini(&b);
}

static void test_the_page_can_neither_grow_nor_shrink(void **state)
{
    (void)state;
    struct board b;
    size_t bytes_n;
    char byte = 0;
    assert_int_equal(board_init(&b), 0);
    assert_int_equal(sys_file_size(b.fd, &bytes_n), 0);
    assert_int_equal(bytes_n, sizeof(struct contract_page));
    assert_int_equal(b.page->version, CONTRACT_VERSION);
    assert_true(ftruncate(b.fd, 1) < 0);
    assert_true(ftruncate(b.fd, (off_t)bytes_n * 2) < 0);
    assert_true(pwrite(b.fd, &byte, 1, (off_t)bytes_n) <= 0);
    board_fini(&b);
    board_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_when_to_sleep),
        cmocka_unit_test(test_lines_are_counted_together),
        cmocka_unit_test(test_partial_downloads_are_kept_while_anybody_pulls),
        cmocka_unit_test(test_a_writer_that_lies_about_the_future_is_bounded),
        cmocka_unit_test(test_the_dead_leave_nothing_but_when_they_worked_last),
        cmocka_unit_test(test_lines_run_out_and_come_back),
        cmocka_unit_test(test_the_page_can_neither_grow_nor_shrink),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
