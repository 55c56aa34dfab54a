/* proxy/chunk_whole: only the one plain form is taken; whatever else goes the long way, good or bad. */
#include "proxy/chunk_whole.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* In memory of exactly this size, so that a sanitizer sees a look beyond its end. */
static size_t whole(const char *bytes, size_t n, struct span *data)
{
    char *exact = malloc(n ? n : 1);
    assert_non_null(exact);
    memcpy(exact, bytes, n);
    size_t got_n = chunk_whole(exact, n, data);
    free(exact);
    return got_n;
}

static void test_what_is_taken(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t whole_n, at, n;
    } cases[] = {
        {"1\r\na\r\n", 6, 3, 1},           {"1\r\na\r\n0\r\n\r\n", 6, 3, 1}, {"3\r\n\r\n\r\r\n", 8, 3, 3},
        {"000a\r\n0123456789\r\n", 18, 6, 10}, {"a\r\n0123456789\r\n", 15, 3, 10}, {"A\r\n0123456789\r\nb", 15, 3, 10},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct span data;
        assert_int_equal(whole(cases[i].bytes, strlen(cases[i].bytes), &data), cases[i].whole_n);
        assert_int_equal(data.at, cases[i].at);
        assert_int_equal(data.n, cases[i].n);
        for (size_t n = 0; n < cases[i].whole_n; n++)
            assert_int_equal(whole(cases[i].bytes, n, &data), 0);
    }
}

static void test_what_is_left_to_others(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "0\r\n\r\n",        "0000\r\n\r\n",     "\r\na\r\n",        "\r\n",             "1;x\r\na\r\n",  "1 \r\na\r\n",
        " 1\r\na\r\n",      "00001\r\na\r\n",   "1\na\r\n",         "1\r\na\n\n",       "1\ra\r\n\r\n",  "1\r\nab\r\n",
        "2\r\na\r\n\r\n!",  "+1\r\na\r\n",      "0x1\r\na\r\n",     "g\r\na\r\n",       "1\r\na\rX",     "1\r\naX\n",
        "@\r\na\r\n",       "`\r\na\r\n",       "\x11\r\na\r\n",    "ffff\r\na\r\n",    "1_\r\na\r\n",   "1\n\na\r\n",
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct span data;
        assert_int_equal(whole(cases[i], strlen(cases[i]), &data), 0);
    }
}

static void test_only_hexadecimal_digits_count(void **state)
{
    (void)state;
    for (int byte = 0; byte < 256; byte++) {
        char bytes[32] = "?\r\naaaaaaaaaaaaaaa\r\n";
        struct span data;
        bytes[0] = (char)byte;
        size_t value = byte && strchr("123456789abcdefABCDEF", byte) ? (size_t)strtoul((char[]){(char)byte, '\0'}, NULL, 16) : 0;
        memcpy(bytes + 3 + value, "\r\n", 2);
        assert_int_equal(whole(bytes, 3 + value + 2, &data), value ? 3 + value + 2 : 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_taken),
        cmocka_unit_test(test_what_is_left_to_others),
        cmocka_unit_test(test_only_hexadecimal_digits_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
