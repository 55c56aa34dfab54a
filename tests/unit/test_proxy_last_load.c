/* proxy/last_load: what is kept of the last load, and what is not taken for one. */
#include "proxy/last_load.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct last_load sample(void)
{
    struct last_load l = {.model = "hf.co/me/X-GGUF:Q4_K_M", .keep_alive_ms = 90000};
    load_options_set(&l.options, LOAD_NUM_CTX, 8192);
    load_options_set(&l.options, LOAD_NUM_GPU, -1);
    load_options_set(&l.options, LOAD_USE_MMAP, 1);
    return l;
}

/* Comes back as it was; text: how it is written, or NULL. */
static void assert_round(const struct last_load *l, const char *text)
{
    struct last_load back;
    struct buf out;
    buf_init(&out, LAST_LOAD_BYTES);
    assert_int_equal(last_load_write(l, &out), 0);
    if (text) {
        assert_int_equal(buf_size(&out), strlen(text));
        assert_memory_equal(buf_data(&out), text, strlen(text));
    }
    assert_int_equal(last_load_read(&back, buf_data(&out), buf_size(&out)), 0);
    assert_true(last_load_equal(l, &back));
    buf_fini(&out);
}

static void test_what_is_written_is_read(void **state)
{
    (void)state;
    struct last_load l = sample();
    assert_round(&l, "{\"model\":\"hf.co/me/X-GGUF:Q4_K_M\",\"options\":{\"num_ctx\":8192,\"num_gpu\":-1,\"use_mmap\":true},"
                     "\"keep_alive\":\"90000ms\"}\n");
    l.keep_alive_ms = ASK_KEEP_FOR_EVER;
    assert_round(&l, NULL);
    l.keep_alive_ms = 0;
    assert_round(&l, NULL);
    l = (struct last_load){.model = "m", .keep_alive_ms = ASK_KEEP_UNSAID};
    assert_round(&l, "{\"model\":\"m\",\"options\":{}}\n");
    for (int i = 0; i < LOAD_OPTION_COUNT; i++)
        load_options_set(&l.options, (enum load_option)i, i == LOAD_USE_MMAP ? 0 : INT32_MAX);
    memset(l.model, 'x', 60);
    assert_round(&l, NULL);
}

static void test_each_part_makes_it_another_one(void **state)
{
    (void)state;
    struct last_load a = sample(), b = sample();
    assert_true(last_load_equal(&a, &b));
    b.model[0] = 'H';
    assert_false(last_load_equal(&a, &b));
    b = sample();
    b.keep_alive_ms++;
    assert_false(last_load_equal(&a, &b));
    b = sample();
    load_options_set(&b.options, LOAD_NUM_CTX, 4096);
    assert_false(last_load_equal(&a, &b));
}

static void test_what_is_none_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "", " ", "{", "{}", "[]", "null", "7", "\"m\"", "{\"model\":\"m\"", "{\"model\":\"m\"}x", "{\"model\":\"m\"}{}",
        "{\"model\":7}", "{\"model\":\"\"}", "{\"model\":\"../m\"}", "{\"model\":\"-m\"}", "{\"model\":\"a b\"}", "{\"model\":null}",
        "{\"model\":\"m\",\"options\":7}", "{\"model\":\"m\",\"options\":{\"num_ctx\":\"x\"}}",
        "{\"model\":\"m\",\"options\":{\"num_ctx\":0}}", "{\"model\":\"m\",\"options\":{\"num_ctx\":-1}}",
        "{\"model\":\"m\",\"options\":{\"num_ctx\":2147483648}}", "{\"model\":\"m\",\"options\":{\"num_gpu\":-2}}",
        "{\"model\":\"m\",\"options\":{\"use_mmap\":1}}", "{\"model\":\"m\",\"keep_alive\":{}}", "{\"model\":\"m\",\"keep_alive\":\"soon\"}",
    };
    struct last_load l;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(last_load_read(&l, bad[i], strlen(bad[i])), -EINVAL);
        assert_string_equal(l.model, "");
    }
    assert_int_equal(last_load_read(&l, "{\"model\":\"m\"}\0", 14), -EINVAL);
    assert_int_equal(last_load_read(&l, "\xef\xbb\xbf{\"model\":\"m\"}", 16), -EINVAL);
    char text[400] = "{\"model\":\"";
    memset(text + 10, 'x', 300);
    snprintf(text + 310, sizeof text - 310, "\"}");
    assert_int_equal(last_load_read(&l, text, strlen(text)), -EINVAL);
}

static void test_what_is_not_known_counts_for_nothing(void **state)
{
    (void)state;
    struct last_load l;
    static const char text[] = " {\"model\":\"m\",\"input\":[],\"options\":{\"temperature\":1,\"num_ctx\":16},\"later\":[{}]} \n";
    assert_int_equal(last_load_read(&l, text, sizeof text - 1), 0);
    assert_string_equal(l.model, "m");
    assert_int_equal(l.options.set, 1u << LOAD_NUM_CTX);
    assert_int_equal(l.options.values[LOAD_NUM_CTX], 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_written_is_read),
        cmocka_unit_test(test_each_part_makes_it_another_one),
        cmocka_unit_test(test_what_is_none_is_refused),
        cmocka_unit_test(test_what_is_not_known_counts_for_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
