/* common/contract: what a child adopts and what it refuses, and messages with and without a descriptor. */
#include "common/contract.h"

#include "tests/unit/in_child.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>

#include <cmocka.h>

static void set_number(const char *name, int number)
{
    char text[16];
    snprintf(text, sizeof text, "%d", number);
    setenv(name, text, 1);
}

static int make_page(size_t bytes_n, uint32_t version)
{
    void *at = NULL;
    int fd = sys_memfd("page", bytes_n);
    CHILD_CHECK(fd >= 0 && sys_map_shared(fd, bytes_n, &at) == 0);
    memcpy(at, &version, sizeof version);
    sys_unmap(at, bytes_n);
    return fd;
}

static int is_cloexec(int fd)
{
    return fcntl(fd, F_GETFD) & FD_CLOEXEC;
}

/* All that a proxy is born with: listeners as 3 and 4, channel as 5, page as 6. */
static void set_scene(int page_fd)
{
    int pair[2];
    for (int fd = 3; fd <= 4; fd++) {
        int s = socket(AF_INET, SOCK_STREAM, 0);
        CHILD_CHECK(s >= 0 && dup2(s, fd) == fd);
        if (s != fd)
            close(s);
    }
    CHILD_CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) == 0);
    CHILD_CHECK(dup2(page_fd, 6) == 6);
    CHILD_CHECK(dup2(pair[0], 5) == 5);
    int null_fd = open("/dev/null", O_RDWR);
    CHILD_CHECK(null_fd >= 0 && dup2(null_fd, 7) == 7);
    set_number("LISTEN_PID", getpid());
    set_number("LISTEN_FDS", 2);
    setenv("LISTEN_FDNAMES", "a:b", 1);
    set_number(CONTRACT_ENV_CHANNEL, 5);
    set_number(CONTRACT_ENV_PAGE, 6);
    setenv(CONTRACT_ENV_LINE, "03", 1);
    setenv("NOTIFY_SOCKET", "@nobody", 1);
}

/* The page out of the way of the numbers that the scene uses. */
static int high_page(size_t bytes_n, uint32_t version)
{
    int low = make_page(bytes_n, version);
    int high = fcntl(low, F_DUPFD, 20);
    CHILD_CHECK(high >= 20);
    close(low);
    return high;
}

static void adopts_all(void *context)
{
    struct contract c;
    (void)context;
    set_scene(high_page(sizeof(struct contract_page), CONTRACT_VERSION));
    CHILD_CHECK(contract_adopt(&c) == 0);
    CHILD_CHECK(c.listen_fds_n == 2 && c.channel_fd == 5 && c.page && c.line == &c.page->lines[3]);
    CHILD_CHECK(strcmp(c.notify_path, "@nobody") == 0);
    CHILD_CHECK(atomic_load(&c.line->pid) == getpid());
    CHILD_CHECK(is_cloexec(3) && is_cloexec(4) && is_cloexec(5));
    CHILD_CHECK(fcntl(3, F_GETFL) & O_NONBLOCK);
    CHILD_CHECK(fcntl(6, F_GETFD) < 0); /* mapped, and closed */
    static const char *const gone[] = {"LISTEN_PID",        "LISTEN_FDS",      "LISTEN_FDNAMES", "NOTIFY_SOCKET",
                                       CONTRACT_ENV_CHANNEL, CONTRACT_ENV_PAGE, CONTRACT_ENV_LINE};
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++)
        CHILD_CHECK(getenv(gone[i]) == NULL);
    contract_release(&c);
    CHILD_CHECK(c.channel_fd == -1 && !c.page && !c.line && !c.notify_path);
}

static void adopts_doors(void *context)
{
    struct contract c;
    int pair[2];
    (void)context;
    set_scene(high_page(sizeof(struct contract_page), CONTRACT_VERSION));
    CHILD_CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) == 0);
    CHILD_CHECK(dup2(pair[0], 8) == 8 && dup2(pair[1], 9) == 9);
    CHILD_CHECK(dup2(3, 10) == 10 && dup2(4, 11) == 11);
    set_number(CONTRACT_ENV_KEPT, 8);
    setenv(CONTRACT_ENV_LEAVING, "10:02", 1);
    CHILD_CHECK(contract_adopt(&c) == 0);
    CHILD_CHECK(c.kept_fds[0] == 8 && c.kept_fds[1] == 9 && c.leaving_fds_first == 10 && c.leaving_fds_n == 2);
    CHILD_CHECK(is_cloexec(8) && is_cloexec(9) && is_cloexec(10) && is_cloexec(11));
    CHILD_CHECK(!getenv(CONTRACT_ENV_KEPT) && !getenv(CONTRACT_ENV_LEAVING));
    contract_release(&c);
    CHILD_CHECK(fcntl(8, F_GETFD) < 0 && fcntl(9, F_GETFD) < 0 && c.kept_fds[0] == -1);
}

