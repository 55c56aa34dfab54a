/* common/buf: limits hold, a refused byte changes nothing, and JSON strings are valid and on one line. */
#include "common/buf.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_buf(const struct buf *b, const char *text)
{
    assert_int_equal(buf_size(b), strlen(text));
    assert_memory_equal(buf_data(b), text, strlen(text));
}

static void test_an_empty_buffer_has_data_that_can_be_read(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 0);
    assert_int_equal(buf_size(&b), 0);
    assert_string_equal(buf_data(&b), "");
    assert_true(buf_left(&b) == SIZE_MAX);
    buf_consume(&b, 0);
    assert_int_equal(buf_append(&b, NULL, 0), 0);
    buf_fini(&b);
}

static void test_bytes_leave_in_the_order_they_came(void **state)
{
    (void)state;
    struct buf b;
    size_t in_n = 0, out_n = 0;
    buf_init(&b, 0);
    for (int round = 0; round < 500; round++) {
        for (int i = 0; i < round % 37; i++) {
            unsigned char c = (unsigned char)(in_n++ % 251);
            assert_int_equal(buf_append(&b, &c, 1), 0);
        }
        for (size_t i = 0; i < (size_t)round % 31 && buf_size(&b) > 0; i++) {
            assert_int_equal((unsigned char)*buf_data(&b), out_n++ % 251);
            buf_consume(&b, 1);
        }
        assert_int_equal(buf_size(&b), in_n - out_n);
    }
    buf_fini(&b);
}

static void test_the_limit_is_exact_and_a_refusal_changes_nothing(void **state)
{
    (void)state;
    struct buf b;
    char *at;
    buf_init(&b, 10);
    assert_int_equal(buf_text(&b, "12345"), 0);
    assert_int_equal(buf_left(&b), 5);
    assert_int_equal(buf_text(&b, "678901"), -EFBIG);
    assert_int_equal(buf_printf(&b, "%s", "678901"), -EFBIG);
    assert_int_equal(buf_reserve(&b, 6, &at), -EFBIG);
    assert_int_equal(buf_append(&b, "x", SIZE_MAX), -EFBIG);
    assert_buf(&b, "12345");
    assert_int_equal(buf_text(&b, "67890"), 0);
    assert_int_equal(buf_left(&b), 0);
    assert_int_equal(buf_text(&b, "x"), -EFBIG);
    assert_int_equal(buf_text(&b, ""), 0);
    buf_consume(&b, 3);
    assert_int_equal(buf_left(&b), 3);
    assert_buf(&b, "4567890");
    buf_release(&b);
    assert_int_equal(buf_left(&b), 10);
    buf_fini(&b);
}

static void test_printf_may_fill_the_limit_to_the_last_byte(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 5);
    assert_int_equal(buf_printf(&b, "%d", 12345), 0);
    assert_buf(&b, "12345");
    assert_int_equal(buf_printf(&b, "%s", ""), 0);
    assert_int_equal(buf_printf(&b, "%d", 6), -EFBIG);
    assert_buf(&b, "12345");
    buf_fini(&b);
}

/* Around the ends of what is allocated: 256 bytes, then twice as much. */
static void test_printf_fits_or_grows_at_every_length(void **state)
{
    (void)state;
    char text[600];
    memset(text, 'x', sizeof text);
    for (int n = 0; n < (int)sizeof text; n++) {
        struct buf b;
        buf_init(&b, 0);
        assert_int_equal(buf_text(&b, n % 2 ? "ab" : ""), 0);
        size_t before_n = buf_size(&b);
        assert_int_equal(buf_printf(&b, "%.*s", n, text), 0);
        assert_int_equal(buf_printf(&b, "%d", 7), 0);
        assert_int_equal(buf_size(&b), before_n + (size_t)n + 1);
        assert_memory_equal(buf_data(&b) + before_n, text, (size_t)n);
        assert_int_equal(buf_data(&b)[before_n + (size_t)n], '7');
        buf_fini(&b);
    }
}

