/* proxy/observe/overseer, overseer_tail: what a supervisor is asked, and what it answers, or does not. */
#include "proxy/observe/overseer_tail.h"

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
static struct overseer overseer;
static struct overseer_waiter waiter;
static struct overseer_tail tail;
static int channel[2], theirs, told_n, lines_calls_n, ends_n, is_leaving;
static char lines[4096], why[OVERSEER_TAIL_WHY_BYTES];

static void on_told(void *context)
{
    *(int *)context += 1;
}

static void on_lines(void *context, const char *text, size_t text_n)
{
    (void)context;
    lines_calls_n++;
    snprintf(lines + strlen(lines), sizeof lines - strlen(lines), "%.*s", (int)text_n, text);
    if (is_leaving)
        overseer_tail_leave(&tail);
}

static void on_end(void *context, const char *text)
{
    (void)context;
    assert_int_equal(tail.fd, -1);
    ends_n++;
    snprintf(why, sizeof why, "%s", text ? text : "(all told)");
}

static int begin(void **state)
{
    (void)state;
    told_n = lines_calls_n = ends_n = is_leaving = 0;
    theirs = -1;
    lines[0] = why[0] = '\0';
    assert_int_equal(loop_init(&loop), 0);
    assert_int_equal(sys_socketpair(AF_UNIX, SOCK_SEQPACKET, channel), 0);
    overseer_init(&overseer, &loop, channel[0]);
    overseer_tail_init(&tail, on_lines, on_end, NULL);
    waiter = (struct overseer_waiter){.fn = on_told, .context = &told_n};
    return 0;
}

static int end(void **state)
{
    (void)state;
    overseer_tail_leave(&tail);
    overseer_fini(&overseer);
    sys_close(theirs);
    sys_close(channel[0]);
    sys_close(channel[1]);
    loop_fini(&loop);
    return 0;
}

/* The socket that was handed up, with this line on it. */
static void take_question(const char *line)
{
    struct contract_message m;
    char text[OVERSEER_LINE_BYTES + 2] = "";
    assert_int_equal(contract_receive_fd(channel[1], &m, &theirs), 1);
    assert_int_equal(m.kind, CONTRACT_ASK);
    assert_true(theirs >= 0);
    assert_true(sys_recv(theirs, text, sizeof text - 1, MSG_DONTWAIT) > 0);
    assert_string_equal(text, line);
}

static int is_nothing_asked(void)
{
    struct contract_message m;
    return contract_receive(channel[1], &m) == 0;
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

static void pass(int64_t ms)
{
    loop.now_ms += ms;
}

static void test_a_status_is_asked_for_once_and_kept(void **state)
{
    (void)state;
    size_t n = 0;
    int other_n = 0;
    struct overseer_waiter other = {.fn = on_told, .context = &other_n};
    assert_null(overseer_status(&overseer, &n));
    assert_int_equal(overseer_refresh(&overseer, &waiter), 0);
    assert_int_equal(overseer_refresh(&overseer, &other), 0);
    take_question("status\n");
    assert_true(is_nothing_asked());
    tell("{\"ok\":true,\"version\"");
    tell(":\"1\"}\n");
    assert_int_equal(told_n, 0); /* more may come */
    hang_up();
    assert_int_equal(told_n, 1);
    assert_null(waiter.overseer);
    assert_int_equal(other_n, 1);
    const char *json = overseer_status(&overseer, &n);
    assert_int_equal(n, strlen("{\"ok\":true,\"version\":\"1\"}"));
    assert_memory_equal(json, "{\"ok\":true,\"version\":\"1\"}", n);
    pass(OVERSEER_FRESH_MS);
    assert_int_equal(overseer_refresh(&overseer, &waiter), 1);
    pass(1);
    assert_int_equal(overseer_refresh(&overseer, &waiter), 0);
    assert_non_null(overseer_status(&overseer, &n)); /* it is told, until there is another one */
    pass(OVERSEER_OLD_MS - OVERSEER_FRESH_MS);
    assert_null(overseer_status(&overseer, &n));
    take_question("status\n");
    overseer_leave(&waiter);
    tell("{\"ok\":true}\n");
    hang_up();
    assert_int_equal(told_n, 1);
    (void)overseer_status(&overseer, &n);
    assert_int_equal(n, strlen("{\"ok\":true}"));
}

static void test_one_that_is_silent_keeps_nobody_and_is_asked_no_more(void **state)
{
    (void)state;
    size_t n;
    assert_int_equal(overseer_refresh(&overseer, &waiter), 0);
    take_question("status\n");
    pass(OVERSEER_WAIT_MS);
    timerq_run(&loop.timers, loop_now_ms(&loop));
    assert_int_equal(told_n, 1);
    assert_null(overseer_status(&overseer, &n));
    pass(10 * OVERSEER_REST_MS);
    assert_int_equal(overseer_refresh(&overseer, &waiter), 1); /* the question is under way still */
    assert_true(is_nothing_asked());
    tell("{\"ok\":true}\n"); /* at last */
    hang_up();
    assert_non_null(overseer_status(&overseer, &n));
    assert_int_equal(told_n, 1);
}

static void test_what_is_no_status_is_none(void **state)
{
    static const char *const answers[] = {"", "\n", "{\"ok\":false,\"error\":\"proxies ask for so much already\"}\n", "{\"ok\":true", "{\"ok\":true}x\n",
                                          "{\"ok\":true}{}\n", "[1]\n", "{\"ok\":1}\n"};
    (void)state;
    size_t n;
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        assert_int_equal(overseer_refresh(&overseer, &waiter), 0);
        take_question("status\n");
        if (*answers[i])
            tell(answers[i]);
        hang_up();
        assert_int_equal(told_n, (int)i + 1);
        assert_null(overseer_status(&overseer, &n));
        assert_int_equal(overseer_refresh(&overseer, &waiter), 1); /* not at once again */
        assert_true(is_nothing_asked());
        pass(OVERSEER_REST_MS);
    }
}

