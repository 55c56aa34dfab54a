/* supervisor/doors: real sockets on the loopback that come, stay, leave and come back. */
#include "supervisor/doors.h"

#include "common/listen.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct loop loop;
static struct doors doors;
static struct doors_plan plan;
static struct address a, b, c;
static char why[LISTEN_WHY_BYTES];
static int left_n, fds_n;
static int is_refused; /* as where the kernel lets nobody filter packets */

int __real_sys_listen_no_more(int fd);
int __wrap_sys_listen_no_more(int fd);

int __wrap_sys_listen_no_more(int fd)
{
    return is_refused ? -EPERM : __real_sys_listen_no_more(fd);
}

static void left(void *context)
{
    (void)context;
    left_n++;
}

static int count_fds(void)
{
    int n = 0;
    DIR *dir = opendir("/proc/self/fd");
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

/* An address whose port nobody has, on whatever address: some bind it on all of them. */
static struct address free_address(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_ANY)};
    struct sockaddr_storage name;
    socklen_t name_n;
    struct address out = {.host = "127.0.0.1"};
    int fd = sys_socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(sys_bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(sys_socket_name(fd, &name, &name_n), 0);
    memcpy(&at, &name, sizeof at);
    out.port = ntohs(at.sin_port);
    sys_close(fd);
    return out;
}

static int setup(void **state)
{
    (void)state;
    left_n = 0;
    is_refused = 0;
    a = free_address();
    b = free_address();
    c = free_address();
    if (loop_init(&loop) < 0)
        return -1;
    doors_init(&doors, &loop, left, NULL);
    assert_true(doors.kept_fds[0] >= 0);
    assert_int_equal(doors_open(&doors, &a, why), 0);
    assert_int_equal(doors_open(&doors, &b, why), 0);
    fds_n = count_fds();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    doors_fini(&doors);
    loop_fini(&loop);
    return 0;
}

/* A client's connection, or -errno. */
static int come(const struct address *to)
{
    struct sockaddr_storage at;
    socklen_t at_n;
    assert_int_equal(address_to_sockaddr(to, &at, &at_n), 0);
    int fd = sys_socket(AF_INET, SOCK_STREAM, 0);
    int error = sys_connect(fd, (struct sockaddr *)&at, at_n);
    struct pollfd wait = {.fd = fd, .events = POLLOUT};
    if (error == -EINPROGRESS)
        error = sys_poll(&wait, 1, 100) == 1 ? sys_socket_error(fd) : -ETIMEDOUT;
    if (error >= 0)
        return fd;
    sys_close(fd);
    return error;
}

static void is_let_in(int listen_fd)
{
    struct sockaddr_storage peer;
    socklen_t peer_n;
    int fd = sys_accept(listen_fd, &peer, &peer_n);
    assert_true(fd >= 0);
    sys_close(fd);
}

static void change_to(const struct address *list, size_t list_n)
{
    assert_int_equal(doors_plan(&doors, list, list_n, &plan, why), 0);
    assert_int_equal(doors_plan_listen(&doors, &plan, why), 0);
    doors_commit(&doors, &plan);
}

/* As if the time until the next deadline had passed. */
static void pass_time(void)
{
    loop_arm(&loop, &doors.timer, loop_now_ms(&loop));
    assert_int_equal(loop_turn(&loop, 0), 0);
}

/* Some kernels let root alone filter packets, some sandboxes nobody. */
static void needs_filters(void)
{
    int fd = sys_socket(AF_INET, SOCK_STREAM, 0), error = sys_listen_no_more(fd);
    sys_close(fd);
    if (error < 0)
        skip();
}

