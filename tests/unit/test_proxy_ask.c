/* proxy/ask: what a body asks for, as Go's encoding/json reads it. */
#include "proxy/ask.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct ask a;

static void reads(const char *json)
{
    if (ask_read(&a, json, strlen(json)) != 0)
        fail_msg("refused: %s", json);
}

/* The options of a body, as `{"num_ctx":1}`. */
static const char *options(const char *json)
{
    static char text[256];
    struct buf out;
    reads(json);
    buf_init(&out, sizeof text - 1);
    assert_int_equal(load_options_write(&a.options, &out), 0);
    memcpy(text, buf_data(&out), buf_size(&out));
    text[buf_size(&out)] = '\0';
    buf_fini(&out);
    return text;
}

static void test_a_body_that_says_nothing(void **state)
{
    (void)state;
    reads("{}");
    assert_string_equal(a.model, "");
    assert_int_equal(a.is_stream, -1);
    assert_int_equal(a.options.set, 0);
    assert_true(a.keep_alive_ms == ASK_KEEP_UNSAID);
    assert_false(a.has_prompt || a.has_messages || a.is_odd);
}

static void test_all_that_is_read(void **state)
{
    (void)state;
    reads("{\"model\":\"m:1b\",\"stream\":false,\"prompt\":\"x\",\"messages\":[{}],\"keep_alive\":\"1m\","
          "\"options\":{\"num_ctx\":8192,\"temperature\":0.1,\"use_mmap\":false}} and more");
    assert_string_equal(a.model, "m:1b");
    assert_int_equal(a.is_stream, 0);
    assert_true(a.has_prompt && a.has_messages && !a.is_odd);
    assert_int_equal(a.keep_alive_ms, 60000);
    assert_int_equal(a.options.set, 1u << LOAD_NUM_CTX | 1u << LOAD_USE_MMAP);
    assert_int_equal(a.options.values[LOAD_NUM_CTX], 8192);
    assert_int_equal(a.options.values[LOAD_USE_MMAP], 0);
}

static void test_what_is_no_object_says_nothing(void **state)
{
    (void)state;
    static const char *const rows[] = {"", "[]", "{\"model\":\"m\"", "{\"model\":\"m\",}", "{\"model\":\"\\x\"}", "{\"options\":{\"num_ctx\":8192}"};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(ask_read(&a, rows[i], strlen(rows[i])), -EINVAL);
        assert_string_equal(a.model, "");
        assert_int_equal(a.options.set, 0);
    }
}

static void test_options_as_go_reads_them(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"{\"options\":{\"num_ctx\":4096}}", "{\"num_ctx\":4096}"},
        {"{\"options\":{\"num_ctx\":4096.0}}", "{\"num_ctx\":4096}"},
        {"{\"options\":{\"num_ctx\":4.096e3}}", "{\"num_ctx\":4096}"},
        {"{\"options\":{\"num_ctx\":4096.9}}", "{\"num_ctx\":4096}"},
        {"{\"options\":{\"num_gpu\":-1}}", "{\"num_gpu\":-1}"},
        {"{\"options\":{\"num_ctx\":1,\"num_ctx\":2}}", "{\"num_ctx\":2}"},
        {"{\"options\":{\"num_ctx\":1,\"num_ctx\":null}}", "{}"},
        {"{\"options\":{\"NUM_CTX\":1,\"Num_Ctx\":2}}", "{}"}, /* a map: with regard to case */
        {"{\"OPTIONS\":{\"num_ctx\":1}}", "{\"num_ctx\":1}"},  /* a field: without */
        {"{\"options\":{\"num\\u005fctx\":1}}", "{\"num_ctx\":1}"},
        {"{\"options\":{\"num_ctx\":1},\"options\":{\"num_batch\":2}}", "{\"num_ctx\":1,\"num_batch\":2}"}, /* merged */
        {"{\"options\":{\"num_ctx\":1},\"options\":null}", "{}"},
        {"{\"options\":{\"num_ctx\":1},\"options\":null,\"options\":{\"main_gpu\":3}}", "{\"main_gpu\":3}"},
        {"{\"options\":{}}", "{}"},
        {"{\"options\":{\"use_mmap\":true,\"num_thread\":0}}", "{\"num_thread\":0,\"use_mmap\":true}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_string_equal(options(rows[i][0]), rows[i][1]);
        assert_false(a.is_odd);
    }
}

static void test_what_ollama_refuses_is_odd(void **state)
{
    (void)state;
    static const char *const rows[] = {"{\"options\":[]}", "{\"options\":7}", "{\"options\":{\"num_ctx\":\"4096\"}}",
                                       "{\"options\":{\"num_ctx\":true}}", "{\"options\":{\"use_mmap\":1}}",
                                       "{\"options\":{\"num_ctx\":1e400}}", "{\"options\":{\"num_ctx\":99999999999999999999}}",
                                       "{\"keep_alive\":true}", "{\"keep_alive\":\"soon\"}", "{\"keep_alive\":\"5\"}", "{\"keep_alive\":[]}"};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        reads(rows[i]);
        if (!a.is_odd)
            fail_msg("taken: %s", rows[i]);
    }
}

static void test_keep_alive_as_ollama_reads_it(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        int64_t ms;
    } rows[] = {{"0", 0}, {"300", 300000}, {"1.9", 1000}, {"0.5", 0}, {"-1", ASK_KEEP_FOR_EVER}, {"-0.5", ASK_KEEP_FOR_EVER},
                {"-0", 0}, {"1e3", 1000000}, {"1e12", ASK_KEEP_FOR_EVER}, {"\"5m\"", 300000}, {"\"1h30m\"", 5400000},
                {"\"-1ns\"", ASK_KEEP_FOR_EVER}, {"\"10ms\"", 10}, {"\"0\"", 0}, {"null", ASK_KEEP_UNSAID}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char json[64];
        snprintf(json, sizeof json, "{\"keep_alive\":%s}", rows[i].json);
        reads(json);
        if (a.keep_alive_ms != rows[i].ms || a.is_odd)
            fail_msg("%s: %lld", rows[i].json, (long long)a.keep_alive_ms);
    }
    reads("{\"keep_alive\":0,\"Keep_Alive\":null}");
    assert_true(a.keep_alive_ms == ASK_KEEP_UNSAID);
}

static void test_whether_there_is_something_to_infer(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        int has_prompt, has_messages;
    } rows[] = {{"{\"prompt\":\"\"}", 0, 0}, {"{\"prompt\":\" \"}", 1, 0}, {"{\"prompt\":null}", 0, 0},
                {"{\"prompt\":\"x\",\"prompt\":null}", 1, 0}, {"{\"prompt\":\"x\",\"prompt\":\"\"}", 0, 0},
                {"{\"messages\":[]}", 0, 0}, {"{\"messages\":[ ]}", 0, 0}, {"{\"messages\":[{}]}", 0, 1},
                {"{\"messages\":[{}],\"messages\":null}", 0, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        reads(rows[i].json);
        assert_int_equal(a.has_prompt, rows[i].has_prompt);
        assert_int_equal(a.has_messages, rows[i].has_messages);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_body_that_says_nothing),
        cmocka_unit_test(test_all_that_is_read),
        cmocka_unit_test(test_what_is_no_object_says_nothing),
        cmocka_unit_test(test_options_as_go_reads_them),
        cmocka_unit_test(test_what_ollama_refuses_is_odd),
        cmocka_unit_test(test_keep_alive_as_ollama_reads_it),
        cmocka_unit_test(test_whether_there_is_something_to_infer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
