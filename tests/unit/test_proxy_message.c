/* proxy/message: words are compared without regard to case, and to nothing else. */
#include "proxy/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_words_differ_by_more_than_case(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        const char *word;
        int is_it;
    } cases[] = {
        {"Host", 4, "host", 1},     {"HOST", 4, "host", 1},      {"host", 4, "HOST", 1},   {"hosts", 4, "host", 1},
        {"hosts", 5, "host", 0},    {"hos", 3, "host", 0},       {"most", 4, "host", 0},   {"", 0, "", 1},
        {"", 0, "host", 0},         {"host", 0, "host", 0},      {"host", 4, "", 0},       {"host\0", 5, "host", 0},
        {"@-", 2, "`-", 0},         {"x-a", 3, "X-A", 1},        {"\rost", 4, "-ost", 0}, {"http://", 7, "http://", 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(text_is(cases[i].bytes, cases[i].n, cases[i].word), cases[i].is_it);
}

static void test_a_field_is_found_by_its_whole_name(void **state)
{
    (void)state;
    struct message m;
    message_init(&m, 0);
    assert_int_equal(buf_text(&m.text, "Content-LengthxContent-Length"), 0);
    assert_int_equal(message_add(&m, (struct span){0, 15}, (struct span){0, 1}), 0);
    assert_int_equal(message_add(&m, (struct span){15, 14}, (struct span){0, 1}), 0);
    assert_int_equal(message_find(&m, "content-length", 0), 1);
    assert_int_equal(message_find(&m, "content-length", 2), -1);
    assert_int_equal(message_find(&m, "content", 0), -1);
    assert_int_equal(message_count(&m, "CONTENT-LENGTHX"), 1);
    message_fini(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words_differ_by_more_than_case),
        cmocka_unit_test(test_a_field_is_found_by_its_whole_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