static void test_what_stays_is_the_same_socket_and_what_goes_leaves_by_and_by(void **state)
{
    (void)state;
    needs_filters();
    int fd_a = doors.open.fds[0], fd_b = doors.open.fds[1];
    int waiting = come(&b);
    assert_true(waiting >= 0 && doors_are_asked(&doors));
    change_to((struct address[]){c, a}, 2);
    assert_int_equal(doors.open.n, 2);
    assert_int_equal(doors.open.fds[1], fd_a);
    assert_true(address_equal(&doors.open.addresses[0], &c));
    assert_int_equal(doors.leaving.n, 1);
    assert_int_equal(doors.leaving.fds[0], fd_b);
    assert_false(timer_is_armed(&doors.timer)); /* until a proxy serves them it stays, however long that takes */
    int late = come(&b);
    assert_true(late >= 0);
    doors_are_served(&doors);
    assert_int_equal(come(&b), -ETIMEDOUT); /* nobody is let in any more, and nobody reset */
    assert_true(doors_are_asked(&doors));
    is_let_in(fd_b);
    is_let_in(fd_b);
    assert_false(doors_are_asked(&doors));
    assert_in_range(timerq_next_ms(&loop.timers), loop_now_ms(&loop) + DOORS_LEAVE_MS - 200, loop_now_ms(&loop) + DOORS_LEAVE_MS);
    assert_int_equal(left_n, 0);
    pass_time();
    assert_int_equal(left_n, 1);
    assert_int_equal(doors.leaving.n, 0);
    assert_int_equal(come(&b), -ECONNREFUSED);
    sys_close(waiting);
    sys_close(late);
    assert_int_equal(count_fds(), fds_n);
}

static void test_the_next_proxy_has_its_time_too(void **state)
{
    (void)state;
    needs_filters();
    change_to(&a, 1);
    doors_are_served(&doors);
    doors_are_given(&doors);
    assert_false(timer_is_armed(&doors.timer)); /* it has a copy, and is not ready */
    assert_int_equal(doors.leaving.n, 1);
    doors_are_served(&doors);
    assert_in_range(timerq_next_ms(&loop.timers), loop_now_ms(&loop) + DOORS_LEAVE_MS - 200, loop_now_ms(&loop) + DOORS_LEAVE_MS);
    pass_time();
    assert_int_equal(left_n, 1);
}

static void test_where_packets_can_not_be_filtered_what_goes_is_closed_when_it_is_left(void **state)
{
    (void)state;
    int fd_a = doors.open.fds[0];
    is_refused = 1;
    change_to(&a, 1);
    int late = come(&b);
    assert_true(late >= 0);
    assert_int_equal(left_n, 0);
    doors_are_served(&doors);
    assert_int_equal(left_n, 1);
    assert_int_equal(doors.leaving.n, 0);
    assert_int_equal(come(&b), -ECONNREFUSED);
    assert_int_equal(doors.open.fds[0], fd_a);
    assert_int_equal(doors_shut(&doors), -EPERM);
    int fd = come(&a); /* nothing is half shut */
    assert_true(fd >= 0);
    is_let_in(fd_a);
    sys_close(fd);
    sys_close(late);
    assert_int_equal(count_fds(), fds_n - 1);
}

static void test_one_that_is_taken_leaves_everything_as_it_was(void **state)
{
    (void)state;
    struct address taken = free_address();
    int holder = listen_open(&taken, 1, why, sizeof why);
    char text[ADDRESS_TEXT_BYTES];
    struct door_list before = doors.open;
    assert_int_equal(doors_plan(&doors, (struct address[]){c, a, taken}, 3, &plan, why), -EADDRINUSE);
    address_text(&taken, text);
    assert_non_null(strstr(why, text));
    assert_int_equal(come(&c), -ECONNREFUSED);
    assert_memory_equal(&doors.open, &before, sizeof before);
    doors_plan_drop(&doors, &plan); /* once more does no harm */
    sys_close(holder);
    assert_int_equal(doors_plan(&doors, (struct address[]){c, a}, 2, &plan, why), 0);
    assert_int_equal(come(&c), -ECONNREFUSED); /* bound, and not listening yet */
    doors_plan_drop(&doors, &plan);
    assert_memory_equal(&doors.open, &before, sizeof before);
    assert_int_equal(count_fds(), fds_n);
    assert_int_equal(doors_plan(&doors, (struct address[]){a, {.host = "localhost", .port = a.port}}, 2, &plan, why), -EINVAL);
    assert_non_null(strstr(why, "twice"));
    assert_int_equal(count_fds(), fds_n);
}

static int is_shared(int fd)
{
    int value = -1;
    socklen_t value_n = sizeof value;
    assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &value, &value_n), 0);
    return value;
}

