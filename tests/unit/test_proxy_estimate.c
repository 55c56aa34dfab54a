/* proxy/estimate: figures of models of several shapes, what counts and what does not, and what is not known. */
#include "proxy/estimate.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { BASE = 33 << 20, MIB = 1 << 20 };

static const struct estimate_server server = {.context_n = 4096, .parallel_n = 1, .cache_bytes = ESTIMATE_CACHE_F16};
static const struct load_options none;

/* llama3.2:1b, as its file says. */
static struct model_shape small(void)
{
    return (struct model_shape){.layers_n = 16, .embedding_n = 2048, .feed_forward_n = 8192, .heads_n = 32, .heads_kv_n = 8, .key_n = 64,
                                .value_n = 64, .vocabulary_n = 128256, .context_n = 131072, .weights_bytes = 1300 * (int64_t)MIB};
}

static struct estimate of(const struct model_shape *s, const struct load_options *asked, const struct estimate_server *with)
{
    struct estimate e;
    assert_int_equal(estimate_make(&e, s, asked, with), 0);
    assert_int_equal(e.total_bytes, e.cache_bytes + e.buffers_bytes + e.weights_bytes + e.base_bytes);
    return e;
}

static struct load_options ask(enum load_option option, int64_t value)
{
    struct load_options o = {.set = 0};
    load_options_set(&o, option, value);
    return o;
}

static void test_the_figures_of_a_model_with_grouped_heads(void **state)
{
    (void)state;
    struct model_shape s = small();
    struct load_options mapped = ask(LOAD_USE_MMAP, 1);
    struct estimate e = of(&s, &mapped, &server);
    assert_int_equal(e.cache_bytes, 128 * MIB); /* 4096 tokens, 16 layers, 8 heads of 64 + 64, 2 bytes */
    assert_int_equal(e.buffers_bytes, 4 * 512 * (4096 * 33 + 4 * 2048) + 2 * 512 * 4096 * 32);
    assert_int_equal(e.base_bytes, BASE + 225 * 128256);
    assert_int_equal(e.weights_bytes, 0);
    assert_int_equal(e.mapped_bytes, s.weights_bytes);
    assert_int_equal(e.num_ctx, 4096);
}

static void test_weights_count_where_they_are_read_which_is_so_where_nobody_says_otherwise(void **state)
{
    (void)state;
    struct model_shape s = small();
    struct load_options read = ask(LOAD_USE_MMAP, 0), mapped = ask(LOAD_USE_MMAP, 1);
    assert_int_equal(of(&s, &read, &server).weights_bytes, s.weights_bytes);
    assert_int_equal(of(&s, &none, &server).weights_bytes, s.weights_bytes);
    load_options_set(&s.own, LOAD_USE_MMAP, 1);
    assert_int_equal(of(&s, &none, &server).mapped_bytes, s.weights_bytes);
    assert_int_equal(of(&s, &read, &server).weights_bytes, s.weights_bytes);
    assert_int_equal(of(&s, &mapped, &server).weights_bytes, 0);
}

static void test_who_asks_goes_before_the_model_and_the_model_before_the_server(void **state)
{
    (void)state;
    struct model_shape s = small();
    struct load_options asked = ask(LOAD_NUM_CTX, 1024);
    assert_int_equal(of(&s, &asked, &server).num_ctx, 1024);
    load_options_set(&s.own, LOAD_NUM_CTX, 2048);
    assert_int_equal(of(&s, &none, &server).num_ctx, 2048);
    assert_int_equal(of(&s, &none, &server).cache_bytes, 64 * MIB);
    assert_int_equal(of(&s, &asked, &server).cache_bytes, 32 * MIB);
}

static void test_requests_at_once_and_what_it_was_trained_for(void **state)
{
    (void)state;
    struct model_shape s = small();
    struct estimate_server four = server;
    four.parallel_n = 4;
    assert_int_equal(of(&s, &none, &four).cache_bytes, 512 * MIB);
    s.is_embedder = 1;
    assert_int_equal(of(&s, &none, &four).cache_bytes, 128 * MIB);
    s.is_embedder = 0;
    s.context_n = 2048;
    assert_int_equal(of(&s, &none, &four).cache_bytes, 256 * MIB);
    assert_int_equal(of(&s, &none, &four).num_ctx, 2048);
    struct load_options least = ask(LOAD_NUM_CTX, 1);
    assert_int_equal(of(&s, &least, &server).num_ctx, 4);
}

static void test_tokens_at_once_are_bounded_on_both_sides(void **state)
{
    (void)state;
    struct model_shape s = small();
    static const struct {
        int64_t num_batch, batch;
    } cases[] = {{256, 256}, {1, 64}, {512, 512}, {4096, 512}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct load_options asked = ask(LOAD_NUM_BATCH, cases[i].num_batch);
        assert_int_equal(of(&s, &asked, &server).buffers_bytes,
                         4 * cases[i].batch * (4096 * 33 + 4 * 2048) + 2 * cases[i].batch * 4096 * 32);
    }
    s.feed_forward_n = 1 << 20; /* a layer that is wider than attention needs */
    assert_int_equal(of(&s, &none, &server).buffers_bytes, 4LL * 512 * (2 * (1 << 20) + 2 * 2048));
}

