/* supervisor/machine: against an API on a UNIX socket in the same loop. What it may say is in tests/e2e/test_53_suspend.py. */
#include "supervisor/machine.h"

#include "tests/unit/scratch.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

enum { LIMIT_MS = 15000 };

static struct loop loop;
static struct machine machine;
static struct scratch scratch;
static char path[SCRATCH_PATH_BYTES], why[MACHINE_WHY_BYTES];
static int listener = -1, told_n;

static void told(void *context, const char *text)
{
    (void)context;
    told_n++;
    snprintf(why, sizeof why, "%s", text);
}

static int setup(void **state)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    (void)state;
    scratch_init(&scratch);
    scratch_path(&scratch, "api", path);
    memcpy(at.sun_path, path, strlen(path));
    told_n = 0;
    if (loop_init(&loop) < 0 || (listener = sys_socket(AF_UNIX, SOCK_STREAM, 0)) < 0 ||
        sys_bind(listener, (struct sockaddr *)&at, sizeof at) < 0 || sys_listen(listener, 4) < 0)
        return -1;
    machine_init(&machine, &loop, told, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    machine_leave(&machine);
    sys_close(listener);
    loop_fini(&loop);
    scratch_fini(&scratch);
    return 0;
}

static void turn(int turns_n)
{
    while (turns_n-- > 0)
        assert_int_equal(loop_turn(&loop, 0), 0);
}

/* The API's end of the connection on which it was asked. */
static int asked(void)
{
    struct sockaddr_storage peer;
    socklen_t peer_n;
    char question[512] = "";
    assert_int_equal(machine_ask(&machine, path, "my-app", "148ed1", LIMIT_MS), 0);
    turn(2);
    int fd = sys_accept(listener, &peer, &peer_n);
    assert_true(fd >= 0);
    assert_true(sys_recv(fd, question, sizeof question - 1, 0) > 0);
    assert_string_equal(question, "POST /v1/apps/my-app/machines/148ed1/suspend HTTP/1.1\r\nHost: flaps\r\nContent-Length: 0\r\n"
                                  "Connection: close\r\n\r\n");
    return fd;
}

static void say(int fd, const char *text)
{
    assert_int_equal(sys_send(fd, text, strlen(text), 0), (ssize_t)strlen(text));
    turn(1);
}

static void test_any_2xx_is_a_yes_and_its_body_is_not_waited_for(void **state)
{
    static const char *const answers[] = {"HTTP/1.1 200 OK\r\n", "HTTP/1.0 202 Accepted\r\nContent-Length: 999\r\n\r\n{", "HTTP/1.1 204 \r\n\r\n"};
    (void)state;
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        int fd = asked();
        say(fd, answers[i]);
        assert_int_equal(told_n, (int)i + 1);
        assert_string_equal(why, "");
        assert_int_equal(machine.fd, -1);
        assert_false(timer_is_armed(&machine.timer));
        sys_close(fd);
    }
}

static void test_a_no_is_told_with_its_text_when_all_of_it_is_there(void **state)
{
    (void)state;
    int fd = asked();
    say(fd, "HTTP/1.1 412 Precondition Failed\r\nContent-Length: 16\r\n\r\n{\"error\":");
    assert_int_equal(told_n, 0);
    say(fd, "\"\x1b[1mno\"}"); /* longer than it should be: what is there must do */
    assert_int_equal(told_n, 1);
    assert_string_equal(why, "it answers 'HTTP/1.1 412 Precondition Failed': {'error':'no'}");
    sys_close(fd);
}

static void test_the_time_is_limited_as_a_whole(void **state)
{
    (void)state;
    int fd = asked();
    int64_t at_ms = machine.timer.at_ms;
    assert_true(timer_is_armed(&machine.timer) && at_ms - loop_now_ms(&loop) > LIMIT_MS - 5000 && at_ms - loop_now_ms(&loop) <= LIMIT_MS);
    say(fd, "HTTP/1.1 ");
    assert_int_equal(machine.timer.at_ms, at_ms); /* bytes that come are no reason to wait longer */
    machine.timer.fn(machine.timer.context, at_ms);
    assert_int_equal(told_n, 1);
    assert_string_equal(why, "it gave no whole answer within 15000 ms");
    assert_int_equal(machine.fd, -1);
    sys_close(fd);
}

static void test_who_leaves_is_told_nothing(void **state)
{
    (void)state;
    int fd = asked();
    machine_leave(&machine);
    machine_leave(&machine);
    turn(2);
    assert_int_equal(told_n, 0);
    sys_close(fd);
}

static void test_what_can_not_be_asked(void **state)
{
    char long_path[256];
    (void)state;
    assert_int_equal(machine_ask(&machine, "/nowhere/at/all", "a", "b", LIMIT_MS), -ENOENT);
    memset(long_path, 'x', sizeof long_path);
    long_path[sizeof long_path - 1] = '\0';
    assert_int_equal(machine_ask(&machine, long_path, "a", "b", LIMIT_MS), -ENAMETOOLONG);
    assert_int_equal(machine_ask(&machine, path, long_path, long_path, LIMIT_MS), -ENAMETOOLONG);
    assert_int_equal(machine.fd, -1);
    assert_int_equal(told_n, 0);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_any_2xx_is_a_yes_and_its_body_is_not_waited_for),
        CASE(test_a_no_is_told_with_its_text_when_all_of_it_is_there),
        CASE(test_the_time_is_limited_as_a_whole),
        CASE(test_who_leaves_is_told_nothing),
        CASE(test_what_can_not_be_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
