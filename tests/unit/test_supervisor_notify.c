/* supervisor/notify: whose message it is, and what is in it. */
#include "supervisor/notify.h"

#include "common/contract.h"
#include "tests/unit/in_child.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>

#include <cmocka.h>

static struct loop loop;
static struct notify notify;
static char said[8192];
static pid_t said_by;
static unsigned said_n;

static void hear(void *context, pid_t pid, const char *name, const char *value)
{
    assert_ptr_equal(context, &notify);
    said_by = pid;
    said_n++;
    snprintf(said + strlen(said), sizeof said - strlen(said), "<%s|%s>", name, value);
}

static int setup(void **state)
{
    (void)state;
    said[0] = '\0';
    said_by = 0;
    said_n = 0;
    return loop_init(&loop) < 0 || notify_init(&notify, &loop, hear, &notify) < 0 ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    notify_fini(&notify);
    notify_fini(&notify);
    loop_fini(&loop);
    return 0;
}

static int connected(void)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t path_n = strlen(notify.path);
    memcpy(to.sun_path, notify.path, path_n);
    to.sun_path[0] = '\0';
    int fd = sys_socket(AF_UNIX, SOCK_DGRAM, 0);
    if (fd < 0 || sys_connect(fd, (struct sockaddr *)&to, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path_n)) < 0)
        abort();
    return fd;
}

static void send_bytes(const void *bytes, size_t bytes_n)
{
    int fd = connected();
    assert_int_equal(sys_send(fd, bytes, bytes_n, 0), bytes_n);
    sys_close(fd);
    assert_int_equal(loop_turn(&loop, 0), 0);
}

#define SEND(literal) send_bytes(literal, sizeof(literal) - 1)

static void test_lines_of_a_message_come_one_by_one(void **state)
{
    (void)state;
    assert_int_equal(notify.path[0], '@');
    SEND("READY=1\nSTATUS=up and=running\n");
    assert_string_equal(said, "<READY|1><STATUS|up and=running>");
    assert_int_equal(said_by, getpid());
}

static void send_as_child(void *context)
{
    struct contract c = {.channel_fd = -1, .notify_path = notify.path};
    pid_t *pids = context;
    *pids = getpid();
    CHILD_CHECK(contract_notify(&c, "READY=1") == 0);
}

static void test_the_kernel_says_who_it_was(void **state)
{
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        pid_t own;
        send_as_child(&own);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child); /* dead by the time it is read */
    assert_int_equal(status, 0);
    assert_int_equal(loop_turn(&loop, 0), 0);
    assert_string_equal(said, "<READY|1>");
    assert_int_equal(said_by, child);
}

static void test_malformed_messages(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t bytes_n;
        const char *said;
    } cases[] = {
#define CASE(in, out) {in, sizeof in - 1, out}
        CASE("READY", ""),
        CASE("=", "<|>"),
        CASE("=1", "<|1>"),
        CASE("READY=", "<READY|>"),
        CASE("\n", ""),
        CASE("\n\n\nREADY=1\n\n", "<READY|1>"),
        CASE("READY=1\r\n", "<READY|1\r>"),
        CASE("READY=1\0STATUS=x", "<READY|1>"),
        CASE("\0READY=1", ""),
        CASE("A=1\nnonsense\nB=2", "<A|1><B|2>"),
        CASE("STATUS=\033[2J", "<STATUS|\033[2J>"),
        CASE("\xff\xfe=\xff", "<\xff\xfe|\xff>"),
#undef CASE
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        said[0] = '\0';
        send_bytes(cases[i].bytes, cases[i].bytes_n);
        assert_string_equal(said, cases[i].said);
    }
}

static void test_an_empty_datagram_says_nothing_and_stops_nothing(void **state)
{
    (void)state;
    int fd = connected();
    assert_int_equal(sys_send(fd, "", 0, 0), 0);
    assert_int_equal(sys_send(fd, "A=1", 3, 0), 3);
    sys_close(fd);
    assert_int_equal(loop_turn(&loop, 0), 0);
    assert_string_equal(said, "<A|1>");
}

static void test_a_message_that_is_too_long_is_cut(void **state)
{
    (void)state;
    char bytes[10000];
    memset(bytes, 'x', sizeof bytes);
    memcpy(bytes, "STATUS=", 7);
    send_bytes(bytes, sizeof bytes);
    assert_int_equal(said_n, 1);
    assert_int_equal(strlen(said), 1 + NOTIFY_MESSAGE_BYTES - 1 + 1);
}

static void test_a_flood_is_read_in_portions(void **state)
{
    (void)state;
    int fd = connected(), sent_n = 0;
    while (sys_send(fd, "A=1", 3, 0) == 3)
        sent_n++;
    sys_close(fd);
    assert_int_equal(loop_turn(&loop, 0), 0);
    assert_in_range(said_n, 1, 32);
    for (int i = 0; i < sent_n; i++)
        assert_int_equal(loop_turn(&loop, 0), 0);
    assert_int_equal(said_n, sent_n);
}

static void test_descriptors_that_are_pushed_at_us_are_closed(void **state)
{
    (void)state;
    union {
        char bytes[CMSG_SPACE(4 * sizeof(int))];
        struct cmsghdr align;
    } control;
    char text[] = "A=1";
    int fd = connected(), before = dup(0);
    close(before);
    memset(&control, 0, sizeof control);
    struct iovec part = {text, 3};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
    m.msg_control = control.bytes;
    m.msg_controllen = sizeof control.bytes;
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(4 * sizeof(int));
    memset(CMSG_DATA(c), 0, 4 * sizeof(int)); /* stdin, four times */
    assert_int_equal(sendmsg(fd, &m, 0), 3);
    assert_int_equal(loop_turn(&loop, 0), 0);
    assert_string_equal(said, "<A|1>");
    int after = dup(0);
    close(after);
    assert_int_equal(after, before); /* nothing was left open */
    sys_close(fd);
}

#undef CASE
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_lines_of_a_message_come_one_by_one),
        CASE(test_the_kernel_says_who_it_was),
        CASE(test_malformed_messages),
        CASE(test_an_empty_datagram_says_nothing_and_stops_nothing),
        CASE(test_a_message_that_is_too_long_is_cut),
        CASE(test_a_flood_is_read_in_portions),
        CASE(test_descriptors_that_are_pushed_at_us_are_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