static void test_a_wider_and_a_narrower_address_of_one_port_take_turns(void **state)
{
    (void)state;
    struct address wide = {.host = "0.0.0.0", .port = a.port}, both = {.host = "::", .port = a.port};
    const struct address *turns[] = {&wide, &a, &both, &wide, &both, &a};
    assert_int_equal(doors_plan(&doors, &wide, 1, &plan, why), 0);
    assert_true(is_shared(doors.open.fds[0]));
    assert_false(is_shared(doors.open.fds[1])); /* another port */
    doors_plan_drop(&doors, &plan);
    assert_false(is_shared(doors.open.fds[0]));
    for (size_t i = 0; i < sizeof turns / sizeof *turns; i++) {
        change_to(turns[i], 1);
        assert_false(is_shared(doors.open.fds[0])); /* nobody else binds beside us */
        for (size_t k = 0; k < doors.leaving.n; k++)
            assert_false(is_shared(doors.leaving.fds[k]));
        doors_are_served(&doors);
        pass_time();
        int fd = come(&a);
        assert_true(fd >= 0);
        is_let_in(doors.open.fds[0]);
        sys_close(fd);
    }
    assert_int_equal(count_fds(), fds_n - 1);
}

static void test_one_that_was_leaving_comes_back(void **state)
{
    (void)state;
    needs_filters();
    int fd_b = doors.open.fds[1];
    change_to(&a, 1);
    doors_are_served(&doors);
    assert_int_equal(come(&b), -ETIMEDOUT);
    change_to((struct address[]){a, b}, 2);
    assert_int_equal(doors.open.fds[1], fd_b);
    assert_int_equal(doors.leaving.n, 0);
    int fd = come(&b);
    assert_true(fd >= 0);
    is_let_in(fd_b);
    sys_close(fd);
    pass_time();
    assert_int_equal(doors.open.n, 2);
    assert_int_equal(count_fds(), fds_n);
}

static void test_a_port_is_held_until_it_is_left(void **state)
{
    (void)state;
    struct address wide = {.host = "0.0.0.0", .port = b.port};
    change_to(&a, 1);
    assert_true(doors_hold(&doors, &b));
    assert_true(doors_hold(&doors, &wide));
    assert_false(doors_hold(&doors, &a));
    doors_make_way(&doors, &a);
    assert_int_equal(doors.leaving.n, 1);
    doors_make_way(&doors, &wide);
    assert_int_equal(doors.leaving.n, 0);
    assert_false(doors_hold(&doors, &b));
    assert_int_equal(come(&b), -ECONNREFUSED);
}

static void test_without_a_proxy_nobody_is_kept_waiting(void **state)
{
    (void)state;
    change_to(&a, 1);
    int mine[2];
    char byte;
    assert_int_equal(sys_socketpair(AF_UNIX, SOCK_STREAM, mine), 0);
    assert_int_equal(sys_send_fd(doors.kept_fds[1], mine[1]), 0);
    sys_close(mine[1]);
    assert_true(doors_are_asked(&doors));
    assert_int_equal(sys_recv(mine[0], &byte, 1, 0), -EAGAIN); /* it waits */
    doors_are_forsaken(&doors);
    assert_int_equal(sys_recv(mine[0], &byte, 1, 0), 0);
    assert_int_equal(doors.leaving.n, 0);
    assert_int_equal(left_n, 1);
    assert_false(doors_are_asked(&doors));
    sys_close(mine[0]);
}

static void test_those_that_leave_are_bounded(void **state)
{
    (void)state;
    int error = 0;
    struct address next[CONF_LISTEN_MAX];
    for (int round = 0; round < CONF_LISTEN_MAX && !error; round++) {
        next[0] = free_address();
        error = doors_plan(&doors, next, 1, &plan, why);
        if (error)
            break;
        assert_int_equal(doors_plan_listen(&doors, &plan, why), 0);
        doors_commit(&doors, &plan);
    }
    assert_int_equal(error, -EBUSY);
    assert_int_equal(doors.leaving.n, CONF_LISTEN_MAX);
    doors_are_served(&doors);
    pass_time();
    assert_int_equal(doors_plan(&doors, next, 1, &plan, why), 0);
    doors_plan_drop(&doors, &plan);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_what_stays_is_the_same_socket_and_what_goes_leaves_by_and_by),
        CASE(test_the_next_proxy_has_its_time_too),
        CASE(test_where_packets_can_not_be_filtered_what_goes_is_closed_when_it_is_left),
        CASE(test_one_that_is_taken_leaves_everything_as_it_was),
        CASE(test_a_wider_and_a_narrower_address_of_one_port_take_turns),
        CASE(test_one_that_was_leaving_comes_back),
        CASE(test_a_port_is_held_until_it_is_left),
        CASE(test_without_a_proxy_nobody_is_kept_waiting),
        CASE(test_those_that_leave_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
