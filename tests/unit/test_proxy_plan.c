/* proxy/plan: which strategy a prompt gets (R4.2). */
#include "tests/unit/plan_case.h"

/* A prompt of tokens_n by the first estimate: one message. */
static void prompt_of(size_t tokens_n)
{
    open_body("");
    say("user", (tokens_n - TOKENS_A_MESSAGE) * 4);
    close_body("");
}

static void test_r4_2_tokens_choose_the_strategy(void **state)
{
    (void)state;
    static const struct {
        size_t tokens_n;
        const char *name, *model;
        int step;
    } rows[] = {{20, "A", "qwen3:4b", PLAN_DIRECT},     {1999, "A", "qwen3:4b", PLAN_DIRECT},  {2000, "B", "qwen3:0.6b", PLAN_DIRECT},
                {6000, "B", "qwen3:0.6b", PLAN_DIRECT}, {6001, "C", "qwen3:4b", PLAN_MAP}, {90000, "C", "qwen3:4b", PLAN_MAP}};
    load(ON);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        prompt_of(rows[i].tokens_n);
        assert_int_equal(make(NULL), 0);
        assert_string_equal(plan.strategy->name, rows[i].name);
        assert_string_equal(plan.model, rows[i].model);
        assert_int_equal(plan.step, rows[i].step);
        assert_int_equal(plan.received.tokens_n, rows[i].tokens_n);
        assert_int_equal(plan.num_ctx, 8192);
    }
}

static void test_what_was_learnt_of_models_moves_the_borders(void **state)
{
    (void)state;
    load(ON);
    for (size_t i = 0; i < 30; i++)
        token_learn(&estimates, "qwen3:4b", 10000 + 100 * i, 1, 5000 + 50 * i, 0); /* two characters a token */
    prompt_of(1500);
    assert_int_equal(make(NULL), 0);
    assert_string_equal(plan.strategy->name, "B");
    assert_true(plan.received.tokens_n > 2800 && plan.received.tokens_n < 3100);
    struct plan_rules r = rules();
    r.asked_model = "asked";
    for (size_t i = 0; i < 30; i++)
        token_learn(&estimates, "asked", 24000 + 100 * i, 1, 4000 + 17 * i, 0); /* six */
    assert_int_equal(plan_make(&plan, &r, buf_data(&body), buf_size(&body), NULL, why), 0);
    assert_string_equal(plan.strategy->name, "A");
}

static void test_a_strategy_can_be_asked_for_by_name(void **state)
{
    (void)state;
    load(ON);
    prompt_of(100);
    assert_int_equal(make("C"), 0);
    assert_string_equal(plan.strategy->name, "C");
    assert_int_equal(plan.step, PLAN_MAP);
    assert_int_equal(make("D"), -EINVAL);
    assert_string_equal(why, "X-Sidecar-Strategy: there is no strategy \"D\"; it may be A, B, C, off, or left out");
}

static void test_a_gap_between_strategies_has_none(void **state)
{
    (void)state;
    load(ON "[strategy:long]\nmin_tokens = 1000\nmodel = m\n");
    prompt_of(999);
    assert_int_equal(make(NULL), 0);
    assert_null(plan.strategy);
    prompt_of(1000);
    assert_int_equal(make(NULL), 0);
    assert_string_equal(plan.strategy->name, "long");
    assert_int_equal(plan.num_ctx, 0);
}

static void test_a_body_that_is_none_has_no_plan(void **state)
{
    (void)state;
    load(ON);
    assert_int_equal(buf_text(&body, "{\"model\":\"auto\"}"), 0);
    assert_int_equal(make(NULL), 0);
    assert_null(plan.strategy);
}

static void test_the_pin_says_what_num_ctx_is(void **state)
{
    (void)state;
    load(ON "[pin:qwen3:4b]\nnum_ctx = 2048\n");
    prompt_of(100);
    assert_int_equal(make(NULL), 0);
    assert_int_equal(plan.num_ctx, 2048);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLAN_CASE(test_r4_2_tokens_choose_the_strategy),
        PLAN_CASE(test_what_was_learnt_of_models_moves_the_borders),
        PLAN_CASE(test_a_strategy_can_be_asked_for_by_name),
        PLAN_CASE(test_a_gap_between_strategies_has_none),
        PLAN_CASE(test_a_body_that_is_none_has_no_plan),
        PLAN_CASE(test_the_pin_says_what_num_ctx_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
