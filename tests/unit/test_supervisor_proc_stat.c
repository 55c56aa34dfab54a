/* supervisor/proc_stat: /proc/PID/stat, as the kernel writes it and as it never would. */
#include "supervisor/proc_stat.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void test_lines_whose_name_is_a_pranksters(void **state)
{
    (void)state;
    static const char rest[] = "3 3 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 7 0 123456789 10 11";
    static const char *const names[] = {"sh", "a b", ")", "x) Z 9 9", "((", "", "\n) (", "(sd-pam)"};
    static const char *const bad[] = {"", "12", "12 (sh)", "12 (sh) S", "x (sh) S 1 3 3", "12 sh S 1", "-1 (sh) S 1 1", "12 (sh S 4",
                                      "12 (sh) S-1 3 3 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 9 10 11"};
    struct proc_stat s;
    char line[512];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(line, sizeof line, "4194303 (%s) S 42 %s\n", names[i], rest);
        assert_int_equal(proc_stat_parse(line, &s), 0);
        assert_int_equal(s.pid, 4194303);
        assert_int_equal(s.parent, 42);
        assert_int_equal(s.group, 3);
        assert_true(s.started_ticks == 123456789);
        assert_int_equal(s.rss_pages, 11);
        assert_false(s.is_dead);
    }
    snprintf(line, sizeof line, "5 (x) Z 1 %s", "3 3 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 9 10 11");
    assert_int_equal(proc_stat_parse(line, &s), 0);
    assert_true(s.is_dead);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(proc_stat_parse(bad[i], &s), -EINVAL);
}

static void test_numbers_are_those_of_the_manual(void **state)
{
    (void)state;
    struct proc_stat s;
    assert_int_equal(proc_stat_parse("9 (x) R 1 9 9 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 9 10 11 18446744073709551615 1", &s), 0);
    assert_int_equal(s.faults_n, 3);
    assert_int_equal(s.child_faults_n, 4);
    assert_int_equal(s.user_ticks, 5);
    assert_int_equal(s.system_ticks, 6);
    assert_int_equal(s.child_user_ticks, 7);
    assert_int_equal(s.child_system_ticks, 8);
    assert_false(s.is_dead);
}

/* Who may be signalled does not depend on what it is said to have taken. */
static void test_numbers_that_can_not_be_true_are_read_all_the_same(void **state)
{
    (void)state;
    struct proc_stat s;
    assert_int_equal(proc_stat_parse("9 (x) R 1 9 9 0 -1 4194560 1 2 3 4 -5 6 7 8 20 0 1 0 9 10 -11", &s), 0);
    assert_int_equal(s.user_ticks, -5);
    assert_int_equal(s.rss_pages, -11);
}

static void test_a_look_at_ourselves(void **state)
{
    (void)state;
    struct proc_stat s;
    assert_int_equal(proc_stat_read(sys_getpid(), &s), 0);
    assert_int_equal(s.pid, sys_getpid());
    assert_int_equal(s.parent, sys_getppid());
    assert_true(s.rss_pages > 0 && !s.is_dead);
    assert_true(proc_stat_read(0, &s) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_whose_name_is_a_pranksters),
        cmocka_unit_test(test_numbers_are_those_of_the_manual),
        cmocka_unit_test(test_numbers_that_can_not_be_true_are_read_all_the_same),
        cmocka_unit_test(test_a_look_at_ourselves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
