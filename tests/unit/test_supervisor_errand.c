/* supervisor/errand: a process of its own, what it has of us, and how it ends. */
#include "supervisor/errand.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

struct heard {
    int fd;
    ssize_t n;
    char text[16];
};

static void on_word(void *context, short revents)
{
    struct heard *h = context;
    (void)revents;
    h->n = sys_read(h->fd, h->text, sizeof h->text);
}

static void test_its_word_comes_and_it_has_nothing_else_of_us(void **state)
{
    (void)state;
    struct loop loop;
    struct heard h = {.n = -1};
    int status, other_fd = sys_open("/dev/null", O_RDONLY, 0);
    assert_true(other_fd >= ERRAND_FD);
    assert_int_equal(loop_init(&loop), 0);
    assert_int_equal(sys_signal_ignore(SIGUSR1), 0);
    pid_t pid = errand_ask(&loop, 10, on_word, &h, &h.fd);
    if (pid == 0) {
        int is_right = sys_is_open(ERRAND_FD) && !sys_is_open(ERRAND_FD + 1) && !sys_signal_is_ignored(SIGUSR1) && sys_signal_is_ignored(SIGTERM);
        (void)!sys_write(ERRAND_FD, is_right ? "right" : "wrong", 5);
        sys_exit_now(7);
    }
    assert_true(pid > 0);
    while (h.n < 0)
        assert_int_equal(loop_turn(&loop, -1), 0);
    assert_int_equal(h.n, 5);
    assert_memory_equal(h.text, "right", 5);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    assert_int_equal(sys_read(h.fd, h.text, sizeof h.text), 0); /* nobody else has the other end */
    loop_remove(&loop, h.fd);
    sys_close(h.fd);
    sys_close(other_fd);
    loop_fini(&loop);
}

static void test_one_that_hangs_ends_by_itself(void **state)
{
    (void)state;
    int status;
    pid_t pid = errand_begin(1, -1);
    if (pid == 0) {
        if (sys_is_open(ERRAND_FD))
            sys_exit_now(1);
        for (;;)
            (void)!sys_poll(NULL, 0, -1);
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_its_word_comes_and_it_has_nothing_else_of_us),
        cmocka_unit_test(test_one_that_hangs_ends_by_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
