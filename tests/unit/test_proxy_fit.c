/* proxy/fit: what is refused, what is tried in doubt, and what is told. */
#include "proxy/fit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define GIB ((int64_t)1 << 30)

static struct fit f;
static char text[FIT_TEXT_BYTES];

/* 64 KiB of cache for each token; 2 GiB of weights. */
static const char shown[] = "{\"model_info\":{\"llama.block_count\":16,\"llama.embedding_length\":2048,\"llama.attention.head_count\":16,"
                            "\"llama.attention.head_count_kv\":16,\"llama.attention.key_length\":64,\"llama.attention.value_length\":64},"
                            "\"tensors\":[{\"name\":\"output.weight\",\"type\":\"F16\",\"shape\":[32768,32768]}]}";

static int setup(void **state)
{
    (void)state;
    f = (struct fit){.limit_bytes = 4 * GIB, .server = {.context_n = 4096, .parallel_n = 1, .cache_bytes = ESTIMATE_CACHE_F16}};
    text[0] = '\0';
    return 0;
}

static struct load_options mapped(int64_t num_ctx)
{
    struct load_options o = {.set = 0};
    load_options_set(&o, LOAD_USE_MMAP, 1);
    load_options_set(&o, LOAD_NUM_CTX, num_ctx);
    return o;
}

static enum fit_verdict judge(const char *model, struct load_options options)
{
    return fit_judge(&f, model, &options, text);
}

static void test_what_is_not_known_is_to_be_asked_for_once(void **state)
{
    (void)state;
    assert_int_equal(judge("m", mapped(1 << 20)), FIT_UNKNOWN);
    fit_learn(&f, "m", NULL, 0);
    assert_int_equal(judge("m", mapped(1 << 20)), FIT_UNKNOWN);
    fit_learn(&f, "m", "[]", 2);
    assert_int_equal(judge("m", mapped(1 << 20)), FIT_UNKNOWN);
    fit_learn(&f, "m", "{}", 2);
    assert_int_equal(judge("m", mapped(1 << 20)), FIT_WELL); /* it says too little */
    fit_learn(&f, "m", shown, sizeof shown - 1);
    assert_int_equal(judge("M:latest", mapped(1 << 20)), FIT_NOT);
    assert_int_equal(judge("other", mapped(1 << 20)), FIT_UNKNOWN);
    fit_forget(&f);
    assert_int_equal(judge("m", mapped(1 << 20)), FIT_UNKNOWN);
}

static void test_the_sentence_has_the_figures(void **state)
{
    (void)state;
    fit_learn(&f, "m", shown, sizeof shown - 1);
    assert_int_equal(judge("m", mapped(65536)), FIT_NOT);
    assert_string_equal(text, "model requires more system memory (7.2 GiB) than is available (3.9 GiB): 4.0 GiB for the KV cache of num_ctx 65536, "
                              "3.1 GiB for buffers, 0 B for weights; a num_ctx of up to 35584 would fit; the limit on memory is 4.0 GiB");
    assert_int_equal(judge("m", mapped(35584)), FIT_WELL);
    struct load_options read = mapped(32768);
    load_options_set(&read, LOAD_USE_MMAP, 0);
    assert_int_equal(judge("m", read), FIT_NOT);
    assert_non_null(strstr(text, "2.0 GiB for weights; a num_ctx of up to "));
    assert_non_null(strstr(text, "; use_mmap true leaves the weights in their file; "));
    f.limit_bytes = GIB;
    assert_int_equal(judge("m", read), FIT_NOT);
    assert_null(strstr(text, "would fit"));
}

static void test_a_gpu_that_is_possible_makes_it_a_try_unless_it_is_left_out(void **state)
{
    (void)state;
    struct load_options none = mapped(1 << 20), all = mapped(1 << 20);
    load_options_set(&none, LOAD_NUM_GPU, 0);
    load_options_set(&all, LOAD_NUM_GPU, 99);
    fit_learn(&f, "m", shown, sizeof shown - 1);
    assert_int_equal(judge("m", all), FIT_NOT);
    f.is_gpu_possible = 1;
    assert_int_equal(judge("m", all), FIT_WELL);
    assert_int_equal(judge("m", mapped(1 << 20)), FIT_WELL);
    assert_int_equal(judge("m", none), FIT_NOT);
    assert_int_equal(judge("unknown", mapped(1 << 20)), FIT_WELL);
    assert_int_equal(judge("unknown", none), FIT_UNKNOWN);
}

static void test_without_a_limit_nothing_is_asked(void **state)
{
    (void)state;
    f.limit_bytes = 0;
    assert_int_equal(judge("m", mapped(1 << 20)), FIT_WELL);
}

static void test_the_table_keeps_the_latest(void **state)
{
    (void)state;
    char name[16];
    for (int i = 0; i < FIT_MODELS + 2; i++) {
        snprintf(name, sizeof name, "m%d", i);
        fit_learn(&f, name, shown, sizeof shown - 1);
        assert_int_equal(judge("m0", mapped(1 << 20)), FIT_NOT); /* it is used each time */
    }
    assert_int_equal(judge("m1", mapped(1 << 20)), FIT_UNKNOWN);
    assert_int_equal(judge("m3", mapped(1 << 20)), FIT_NOT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_what_is_not_known_is_to_be_asked_for_once, setup),
        cmocka_unit_test_setup(test_the_sentence_has_the_figures, setup),
        cmocka_unit_test_setup(test_a_gpu_that_is_possible_makes_it_a_try_unless_it_is_left_out, setup),
        cmocka_unit_test_setup(test_without_a_limit_nothing_is_asked, setup),
        cmocka_unit_test_setup(test_the_table_keeps_the_latest, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