static void test_one_that_never_ends_is_cut_off(void **state)
{
    (void)state;
    static char much[16 * 1024];
    memset(much, ' ', sizeof much - 1);
    assert_int_equal(overseer_refresh(&overseer, &waiter), 0);
    take_question("status\n");
    for (int i = 0; i < 40 && told_n == 0; i++) {
        (void)!sys_send(theirs, much, sizeof much - 1, MSG_DONTWAIT);
        assert_int_equal(loop_turn(&loop, 0), 0);
    }
    assert_int_equal(told_n, 1);
    assert_true(overseer.coming.room_n == 0);
}

static void test_alone_nobody_is_asked(void **state)
{
    (void)state;
    struct overseer alone;
    overseer_init(&alone, &loop, -1);
    assert_false(overseer_is_there(&alone));
    assert_int_equal(overseer_refresh(&alone, &waiter), 1);
    assert_int_equal(overseer_tail_begin(&tail, &alone, &(struct overseer_tail_ask){.lines_n = 1}), -ENOTSUP);
    overseer_fini(&alone);
}

static void test_a_supervisor_that_has_gone_is_none(void **state)
{
    (void)state;
    sys_close(channel[1]);
    channel[1] = -1;
    assert_int_equal(overseer_refresh(&overseer, &waiter), 1);
    assert_int_equal(overseer_tail_begin(&tail, &overseer, &(struct overseer_tail_ask){.lines_n = 1}), -EPIPE);
}

static void test_lines_come_whole_behind_the_first_answer(void **state)
{
    (void)state;
    assert_int_equal(overseer_tail_begin(&tail, &overseer, &(struct overseer_tail_ask){.lines_n = 200, .is_following = 1, .program = "ollama"}), 0);
    take_question("tail -f -n 200 ollama\n");
    tell("{\"ok\":");
    assert_int_equal(lines_calls_n, 0);
    tell("true}\n");
    assert_int_equal(lines_calls_n, 1); /* it has begun */
    assert_string_equal(lines, "");
    tell("{\"line\":\"a\"}\n{\"line\":\"b\"}\n{\"li");
    assert_string_equal(lines, "{\"line\":\"a\"}\n{\"line\":\"b\"}\n");
    tell("ne\":\"c\"}\n");
    assert_string_equal(lines, "{\"line\":\"a\"}\n{\"line\":\"b\"}\n{\"line\":\"c\"}\n");
    overseer_tail_pause(&tail, 1);
    tell("{\"line\":\"d\"}\n");
    assert_int_equal(lines_calls_n, 3);
    overseer_tail_pause(&tail, 0);
    assert_int_equal(loop_turn(&loop, 0), 0);
    assert_int_equal(lines_calls_n, 4);
    assert_int_equal(timerq_next_ms(&loop.timers), -1);
    hang_up();
    assert_string_equal(why, "(all told)");
}

static void test_a_reader_may_leave_while_it_is_told(void **state)
{
    (void)state;
    is_leaving = 1;
    assert_int_equal(overseer_tail_begin(&tail, &overseer, &(struct overseer_tail_ask){.lines_n = 3}), 0);
    take_question("tail -n 3 \n");
    tell("{\"ok\":true}\n{\"line\":\"a\"}\n");
    assert_string_equal(lines, "{\"line\":\"a\"}\n");
    assert_int_equal(tail.fd, -1);
    hang_up();
    assert_int_equal(ends_n, 0);
}

