/* proxy/load_options: what would make Ollama load a model again, and what rides on what is loaded. */
#include "proxy/load_options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { NONE = INT32_MIN };

static struct load_options of(int64_t num_ctx, int64_t num_gpu, int64_t use_mmap)
{
    struct load_options o = {.set = 0};
    if (num_ctx != NONE)
        load_options_set(&o, LOAD_NUM_CTX, num_ctx);
    if (num_gpu != NONE)
        load_options_set(&o, LOAD_NUM_GPU, num_gpu);
    if (use_mmap != NONE)
        load_options_set(&o, LOAD_USE_MMAP, use_mmap);
    return o;
}

static const char *text_of(const struct load_options *o)
{
    static char text[256];
    struct buf out;
    buf_init(&out, sizeof text - 1);
    assert_int_equal(load_options_write(o, &out), 0);
    memcpy(text, buf_data(&out), buf_size(&out));
    text[buf_size(&out)] = '\0';
    buf_fini(&out);
    return text;
}

struct row {
    int64_t wanted[3], loaded[3];
    unsigned fixed;
    const char *ride; /* NULL: it does not fit */
    unsigned soft, dropped;
};

static void check(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct row *r = &rows[i];
        struct load_options wanted = of(r->wanted[0], r->wanted[1], r->wanted[2]);
        struct load_options loaded = of(r->loaded[0], r->loaded[1], r->loaded[2]), ride;
        struct load_terms terms = {r->fixed, r->soft};
        unsigned dropped;
        int fits = load_options_fit(&wanted, &terms, &loaded, &ride, &dropped);
        if (fits != (r->ride != NULL) || (fits && (strcmp(text_of(&ride), r->ride) != 0 || dropped != r->dropped)))
            fail_msg("row %zu: %s %s, %u dropped", i, fits ? "fits" : "does not fit", text_of(&ride), dropped);
    }
}

static void test_absent_and_smaller_ride_proxy_scenario_36(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {{NONE, NONE, NONE}, {NONE, NONE, NONE}, 0, "{}", 0, 0},
        {{NONE, NONE, NONE}, {8192, NONE, NONE}, 0, "{\"num_ctx\":8192}", 0, 0},
        {{NONE, NONE, NONE}, {8192, 0, 1}, 0, "{\"num_ctx\":8192,\"num_gpu\":0,\"use_mmap\":true}", 0, 0},
        {{4096, NONE, NONE}, {8192, NONE, NONE}, 0, "{\"num_ctx\":8192}", 0, 0},
        {{8192, NONE, NONE}, {8192, NONE, NONE}, 0, "{}", 0, 0},
        {{16384, NONE, NONE}, {8192, NONE, NONE}, 0, NULL, 0, 0},
        {{4096, NONE, NONE}, {NONE, NONE, NONE}, 0, NULL, 0, 0}, /* nobody knows what it was loaded with */
        {{NONE, 0, NONE}, {NONE, 1, NONE}, 0, NULL, 0, 0},
        {{NONE, 1, NONE}, {NONE, 2, NONE}, 0, NULL, 0, 0}, /* only a context may be larger than asked for */
        {{NONE, NONE, 0}, {NONE, NONE, 1}, 0, NULL, 0, 0},
        {{NONE, -1, NONE}, {NONE, 7, NONE}, 0, "{}", 0, 0}, /* never a difference to Ollama */
        {{NONE, -1, NONE}, {NONE, NONE, NONE}, 0, "{}", 0, 0},
        {{NONE, 7, NONE}, {NONE, -1, NONE}, 0, NULL, 0, 0},
    };
    check(rows, sizeof rows / sizeof *rows);
}

static void test_what_a_preset_proposes_rides_on_whatever_is_loaded_proxy_scenario_36(void **state)
{
    (void)state;
    enum { CTX = 1 << LOAD_NUM_CTX, GPU = 1 << LOAD_NUM_GPU, MMAP = 1 << LOAD_USE_MMAP };
    static const struct row rows[] = {
        {{1024, 7, NONE}, {NONE, NONE, NONE}, 0, "{}", CTX | GPU, CTX | GPU},
        {{2048, NONE, NONE}, {NONE, NONE, NONE}, 0, "{}", CTX, CTX},
        {{2049, NONE, NONE}, {NONE, NONE, NONE}, 0, NULL, CTX, 0}, /* the server's own may be smaller */
        {{1024, 7, NONE}, {512, NONE, NONE}, 0, NULL, CTX | GPU, 0},
        {{1024, 7, NONE}, {4096, NONE, NONE}, 0, "{\"num_ctx\":4096}", CTX | GPU, GPU},
        {{1024, 7, NONE}, {4096, 3, NONE}, 0, "{\"num_ctx\":4096,\"num_gpu\":3}", CTX | GPU, 0},
        {{1024, 7, NONE}, {4096, 3, NONE}, 0, NULL, CTX, 0},      /* the client says the other one */
        {{1024, 7, NONE}, {4096, 3, NONE}, GPU, NULL, CTX | GPU, 0}, /* … or a pin */
        {{NONE, NONE, 1}, {NONE, NONE, 0}, 0, "{\"use_mmap\":false}", MMAP, 0},
        {{1024, 7, 1}, {1024, 7, 1}, 0, "{}", CTX | GPU | MMAP, 0},
    };
    check(rows, sizeof rows / sizeof *rows);
}

static void test_what_is_fixed_does_not_ride(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {{4096, NONE, NONE}, {8192, NONE, NONE}, 1u << LOAD_NUM_CTX, NULL, 0, 0},
        {{8192, NONE, NONE}, {8192, 1, NONE}, 1u << LOAD_NUM_CTX, "{\"num_gpu\":1}", 0, 0},
        {{NONE, NONE, NONE}, {8192, NONE, NONE}, LOAD_ALL_OPTIONS, NULL, 0, 0}, /* its body can't be changed */
        {{NONE, NONE, NONE}, {NONE, NONE, NONE}, LOAD_ALL_OPTIONS, "{}", 0, 0},
        {{NONE, NONE, 1}, {NONE, NONE, 1}, LOAD_ALL_OPTIONS, "{}", 0, 0},
    };
    check(rows, sizeof rows / sizeof *rows);
}

static void test_a_reload_keeps_what_is_not_asked_for(void **state)
{
    (void)state;
    struct load_options wanted = of(16384, NONE, NONE), loaded = of(8192, 3, 1), out;
    load_options_merge(&wanted, 0, &loaded, &out);
    assert_string_equal(text_of(&out), "{\"num_ctx\":16384,\"num_gpu\":3,\"use_mmap\":true}");
    load_options_merge(&wanted, LOAD_ALL_OPTIONS, &loaded, &out);
    assert_true(load_options_equal(&out, &wanted));
    assert_false(load_options_equal(&out, &loaded));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_absent_and_smaller_ride_proxy_scenario_36),
        cmocka_unit_test(test_what_a_preset_proposes_rides_on_whatever_is_loaded_proxy_scenario_36),
        cmocka_unit_test(test_what_is_fixed_does_not_ride),
        cmocka_unit_test(test_a_reload_keeps_what_is_not_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
