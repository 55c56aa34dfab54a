/* supervisor/control: clients that follow the programs' lines. */
#include "supervisor/control.h"

#include "tests/unit/scratch.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>

static struct scratch scratch;
static struct loop loop;
static struct ring ring;
static struct control control;
static char text[1 << 20];

static int command(void *context, enum control_who who, const char *line, struct buf *reply)
{
    (void)context;
    (void)who;
    int error = buf_text(reply, "{}");
    return error ? error : strncmp(line, "tail", 4) == 0 ? CONTROL_TAIL : 0;
}

static void grown(void *context)
{
    control_ring_grown(context);
}

static int setup(void **state)
{
    char path[SCRATCH_PATH_BYTES];
    (void)state;
    scratch_init(&scratch);
    ring_init(&ring);
    if (loop_init(&loop) < 0 || control_init(&control, &loop, scratch_path(&scratch, "c.sock", path), command, NULL) < 0)
        return -1;
    ring.grown = grown;
    ring.context = &control;
    control.ring = &ring;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    control_fini(&control);
    ring_fini(&ring);
    loop_fini(&loop);
    scratch_fini(&scratch);
    return 0;
}

static void turns(int n)
{
    while (n-- > 0)
        assert_int_equal(loop_turn(&loop, 0), 0);
}

static int ask(const char *line)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    snprintf(to.sun_path, sizeof to.sun_path, "%.100s", control.path);
    int fd = sys_socket(AF_UNIX, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(sys_connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    assert_int_equal(sys_send(fd, line, strlen(line), 0), strlen(line));
    turns(3);
    return fd;
}

/* What came; *is_closed: and the end. */
static const char *told(int fd, int *is_closed)
{
    size_t have_n = 0;
    ssize_t n = -EAGAIN;
    while (have_n < sizeof text - 1 && (n = sys_recv(fd, text + have_n, sizeof text - 1 - have_n, 0)) > 0)
        have_n += (size_t)n;
    text[have_n] = '\0';
    *is_closed = n == 0;
    return text;
}

static void push(const char *line)
{
    ring_push(&ring, "p", LOG_DEBUG, 0, line, strlen(line));
}

/* The followers are told some milliseconds after a line: as if these had passed. */
static void wait_until_told(void)
{
    if (timer_is_armed(&control.grown))
        loop_arm(&loop, &control.grown, loop_now_ms(&loop));
    turns(3);
}

#define LINE(line) "{\"name\":\"p\",\"level\":\"debug\",\"at\":\"1970-01-01T00:00:00.000Z\",\"line\":\"" line "\"}\n"

static void test_the_last_lines_and_the_end(void **state)
{
    (void)state;
    int is_closed;
    push("a");
    push("b");
    int fd = ask("tail -n 1\n");
    assert_string_equal(told(fd, &is_closed), "{}\n" LINE("b"));
    assert_true(is_closed);
    sys_close(fd);
    assert_int_equal(control.followers_n, 0);
}

static void test_a_follower_stays_and_is_told_and_may_leave(void **state)
{
    (void)state;
    int is_closed;
    push("a");
    int fd = ask("tail -f\n");
    assert_string_equal(told(fd, &is_closed), "{}\n" LINE("a"));
    assert_int_equal(control.followers_n, 1);
    push("b");
    push("c");
    wait_until_told();
    assert_string_equal(told(fd, &is_closed), LINE("b") LINE("c"));
    assert_false(is_closed);
    assert_int_equal(sys_send(fd, "noise", 5, 0), 5); /* it has nothing to say, and that harms nobody */
    turns(3);
    push("d");
    wait_until_told();
    assert_string_equal(told(fd, &is_closed), LINE("d"));
    sys_close(fd);
    turns(3);
    assert_int_equal(control.followers_n, 0);
    push("e");
    assert_false(timer_is_armed(&control.grown)); /* nobody is there: nothing to wake up for */
}

static void test_nothing_wakes_us_while_nothing_comes(void **state)
{
    (void)state;
    int is_closed, fd = ask("tail -f\n");
    (void)told(fd, &is_closed);
    turns(3);
    struct pollfd watched[4];
    size_t n = loop.watches.fds_n;
    assert_true(n <= 4);
    memcpy(watched, loop.watches.fds, n * sizeof *watched);
    assert_int_equal(poll(watched, n, 0), 0);
    assert_int_equal(timerq_next_ms(&loop.timers), -1); /* no limit on a follower's time either */
    sys_close(fd);
}

static void test_a_follower_that_does_not_read_holds_nobody_up(void **state)
{
    (void)state;
    int is_closed, slow = ask("tail -f\n"), quick = ask("tail -f -n 0\n");
    size_t quick_n = 0, lines_n = 60000;
    (void)told(quick, &is_closed);
    for (size_t i = 0; i < lines_n; i++) {
        push("0123456789");
        if (i % 100 == 0) {
            wait_until_told();
            for (const char *c = told(quick, &is_closed); (c = strstr(c, "0123456789")); c++)
                quick_n++;
        }
    }
    wait_until_told();
    for (const char *c = told(quick, &is_closed); (c = strstr(c, "0123456789")); c++)
        quick_n++;
    assert_int_equal(quick_n, lines_n);
    size_t slow_n = 0, dropped_n = 0;
    for (int i = 0; i < 200; i++) { /* at last it reads */
        for (const char *c = told(slow, &is_closed); (c = strstr(c, "0123456789")); c++)
            slow_n++;
        for (const char *c = text; (c = strstr(c, "{\"dropped\":")); c++)
            dropped_n += strtoul(c + 11, NULL, 10);
        turns(2);
    }
    assert_false(is_closed);
    assert_true(dropped_n > 1000);
    assert_int_equal(slow_n + dropped_n, lines_n);
    for (int i = 0; i < CONTROL_CLIENTS_MAX; i++)
        assert_true(control.clients[i].reply.room_n <= 64 * 1024);
    sys_close(slow);
    sys_close(quick);
}

static void test_the_end_of_the_supervisor_is_the_end_of_it(void **state)
{
    (void)state;
    int is_closed, fd = ask("tail -f\n");
    (void)told(fd, &is_closed);
    push("last words");
    control_fini(&control);
    assert_string_equal(told(fd, &is_closed), LINE("last words"));
    assert_true(is_closed);
    sys_close(fd);
}

static void test_a_place_that_followed_serves_others_as_before(void **state)
{
    (void)state;
    int is_closed, fd = ask("tail -f\n");
    sys_close(fd);
    turns(3);
    fd = ask("status\n");
    assert_string_equal(told(fd, &is_closed), "{}\n");
    assert_true(is_closed);
    sys_close(fd);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_the_last_lines_and_the_end),
        CASE(test_a_follower_stays_and_is_told_and_may_leave),
        CASE(test_nothing_wakes_us_while_nothing_comes),
        CASE(test_a_follower_that_does_not_read_holds_nobody_up),
        CASE(test_the_end_of_the_supervisor_is_the_end_of_it),
        CASE(test_a_place_that_followed_serves_others_as_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