static void test_types_of_the_cache_count_with_flash_attention_only(void **state)
{
    (void)state;
    struct model_shape s = small();
    struct estimate_server with = server;
    with.cache_bytes = ESTIMATE_CACHE_Q4;
    assert_int_equal(of(&s, &none, &with).cache_bytes, 128 * MIB);
    with.is_flash = 1;
    assert_int_equal(of(&s, &none, &with).cache_bytes, 36 * MIB);
    with.cache_bytes = ESTIMATE_CACHE_Q8;
    assert_int_equal(of(&s, &none, &with).cache_bytes, 68 * MIB);
    assert_true(of(&s, &none, &with).buffers_bytes < of(&s, &none, &server).buffers_bytes / 5); /* no scores */
}

static void test_shapes_that_the_keys_do_not_tell_are_told_by_the_tensors(void **state)
{
    (void)state;
    struct model_shape s = small();
    s.heads_kv_n = 0; /* a list */
    s.cached_n = 16384;
    assert_int_equal(of(&s, &none, &server).cache_bytes, 128 * MIB);
    s.heads_kv_n = 8;
    s.cached_n = 4096; /* not each layer has attention */
    assert_int_equal(of(&s, &none, &server).cache_bytes, 32 * MIB);
    s.cached_n = 0;
    s.key_n = s.value_n = 0; /* 2048 / 32 */
    assert_int_equal(of(&s, &none, &server).cache_bytes, 128 * MIB);
}

static void test_windows_and_encoders_keep_less(void **state)
{
    (void)state;
    struct model_shape s = small();
    s.window_n = 512;
    assert_int_equal(of(&s, &none, &server).cache_bytes, (4096 + 5 * 1024) / 6 * 32768LL); /* one of six layers keeps all */
    s.window_n = 8192;
    assert_int_equal(of(&s, &none, &server).cache_bytes, 128 * MIB);
    s.is_encoder = 1;
    assert_int_equal(of(&s, &none, &server).cache_bytes, 0);
}

static void test_too_little_is_known(void **state)
{
    (void)state;
    struct model_shape s = {.layers_n = 0};
    struct estimate e;
    assert_int_equal(estimate_make(&e, &s, &none, &server), -ENODATA);
    s = small();
    s.layers_n = 0;
    assert_int_equal(estimate_make(&e, &s, &none, &server), -ENODATA);
    s = small();
    s.heads_kv_n = 0;
    assert_int_equal(estimate_make(&e, &s, &none, &server), -ENODATA);
}

static void test_what_is_beyond_all_bounds_is_very_large(void **state)
{
    (void)state;
    enum { MAX = ESTIMATE_NUM_MAX };
    struct model_shape s = {.layers_n = MAX, .embedding_n = MAX, .feed_forward_n = MAX, .heads_n = MAX, .heads_kv_n = MAX, .key_n = MAX,
                            .value_n = MAX, .vocabulary_n = MAX, .weights_bytes = INT64_MAX};
    struct load_options asked = ask(LOAD_NUM_CTX, INT64_MAX);
    struct estimate e;
    assert_int_equal(estimate_make(&e, &s, &asked, &server), 0);
    assert_true(e.total_bytes >= INT64_MAX / 2);
    assert_int_equal(estimate_fitting_num_ctx(&s, &asked, &server, INT64_MAX / 4), 0);
}

static void test_the_context_that_fits(void **state)
{
    (void)state;
    struct model_shape s = small();
    struct load_options asked = ask(LOAD_USE_MMAP, 1);
    int64_t limit_bytes = 2048LL * MIB, fits_n = estimate_fitting_num_ctx(&s, &asked, &server, limit_bytes);
    assert_int_equal(fits_n % 256, 0);
    load_options_set(&asked, LOAD_NUM_CTX, fits_n);
    assert_true(of(&s, &asked, &server).total_bytes <= limit_bytes);
    load_options_set(&asked, LOAD_NUM_CTX, fits_n + 256);
    assert_true(of(&s, &asked, &server).total_bytes > limit_bytes);
    assert_int_equal(estimate_fitting_num_ctx(&s, &none, &server, 1000 * MIB), 0); /* its weights alone are more */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_figures_of_a_model_with_grouped_heads),
        cmocka_unit_test(test_weights_count_where_they_are_read_which_is_so_where_nobody_says_otherwise),
        cmocka_unit_test(test_who_asks_goes_before_the_model_and_the_model_before_the_server),
        cmocka_unit_test(test_requests_at_once_and_what_it_was_trained_for),
        cmocka_unit_test(test_tokens_at_once_are_bounded_on_both_sides),
        cmocka_unit_test(test_types_of_the_cache_count_with_flash_attention_only),
        cmocka_unit_test(test_shapes_that_the_keys_do_not_tell_are_told_by_the_tensors),
        cmocka_unit_test(test_windows_and_encoders_keep_less),
        cmocka_unit_test(test_too_little_is_known),
        cmocka_unit_test(test_what_is_beyond_all_bounds_is_very_large),
        cmocka_unit_test(test_the_context_that_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
