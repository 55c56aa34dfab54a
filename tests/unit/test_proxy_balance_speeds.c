/* proxy/balance/speeds: how long an answer will take, learnt from machines that are played here. */
#include "proxy/balance/speeds.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SECOND = 1000, MINUTE = 60 * SECOND, LONG_MS = 24 * 3600 * SECOND };

static struct speeds *s;
static int64_t now_ms;

static int begin(void **state)
{
    (void)state;
    now_ms = 1000 * SECOND;
    return !(s = speeds_new());
}

static int end(void **state)
{
    (void)state;
    speeds_free(&s);
    return s != NULL;
}

/* What an answer of so many tokens will take. */
static struct balance_way expect(int backend, int64_t prompt_tokens, int64_t output_tokens)
{
    struct balance_way way;
    speeds_expect(s, backend, &(struct speeds_ask){.model = "m", .prompt_tokens = prompt_tokens, .output_most = output_tokens}, now_ms, &way);
    return way;
}

/* Answers of a machine that needs so long for a token of the prompt, and of the answer. */
static void answers(int backend, int n, double prefill_ms, double decode_ms)
{
    for (int i = 0; i < n; i++) {
        int64_t prompt = 100 + i * 400 % 2000, output = 50 + i * 70 % 300;
        struct speeds_sample in = {.prompt_tokens = prompt, .output_tokens = output, .load_ms = -1,
                                   .prompt_ms = (int64_t)(50 + (double)prompt * prefill_ms), .output_ms = (int64_t)((double)output * decode_ms)};
        speeds_learn(s, backend, "m", &in, now_ms += SECOND);
    }
}

static void assert_about(double found, double wanted, double percent)
{
    if (!(found >= wanted * (1 - percent / 100) && found <= wanted * (1 + percent / 100)))
        fail_msg("%g is not about %g", found, wanted);
}

static void test_before_anything_is_known(void **state)
{
    (void)state;
    assert_about(expect(0, 1000, 100).run_ms, 1000 * 5 + 100 * 100, 1);
    assert_about(expect(0, 1000, 0).run_ms, 1000 * 5 + 200 * 100, 1);
    assert_int_equal(expect(0, 1, 1).load_ms, 10000);
    struct speeds_known known;
    assert_false(speeds_known(s, 0, "m", now_ms, &known));
}

static void test_what_is_expected_is_a_guess_until_an_answer_has_told_how_long_it_was(void **state)
{
    (void)state;
    struct speeds_sample no_tokens = {.prompt_tokens = 10, .prompt_ms = 100, .output_tokens = -1, .output_ms = -1, .load_ms = -1};
    assert_false(speeds_has_learnt(s, "m"));
    speeds_learn(s, 0, "m", &no_tokens, now_ms);
    assert_false(speeds_has_learnt(s, "m"));
    answers(0, 1, 1, 10);
    assert_true(speeds_has_learnt(s, "m") && speeds_has_learnt(s, "m:latest"));
    assert_false(speeds_has_learnt(s, "other"));
}

static void test_weights_say_who_is_faster_before_anything_is_known(void **state)
{
    (void)state;
    speeds_set_backend(s, 0, 1);
    speeds_set_backend(s, 1, 4);
    assert_about((double)expect(0, 1000, 100).run_ms / expect(1, 1000, 100).run_ms, 4, 1);
}

static void test_prefill_and_decode_are_learnt(void **state)
{
    (void)state;
    answers(0, 30, 2, 25);
    assert_about(expect(0, 1000, 100).run_ms, 50 + 1000 * 2 + 100 * 25, 5);
    assert_about(expect(0, 10, 100).run_ms, 50 + 10 * 2 + 100 * 25, 5);
    assert_about(expect(0, 20000, 1).run_ms, 50 + 20000 * 2 + 25, 5);
    struct speeds_known known;
    assert_true(speeds_known(s, 0, "M:latest", now_ms, &known));
    assert_about(known.prefill_per_s, 500, 5);
    assert_about(known.decode_per_s, 40, 5);
    assert_true(known.samples_n > 8 && known.samples_n < 14);
}