static void adopts_no_doors(void *context)
{
    static const char *const nonsense[] = {"", "10", "10:", "10:02x", "01:01", "-1:01", "10:-1", "x:01", NULL};
    struct contract c;
    (void)context;
    for (const char *const *text = nonsense; *text; text++) {
        set_scene(high_page(sizeof(struct contract_page), CONTRACT_VERSION));
        setenv(CONTRACT_ENV_LEAVING, *text, 1);
        CHILD_CHECK(contract_adopt(&c) == 0 && c.leaving_fds_n == 0 && c.kept_fds[0] == -1 && c.listen_fds_n == 2);
        contract_release(&c);
    }
    set_scene(high_page(sizeof(struct contract_page), CONTRACT_VERSION));
    setenv(CONTRACT_ENV_LEAVING, "07:01", 1); /* /dev/null */
    CHILD_CHECK(contract_adopt(&c) < 0 && c.leaving_fds_n == 0 && c.listen_fds_n == 0);
}

static void test_a_proxy_adopts_what_leaves_and_what_was_kept(void **state)
{
    (void)state;
    assert_int_equal(in_child(adopts_doors, NULL), 0);
    assert_int_equal(in_child(adopts_no_doors, NULL), 0);
}

static void test_a_child_adopts_what_it_was_born_with(void **state)
{
    (void)state;
    assert_int_equal(in_child(adopts_all, NULL), 0);
}

static void adopts_nothing(void *context)
{
    struct contract c;
    (void)context;
    CHILD_CHECK(contract_adopt(&c) == 0);
    CHILD_CHECK(c.channel_fd == -1 && !c.page && !c.line && c.listen_fds_n == 0 && !c.notify_path);
    CHILD_CHECK(contract_notify(&c, "READY=1") == 0);
    CHILD_CHECK(contract_send(c.channel_fd, CONTRACT_WANT, 0, "ollama") == -EPIPE);
    contract_release(&c);
}

static void test_alone_it_adopts_nothing(void **state)
{
    (void)state;
    assert_int_equal(in_child(adopts_nothing, NULL), 0);
}

struct change {
    const char *name, *value; /* one variable that is not as it should be; value NULL: absent */
    int is_refused;
};

static void adopts_changed(void *context)
{
    const struct change *change = context;
    struct contract c;
    set_scene(high_page(sizeof(struct contract_page), CONTRACT_VERSION));
    if (change->value)
        setenv(change->name, change->value, 1);
    else
        unsetenv(change->name);
    int error = contract_adopt(&c);
    CHILD_CHECK((error < 0) == change->is_refused);
    if (error < 0)
        CHILD_CHECK(c.channel_fd == -1 && !c.page && !c.line && c.listen_fds_n == 0 && !c.notify_path);
    CHILD_CHECK(getenv(CONTRACT_ENV_PAGE) == NULL);
    contract_release(&c);
}

static void test_variables_that_are_wrong(void **state)
{
    (void)state;
    static struct change changes[] = {
        {CONTRACT_ENV_LINE, NULL, 1},
        {CONTRACT_ENV_LINE, "16", 1},
        {CONTRACT_ENV_LINE, "-1", 1},
        {CONTRACT_ENV_LINE, "x", 1},
        {CONTRACT_ENV_LINE, "15", 0},
        {CONTRACT_ENV_PAGE, "999", 1},
        {CONTRACT_ENV_PAGE, "3", 1},   /* a socket */
        {CONTRACT_ENV_PAGE, "2", 0},   /* no number of ours: as if absent */
        {CONTRACT_ENV_PAGE, "6x", 0},
        {CONTRACT_ENV_CHANNEL, "999", 1},
        {CONTRACT_ENV_CHANNEL, "7", 1}, /* no socket */
        {CONTRACT_ENV_CHANNEL, "99999999999999999999", 0},
        {"LISTEN_PID", "1", 0},        /* meant for somebody else */
        {"LISTEN_FDS", "60", 1},       /* most of them are not open */
        {"LISTEN_FDS", "4", 1},        /* one of them is the page: no socket */
        {"LISTEN_FDS", "-2", 0},
        {"LISTEN_FDS", "1000000", 0},
    };
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++)
        if (in_child(adopts_changed, &changes[i]) != 0)
            fail_msg("%s=%s", changes[i].name, changes[i].value ? changes[i].value : "(absent)");
}