static void test_an_absurd_size_is_no_memory_and_no_wrap(void **state)
{
    (void)state;
    struct buf b;
    char *at;
    buf_init(&b, 0);
    assert_int_equal(buf_text(&b, "abc"), 0);
    assert_int_equal(buf_reserve(&b, SIZE_MAX - 1, &at), -ENOMEM);
    assert_int_equal(buf_reserve(&b, SIZE_MAX / 2, &at), -ENOMEM);
    assert_buf(&b, "abc");
    buf_fini(&b);
}

static void test_consuming_more_than_there_is_empties(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 0);
    assert_int_equal(buf_text(&b, "abc"), 0);
    buf_consume(&b, 3);
    assert_int_equal(buf_size(&b), 0);
    assert_int_equal(buf_text(&b, "def"), 0);
    assert_buf(&b, "def");
    buf_fini(&b);
}

static void test_json_strings(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        size_t in_n;
        const char *out;
    } cases[] = {
#define CASE(in, out) {in, sizeof in - 1, out}
        CASE("", "\"\""),
        CASE("plain", "\"plain\""),
        CASE("a\"b\\c/", "\"a\\\"b\\\\c/\""),
        CASE("\n\r\t", "\"\\n\\r\\t\""),
        CASE("\x00\x01\x1f\x7f", "\"\\u0000\\u0001\\u001f\\u007f\""),
        CASE("\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", "\"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\""),
        CASE("\xc2\x85", "\"\\u0085\""),         /* NEL */
        CASE("\xe2\x80\xa8", "\"\\u2028\""),     /* LINE SEPARATOR */
        CASE("\xe2\x80\xa9", "\"\\u2029\""),     /* PARAGRAPH SEPARATOR */
        CASE("\xe2\x80\xa7\xe2\x80\xaa", "\"\xe2\x80\xa7\xe2\x80\xaa\""), /* their neighbours */
        CASE("\xe9", "\"\\ufffd\""),             /* Latin-1 */
        CASE("caf\xe9!", "\"caf\\ufffd!\""),
        CASE("\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\""), /* a lone surrogate, CESU style */
        CASE("\xed\xb0\x80", "\"\\ufffd\\ufffd\\ufffd\""),
        CASE("\xed\x9f\xbf", "\"\xed\x9f\xbf\""),          /* the last before them */
        CASE("\xee\x80\x80", "\"\xee\x80\x80\""),          /* the first after */
        CASE("\xc0\x80", "\"\\ufffd\\ufffd\""),            /* overlong */
        CASE("\xc1\xbf", "\"\\ufffd\\ufffd\""),
        CASE("\xe0\x9f\xbf", "\"\\ufffd\\ufffd\\ufffd\""),
        CASE("\xf0\x8f\xbf\xbf", "\"\\ufffd\\ufffd\\ufffd\\ufffd\""),
        CASE("\xf4\x8f\xbf\xbf", "\"\xf4\x8f\xbf\xbf\""),  /* U+10FFFF */
        CASE("\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\""),
        CASE("\xf8\x88\x80\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\""),
        CASE("\xff\xfe", "\"\\ufffd\\ufffd\""),
        CASE("\x80\xbf", "\"\\ufffd\\ufffd\""),
        CASE("\xe2\x82", "\"\\ufffd\\ufffd\""),            /* cut in the middle */
        CASE("\xf0\x9f\x98", "\"\\ufffd\\ufffd\\ufffd\""),
        CASE("\xe2\x82x", "\"\\ufffd\\ufffdx\""),
#undef CASE
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf b;
        buf_init(&b, 0);
        assert_int_equal(buf_json_string(&b, cases[i].in, cases[i].in_n), 0);
        assert_int_equal(buf_append(&b, "", 1), 0);
        assert_string_equal(buf_data(&b), cases[i].out);
        buf_fini(&b);
    }
}

static void test_a_cut_sequence_is_not_read_beyond_its_end(void **state)
{
    (void)state;
    struct buf b;
    char *three = malloc(3); /* on the heap, where a sanitizer sees a byte too many */
    assert_non_null(three);
    memcpy(three, "\xe2\x80\xa8", 3);
    buf_init(&b, 0);
    assert_int_equal(buf_json_string(&b, three, 2), 0);
    assert_buf(&b, "\"\\ufffd\\ufffd\"");
    buf_fini(&b);
    free(three);
}

