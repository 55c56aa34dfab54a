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
};

static void check(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct row *r = &rows[i];
        struct load_options wanted = of(r->wanted[0], r->wanted[1], r->wanted[2]);
        struct load_options loaded = of(r->loaded[0], r->loaded[1], r->loaded[2]), ride;
        int fits = load_options_fit(&wanted, r->fixed, &loaded, &ride);
        if (fits != (r->ride != NULL) || (fits && strcmp(text_of(&ride), r->ride) != 0))
            fail_msg("row %zu: %s %s", i, fits ? "fits" : "does not fit", text_of(&ride));
    }
}

static void test_absent_and_smaller_ride_proxy_scenario_36(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {{NONE, NONE, NONE}, {NONE, NONE, NONE}, 0, "{}"},
        {{NONE, NONE, NONE}, {8192, NONE, NONE}, 0, "{\"num_ctx\":8192}"},
        {{NONE, NONE, NONE}, {8192, 0, 1}, 0, "{\"num_ctx\":8192,\"num_gpu\":0,\"use_mmap\":true}"},
        {{4096, NONE, NONE}, {8192, NONE, NONE}, 0, "{\"num_ctx\":8192}"},
        {{8192, NONE, NONE}, {8192, NONE, NONE}, 0, "{}"},
        {{16384, NONE, NONE}, {8192, NONE, NONE}, 0, NULL},
        {{4096, NONE, NONE}, {NONE, NONE, NONE}, 0, NULL}, /* nobody knows what it was loaded with */
        {{NONE, 0, NONE}, {NONE, 1, NONE}, 0, NULL},
        {{NONE, 1, NONE}, {NONE, 2, NONE}, 0, NULL}, /* only a context may be larger than asked for */
        {{NONE, NONE, 0}, {NONE, NONE, 1}, 0, NULL},
        {{NONE, -1, NONE}, {NONE, 7, NONE}, 0, "{}"}, /* never a difference to Ollama */
        {{NONE, -1, NONE}, {NONE, NONE, NONE}, 0, "{}"},
        {{NONE, 7, NONE}, {NONE, -1, NONE}, 0, NULL},
    };
    check(rows, sizeof rows / sizeof *rows);
}

static void test_what_is_fixed_does_not_ride(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {{4096, NONE, NONE}, {8192, NONE, NONE}, 1u << LOAD_NUM_CTX, NULL},
        {{8192, NONE, NONE}, {8192, 1, NONE}, 1u << LOAD_NUM_CTX, "{\"num_gpu\":1}"},
        {{NONE, NONE, NONE}, {8192, NONE, NONE}, LOAD_ALL_OPTIONS, NULL}, /* its body can't be changed */
        {{NONE, NONE, NONE}, {NONE, NONE, NONE}, LOAD_ALL_OPTIONS, "{}"},
        {{NONE, NONE, 1}, {NONE, NONE, 1}, LOAD_ALL_OPTIONS, "{}"},
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
        cmocka_unit_test(test_what_is_fixed_does_not_ride),
        cmocka_unit_test(test_a_reload_keeps_what_is_not_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