static void test_what_is_cached_is_not_read_again(void **state)
{
    (void)state;
    answers(0, 30, 10, 25);
    struct balance_way way;
    speeds_expect(s, 0, &(struct speeds_ask){.model = "m", .prompt_tokens = 5000, .cached_tokens = 4900, .output_most = 1}, now_ms, &way);
    assert_about(way.run_ms, 50 + 100 * 10 + 25, 10);
    speeds_expect(s, 0, &(struct speeds_ask){.model = "m", .prompt_tokens = 10, .cached_tokens = 4900, .output_most = 1}, now_ms, &way);
    assert_in_range(way.run_ms, 1, 200);
}

static void test_loads_are_learnt_and_what_was_loaded_is_no_load(void **state)
{
    (void)state;
    for (int i = 0; i < 30; i++) {
        speeds_learn(s, 0, "m", &(struct speeds_sample){-1, 0, -1, -1, -1, 3000}, now_ms);
        speeds_learn(s, 0, "m", &(struct speeds_sample){-1, 0, -1, -1, -1, 20}, now_ms);
    }
    assert_about(expect(0, 1, 1).load_ms, 3000, 7);
}

static void test_the_length_of_answers_is_learnt_for_all_backends(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++)
        speeds_learn(s, 0, "m", &(struct speeds_sample){-1, 0, -1, 600, -1, -1}, now_ms);
    assert_about(expect(1, 1, 0).run_ms, 600 * 100, 5);
    assert_about(expect(1, 1, 300).run_ms, 300 * 100, 5); /* no more than was asked for */
    assert_about(expect(1, 1, 100000).run_ms, 600 * 100, 5);
}

/* A thousand tokens in 30 ms: they were in the cache, and the next prompt may not be. */
static void test_prompts_from_a_cache_are_not_believed(void **state)
{
    (void)state;
    answers(0, 30, 5, 25);
    for (int i = 0; i < 4; i++)
        speeds_learn(s, 0, "m", &(struct speeds_sample){1000, 0, 30, -1, -1, -1}, now_ms);
    assert_about(expect(0, 1000, 1).run_ms, 5000, 20);
    struct speeds_known known;
    assert_true(speeds_known(s, 0, "m", now_ms, &known));
    assert_true(known.prefill_per_s < 400);
}

/* A long one least of all. */
static void test_a_long_prompt_from_a_cache_is_no_lever(void **state)
{
    (void)state;
    answers(0, 30, 5, 25);
    speeds_learn(s, 0, "m", &(struct speeds_sample){50000, 0, 60, -1, -1, -1}, now_ms);
    assert_about(expect(0, 1000, 1).run_ms, 5000, 10);
    assert_about(expect(0, 10000, 1).run_ms, 50000, 20);
}

/* Where long prompts are dearer than their length, short ones still cost something. */
static void test_no_prompt_costs_less_than_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < 30; i++)
        speeds_learn(s, 0, "m", &(struct speeds_sample){i % 2 ? 1000 : 2000, 0, i % 2 ? 500 : 5000, 100, 2000, -1}, now_ms);
    int32_t short_ms = expect(0, 10, 100).run_ms, long_ms = expect(0, 400, 100).run_ms;
    assert_true(short_ms >= 1900 && long_ms > short_ms + 100);
}

static void test_one_token_tells_less_than_a_hundred(void **state)
{
    (void)state;
    answers(0, 30, 1, 10);
    for (int i = 0; i < 3; i++)
        speeds_learn(s, 0, "m", &(struct speeds_sample){-1, 0, -1, 1, 100, -1}, now_ms);
    assert_about(expect(0, 1, 100).run_ms, 50 + 1000, 45);
}

/* What is learnt of its loads takes nothing from what is known of its prompts. */
static void test_the_best_is_known_for_long(void **state)
{
    (void)state;
    answers(0, 20, 0.5, 10);
    now_ms += 180 * MINUTE;
    speeds_learn(s, 0, "m", &(struct speeds_sample){-1, 0, -1, -1, -1, 1000}, now_ms);
    assert_about(expect(2, 2000, 1).run_ms, 50 + 1000 + 10, 20);
    assert_about(expect(2, 1, 100).run_ms, 50 + 1000, 5);
}

/* Even where it is the first that is seen. */
static void test_a_cache_at_first_is_soon_made_good(void **state)
{
    (void)state;
    speeds_learn(s, 0, "m", &(struct speeds_sample){3000, 0, 1, 100, 2500, -1}, now_ms);
    assert_in_range(expect(0, 3000, 1).run_ms, 150, 15000);
    answers(0, 12, 5, 25);
    assert_about(expect(0, 3000, 1).run_ms, 15000, 40);
}

