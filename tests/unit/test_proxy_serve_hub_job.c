/* proxy/serve/hub_job: what goes to the job, what comes back, and how it can end. */
#include "proxy/serve/hub_job.h"

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

static struct loop loop;
static struct hub_job job;
static int channel[2], theirs, lines_n, ends_n, has_error;
static char last[256];
static struct hub_job_error error;

static void on_line(void *context, const char *json, size_t json_n)
{
    (void)context;
    lines_n++;
    snprintf(last, sizeof last, "%.*s", (int)json_n, json);
}

static void on_end(void *context, const struct hub_job_error *e)
{
    (void)context;
    assert_false(hub_job_is_under_way(&job));
    ends_n++;
    has_error = e != NULL;
    if (e)
        error = *e;
}

static int begin(void **state)
{
    struct contract_message m;
    char request[64];
    (void)state;
    lines_n = ends_n = has_error = 0;
    assert_int_equal(loop_init(&loop), 0);
    assert_int_equal(sys_socketpair(AF_UNIX, SOCK_SEQPACKET, channel), 0);
    hub_job_init(&job, &loop, on_line, on_end, NULL);
    assert_int_equal(hub_job_start(&job, channel[0], "{\"do\":\"list\"}", 13, 5000), 0);
    assert_int_equal(contract_receive_fd(channel[1], &m, &theirs), 1);
    assert_int_equal(m.kind, CONTRACT_HUB);
    assert_true(theirs >= 0);
    assert_int_equal(sys_recv(theirs, request, sizeof request, MSG_DONTWAIT), 14);
    assert_memory_equal(request, "{\"do\":\"list\"}\n", 14);
    return 0;
}

static int end(void **state)
{
    (void)state;
    hub_job_leave(&job);
    sys_close(theirs);
    sys_close(channel[0]);
    sys_close(channel[1]);
    loop_fini(&loop);
    return 0;
}

static void tell(const char *text)
{
    assert_int_equal(sys_send(theirs, text, strlen(text), 0), (ssize_t)strlen(text));
    assert_int_equal(loop_turn(&loop, 0), 0);
}

static void hang_up(void)
{
    sys_close(theirs);
    theirs = -1;
    assert_int_equal(loop_turn(&loop, 0), 0);
}

static void test_lines_come_whole_and_the_end_is_theirs(void **state)
{
    (void)state;
    tell("{\"model\":\"a/b\"}\n{\"mod");
    assert_int_equal(lines_n, 1);
    tell("el\":\"c/d\"}\n\n{\"done\":true}\n");
    assert_int_equal(lines_n, 3);
    assert_string_equal(last, "{\"done\":true}");
    assert_int_equal(ends_n, 0);
    hang_up();
    assert_int_equal(ends_n, 1);
    assert_false(has_error);
}

static void test_success_is_an_end_and_words_of_others_are_none(void **state)
{
    (void)state;
    tell("* a library's warning\n{\"status\":\"verifying\"}\n{\"status\":\"success\",\"model\":\"a/b\"}");
    assert_int_equal(lines_n, 1);
    hang_up(); /* its last line had no end */
    assert_int_equal(lines_n, 2);
    assert_int_equal(ends_n, 1);
    assert_false(has_error);
}

static void test_an_error_is_told_with_its_code(void **state)
{
    (void)state;
    tell("{\"error\":\"org/x is gated:\\u001b accept its terms\",\"code\":\"gated\",\"status\":403,\"retry_after_s\":7}\n");
    hang_up();
    assert_true(has_error);
    assert_string_equal(error.text, "org/x is gated:? accept its terms");
    assert_string_equal(error.code, "gated");
    assert_int_equal(error.status, 403);
    assert_int_equal(error.retry_after_s, 7);
}

static void test_an_error_that_says_little(void **state)
{
    (void)state;
    tell("{\"error\":\"\",\"status\":200}\n");
    hang_up();
    assert_true(has_error);
    assert_string_equal(error.code, "system");
    assert_int_equal(error.status, 502);
    assert_true(*error.text);
}

static void test_an_end_that_nobody_announced_is_an_error(void **state)
{
    (void)state;
    tell("{\"status\":\"pulling manifest\"}\n");
    hang_up();
    assert_true(has_error);
    assert_string_equal(error.code, "system");
}

static void test_who_leaves_hears_nothing(void **state)
{
    (void)state;
    hub_job_leave(&job);
    hub_job_leave(&job);
    assert_int_equal(sys_send(theirs, "x", 1, MSG_NOSIGNAL), -EPIPE);
    assert_int_equal(loop_turn(&loop, 0), 0);
    assert_int_equal(ends_n + lines_n, 0);
}

static void test_one_that_takes_too_long(void **state)
{
    (void)state;
    loop_arm(&loop, &job.timer, loop_now_ms(&loop)); /* as if its time were over */
    assert_int_equal(loop_turn(&loop, 0), 0);
    assert_int_equal(ends_n, 1);
    assert_int_equal(error.status, 504);
}

static void test_without_a_supervisor_there_is_none(void **state)
{
    (void)state;
    struct hub_job other;
    hub_job_init(&other, &loop, on_line, on_end, NULL);
    assert_int_equal(hub_job_start(&other, -1, "{}", 2, 0), -ENOTSUP);
    sys_close(channel[1]);
    channel[1] = -1;
    assert_int_equal(hub_job_start(&other, channel[0], "{}", 2, 0), -EPIPE);
    assert_false(hub_job_is_under_way(&other));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_lines_come_whole_and_the_end_is_theirs, begin, end),
        cmocka_unit_test_setup_teardown(test_success_is_an_end_and_words_of_others_are_none, begin, end),
        cmocka_unit_test_setup_teardown(test_an_error_is_told_with_its_code, begin, end),
        cmocka_unit_test_setup_teardown(test_an_error_that_says_little, begin, end),
        cmocka_unit_test_setup_teardown(test_an_end_that_nobody_announced_is_an_error, begin, end),
        cmocka_unit_test_setup_teardown(test_who_leaves_hears_nothing, begin, end),
        cmocka_unit_test_setup_teardown(test_one_that_takes_too_long, begin, end),
        cmocka_unit_test_setup_teardown(test_without_a_supervisor_there_is_none, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
