/* ctl/bench: what is taken of an answer's lines, and medians. */
#include "ctl/bench.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct bench_round unknown = {-1, -1, -1, -1, -1, -1, -1};

static int take(struct bench_round *r, const char *line, int64_t at_ms)
{
    return bench_take(r, line, strlen(line), 1000, at_ms);
}

static void test_an_answer(void **state)
{
    (void)state;
    struct bench_round r = unknown;
    assert_int_equal(take(&r, "{\"response\":\"\",\"done\":false}", 1100), 0); /* nobody sees that one */
    assert_int_equal(take(&r, "{\"response\":\"a\",\"done\":false}", 1250), 0);
    assert_int_equal(take(&r, "{\"response\":\"b\",\"done\":false}", 1350), 0);
    assert_int_equal(take(&r, "{\"response\":\"\",\"done\":true,\"load_duration\":5000000,\"eval_count\":20,\"eval_duration\":2000000000,\"prompt_eval_count\":30,"
                              "\"prompt_eval_duration\":100000000}", 3000), 1);
    assert_int_equal(r.first_token_ms, 250);
    assert_int_equal(r.total_ms, 2000);
    assert_int_equal(r.load_ms, 5);
    assert_int_equal(r.tokens_n, 20);
    assert_int_equal(r.prompt_n, 30);
    assert_true(r.tokens_per_s == 10 && r.prompt_per_s == 300);
    r = unknown;
    assert_int_equal(take(&r, "{\"thinking\":\"hm\",\"response\":\"\",\"done\":false}", 1001), 0);
    assert_int_equal(r.first_token_ms, 1);
}

static void test_what_nobody_knows(void **state)
{
    (void)state;
    struct bench_round r = unknown;
    assert_int_equal(take(&r, "{\"done\":true,\"eval_count\":7,\"eval_duration\":0,\"prompt_eval_count\":\"x\",\"load_duration\":-4}", 1010), 1);
    assert_true(r.tokens_per_s < 0 && r.prompt_per_s < 0 && r.load_ms < 0 && r.first_token_ms < 0 && r.prompt_n < 0);
    static const char *const others[] = {"{\"error\":\"why\"}", "<html>", "7", "", "{\"error\":null,\"done\":true}"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_int_equal(take(&r, others[i], 1010), -EINVAL);
}

static void test_medians_are_of_what_is_known(void **state)
{
    (void)state;
    struct bench_round rounds[] = {{300, 9, -1, 1, 1, 12, -1}, {100, 9, -1, 1, 1, -1, -1}, {200, 9, -1, 1, 1, 10, -1}};
    struct bench_round m = bench_median(rounds, 3);
    assert_int_equal(m.first_token_ms, 200);
    assert_int_equal(m.load_ms, -1);
    assert_true(m.tokens_per_s == 11 && m.prompt_per_s == -1);
    m = bench_median(rounds, 1);
    assert_int_equal(m.first_token_ms, 300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_answer),
        cmocka_unit_test(test_what_nobody_knows),
        cmocka_unit_test(test_medians_are_of_what_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