static void adopts_zero_padded_pid(void *context)
{
    struct contract c;
    char text[16];
    (void)context;
    set_scene(high_page(sizeof(struct contract_page), CONTRACT_VERSION));
    snprintf(text, sizeof text, "%010d", (int)getpid());
    setenv("LISTEN_PID", text, 1);
    CHILD_CHECK(contract_adopt(&c) == 0 && c.listen_fds_n == 2);
    contract_release(&c);
}

static void test_the_pid_may_have_leading_zeros(void **state)
{
    (void)state;
    assert_int_equal(in_child(adopts_zero_padded_pid, NULL), 0);
}

struct page_case {
    size_t bytes_n;
    uint32_t version;
    int error;
};

static void adopts_page(void *context)
{
    const struct page_case *k = context;
    struct contract c;
    set_scene(high_page(k->bytes_n, k->version));
    CHILD_CHECK(contract_adopt(&c) == k->error);
    CHILD_CHECK((c.page != NULL) == (k->error == 0));
    contract_release(&c);
}

static void test_a_page_of_another_size_or_version_is_refused(void **state)
{
    (void)state;
    static struct page_case cases[] = {
        {sizeof(struct contract_page), CONTRACT_VERSION, 0},
        {sizeof(struct contract_page) + 4096, CONTRACT_VERSION, 0},
        {sizeof(struct contract_page) - 1, CONTRACT_VERSION, -EPROTO},
        {4, CONTRACT_VERSION, -EPROTO},
        {sizeof(struct contract_page), CONTRACT_VERSION + 1, -EPROTO},
        {sizeof(struct contract_page), 0, -EPROTO},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(in_child(adopts_page, &cases[i]), 0);
}

static void test_messages_arrive_as_they_were_sent(void **state)
{
    (void)state;
    int fds[2];
    struct contract_message m;
    char long_name[CONTRACT_NAME_BYTES + 1];
    memset(long_name, 'n', sizeof long_name);
    long_name[CONTRACT_NAME_BYTES] = '\0';
    assert_int_equal(sys_socketpair(AF_UNIX, SOCK_SEQPACKET, fds), 0);
    assert_int_equal(contract_receive(fds[1], &m), 0);
    assert_int_equal(contract_send(fds[0], CONTRACT_WANT, 7, "ollama"), 0);
    assert_int_equal(contract_send(fds[0], CONTRACT_SLEEP, 1, NULL), 0);
    assert_int_equal(contract_send(fds[0], CONTRACT_WANT, 0, long_name), -EINVAL);
    long_name[CONTRACT_NAME_BYTES - 1] = '\0';
    assert_int_equal(contract_send(fds[0], CONTRACT_WANT, 0, long_name), 0);
    assert_int_equal(contract_receive(fds[1], &m), 1);
    assert_int_equal(m.kind, CONTRACT_WANT);
    assert_int_equal(m.value, 7);
    assert_string_equal(m.name, "ollama");
    assert_int_equal(contract_receive(fds[1], &m), 1);
    assert_int_equal(m.kind, CONTRACT_SLEEP);
    assert_string_equal(m.name, "");
    assert_int_equal(contract_receive(fds[1], &m), 1);
    assert_string_equal(m.name, long_name);
    assert_int_equal(contract_receive(fds[1], &m), 0);
    sys_close(fds[0]);
    assert_int_equal(contract_receive(fds[1], &m), -EPIPE);
    assert_int_equal(contract_send(fds[1], CONTRACT_WANT, 0, "x"), -EPIPE);
    sys_close(fds[1]);
}

static void test_messages_of_another_size_or_version_are_refused(void **state)
{
    (void)state;
    int fds[2];
    struct contract_message m, good = {.version = CONTRACT_VERSION, .kind = CONTRACT_WANT};
    char bytes[sizeof good + 100] = {0};
    memcpy(bytes, &good, sizeof good);
    static const size_t sizes[] = {1, sizeof good - 1, sizeof good + 1, sizeof good + 100};
    assert_int_equal(sys_socketpair(AF_UNIX, SOCK_SEQPACKET, fds), 0);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        assert_int_equal(sys_send(fds[0], bytes, sizes[i], 0), sizes[i]);
        assert_int_equal(contract_receive(fds[1], &m), -EPROTO);
    }
    static const uint16_t versions[] = {0, CONTRACT_VERSION + 1, 0xffff};
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
        struct contract_message bad = good;
        bad.version = versions[i];
        assert_int_equal(sys_send(fds[0], &bad, sizeof bad, 0), sizeof bad);
        assert_int_equal(contract_receive(fds[1], &m), -EPROTO);
    }
    struct contract_message endless = good;
    memset(endless.name, 'x', sizeof endless.name);
    assert_int_equal(sys_send(fds[0], &endless, sizeof endless, 0), sizeof endless);
    assert_int_equal(contract_receive(fds[1], &m), 1);
    assert_int_equal(strlen(m.name), sizeof m.name - 1);
    sys_close(fds[0]);
    sys_close(fds[1]);
}