static void test_one_answer_does_not_make_a_fast_machine_slow(void **state)
{
    (void)state;
    answers(0, 30, 1, 10);
    speeds_learn(s, 0, "m", &(struct speeds_sample){100, 0, 3600 * SECOND, 100, 3600 * SECOND, -1}, now_ms);
    assert_true(expect(0, 100, 100).run_ms < 4 * (100 + 1000));
    answers(0, 20, 1, 10);
    assert_true(expect(0, 100, 100).run_ms < 2 * (100 + 1000));
}

static void test_a_machine_that_slows_down_is_known_soon(void **state)
{
    (void)state;
    answers(0, 50, 1, 10);
    answers(0, 10, 5, 50);
    assert_true(expect(0, 100, 100).run_ms > 3000);
    answers(0, 20, 5, 50);
    assert_about(expect(0, 100, 100).run_ms, 50 + 500 + 5000, 20);
}

/* It is tried again, and not for ever left out: what it was slow by loses its weight, towards the best. */
static void test_a_slow_start_is_forgotten(void **state)
{
    (void)state;
    answers(0, 20, 1, 10);
    answers(1, 3, 20, 200);
    int32_t slow_ms = expect(1, 100, 100).run_ms, fast_ms = expect(0, 100, 100).run_ms;
    assert_true(slow_ms > 10 * fast_ms);
    now_ms += 15 * MINUTE;
    assert_in_range(expect(1, 100, 100).run_ms, 2 * fast_ms, slow_ms);
    now_ms += 60 * MINUTE;
    assert_about(expect(1, 100, 100).run_ms, expect(0, 100, 100).run_ms, 10);
    assert_about(expect(0, 100, 100).run_ms, fast_ms, 10); /* the best remains what it was */
}

static void test_who_is_new_is_thought_as_fast_as_the_best(void **state)
{
    (void)state;
    answers(0, 20, 1, 10);
    answers(1, 20, 4, 40);
    assert_about(expect(2, 100, 100).run_ms, expect(0, 100, 100).run_ms, 5);
    speeds_set_backend(s, 0, 10);
    speeds_set_backend(s, 1, 10);
    speeds_set_backend(s, 2, 5);
    assert_about(expect(2, 100, 100).run_ms, 2 * expect(0, 100, 100).run_ms, 5);
}

static void test_another_machine_in_its_place(void **state)
{
    (void)state;
    answers(0, 20, 1, 10);
    speeds_forget_backend(s, 0);
    assert_about(expect(0, 100, 100).run_ms, 100 * 5 + 100 * 100, 1);
}

static void test_models_are_apart_and_the_longest_unused_goes(void **state)
{
    (void)state;
    struct speeds_known known;
    char name[32];
    answers(0, 20, 1, 10);
    for (int i = 0; i < 31; i++) {
        snprintf(name, sizeof name, "model-%d", i);
        speeds_learn(s, 0, name, &(struct speeds_sample){-1, 0, -1, 10, 500, -1}, now_ms += 1);
    }
    assert_about(expect(0, 100, 100).run_ms, 50 + 100 + 1000, 10);
    speeds_learn(s, 0, "one-more", &(struct speeds_sample){-1, 0, -1, 10, 500, -1}, now_ms += 1);
    assert_false(speeds_known(s, 0, "m", now_ms, &known));
    assert_true(speeds_known(s, 0, "model-0", now_ms, &known));
    assert_true(speeds_known(s, 0, "one-more", now_ms, &known));
}

/* ---- what others say ---- */

static void test_another_replica_knows(void **state)
{
    (void)state;
    struct speeds_known known;
    answers(0, 20, 2, 20);
    int32_t there_ms = expect(0, 1000, 100).run_ms;
    assert_true(speeds_known(s, 0, "m", now_ms, &known));
    speeds_free(&s);
    s = speeds_new();
    assert_non_null(s);
    speeds_take(s, 0, "m", &known, now_ms);
    assert_about(expect(0, 1000, 100).run_ms, there_ms, 10);
}

