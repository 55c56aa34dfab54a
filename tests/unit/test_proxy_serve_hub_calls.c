/* proxy/serve/hub_calls: one job for all who ask for the same; it goes on when they leave. */
#include "proxy/serve/hub_calls.h"

#include "common/contract.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct who {
    struct hub_waiter waiter;
    int lines_n, ends_n, has_failed;
    char last[128];
    const char *asks_again; /* at its end */
};

static struct loop loop;
static struct hub_calls *calls;
static int channel[2], begun_n, ended_n;

static void on_begun(void *context)
{
    (void)context;
    begun_n++;
}

static void on_ended(void *context)
{
    (void)context;
    ended_n++;
}

static void on_line(void *context, const char *json, size_t json_n)
{
    struct who *w = context;
    (void)json;
    (void)json_n;
    w->lines_n++;
}

static void on_end(void *context, const struct hub_job_error *error, const char *last, size_t last_n)
{
    struct who *w = context;
    w->ends_n++;
    w->has_failed = error != NULL;
    snprintf(w->last, sizeof w->last, "%.*s", (int)last_n, last);
    if (w->asks_again)
        assert_int_equal(hub_calls_ask(calls, &w->waiter, "m", w->asks_again), 0);
}

static struct who who(void)
{
    return (struct who){.waiter = {.on_line = on_line, .on_end = on_end}};
}

static int ask(struct who *w, const char *model, const char *request)
{
    w->waiter.context = w;
    return hub_calls_ask(calls, &w->waiter, model, request);
}

/* The job's end of the next one that was begun. */
static int take(const char *request)
{
    struct contract_message m;
    char text[128];
    int fd = -1;
    assert_int_equal(contract_receive_fd(channel[1], &m, &fd), 1);
    assert_int_equal(m.kind, CONTRACT_HUB);
    ssize_t n = sys_recv(fd, text, sizeof text, MSG_DONTWAIT);
    assert_int_equal(n, strlen(request) + 1);
    assert_memory_equal(text, request, strlen(request));
    return fd;
}

static void tell(int fd, const char *line)
{
    assert_int_equal(sys_send(fd, line, strlen(line), 0), (ssize_t)strlen(line));
    assert_int_equal(loop_turn(&loop, 0), 0);
}

static void hang_up(int fd)
{
    sys_close(fd);
    assert_int_equal(loop_turn(&loop, 0), 0);
}

static int begin(void **state)
{
    static const struct hub_calls_ops ops = {on_begun, on_ended, NULL};
    (void)state;
    begun_n = ended_n = 0;
    assert_int_equal(loop_init(&loop), 0);
    assert_int_equal(sys_socketpair(AF_UNIX, SOCK_SEQPACKET, channel), 0);
    assert_int_equal(hub_calls_new(&calls, &loop, channel[0], &ops), 0);
    return 0;
}

static int end(void **state)
{
    (void)state;
    hub_calls_free(&calls);
    assert_null(calls);
    sys_close(channel[0]);
    sys_close(channel[1]);
    loop_fini(&loop);
    return 0;
}

static void test_who_asks_for_the_same_joins(void **state)
{
    (void)state;
    struct who a = who(), b = who(), c = who();
    struct contract_message m;
    assert_int_equal(ask(&a, "m", "{\"do\":1}"), 0);
    int fd = take("{\"do\":1}");
    tell(fd, "{\"status\":\"pulling\"}\n");
    assert_int_equal(ask(&b, "m", "{\"do\":1}"), 0);
    assert_int_equal(ask(&c, "n", "{\"do\":2}"), 0);
    int other = take("{\"do\":2}");
    assert_int_equal(contract_receive(channel[1], &m), 0);
    assert_true(hub_calls_has(calls, "m") && hub_calls_has(calls, "n") && !hub_calls_has(calls, "o"));
    tell(fd, "{\"status\":\"success\",\"n\":1}\n");
    hang_up(fd);
    assert_int_equal(a.lines_n, 2);
    assert_int_equal(b.lines_n, 1);
    assert_int_equal(a.ends_n + b.ends_n, 2);
    assert_false(a.has_failed || b.has_failed);
    assert_string_equal(b.last, "{\"status\":\"success\",\"n\":1}");
    assert_int_equal(c.ends_n, 0);
    assert_int_equal(begun_n, 2);
    assert_int_equal(ended_n, 1);
    assert_false(hub_calls_has(calls, "m"));
    hub_calls_leave(&c.waiter);
    hub_calls_leave(&c.waiter);
    hang_up(other);
    assert_int_equal(c.ends_n, 0);
    assert_int_equal(ended_n, 2);
}

