/* common/sys_socket: descriptors that are passed, and listeners that let nobody in. */
#include "common/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

static int pair[2];

static int setup(void **state)
{
    (void)state;
    return sys_socketpair(AF_UNIX, SOCK_SEQPACKET, pair);
}

static int teardown(void **state)
{
    (void)state;
    sys_close(pair[0]);
    sys_close(pair[1]);
    return 0;
}

static void test_a_descriptor_is_passed_whoever_closes_his_own(void **state)
{
    (void)state;
    int stream[2];
    char byte;
    assert_int_equal(sys_socketpair(AF_UNIX, SOCK_STREAM, stream), 0);
    assert_int_equal(sys_recv_fd(pair[0]), -EAGAIN);
    assert_int_equal(sys_send_fd(pair[1], stream[1]), 0);
    sys_close(stream[1]);
    assert_int_equal(sys_send(stream[0], "x", 1, 0), 1); /* while nobody has it */
    int fd = sys_recv_fd(pair[0]);
    assert_true(fd >= 0);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(sys_recv(fd, &byte, 1, 0), 1);
    assert_int_equal(byte, 'x');
    sys_close(fd);
    sys_close(stream[0]);
}

static void test_a_message_without_one_and_an_end_are_told_apart(void **state)
{
    (void)state;
    assert_int_equal(sys_send(pair[1], "x", 1, 0), 1);
    assert_int_equal(sys_recv_fd(pair[0]), -EPROTO);
    sys_close(pair[1]);
    pair[1] = -1;
    assert_int_equal(sys_recv_fd(pair[0]), -EPIPE);
    assert_int_equal(sys_send_fd(pair[0], 0), -EPIPE);
}

static void test_a_descriptor_goes_beside_a_message(void **state)
{
    (void)state;
    char bytes[8];
    int fd = 0;
    assert_int_equal(sys_recv_with_fd(pair[0], bytes, sizeof bytes, &fd), -EAGAIN);
    assert_int_equal(fd, -1);
    assert_int_equal(sys_send_with_fd(pair[1], "hello", 5, pair[1]), 5);
    assert_int_equal(sys_send(pair[1], "x", 1, 0), 1);
    assert_int_equal(sys_recv_with_fd(pair[0], bytes, sizeof bytes, &fd), 5);
    assert_memory_equal(bytes, "hello", 5);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    sys_close(fd);
    assert_int_equal(sys_recv_with_fd(pair[0], bytes, sizeof bytes, &fd), 1);
    assert_int_equal(fd, -1);
    sys_close(pair[1]);
    pair[1] = -1;
    assert_int_equal(sys_recv_with_fd(pair[0], bytes, sizeof bytes, &fd), 0);
}

/* Bounded by the kernel: who is not taken is told of, and stays with who has it. */
static void test_there_is_a_limit_and_nothing_is_lost(void **state)
{
    (void)state;
    enum { MANY = 100000 };
    int sent_n = 0, got_n = 0, fd;
    while (sent_n < MANY && sys_send_fd(pair[1], 0) == 0)
        sent_n++;
    assert_in_range(sent_n, 64, MANY - 1);
    for (; (fd = sys_recv_fd(pair[0])) >= 0; got_n++)
        sys_close(fd);
    assert_int_equal(got_n, sent_n);
    assert_int_equal(fd, -EAGAIN);
}

static void test_what_is_no_socket_is_refused(void **state)
{
    (void)state;
    struct sockaddr_storage peer;
    socklen_t peer_n;
    assert_int_equal(sys_listen_again(pair[0]), 0); /* there was no filter */
    assert_int_equal(sys_listen_no_more(-1), -EBADF);
    assert_int_equal(sys_recv_fd(-1), -EBADF);
    assert_int_equal(sys_send_fd(pair[0], -1), -EBADF);
    assert_int_equal(sys_peer_name(-1, &peer, &peer_n), -EBADF);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_descriptor_is_passed_whoever_closes_his_own),
        CASE(test_a_message_without_one_and_an_end_are_told_apart),
        CASE(test_a_descriptor_goes_beside_a_message),
        CASE(test_there_is_a_limit_and_nothing_is_lost),
        CASE(test_what_is_no_socket_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