static void test_every_two_bytes_make_a_string_on_one_ascii_safe_line(void **state)
{
    (void)state;
    for (int a = 0; a < 256; a++) {
        for (int c = 0; c < 256; c++) {
            char in[2] = {(char)a, (char)c};
            struct buf b;
            buf_init(&b, 0);
            assert_int_equal(buf_json_string(&b, in, 2), 0);
            const char *out = buf_data(&b);
            size_t out_n = buf_size(&b);
            assert_true(out_n >= 3 && out[0] == '"' && out[out_n - 1] == '"');
            for (size_t i = 0; i < out_n; i++)
                assert_true((unsigned char)out[i] >= 0x20 && out[i] != 0x7f);
            buf_fini(&b);
        }
    }
}

static void test_a_json_string_stops_at_the_limit(void **state)
{
    (void)state;
    for (size_t limit = 1; limit < 20; limit++) {
        struct buf b;
        buf_init(&b, limit);
        int error = buf_json_string(&b, "a\n\xff\"b", 5); /* "a\n\ufffd\"b" in quotes: 14 bytes */
        assert_int_equal(error, limit < 14 ? -EFBIG : 0);
        assert_true(buf_size(&b) <= limit);
        buf_fini(&b);
    }
}

static void test_numbers(void **state)
{
    (void)state;
    static const uint64_t numbers[] = {0, 9, 10, 4096, INT64_MAX, UINT64_MAX};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        struct buf b;
        char expected[32];
        buf_init(&b, 20);
        assert_int_equal(buf_number(&b, numbers[i]), 0);
        int n = snprintf(expected, sizeof expected, "%llu", (unsigned long long)numbers[i]);
        assert_int_equal(buf_size(&b), n);
        assert_memory_equal(buf_data(&b), expected, (size_t)n);
        buf_fini(&b);
    }
}

/* Pieces between the quotes give what the whole gives with them. */
static void test_a_json_string_in_pieces(void **state)
{
    (void)state;
    static const char text[] = "a\"b\\\n\x01 plain \xc3\xa9\xe2\x80\xa8 end";
    struct buf whole, pieces;
    buf_init(&whole, 0);
    buf_init(&pieces, 0);
    assert_int_equal(buf_json_string(&whole, text, sizeof text - 1), 0);
    assert_int_equal(buf_text(&pieces, "\""), 0);
    assert_int_equal(buf_json_text(&pieces, text, 4), 0);
    assert_int_equal(buf_json_text(&pieces, text + 4, 0), 0);
    assert_int_equal(buf_json_text(&pieces, text + 4, sizeof text - 5), 0);
    assert_int_equal(buf_text(&pieces, "\""), 0);
    assert_int_equal(buf_size(&whole), buf_size(&pieces));
    assert_memory_equal(buf_data(&whole), buf_data(&pieces), buf_size(&whole));
    buf_fini(&whole);
    buf_fini(&pieces);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_json_string_in_pieces),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_an_empty_buffer_has_data_that_can_be_read),
        cmocka_unit_test(test_bytes_leave_in_the_order_they_came),
        cmocka_unit_test(test_the_limit_is_exact_and_a_refusal_changes_nothing),
        cmocka_unit_test(test_printf_may_fill_the_limit_to_the_last_byte),
        cmocka_unit_test(test_printf_fits_or_grows_at_every_length),
        cmocka_unit_test(test_an_absurd_size_is_no_memory_and_no_wrap),
        cmocka_unit_test(test_consuming_more_than_there_is_empties),
        cmocka_unit_test(test_json_strings),
        cmocka_unit_test(test_a_cut_sequence_is_not_read_beyond_its_end),
        cmocka_unit_test(test_every_two_bytes_make_a_string_on_one_ascii_safe_line),
        cmocka_unit_test(test_a_json_string_stops_at_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
