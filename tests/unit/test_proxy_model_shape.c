/* proxy/model_shape: what an answer of POST /api/show says of memory. */
#include "proxy/model_shape.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct model_shape s;

static int read_it(const char *json)
{
    memset(&s, 0x55, sizeof s);
    return model_shape_read(&s, json, strlen(json));
}

static void test_an_answer_of_ollamas(void **state)
{
    (void)state;
    static const char json[] =
        "{\"license\":\"…\",\"parameters\":\"num_ctx                        2048\\nstop                           \\\"<s>\\\"\\n"
        "use_mmap                       false\\nnum_gpu                        -1\\ntemperature                    0.7\","
        "\"details\":{\"family\":\"llama\",\"tensors\":[]},\"model_info\":{\"bert.none\":7,\"general.architecture\":\"llama\","
        "\"llama.attention.head_count\":32,\"llama.attention.head_count_kv\":8,\"llama.attention.key_length\":64,\"llama.attention.value_length\":96,"
        "\"llama.block_count\":2,\"llama.context_length\":131072,\"llama.embedding_length\":2048,\"llama.feed_forward_length\":8192,"
        "\"llama.vocab_size\":7,\"llama.vision.block_count\":99,\"tokenizer.ggml.tokens\":null},"
        "\"tensors\":[{\"name\":\"token_embd.weight\",\"type\":\"Q8_0\",\"shape\":[2048,128256]},"
        "{\"name\":\"blk.0.attn_k.weight\",\"type\":\"F16\",\"shape\":[2048,512]},{\"name\":\"blk.0.attn_v.weight\",\"type\":\"Q4_K\",\"shape\":[2048,768]},"
        "{\"shape\":[2048,512],\"type\":\"F16\",\"name\":\"blk.1.attn_k.weight\"},{\"name\":\"x\",\"type\":\"what\",\"shape\":[4,4]},"
        "{\"name\":\"y\",\"type\":\"F32\",\"shape\":[2,3,5]},{\"name\":\"v.blk.0.attn_k.weight\",\"type\":\"F32\",\"shape\":[1,9]}]}";
    assert_int_equal(read_it(json), 0);
    assert_int_equal(s.layers_n, 2);
    assert_int_equal(s.embedding_n, 2048);
    assert_int_equal(s.feed_forward_n, 8192);
    assert_int_equal(s.heads_n, 32);
    assert_int_equal(s.heads_kv_n, 8);
    assert_int_equal(s.key_n, 64);
    assert_int_equal(s.value_n, 96);
    assert_int_equal(s.context_n, 131072);
    assert_int_equal(s.vocabulary_n, 128256);
    assert_int_equal(s.cached_n, 512 + 768 + 512);
    assert_int_equal(s.weights_bytes, 2048 * 128256 / 32 * 34 + 2 * 2048 * 512 * 2 + 2048 * 768 / 256 * 144 + 30 * 4 + 9 * 4);
    assert_int_equal(s.window_n, 0);
    assert_false(s.is_encoder);
    assert_false(s.is_embedder);
    assert_int_equal(s.own.set, 1u << LOAD_NUM_CTX | 1u << LOAD_USE_MMAP | 1u << LOAD_NUM_GPU);
    assert_int_equal(s.own.values[LOAD_NUM_CTX], 2048);
    assert_int_equal(s.own.values[LOAD_USE_MMAP], 0);
    assert_int_equal(s.own.values[LOAD_NUM_GPU], -1);
}

static void test_other_architectures(void **state)
{
    (void)state;
    assert_int_equal(read_it("{\"model_info\":{\"gemma3.attention.sliding_window\":512,\"gemma3.attention.head_count_kv\":[]}}"), 0);
    assert_int_equal(s.window_n, 512);
    assert_int_equal(s.heads_kv_n, 0);
    assert_int_equal(read_it("{\"model_info\":{\"llama4.attention.chunk_size\":8192}}"), 0);
    assert_int_equal(s.window_n, 8192);
    assert_int_equal(read_it("{\"model_info\":{\"bert.attention.causal\":false,\"bert.pooling_type\":1}}"), 0);
    assert_true(s.is_encoder);
    assert_true(s.is_embedder);
    assert_int_equal(read_it("{\"model_info\":{\"x.attention.causal\":true}}"), 0);
    assert_false(s.is_encoder);
}

static void test_what_is_no_number_of_a_models_is_not_known(void **state)
{
    (void)state;
    static const char *const values[] = {"\"many\"", "null", "-1", "0", "1e300", "0.5", "[1,2]", "{}", "true", "1073741825"};
    char json[160];
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        snprintf(json, sizeof json, "{\"model_info\":{\"llama.block_count\":%s,\"llama.embedding_length\":64}}", values[i]);
        assert_int_equal(read_it(json), 0);
        assert_int_equal(s.layers_n, 0);
        assert_int_equal(s.embedding_n, 64);
        snprintf(json, sizeof json, "{\"tensors\":[{\"name\":\"blk.0.attn_k.weight\",\"type\":\"F16\",\"shape\":[64,%s]}]}", values[i]);
        assert_int_equal(read_it(json), 0);
        assert_int_equal(s.cached_n, 0);
    }
}

static void test_what_is_no_answer(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "[]", "x", "{\"model_info\":{}", "{\"model_info\":}", "{\"model_info\":{\"a.block_count\":1}"};
    static const char *const odd[] = {"{}", "{\"model_info\":null,\"tensors\":null,\"parameters\":null}", "{\"model_info\":[1],\"tensors\":{},\"parameters\":7}",
                                      "{\"tensors\":[null,1,[],{\"name\":1,\"type\":2,\"shape\":3}]}", "{\"parameters\":\"num_ctx\\n\\nnum_ctx x\"}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(read_it(bad[i]), -EINVAL);
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        assert_int_equal(read_it(odd[i]), 0);
        assert_int_equal(s.layers_n + s.cached_n + s.weights_bytes + s.vocabulary_n, 0);
        assert_int_equal(s.own.set, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_answer_of_ollamas),
        cmocka_unit_test(test_other_architectures),
        cmocka_unit_test(test_what_is_no_number_of_a_models_is_not_known),
        cmocka_unit_test(test_what_is_no_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
