/* supervisor/usage: /proc/PID/stat, as the kernel writes it and as it never would, and whose a process is. */
#include "supervisor/usage.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int parse(const char *text, struct usage_process *out)
{
    struct proc_stat stat;
    int error = proc_stat_parse(text, &stat);
    return error ? error : usage_take(&stat, out);
}

static void test_lines_of_the_kernel(void **state)
{
    (void)state;
    struct usage_process p;
    assert_int_equal(parse("1234 (ollama) S 17 1234 1234 0 -1 4194560 5120 99 1 0 150 25 7 3 20 0 12 0 883 1834102784 10240 18446744073709551615 1 1 0\n", &p), 0);
    assert_int_equal(p.pid, 1234);
    assert_int_equal(p.parent, 17);
    assert_int_equal(p.group, 1234);
    assert_int_equal(p.ticks, 185);
    assert_int_equal(p.rss_pages, 10240);
    assert_int_equal(parse("7 (a) S 1 (b) R) R 3 5 5 0 -1 4194560 0 0 0 0 1 2 3 4 20 0 1 0 883 0 9 1", &p), 0); /* a name of a prankster */
    assert_int_equal(p.parent, 3);
    assert_int_equal(p.ticks, 10);
}

static void test_what_is_no_such_line(void **state)
{
    (void)state;
    static const char *const wrong[] = {"", "x", "1", "1 (a", "1 (a)", "1 (a) S 1 2 3", ")", "(a) S 1 1 1", "-3 (a) S 3 5 5 0 -1 4194560 0 0 0 0 1 2 3 4 20 0 1 0 883 0 9 1",
                                        "7 (a) R 3 5 5 0 -1 4194560 0 0 0 0 -1 2 3 4 20 0 1 0 883 0 9 1", "7 (a) R 3 5 5 0 -1 0 0 0 0 0 1 2 3 4 20 0 1 0 883 0",
                                        /* sums of them would not fit */
                                        "7 (a) R 3 5 5 0 -1 0 0 0 0 0 9223372036854775807 9223372036854775807 0 0 20 0 1 0 883 0 9 1",
                                        "7 (a) R 3 5 5 0 -1 0 0 0 0 0 1 2 3 4 20 0 1 0 883 0 9223372036854775807 1"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct usage_process p;
        assert_int_equal(parse(wrong[i], &p), -EINVAL);
    }
}

static void test_a_program_is_its_group_and_its_descendants(void **state)
{
    (void)state;
    struct usage_process list[] = {
        {.pid = 10, .parent = 1, .group = 10, .rss_pages = 1, .ticks = 100},   /* the program */
        {.pid = 11, .parent = 10, .group = 10, .rss_pages = 2, .ticks = 10},
        {.pid = 12, .parent = 11, .group = 12, .rss_pages = 4, .ticks = 1},    /* a group of its own */
        {.pid = 13, .parent = 1, .group = 10, .rss_pages = 8, .ticks = 0},     /* an orphan of its group */
        {.pid = 14, .parent = 12, .group = 14, .rss_pages = 16, .ticks = 0},
        {.pid = 15, .parent = 1, .group = 15, .rss_pages = 32, .ticks = 1000}, /* another's */
        {.pid = 16, .parent = 99, .group = 99, .rss_pages = 64, .ticks = 0},   /* its parent is gone */
        {.pid = 17, .parent = 18, .group = 17, .rss_pages = 128, .ticks = 0},  /* a circle, as numbers are given again */
        {.pid = 18, .parent = 17, .group = 18, .rss_pages = 256, .ticks = 0},
    };
    struct usage u = {.processes = list, .processes_n = sizeof list / sizeof *list};
    struct usage_sum sum = usage_of(&u, 10);
    assert_int_equal(sum.processes_n, 5);
    assert_int_equal(sum.rss_bytes, 31 * sys_page_bytes());
    assert_int_equal(sum.cpu_ms, 111 * 1000 / sys_clock_ticks());
    assert_int_equal(usage_of(&u, 15).processes_n, 1);
    assert_int_equal(usage_of(&u, 4711).processes_n, 0);
    assert_int_equal(usage_of(&u, 0).processes_n, 0);
}

static void test_ourselves_and_a_child_in_proc(void **state)
{
    (void)state;
    enum { BLOCK_BYTES = 32 << 20 }; /* the kernel counts in batches: little is nothing */
    struct usage u;
    int ready[2];
    char byte;
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        char *block = malloc(BLOCK_BYTES);
        setpgid(0, 0);
        memset(block, 1, BLOCK_BYTES);
        (void)!write(ready[1], block, 1);
        pause();
        _exit(0);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
    assert_int_equal(usage_read(&u), 0);
    struct usage_sum with = usage_of(&u, getpid()), alone = usage_of(&u, child);
    usage_fini(&u);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    assert_true(with.processes_n >= 2);
    assert_int_equal(alone.processes_n, 1);
    assert_true(alone.rss_bytes > BLOCK_BYTES / 2);
    assert_true(with.rss_bytes >= alone.rss_bytes);
    assert_true(with.rss_bytes < (int64_t)16 << 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_of_the_kernel),
        cmocka_unit_test(test_what_is_no_such_line),
        cmocka_unit_test(test_a_program_is_its_group_and_its_descendants),
        cmocka_unit_test(test_ourselves_and_a_child_in_proc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
