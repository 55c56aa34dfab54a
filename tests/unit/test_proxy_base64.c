/* proxy/base64: RFC 4648's vectors, in pieces of every size; what is none of it. */
#include "proxy/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* RFC 4648 section 10, and bytes that need the two odd letters. */
static const struct {
    const char *bytes, *text;
    size_t bytes_n;
} vectors[] = {
    {"", "", 0},
    {"f", "Zg==", 1},
    {"fo", "Zm8=", 2},
    {"foo", "Zm9v", 3},
    {"foob", "Zm9vYg==", 4},
    {"fooba", "Zm9vYmE=", 5},
    {"foobar", "Zm9vYmFy", 6},
    {"\xfb\xff\xfe\x00\x80", "+//+AIA=", 5},
};

static void test_vectors_in_pieces(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        size_t text_n = strlen(vectors[i].text);
        for (size_t piece = 1; piece <= 9; piece++) {
            struct base64_encoder e = {.held_n = 0};
            struct base64_decoder d = {.bits = 0};
            char text[64] = "";
            unsigned char bytes[64];
            size_t used_n = 0;
            for (size_t at = 0; at < vectors[i].bytes_n; at += piece) {
                size_t left_n = vectors[i].bytes_n - at;
                used_n += base64_encode(&e, vectors[i].bytes + at, left_n < piece ? left_n : piece, text + used_n);
            }
            used_n += base64_encode_end(&e, text + used_n);
            text[used_n] = '\0';
            assert_string_equal(text, vectors[i].text);
            used_n = 0;
            for (size_t at = 0; at < text_n; at += piece) {
                size_t out_n, left_n = text_n - at;
                assert_int_equal(base64_decode(&d, text + at, left_n < piece ? left_n : piece, bytes + used_n, &out_n), BASE64_FINE);
                used_n += out_n;
            }
            assert_int_equal(base64_decode_end(&d), BASE64_FINE);
            assert_int_equal(used_n, vectors[i].bytes_n);
            assert_memory_equal(bytes, vectors[i].bytes, used_n);
        }
    }
}

/* Line ends are Go's: anywhere, also within the padding; the last bits are not looked at. */
static void test_what_is_taken(void **state)
{
    (void)state;
    static const struct {
        const char *text, *bytes;
    } rows[] = {
        {"\r\nZm\n9v\r\nYg=\n=\n", "foob"},
        {"Zh==", "f"},
        {"Zm9=", "fo"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct base64_decoder d = {.bits = 0};
        unsigned char bytes[64];
        size_t n;
        assert_int_equal(base64_decode(&d, rows[i].text, strlen(rows[i].text), bytes, &n), BASE64_FINE);
        assert_int_equal(base64_decode_end(&d), BASE64_FINE);
        assert_int_equal(n, strlen(rows[i].bytes));
        assert_memory_equal(bytes, rows[i].bytes, n);
    }
}

static void test_what_is_none_of_it(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum base64_error error;
        uint64_t read_n; /* of those that are wrong before the end */
    } rows[] = {
        {"Zm9v Zm9v", BASE64_LETTER, 4},   {"Zm9vZ*", BASE64_LETTER, 5},      {"\x80", BASE64_LETTER, 0},     {"Zm9\t", BASE64_LETTER, 3},
        {"Zm9_", BASE64_URL_LETTER, 3},    {"-m9v", BASE64_URL_LETTER, 0},    {"=", BASE64_PADDING, 0},       {"Z=", BASE64_PADDING, 1},
        {"Zg==Zg==", BASE64_PADDING, 4},   {"Zm8==", BASE64_PADDING, 4},      {"Zg=x", BASE64_PADDING, 3},    {"Zm9v=", BASE64_PADDING, 4},
        {"Z", BASE64_CUT, 1},              {"Zg", BASE64_CUT, 2},             {"Zg=", BASE64_CUT, 3},         {"Zm9vZm8", BASE64_CUT, 7},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (size_t piece = 1; piece <= 9; piece += 8) {
            struct base64_decoder d = {.bits = 0};
            unsigned char bytes[64];
            size_t n, text_n = strlen(rows[i].text);
            for (size_t at = 0; at < text_n; at += piece)
                (void)base64_decode(&d, rows[i].text + at, text_n - at < piece ? text_n - at : piece, bytes, &n);
            assert_int_equal(base64_decode_end(&d), rows[i].error);
            assert_int_equal(d.read_n, rows[i].read_n);
            assert_int_equal(base64_decode(&d, "Zm9v", 4, bytes, &n), rows[i].error == BASE64_CUT ? BASE64_CUT : rows[i].error);
            assert_int_equal(n, 0);
        }
    }
}

/* Room is as the macros say, in memory that ends there. */
static void test_room(void **state)
{
    (void)state;
    for (size_t n = 0; n < 40; n++) {
        struct base64_encoder e = {.held = {1, 2}, .held_n = 2};
        struct base64_decoder d = {.bits = 1, .letters_n = 3};
        char zeros[40] = "", as[40];
        char *text = malloc(BASE64_LETTERS(n));
        unsigned char *bytes = malloc(BASE64_BYTES(n));
        size_t bytes_n;
        assert_true(text && bytes);
        memset(as, 'A', sizeof as);
        assert_true(base64_encode(&e, zeros, n, text) <= BASE64_LETTERS(n));
        assert_int_equal(base64_decode(&d, as, n, bytes, &bytes_n), BASE64_FINE);
        assert_true(bytes_n <= BASE64_BYTES(n));
        free(text);
        free(bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors_in_pieces),
        cmocka_unit_test(test_what_is_taken),
        cmocka_unit_test(test_what_is_none_of_it),
        cmocka_unit_test(test_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
