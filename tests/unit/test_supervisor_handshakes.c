/* supervisor/handshakes: connections that have begun, by the kernel's answers, its files, and itself. */
#include "supervisor/handshakes.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const struct handshakes_ports ports = {.ports = {11434, 80}, .n = 2};

#define REST " 00000000:00000000 01:00000063 00000000     0        0 0 1 0000000000000000\n"

static void test_a_line_of_proc(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        int is_found;
    } cases[] = {
        {"   1: 0100007F:2CAA 0100007F:9C40 03" REST, 1},
        {"   1: 00000000000000000000000001000000:0050 00000000000000000000000001000000:9C40 03" REST, 1},
        {"   1: 0100007F:2CAA 0100007F:9C40 01" REST, 0},                                         /* established */
        {"   0: 0100007F:2CAA 00000000:0000 0A" REST, 0},                                         /* listens */
        {"   1: 0100007F:2CAB 0100007F:2CAA 03" REST, 0},                                         /* not to us */
        {"   1: 0100007F:2CAA 0100007F:9C40 03 00000000:00000000 01:00000063 00000001 0 0\n", 1}, /* said once more */
        {"   1: 0100007F:2CAA 0100007F:9C40 03 00000000:00000000 01:00000063 00000002 0 0\n", 0}, /* nobody's any more */
        {"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n", 0},
        {"   1: 0100007F:2CAA 0100007F:9C40 03", 0},
        {"   1: 0100007F: 0100007F:9C40 03" REST, 0},
        {"   1: 0100007F:FFFFFFFFFFFFFFFFFFFFFF 0100007F:9C40 03" REST, 0},
        {"", 0},
        {"\n", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(handshakes_line(cases[i].line, &ports), cases[i].is_found);
}

struct one {
    struct nlmsghdr head;
    struct inet_diag_msg said;
};

static struct one message(int type, uint8_t tcp_state, uint8_t repeated_n, uint16_t port)
{
    struct one m = {.head = {.nlmsg_len = sizeof m, .nlmsg_type = (uint16_t)type}};
    m.said.idiag_state = tcp_state;
    m.said.idiag_retrans = repeated_n;
    m.said.id.idiag_sport = htons(port);
    return m;
}

static enum handshakes_said said(const struct one *messages, size_t n)
{
    return handshakes_answer((const char *)messages, n * sizeof *messages, &ports);
}

static void test_an_answer_of_the_kernel(void **state)
{
    (void)state;
    struct one several[3] = {message(SOCK_DIAG_BY_FAMILY, 3, 0, 9), message(SOCK_DIAG_BY_FAMILY, 3, 2, 80),
                             message(SOCK_DIAG_BY_FAMILY, 3, 1, 80)};
    assert_int_equal(said(several, 3), HANDSHAKES_FOUND);
    assert_int_equal(said(several, 2), HANDSHAKES_MORE);
    several[2] = message(NLMSG_DONE, 0, 0, 0);
    assert_int_equal(said(several, 3), HANDSHAKES_END);
    several[1] = message(NLMSG_ERROR, 0, 0, 0);
    assert_int_equal(said(several, 3), HANDSHAKES_BAD);
    several[0].head.nlmsg_len = sizeof several + 1; /* longer than what came */
    assert_int_equal(said(several, 3), HANDSHAKES_BAD);
    several[0].head.nlmsg_len = 1;
    assert_int_equal(said(several, 3), HANDSHAKES_BAD);
    several[0].head.nlmsg_len = sizeof(struct nlmsghdr);
    assert_int_equal(said(several, 1), HANDSHAKES_BAD);
    assert_int_equal(handshakes_answer("", 0, &ports), HANDSHAKES_BAD);
}

static int is_netlink_refused;
int __real_sys_socket(int family, int type, int protocol);
int __wrap_sys_socket(int family, int type, int protocol);
int __wrap_sys_socket(int family, int type, int protocol)
{
    return family == AF_NETLINK && is_netlink_refused ? -EPROTONOSUPPORT : __real_sys_socket(family, type, protocol);
}

/* No packet reaches this socket. Some kernels let root alone have that, some sandboxes nobody. socket(7) */
static void deafen(int fd)
{
    struct sock_filter keep_nothing = BPF_STMT(BPF_RET | BPF_K, 0);
    struct sock_fprog program = {1, &keep_nothing};
    if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) < 0)
        skip();
}

/* A handshake of our own that has begun: the other side hears nothing. */
static void test_the_kernel_and_its_files_tell_of_one(void **state)
{
    (void)state;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_storage bound;
    socklen_t bound_n;
    int door = sys_socket(AF_INET, SOCK_STREAM, 0), client = sys_socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(sys_bind(door, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(sys_listen(door, 5), 0);
    assert_int_equal(sys_socket_name(door, &bound, &bound_n), 0);
    memcpy(&at, &bound, sizeof at);
    struct handshakes_ports own = {.ports = {ntohs(at.sin_port)}, .n = 1}, none = {.n = 0};
    assert_int_equal(handshakes_look("/proc/net", &own), 0);
    deafen(client);
    assert_int_equal(sys_connect(client, (struct sockaddr *)&at, sizeof at), -EINPROGRESS);
    assert_int_equal(handshakes_look("/proc/net", &own), 1);
    assert_int_equal(handshakes_look("/proc/net", &none), 0);
    is_netlink_refused = 1;
    int found = handshakes_look("/proc/net", &own);
    assert_true(found == 1 || found == -EFBIG); /* a machine with thousands of connections */
    is_netlink_refused = 0;
    sys_close(client);
    sys_close(door);
}

static void put(const char *folder, const char *name, const char *line, size_t lines_n)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (size_t i = 0; i < lines_n; i++)
        fputs(line, file);
    fclose(file);
}

static void test_its_files_are_read_within_bounds(void **state)
{
    (void)state;
    static const char ours[] = "   1: 0100007F:2CAA 0100007F:9C40 03" REST, others[] = "   1: 0100007F:0016 0100007F:9C40 03" REST;
    char folder[] = "/tmp/handshakes-XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    is_netlink_refused = 1;
    assert_int_equal(handshakes_look(folder, &ports), -ENOENT);
    put(folder, "tcp", others, 100);
    assert_int_equal(handshakes_look(folder, &ports), 0); /* there is no IPv6 */
    put(folder, "tcp6", ours, 1);
    assert_int_equal(handshakes_look(folder, &ports), 1);
    put(folder, "tcp6", others, 10);
    assert_int_equal(handshakes_look(folder, &ports), 0);
    put(folder, "tcp", others, 20000);
    assert_int_equal(handshakes_look(folder, &ports), -EFBIG);
    put(folder, "tcp", "no end of a line, ever ", 100000);
    assert_int_equal(handshakes_look(folder, &ports), -EFBIG);
    is_netlink_refused = 0;
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, i ? "tcp6" : "tcp");
        unlink(path);
    }
    rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_line_of_proc),
        cmocka_unit_test(test_an_answer_of_the_kernel),
        cmocka_unit_test(test_the_kernel_and_its_files_tell_of_one),
        cmocka_unit_test(test_its_files_are_read_within_bounds),
    };
    return cmocka_run_group_tests_name("supervisor/handshakes", tests, NULL, NULL);
}
