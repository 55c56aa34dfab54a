/* proxy/token_estimate: what is learnt of a model's tokens, and what is not believed (R4.2). */
#include "proxy/token_estimate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct token_estimates e;

static int setup(void **state)
{
    (void)state;
    memset(&e, 0, sizeof e);
    srand(1);
    return 0;
}

static uint64_t tokens_of(double overhead, double slope, uint64_t chars_n)
{
    return (uint64_t)(overhead + slope * (double)chars_n);
}

static void assert_near(uint64_t estimate, uint64_t count, double ratio)
{
    double off = ((double)estimate - (double)count) / (double)count;
    if (off > ratio || off < -ratio)
        fail_msg("%llu estimated, %llu counted", (unsigned long long)estimate, (unsigned long long)count);
}

/* Prompts between a thousand and 20,000 characters, in two to ten messages of 4 tokens each around them. */
static void teach(const char *model, double overhead, double slope, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t chars_n = 1000 + (uint64_t)rand() % 19000;
        size_t messages_n = 2 + (size_t)rand() % 9;
        token_learn(&e, model, chars_n, messages_n, tokens_of(overhead, slope, chars_n) + 4 * messages_n, 32768);
    }
}

static void test_four_characters_a_token_and_eight_tokens_a_message_at_first(void **state)
{
    (void)state;
    assert_int_equal(token_estimate(&e, "m", 4000, 3), 1024);
    assert_int_equal(token_estimate(&e, "", 0, 0), 1);
    assert_int_equal(token_chars(token_line(&e, "m"), 100), 400);
    assert_false(token_is_known(&e, "m"));
    assert_true(token_error_ratio(&e, "m") == 0);
}

static void test_it_converges_on_models_of_other_slopes_and_overheads(void **state)
{
    (void)state;
    static const double slopes[] = {1.0 / 5.8, 1.0 / 4.5, 1.0 / 3.3, 1.0 / 2.2}, overheads[] = {0, 20, 400};
    for (size_t i = 0; i < 4; i++) {
        for (size_t j = 0; j < 3; j++) {
            char model[16];
            snprintf(model, sizeof model, "m%zu-%zu", i, j);
            teach(model, overheads[j], slopes[i], 40);
            for (uint64_t chars_n = 2000; chars_n <= 60000; chars_n += 2000)
                assert_near(token_estimate(&e, model, chars_n, 5), tokens_of(overheads[j], slopes[i], chars_n) + 20, 0.06);
            assert_true(token_error_ratio(&e, model) < 0.05);
        }
    }
}

static void test_one_answer_is_worth_much(void **state)
{
    (void)state;
    token_learn(&e, "m", 12000, 2, 4000, 8192);
    assert_true(token_is_known(&e, "m"));
    assert_near(token_estimate(&e, "m", 12000, 2), 4000, 0.03);
    assert_near(token_estimate(&e, "m", 24000, 2), 8000, 0.10);
    assert_near(token_estimate(&e, "m", 6000, 2), 2000, 0.10);
    assert_int_equal(token_estimate(&e, "other", 12000, 2), 3016);
}

static void test_the_error_is_what_estimates_were_off(void **state)
{
    (void)state;
    token_learn(&e, "m", 8000, 0, 4000, 0); /* estimated as 2000 */
    assert_true(token_error_ratio(&e, "m") > 0.49 && token_error_ratio(&e, "m") < 0.51);
    double before = token_error_ratio(&e, "m");
    teach("m", 0, 0.5, 10);
    assert_true(token_error_ratio(&e, "m") < before);
}

static void test_slopes_stay_within_two_and_six_characters_a_token(void **state)
{
    (void)state;
    teach("chinese", 0, 0.9, 30);
    teach("odd", 1500, 1.0 / 9, 30);
    for (size_t i = 0; i < 2; i++) {
        const char *model = i ? "odd" : "chinese";
        uint64_t few = token_estimate(&e, model, 100000, 1), many = token_estimate(&e, model, 700000, 1);
        double slope = (double)(many - few) / 600000;
        assert_true(slope < 0.501 && slope > 1.0 / 6 - 0.001);
    }
}

static void test_what_says_nothing_is_not_learnt_from(void **state)
{
    (void)state;
    token_learn(&e, "m", 600, 1, 200, 8192);       /* short */
    token_learn(&e, "m", 28000, 1, 7373, 8192);    /* it has hardly fitted */
    token_learn(&e, "m", 30000, 1, 7000, 8192);    /* … as it seems: messages may have been left out */
    token_learn(&e, "m", 12000, 1, 1999, 8192);    /* more than six characters a token: cached */
    token_learn(&e, "m", 12000, 1, 0, 8192);
    token_learn(&e, "", 12000, 1, 3000, 8192);
    assert_false(token_is_known(&e, "m"));
    token_learn(&e, "m", 28000, 1, 7372, 8192);
    assert_true(token_is_known(&e, "m"));
}

