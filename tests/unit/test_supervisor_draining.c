/* supervisor/draining: real processes that are asked to finish, hurried, killed. */
#include "supervisor/draining.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct loop loop;
static struct board board;
static struct draining_table table;
static struct channel channel;
static int child_fd;

static int setup(void **state)
{
    (void)state;
    memset(&table, 0, sizeof table);
    child_fd = -1;
    channel_init(&channel, &loop, "proxy", NULL, NULL);
    return loop_init(&loop) < 0 || board_init(&board) < 0 ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    sys_close(child_fd);
    channel_close(&channel);
    board_fini(&board);
    loop_fini(&loop);
    return 0;
}

/* A process in its own group that counts what it is asked: TERM by TERM, and ends only by KILL. */
static pid_t stubborn(int *told_fd)
{
    int fds[2];
    char ready;
    sigset_t term;
    assert_int_equal(pipe(fds), 0);
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int number;
        sigprocmask(SIG_BLOCK, &term, NULL);
        (void)setpgid(0, 0);
        for (ready = 'r'; write(fds[1], &ready, 1) == 1; ready = 't')
            if (sigwait(&term, &number) != 0)
                break;
        _exit(0);
    }
    close(fds[1]);
    assert_int_equal(read(fds[0], &ready, 1), 1);
    *told_fd = fds[0];
    return pid;
}

static void is_asked(int told_fd)
{
    char told;
    assert_int_equal(read(told_fd, &told, 1), 1); /* comes when the signal has come */
    assert_int_equal(told, 't');
}

static void is_killed(pid_t pid, int told_fd)
{
    char told;
    int status;
    assert_int_equal(read(told_fd, &told, 1), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    close(told_fd);
}

/* As if the time until the next deadline had passed. */
static void pass_time(struct draining *d)
{
    loop_arm(&loop, &d->timer, loop_now_ms(&loop));
    assert_int_equal(loop_turn(&loop, 0), 0);
}

static void test_it_is_asked_asked_again_and_killed(void **state)
{
    (void)state;
    int told_fd, line = board_take_line(&board);
    pid_t pid = stubborn(&told_fd);
    assert_true(draining_is_empty(&table));
    assert_int_equal(draining_take(&table, &loop, &board, pid, &channel, line, 60000), 0);
    assert_false(draining_is_empty(&table));
    is_asked(told_fd);
    struct draining *d = draining_find(&table, pid);
    assert_non_null(d);
    assert_in_range(timerq_next_ms(&loop.timers), loop_now_ms(&loop) + 59000, loop_now_ms(&loop) + 60000);
    pass_time(d);
    is_asked(told_fd);
    assert_in_range(timerq_next_ms(&loop.timers), loop_now_ms(&loop), loop_now_ms(&loop) + 500);
    pass_time(d);
    is_killed(pid, told_fd);
    draining_reaped(d);
    assert_true(draining_is_empty(&table));
    assert_null(draining_find(&table, pid));
    assert_int_equal(timerq_next_ms(&loop.timers), -1);
    assert_int_equal(board_take_line(&board), line); /* its line is free again */
}

static void test_hurrying_asks_and_then_kills_all(void **state)
{
    (void)state;
    int told_fds[2];
    pid_t pids[2];
    for (int i = 0; i < 2; i++) {
        pids[i] = stubborn(&told_fds[i]);
        assert_int_equal(draining_take(&table, &loop, &board, pids[i], &channel, -1, 60000), 0);
        is_asked(told_fds[i]);
    }
    draining_hurry(&table);
    is_asked(told_fds[0]);
    is_asked(told_fds[1]);
    draining_hurry(&table);
    for (int i = 0; i < 2; i++) {
        is_killed(pids[i], told_fds[i]);
        draining_reaped(draining_find(&table, pids[i]));
    }
    draining_hurry(&table); /* nobody is left */
    assert_true(draining_is_empty(&table));
}

static void test_a_last_moment_for_all_is_only_ever_earlier(void **state)
{
    (void)state;
    int told_fd;
    pid_t pid = stubborn(&told_fd);
    assert_int_equal(draining_take(&table, &loop, &board, pid, &channel, -1, 60000), 0);
    is_asked(told_fd);
    int64_t now_ms = loop_now_ms(&loop);
    draining_stop_by(&table, now_ms + 90000);
    assert_int_equal(timerq_next_ms(&loop.timers), now_ms + 60000);
    draining_stop_by(&table, now_ms + 700);
    assert_int_equal(timerq_next_ms(&loop.timers), now_ms + 700);
    struct draining *d = draining_find(&table, pid);
    pass_time(d);
    is_asked(told_fd);
    int64_t kill_ms = timerq_next_ms(&loop.timers);
    draining_stop_by(&table, kill_ms - 1); /* it was hurried already */
    assert_int_equal(timerq_next_ms(&loop.timers), kill_ms);
    pass_time(d);
    is_killed(pid, told_fd);
    draining_reaped(d);
    draining_stop_by(&table, 0);
    assert_int_equal(timerq_next_ms(&loop.timers), -1);
}

static void test_the_channel_goes_along(void **state)
{
    (void)state;
    int told_fd;
    struct contract_message m;
    pid_t pid = stubborn(&told_fd);
    child_fd = channel_open(&channel);
    assert_true(child_fd >= 0);
    assert_int_equal(draining_take(&table, &loop, &board, pid, &channel, -1, 60000), 0);
    is_asked(told_fd);
    assert_int_equal(channel.fd, -1);
    draining_tell(&table, CONTRACT_STATE_CHANGED);
    assert_int_equal(contract_receive(child_fd, &m), 1);
    assert_int_equal(m.kind, CONTRACT_STATE_CHANGED);
    assert_int_equal(contract_send(child_fd, CONTRACT_WANT, 0, "ollama"), 0); /* heard, and without effect */
    assert_int_equal(loop_turn(&loop, 0), 0);
    assert_int_equal(sys_kill_group(pid, SIGKILL), 0);
    is_killed(pid, told_fd);
    draining_reaped(draining_find(&table, pid));
    assert_int_equal(contract_receive(child_fd, &m), -EPIPE);
}

/* The last place is never needed by who has waited longest. */
static void test_a_full_table_hurries_the_oldest_and_refuses(void **state)
{
    (void)state;
    int told_fds[DRAINING_MAX + 1];
    pid_t pids[DRAINING_MAX + 1];
    for (int i = 0; i <= DRAINING_MAX; i++) {
        pids[i] = stubborn(&told_fds[i]);
        assert_int_equal(draining_take(&table, &loop, &board, pids[i], &channel, -1, 60000), i < DRAINING_MAX ? 0 : -EBUSY);
        if (i < DRAINING_MAX)
            is_asked(told_fds[i]);
        if (i == DRAINING_MAX - 1)
            is_asked(told_fds[0]); /* again */
        for (int j = 0; j < DRAINING_MAX && j <= i; j++)
            assert_int_equal(table.items[j].stage, j == 0 && i >= DRAINING_MAX - 1);
    }
    for (int i = 0; i <= DRAINING_MAX; i++) {
        assert_int_equal(sys_kill_group(pids[i], SIGKILL), 0);
        is_killed(pids[i], told_fds[i]);
        if (i < DRAINING_MAX)
            draining_reaped(draining_find(&table, pids[i]));
    }
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_it_is_asked_asked_again_and_killed),
        CASE(test_hurrying_asks_and_then_kills_all),
        CASE(test_a_last_moment_for_all_is_only_ever_earlier),
        CASE(test_the_channel_goes_along),
        CASE(test_a_full_table_hurries_the_oldest_and_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
