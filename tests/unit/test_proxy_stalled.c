/* proxy/stalled and asked: whether unloaded models are gone, and who waits for a byte. */
#include "proxy/asked.h"
#include "proxy/stalled.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_whether_a_model_is_still_listed(void **state)
{
    (void)state;
    static char models[][CONTRACT_NAME_BYTES] = {"tiny", "other:7b"};
    static const struct {
        const char *json;
        int is_listed;
    } cases[] = {
        {"{\"models\":[]}", 0},
        {"{\"models\":null}", 0},
        {"{\"models\":[{\"name\":\"tiny:latest\",\"model\":\"tiny:latest\"}]}", 1},
        {"{\"models\":[{\"name\":\"third:latest\"},{\"size\":1,\"name\":\"OTHER:7b\"}]}", 1},
        {"{\"models\":[{\"name\":\"other:latest\"},{\"name\":7},{},null]}", 0},
        {"not json", 1},
        {"", 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(stalled_is_listed(cases[i].json, strlen(cases[i].json), models, 2), cases[i].is_listed);
}

static struct loop loop;
static struct contract_line line;
static struct asked_list list;
static int fds[2];
static unsigned stalled_n;

static void on_stalled(void *context, const char *why)
{
    assert_string_equal(why, "why");
    stalled_n++;
    asked_leave(&list, context);
}

static int setup(void **state)
{
    (void)state;
    memset(&line, 0, sizeof line);
    stalled_n = 0;
    return loop_init(&loop) < 0 || sys_socketpair(AF_UNIX, SOCK_SEQPACKET, fds) < 0 ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    asked_fini(&list);
    sys_close(fds[0]);
    sys_close(fds[1]);
    loop_fini(&loop);
    return 0;
}

static struct asked place(void)
{
    return (struct asked){.stalled = on_stalled};
}

static void test_who_waits_is_counted_once_and_told_once(void **state)
{
    (void)state;
    struct asked a = place(), b = place(), c = place();
    a.context = &a;
    b.context = &b;
    c.context = &c;
    asked_init(&list, &loop, &line, fds[0], 120000);
    asked_enter(&list, &a);
    asked_enter(&list, &a);
    asked_enter(&list, &b);
    asked_enter(&list, &c);
    assert_int_equal(atomic_load(&line.asked_n), 3);
    asked_leave(&list, &b);
    asked_leave(&list, &b);
    assert_int_equal(atomic_load(&line.asked_n), 2);
    asked_stalled(&list, "why");
    assert_int_equal(stalled_n, 2);
    assert_int_equal(atomic_load(&line.asked_n), 0);
    assert_null(list.first);
}

static void test_the_supervisor_is_told_of_silence_only(void **state)
{
    (void)state;
    struct contract_message m;
    asked_init(&list, &loop, &line, fds[0], 800);
    asked_count(&list, 1);
    assert_int_equal(list.timer.at_ms, loop_now_ms(&loop) + 100);
    atomic_fetch_add(&line.progress_bytes, 5);
    list.timer.fn(list.timer.context, 100);
    assert_int_equal(contract_receive(fds[1], &m), 0);
    list.timer.fn(list.timer.context, 200);
    assert_int_equal(contract_receive(fds[1], &m), 1);
    assert_int_equal(m.kind, CONTRACT_CHANGED);
    assert_int_equal(m.value, 1);
    asked_count(&list, 0);
    loop_disarm(&loop, &list.timer);
    list.timer.fn(list.timer.context, 300);
    assert_int_equal(contract_receive(fds[1], &m), 0);
    assert_false(timer_is_armed(&list.timer));
}

static void test_without_a_limit_nobody_is_counted(void **state)
{
    (void)state;
    struct asked a = place();
    asked_init(&list, &loop, &line, fds[0], 0);
    asked_enter(&list, &a);
    asked_count(&list, 1);
    assert_int_equal(atomic_load(&line.asked_n), 0);
    assert_false(timer_is_armed(&list.timer));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whether_a_model_is_still_listed),
        cmocka_unit_test_setup_teardown(test_who_waits_is_counted_once_and_told_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_supervisor_is_told_of_silence_only, setup, teardown),
        cmocka_unit_test_setup_teardown(test_without_a_limit_nobody_is_counted, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