static void test_a_dense_prompt_makes_no_short_one_long(void **state)
{
    (void)state;
    token_learn(&e, "m", 5000, 1, 5001, 8192); /* base64 */
    assert_true(token_estimate(&e, "m", 2, 1) < 600);
    assert_true(token_estimate(&e, "m", 5000, 1) > 2500);
}

static void test_an_outlier_is_not_believed(void **state)
{
    (void)state;
    teach("m", 20, 0.25, 20);
    uint64_t before = token_estimate(&e, "m", 10000, 2);
    double error = token_error_ratio(&e, "m");
    for (size_t i = 0; i < 3; i++)
        token_learn(&e, "m", 10000, 2, 6000, 32768);
    assert_int_equal(token_estimate(&e, "m", 10000, 2), before);
    assert_true(token_error_ratio(&e, "m") == error);
    teach("m", 20, 0.25, 1);
    for (size_t i = 0; i < 3; i++)
        token_learn(&e, "m", 10000, 2, 6000, 32768);
    assert_near(token_estimate(&e, "m", 10000, 2), before, 0.01);
}

static void test_a_model_that_is_another_one_by_now_is_learnt_anew(void **state)
{
    (void)state;
    teach("m", 20, 0.2, 20);
    teach("m", 20, 0.45, 20);
    assert_near(token_estimate(&e, "m", 10000, 2), 4528, 0.05);
}

static void test_prompts_of_one_length_do_not_ruin_other_lengths(void **state)
{
    (void)state;
    for (size_t i = 0; i < 500; i++)
        token_learn(&e, "m", 9000, 3, 3000, 32768);
    assert_near(token_estimate(&e, "m", 9000, 3), 3000, 0.01);
    assert_near(token_estimate(&e, "m", 18000, 3), 6000, 0.12);
    assert_near(token_estimate(&e, "m", 4500, 3), 1500, 0.12);
}

static void test_the_table_is_bounded_and_forgets_who_was_unused_for_longest(void **state)
{
    (void)state;
    char model[32];
    for (size_t i = 0; i < 3 * TOKEN_ESTIMATES_MODELS; i++) {
        snprintf(model, sizeof model, "m%zu", i);
        token_learn(&e, model, 8000, 1, 2500, 0);
        token_learn(&e, "kept", 8000, 1, 2500, 0);
    }
    assert_true(token_is_known(&e, "kept"));
    assert_true(token_is_known(&e, model));
    assert_false(token_is_known(&e, "m0"));
    snprintf(model, sizeof model, "m%d", 2 * TOKEN_ESTIMATES_MODELS);
    assert_false(token_is_known(&e, model));
}

static void test_numbers_beyond_all_reason_do_no_harm(void **state)
{
    (void)state;
    for (size_t i = 0; i < 10; i++)
        token_learn(&e, "m", UINT64_MAX, SIZE_MAX, UINT64_MAX, 0);
    token_learn(&e, "m", 1000, 1, UINT64_MAX, 0);
    assert_true(token_estimate(&e, "m", 1000, 1) >= 1);
    assert_true(token_estimate(&e, "", UINT64_MAX, SIZE_MAX) >= 1);
    assert_true(token_error_ratio(&e, "m") >= 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_four_characters_a_token_and_eight_tokens_a_message_at_first, setup),
        cmocka_unit_test_setup(test_it_converges_on_models_of_other_slopes_and_overheads, setup),
        cmocka_unit_test_setup(test_one_answer_is_worth_much, setup),
        cmocka_unit_test_setup(test_the_error_is_what_estimates_were_off, setup),
        cmocka_unit_test_setup(test_slopes_stay_within_two_and_six_characters_a_token, setup),
        cmocka_unit_test_setup(test_what_says_nothing_is_not_learnt_from, setup),
        cmocka_unit_test_setup(test_a_dense_prompt_makes_no_short_one_long, setup),
        cmocka_unit_test_setup(test_an_outlier_is_not_believed, setup),
        cmocka_unit_test_setup(test_a_model_that_is_another_one_by_now_is_learnt_anew, setup),
        cmocka_unit_test_setup(test_prompts_of_one_length_do_not_ruin_other_lengths, setup),
        cmocka_unit_test_setup(test_the_table_is_bounded_and_forgets_who_was_unused_for_longest, setup),
        cmocka_unit_test_setup(test_numbers_beyond_all_reason_do_no_harm, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
