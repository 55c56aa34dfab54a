/* proxy/fetch: when a streamed body may be taken from the caller. */
#include "proxy/fetch.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct world {
    struct loop loop;
    struct backend backend;
    struct fetch fetch;
    int server_fd; /* bound; a connection is refused until it listens */
    unsigned sent_n, ends_n;
    enum fetch_end end;
};

static void on_head(void *context, const struct message *answer)
{
    (void)context, (void)answer;
}

static void on_body(void *context, const char *bytes, size_t bytes_n)
{
    (void)context, (void)bytes, (void)bytes_n;
}

static void on_flush(void *context)
{
    (void)context;
}

static void on_sent(void *context)
{
    struct world *w = context;
    w->sent_n++;
}

static void on_end(void *context, enum fetch_end end, const char *why)
{
    struct world *w = context;
    (void)why;
    w->ends_n++;
    w->end = end;
}

static const struct fetch_ops ops = {on_head, on_body, on_flush, on_sent, on_end};

static void set_up(struct world *w)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t at_n = sizeof at;
    char why[128] = "";
    *w = (struct world){.server_fd = sys_socket(AF_INET, SOCK_STREAM, 0)};
    assert_int_equal(sys_bind(w->server_fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(getsockname(w->server_fd, (struct sockaddr *)&at, &at_n), 0);
    struct address address = {.host = "127.0.0.1", .port = ntohs(at.sin_port)};
    assert_int_equal(loop_init(&w->loop), 0);
    assert_int_equal(backend_init(&w->backend, &w->loop, &address, why, sizeof why), 0);
    fetch_init(&w->fetch, &w->backend, &ops, w);
}

static void tear_down(struct world *w)
{
    fetch_fini(&w->fetch);
    backend_fini(&w->backend);
    loop_fini(&w->loop);
    sys_close(w->server_fd);
}

static void start_streamed(struct world *w)
{
    static const char head[] = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n";
    struct fetch_request request = {.head = head, .head_n = sizeof head - 1, .is_streamed = 1};
    char why[128] = "";
    assert_int_equal(fetch_start(&w->fetch, &request, why, sizeof why), 0);
}

static void turn_until(struct world *w, const unsigned *count_n)
{
    for (int i = 0; i < 100 && *count_n == 0; i++)
        assert_int_equal(loop_turn(&w->loop, 50), 0);
    assert_int_equal(*count_n, 1);
}

static void test_nothing_is_taken_for_a_connection_that_is_refused(void **state)
{
    (void)state;
    struct world w;
    set_up(&w);
    start_streamed(&w);
    assert_true(fetch_is_full(&w.fetch));
    turn_until(&w, &w.ends_n);
    assert_int_equal(w.end, FETCH_REFUSED);
    assert_int_equal(w.sent_n, 0);
    tear_down(&w);
}

static void test_room_is_told_when_the_connection_is_there(void **state)
{
    (void)state;
    struct world w;
    set_up(&w);
    assert_int_equal(sys_listen(w.server_fd, 1), 0);
    start_streamed(&w);
    assert_true(fetch_is_full(&w.fetch));
    turn_until(&w, &w.sent_n);
    assert_false(fetch_is_full(&w.fetch));
    assert_int_equal(fetch_send(&w.fetch, "abc", 3), 0);
    assert_int_equal(w.ends_n, 0);
    tear_down(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_taken_for_a_connection_that_is_refused),
        cmocka_unit_test(test_room_is_told_when_the_connection_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
