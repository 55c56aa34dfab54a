/* proxy/store/cache_text: what one proxy writes of an answer another reads; what nobody wrote so is nothing. */
#include "proxy/store/cache_text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DIGEST "000102030405060708090a0b0c0d0eff"
#define HEAD "1 1700000000000 12 3 1\ntext/event-stream\n\n"

static int read_text(const char *text, size_t text_n, char *room, struct cache_text *out)
{
    static const struct conf conf;
    memcpy(room, text, text_n);
    return cache_text_read(room, text_n, &conf, out);
}

static void test_what_is_written_is_read(void **state)
{
    static const char bytes[] = "data: 1\n\0\n";
    struct cache_entry e = {.answer = {.type = "text/event-stream", .tokens_received_n = 12, .tokens_saved_n = 3, .models_n = 2,
                                       .models = {{"qwen3:4b", {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255}}, {"a b", {9}}}},
                            .bytes = bytes, .bytes_n = sizeof bytes};
    struct cache_text out;
    struct buf text;
    char room[512];
    (void)state;
    buf_init(&text, 0);
    assert_int_equal(cache_text_write(&e, 1700000000000, &text), 0);
    assert_int_equal(read_text(buf_data(&text), buf_size(&text), room, &out), 0);
    assert_int_equal(out.made_ms, 1700000000000);
    assert_string_equal(out.answer.type, "text/event-stream");
    assert_null(out.answer.strategy);
    assert_int_equal(out.answer.tokens_received_n, 12);
    assert_int_equal(out.answer.tokens_saved_n, 3);
    assert_int_equal(out.answer.models_n, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_string_equal(out.answer.models[i].name, e.answer.models[i].name);
        assert_memory_equal(out.answer.models[i].digest, e.answer.models[i].digest, CACHE_DIGEST_BYTES);
    }
    assert_int_equal(out.bytes_n, sizeof bytes);
    assert_memory_equal(out.bytes, bytes, sizeof bytes);
    buf_fini(&text);
}

static void test_what_is_none(void **state)
{
    static const char *const rows[] = {
        "", "\n", "1\n", "2 1 1 1 1\nt\n\n" DIGEST " m\n", "1 1 1 1 0\nt\n\n", "1 1 1 1 3\nt\n\n" DIGEST " m\n" DIGEST " m\n" DIGEST " m\n",
        "1 -1 1 1 1\nt\n\n" DIGEST " m\n", "1 1 1 1 1 1\nt\n\n" DIGEST " m\n", "1 1 1 1 1\n\n\n" DIGEST " m\n", "1 1 1 1 1\nt\r\n\n" DIGEST " m\n",
        HEAD, HEAD DIGEST " \n", HEAD DIGEST "m\n", HEAD "0g0102030405060708090a0b0c0d0eff m\n", HEAD "-00102030405060708090a0b0c0d0eff m\n",
        HEAD DIGEST " m", "1 1 1 1 1\nt\nno-such-strategy\n" DIGEST " m\n", "1 1  1 1\nt\n\n" DIGEST " m\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct cache_text out;
        char room[512];
        if (read_text(rows[i], strlen(rows[i]), room, &out) != -EINVAL)
            fail_msg("row %zu: %s", i, rows[i]);
    }
}

/* A text that is cut anywhere before its answer. */
static void test_what_is_cut(void **state)
{
    static const char whole[] = HEAD DIGEST " m\nanswer";
    struct cache_text out;
    char *room;
    (void)state;
    for (size_t n = 0; n < sizeof whole; n++) {
        room = malloc(n ? n : 1);
        int is_whole = n >= sizeof whole - 1 - strlen("answer");
        assert_int_equal(read_text(whole, n, room, &out), is_whole ? 0 : -EINVAL);
        free(room);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_written_is_read),
        cmocka_unit_test(test_what_is_none),
        cmocka_unit_test(test_what_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
