/* common/utf8: characters are counted, and stepped over, also where bytes belong to none. */
#include "common/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_characters_are_counted_whatever_their_length(void **state)
{
    static const struct {
        const char *text;
        size_t chars_n;
    } rows[] = {{"", 0}, {"abc", 3}, {"gr\xc3\xbc\xc3\x9f", 4}, {"\xe4\xbd\xa0\xe5\xa5\xbd", 2}, {"\xf0\x9f\x90\xa2!", 2}, {"\xff\x80g", 3}, {"\xe4\xbd", 2}, {"\xed\xa0\x80", 3},
                {"12345678", 8}, {"1234567\xc3\xbc" "12345678" "12345678\xc3\xbc" "1234567", 32}, {"\xff" "12345678\x80", 10}};
    (void)state;
    assert_int_equal(utf8_count(NULL, 0), 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t n = strlen(rows[i].text), chars_n = 0;
        assert_int_equal(utf8_count(rows[i].text, n), rows[i].chars_n);
        for (const char *at = rows[i].text; at < rows[i].text + n; chars_n++) { /* one by one, as all at once */
            assert_ptr_equal(utf8_skip(rows[i].text, n, chars_n), at);
            at = utf8_skip(at, (size_t)(rows[i].text + n - at), 1);
        }
        assert_int_equal(chars_n, rows[i].chars_n);
        assert_ptr_equal(utf8_skip(rows[i].text, n, 1000), rows[i].text + n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_characters_are_counted_whatever_their_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