static void test_a_detail_goes_with_a_message(void **state)
{
    (void)state;
    int fds[2];
    struct contract_message m;
    char long_detail[CONTRACT_DETAIL_BYTES + 1];
    memset(long_detail, 'd', sizeof long_detail);
    long_detail[CONTRACT_DETAIL_BYTES] = '\0';
    assert_int_equal(sys_socketpair(AF_UNIX, SOCK_SEQPACKET, fds), 0);
    assert_int_equal(contract_send_detail(fds[0], CONTRACT_ENGINE_START, 2, "org/name", long_detail), -EINVAL);
    assert_int_equal(contract_send_detail(fds[0], CONTRACT_ENGINE_START, 2, "org/name", "0123 4096 q4"), 0);
    assert_int_equal(contract_receive(fds[1], &m), 1);
    assert_int_equal(m.value, 2);
    assert_string_equal(m.name, "org/name");
    assert_string_equal(m.detail, "0123 4096 q4");
    memset(m.detail, 'x', sizeof m.detail);
    assert_int_equal(sys_send(fds[0], &m, sizeof m, 0), sizeof m);
    assert_int_equal(contract_receive(fds[1], &m), 1);
    assert_int_equal(strlen(m.detail), sizeof m.detail - 1);
    sys_close(fds[0]);
    sys_close(fds[1]);
}

static void test_a_descriptor_goes_with_a_message(void **state)
{
    (void)state;
    int fds[2], pipe_fds[2], fd = 0;
    struct contract_message m;
    assert_int_equal(sys_socketpair(AF_UNIX, SOCK_SEQPACKET, fds), 0);
    assert_int_equal(contract_receive_fd(fds[1], &m, &fd), 0);
    assert_int_equal(fd, -1);
    assert_int_equal(contract_send_fd(fds[0], CONTRACT_HUB, -1), -EBADF);
    assert_int_equal(sys_pipe(pipe_fds, O_NONBLOCK), 0);
    assert_int_equal(contract_send_fd(fds[0], CONTRACT_HUB, pipe_fds[1]), 0);
    assert_int_equal(contract_send(fds[0], CONTRACT_WANT, 0, "ollama"), 0);
    sys_close(pipe_fds[1]);
    assert_int_equal(contract_receive_fd(fds[1], &m, &fd), 1);
    assert_int_equal(m.kind, CONTRACT_HUB);
    assert_int_equal(sys_write(fd, "x", 1), 1);
    char byte;
    assert_int_equal(sys_read(pipe_fds[0], &byte, 1), 1);
    assert_int_equal(byte, 'x');
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    sys_close(fd);
    assert_int_equal(contract_receive_fd(fds[1], &m, &fd), 1); /* one without */
    assert_int_equal(fd, -1);
    assert_string_equal(m.name, "ollama");
    sys_close(fds[0]);
    assert_int_equal(contract_receive_fd(fds[1], &m, &fd), -EPIPE);
    sys_close(fds[1]);
    sys_close(pipe_fds[0]);
}