static void test_a_refusal_is_told_in_the_supervisors_words(void **state)
{
    (void)state;
    assert_int_equal(overseer_tail_begin(&tail, &overseer, &(struct overseer_tail_ask){.program = "x"}), 0);
    take_question("tail -n 0 x\n");
    tell("{\"ok\":false,\"error\":\"there is no program \\\"x\\\"\\u001b; there are ollama\"}\n");
    assert_int_equal(lines_calls_n, 0);
    assert_string_equal(why, "there is no program \"x\"?; there are ollama");
    assert_int_equal(tail.refusal, OVERSEER_REFUSED);
    hang_up();
    assert_int_equal(ends_n, 1);
    assert_int_equal(overseer_tail_begin(&tail, &overseer, &(struct overseer_tail_ask){.program = "x"}), 0);
    take_question("tail -n 0 x\n");
    pass(5000);
    timerq_run(&loop.timers, loop_now_ms(&loop));
    assert_string_equal(why, "the supervisor does not answer");
    assert_int_equal(tail.refusal, OVERSEER_NOT_REFUSED);
    assert_int_equal(ends_n, 2);
}

static void test_a_refusal_has_a_code(void **state)
{
    static const struct {
        const char *answer;
        enum overseer_refusal refusal;
    } cases[] = {
        {"{\"ok\":false,\"code\":\"busy\",\"error\":\"no\"}\n", OVERSEER_BUSY},
        {"{\"ok\":false,\"code\":\"unknown_program\",\"error\":\"no\"}\n", OVERSEER_UNKNOWN_PROGRAM},
        {"{\"ok\":false,\"code\":\"no_lines\",\"error\":\"no\"}\n", OVERSEER_NO_LINES},
        {"{\"ok\":false,\"code\":\"new\",\"error\":\"no\"}\n", OVERSEER_REFUSED},
        {"{\"error\":\"no\"}\n", OVERSEER_REFUSED},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(overseer_tail_begin(&tail, &overseer, &(struct overseer_tail_ask){.lines_n = 1}), 0);
        take_question("tail -n 1 \n");
        tell(cases[i].answer);
        assert_int_equal(tail.refusal, cases[i].refusal);
        assert_string_equal(why, "no");
        hang_up();
    }
    assert_int_equal(ends_n, sizeof cases / sizeof *cases);
}

static void test_tails_leave_a_place_for_the_status(void **state)
{
    static struct overseer_tail others[OVERSEER_TAILS_MAX];
    const struct overseer_tail_ask ask = {.is_following = 1};
    (void)state;
    for (size_t i = 0; i < OVERSEER_TAILS_MAX; i++) {
        overseer_tail_init(&others[i], on_lines, on_end, NULL);
        assert_int_equal(overseer_tail_begin(&others[i], &overseer, &ask), 0);
        take_question("tail -f -n 0 \n");
        sys_close(theirs);
        theirs = -1;
    }
    assert_int_equal(overseer_tail_begin(&tail, &overseer, &ask), -EBUSY);
    assert_true(is_nothing_asked());
    for (size_t i = 0; i < OVERSEER_TAILS_MAX; i++) {
        overseer_tail_leave(&others[i]);
        overseer_tail_leave(&others[i]);
    }
    assert_int_equal(overseer.tails_n, 0);
    assert_int_equal(overseer_tail_begin(&tail, &overseer, &ask), 0);
    take_question("tail -f -n 0 \n");
    tell("{\"ok\":true}\n");
    assert_int_equal(overseer.tails_n, 1);
    hang_up();
    assert_int_equal(ends_n, 1);
    assert_int_equal(overseer.tails_n, 0);
}

static void test_what_is_no_name_is_not_asked_for(void **state)
{
    static const char *const names[] = {"", "-f", "a b", "a\nstop ollama", "a\x7f"};
    char longest[CONTRACT_NAME_BYTES + 1];
    (void)state;
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_int_equal(overseer_tail_begin(&tail, &overseer, &(struct overseer_tail_ask){.program = names[i]}), -EINVAL);
    assert_int_equal(overseer_tail_begin(&tail, &overseer, &(struct overseer_tail_ask){.program = longest}), -EINVAL);
    assert_true(is_nothing_asked());
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_status_is_asked_for_once_and_kept),
        CASE(test_one_that_is_silent_keeps_nobody_and_is_asked_no_more),
        CASE(test_what_is_no_status_is_none),
        CASE(test_one_that_never_ends_is_cut_off),
        CASE(test_alone_nobody_is_asked),
        CASE(test_a_supervisor_that_has_gone_is_none),
        CASE(test_lines_come_whole_behind_the_first_answer),
        CASE(test_a_reader_may_leave_while_it_is_told),
        CASE(test_a_refusal_is_told_in_the_supervisors_words),
        CASE(test_a_refusal_has_a_code),
        CASE(test_tails_leave_a_place_for_the_status),
        CASE(test_what_is_no_name_is_not_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