/* Two that tell each other the same again and again are no surer of it for that. */
static void test_an_echo_has_no_weight(void **state)
{
    (void)state;
    struct speeds_known known;
    answers(0, 3, 2, 20);
    for (int i = 0; i < 100; i++) {
        assert_true(speeds_known(s, 0, "m", now_ms, &known));
        speeds_take(s, 0, "m", &known, now_ms);
    }
    assert_true(known.samples_n < 3.1);
    assert_about(known.decode_per_s, 50, 25);
}

/* ---- numbers that are none ---- */

static const double strange[] = {0, -1, 1, 1e-300, 1e300, -1e300, 1e18};

static void test_no_answer_breaks_what_is_expected(void **state)
{
    (void)state;
    static const int64_t values[] = {INT64_MIN, -1, 0, 1, 7, 1000, 1000000000, INT64_MAX};
    enum { N = sizeof values / sizeof *values };
    struct speeds_known known;
    uint32_t chance = 7;
    for (int i = 0; i < 20000; i++) {
        int64_t v[6];
        for (int k = 0; k < 6; k++)
            v[k] = values[(chance = chance * 1664525 + 1013904223) >> 16 & (N - 1)];
        speeds_learn(s, i & 3, "m", &(struct speeds_sample){v[0], v[1], v[2], v[3], v[4], v[5]}, now_ms += v[0] & 1023);
        struct balance_way way;
        speeds_expect(s, i & 3, &(struct speeds_ask){.model = "m", .prompt_tokens = v[1], .cached_tokens = v[2], .output_most = v[3]}, now_ms, &way);
        assert_in_range(way.run_ms, 1, LONG_MS);
        assert_in_range(way.load_ms, 0, LONG_MS);
        if (speeds_known(s, i & 3, "m", now_ms, &known))
            assert_true(known.prefill_per_s >= 0 && known.prefill_per_s < 1e6 && known.decode_per_s >= 0 && known.decode_per_s < 1e6);
    }
    assert_int_equal(expect(0, INT64_MAX, INT64_MAX).run_ms < 1, 0);
}

static void test_nothing_that_others_say_breaks_what_is_expected(void **state)
{
    (void)state;
    volatile double zero = 0;
    double nan = zero / zero, inf = 1 / zero;
    for (size_t i = 0; i < sizeof strange / sizeof *strange + 2; i++) {
        double x = i == 0 ? nan : i == 1 ? inf : strange[i - 2];
        speeds_take(s, 0, "m", &(struct speeds_known){x, x, x, x, 5}, now_ms);
        speeds_take(s, 0, "m", &(struct speeds_known){1, 1, 1, 1, x}, now_ms);
        assert_in_range(expect(0, 1000, 100).run_ms, 1, LONG_MS);
        assert_in_range(expect(0, 1000, 100).load_ms, 0, LONG_MS);
    }
    answers(0, 200, 2, 20);
    assert_about(expect(0, 1000, 100).run_ms, 50 + 2000 + 2000, 10);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(test_before_anything_is_known), TEST(test_what_is_expected_is_a_guess_until_an_answer_has_told_how_long_it_was), TEST(test_weights_say_who_is_faster_before_anything_is_known), TEST(test_prefill_and_decode_are_learnt),
        TEST(test_what_is_cached_is_not_read_again), TEST(test_loads_are_learnt_and_what_was_loaded_is_no_load),
        TEST(test_the_length_of_answers_is_learnt_for_all_backends), TEST(test_prompts_from_a_cache_are_not_believed),
        TEST(test_a_long_prompt_from_a_cache_is_no_lever), TEST(test_no_prompt_costs_less_than_nothing),
        TEST(test_one_token_tells_less_than_a_hundred), TEST(test_the_best_is_known_for_long), TEST(test_a_cache_at_first_is_soon_made_good),
        TEST(test_one_answer_does_not_make_a_fast_machine_slow),
        TEST(test_a_machine_that_slows_down_is_known_soon), TEST(test_a_slow_start_is_forgotten), TEST(test_who_is_new_is_thought_as_fast_as_the_best),
        TEST(test_another_machine_in_its_place), TEST(test_models_are_apart_and_the_longest_unused_goes), TEST(test_another_replica_knows),
        TEST(test_an_echo_has_no_weight), TEST(test_no_answer_breaks_what_is_expected), TEST(test_nothing_that_others_say_breaks_what_is_expected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