/* Nobody keeps what came with a message that is refused, or that nobody expected one with. */
static void test_a_descriptor_that_is_not_wanted_is_closed(void **state)
{
    (void)state;
    int fds[2], pipe_fds[2], fd = 0;
    char byte;
    struct contract_message m, bad = {.version = CONTRACT_VERSION + 1};
    assert_int_equal(sys_socketpair(AF_UNIX, SOCK_SEQPACKET, fds), 0);
    assert_int_equal(sys_pipe(pipe_fds, O_NONBLOCK), 0);
    assert_int_equal(sys_send_with_fd(fds[0], &bad, sizeof bad, pipe_fds[1]), sizeof bad);
    assert_int_equal(contract_send_fd(fds[0], CONTRACT_HUB, pipe_fds[1]), 0);
    sys_close(pipe_fds[1]);
    assert_int_equal(contract_receive_fd(fds[1], &m, &fd), -EPROTO);
    assert_int_equal(fd, -1);
    assert_int_equal(sys_read(pipe_fds[0], &byte, 1), -EAGAIN); /* the second message has it still */
    assert_int_equal(contract_receive(fds[1], &m), 1);
    assert_int_equal(sys_read(pipe_fds[0], &byte, 1), 0);
    sys_close(fds[0]);
    sys_close(fds[1]);
    sys_close(pipe_fds[0]);
}

static void test_a_full_channel_says_so_and_does_not_wait(void **state)
{
    (void)state;
    int fds[2], error = 0;
    assert_int_equal(sys_socketpair(AF_UNIX, SOCK_SEQPACKET, fds), 0);
    for (int i = 0; i < 100000 && !error; i++)
        error = contract_send(fds[0], CONTRACT_STATE_CHANGED, 0, NULL);
    assert_int_equal(error, -EAGAIN);
    sys_close(fds[0]);
    sys_close(fds[1]);
}

static void test_notify_sends_one_datagram(void **state)
{
    (void)state;
    struct sockaddr_un name = {.sun_family = AF_UNIX}, got;
    socklen_t got_n = sizeof got;
    char path[120], bytes[64];
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&name, offsetof(struct sockaddr_un, sun_path)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&got, &got_n), 0);
    snprintf(path, sizeof path, "@%.*s", (int)(got_n - offsetof(struct sockaddr_un, sun_path) - 1), got.sun_path + 1);
    struct contract c = {.channel_fd = -1, .notify_path = path};
    assert_int_equal(contract_notify(&c, "READY=1\nSTATUS=up"), 0);
    assert_int_equal(recv(fd, bytes, sizeof bytes, 0), 17);
    assert_memory_equal(bytes, "READY=1\nSTATUS=up", 17);
    close(fd);
    assert_true(contract_notify(&c, "READY=1") < 0); /* nobody there: told, not fatal */
    char endless[300];
    memset(endless, '/', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    c.notify_path = endless;
    assert_int_equal(contract_notify(&c, "READY=1"), -EINVAL);
}

static void test_short_and_long_limits_are_looked_at_in_bounds(void **state)
{
    (void)state;
    assert_int_equal(contract_stall_interval_ms(120000), 15000);
    assert_int_equal(contract_stall_interval_ms(1), 100);
    assert_int_equal(contract_stall_interval_ms(24LL * 3600 * 1000), 30000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_child_adopts_what_it_was_born_with),
        cmocka_unit_test(test_a_proxy_adopts_what_leaves_and_what_was_kept),
        cmocka_unit_test(test_alone_it_adopts_nothing),
        cmocka_unit_test(test_variables_that_are_wrong),
        cmocka_unit_test(test_the_pid_may_have_leading_zeros),
        cmocka_unit_test(test_a_page_of_another_size_or_version_is_refused),
        cmocka_unit_test(test_messages_arrive_as_they_were_sent),
        cmocka_unit_test(test_messages_of_another_size_or_version_are_refused),
        cmocka_unit_test(test_a_detail_goes_with_a_message),
        cmocka_unit_test(test_a_descriptor_goes_with_a_message),
        cmocka_unit_test(test_a_descriptor_that_is_not_wanted_is_closed),
        cmocka_unit_test(test_a_full_channel_says_so_and_does_not_wait),
        cmocka_unit_test(test_notify_sends_one_datagram),
        cmocka_unit_test(test_short_and_long_limits_are_looked_at_in_bounds),
    };
    static const char *const inherited[] = {"NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID"};
    for (size_t i = 0; i < sizeof inherited / sizeof *inherited; i++)
        unsetenv(inherited[i]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