static void test_it_goes_on_when_all_have_left(void **state)
{
    (void)state;
    struct who a = who(), b = who();
    assert_int_equal(ask(&a, "m", "{\"do\":1}"), 0);
    int fd = take("{\"do\":1}");
    hub_calls_leave(&a.waiter);
    tell(fd, "{\"status\":\"pulling\"}\n");
    assert_int_equal(ask(&b, "m", "{\"do\":1}"), 0);
    tell(fd, "{\"error\":\"no\",\"code\":\"gated\",\"status\":403}\n");
    hang_up(fd);
    assert_int_equal(a.lines_n + a.ends_n, 0);
    assert_int_equal(b.ends_n, 1);
    assert_true(b.has_failed);
    assert_int_equal(begun_n, 1);
}

static void test_a_bounded_number_at_once(void **state)
{
    (void)state;
    struct who all[HUB_CALLS_MAX + 1];
    int fds[HUB_CALLS_MAX];
    char request[16];
    for (int i = 0; i < HUB_CALLS_MAX; i++) {
        all[i] = who();
        snprintf(request, sizeof request, "{\"do\":%d}", i);
        assert_int_equal(ask(&all[i], "m", request), 0);
        fds[i] = take(request);
    }
    all[HUB_CALLS_MAX] = who();
    assert_int_equal(ask(&all[HUB_CALLS_MAX], "m", "{\"do\":9}"), -EBUSY);
    hang_up(fds[0]);
    assert_true(all[0].ends_n == 1 && all[0].has_failed);
    assert_int_equal(ask(&all[HUB_CALLS_MAX], "m", "{\"do\":9}"), 0);
    fds[0] = take("{\"do\":9}");
    for (int i = 0; i < HUB_CALLS_MAX; i++)
        hang_up(fds[i]);
}

/* Who is told may ask for the same once more: that is another job. */
static void test_who_is_told_may_ask_again(void **state)
{
    (void)state;
    struct who a = who(), b = who();
    assert_int_equal(ask(&a, "m", "{\"do\":1}"), 0);
    a.asks_again = "{\"do\":1}";
    assert_int_equal(ask(&b, "m", "{\"do\":1}"), 0);
    int fd = take("{\"do\":1}");
    hang_up(fd);
    assert_int_equal(a.ends_n, 1);
    assert_int_equal(b.ends_n, 1);
    fd = take("{\"do\":1}");
    a.asks_again = NULL;
    hang_up(fd);
    assert_int_equal(a.ends_n, 2);
    assert_int_equal(begun_n, 2);
}

static void test_without_a_supervisor_there_is_none(void **state)
{
    (void)state;
    static const struct hub_calls_ops ops = {on_begun, on_ended, NULL};
    struct hub_calls *alone;
    struct who a = who();
    assert_int_equal(hub_calls_new(&alone, &loop, -1, &ops), 0);
    a.waiter.context = &a;
    assert_int_equal(hub_calls_ask(alone, &a.waiter, "m", "{}"), -ENOTSUP);
    hub_calls_leave(&a.waiter);
    hub_calls_free(&alone);
    hub_calls_free(&alone);
    assert_int_equal(begun_n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_who_asks_for_the_same_joins, begin, end),
        cmocka_unit_test_setup_teardown(test_it_goes_on_when_all_have_left, begin, end),
        cmocka_unit_test_setup_teardown(test_a_bounded_number_at_once, begin, end),
        cmocka_unit_test_setup_teardown(test_who_is_told_may_ask_again, begin, end),
        cmocka_unit_test_setup_teardown(test_without_a_supervisor_there_is_none, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
