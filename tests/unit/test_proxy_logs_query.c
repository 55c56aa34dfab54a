/* proxy/observe/logs_query: what GET /sidecar/logs asks for, and what is no question. */
#include "proxy/observe/logs_query.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_what_is_asked(void **state)
{
    static const struct {
        const char *text;
        struct logs_query query;
    } rows[] = {
        {"", {.lines_n = LOGS_QUERY_LINES}},
        {"?", {.lines_n = LOGS_QUERY_LINES}},
        {"?lines=0", {.lines_n = 0}},
        {"?lines=1000000&follow=1", {.lines_n = 1000000, .is_following = 1}},
        {"?&&follow=no&follow=true&", {.lines_n = LOGS_QUERY_LINES, .is_following = 1}},
        {"?program=my%2Down&lines=7", {.lines_n = 7, .program = "my-own"}},
        {"?program=a&program=", {.lines_n = LOGS_QUERY_LINES}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct logs_query q;
        char why[LOGS_QUERY_WHY_BYTES];
        assert_int_equal(logs_query_read(&q, rows[i].text, strlen(rows[i].text), why), 0);
        assert_int_equal(q.lines_n, rows[i].query.lines_n);
        assert_int_equal(q.is_following, rows[i].query.is_following);
        assert_string_equal(q.program, rows[i].query.program);
    }
}

static void test_what_is_refused_says_where_and_why(void **state)
{
    static const char *const rows[][2] = {
        {"?lines=-1", "lines=-1 of the query: "},
        {"?lines=1000001", "lines=1000001 of the query: "},
        {"?lines", "lines of the query: "},
        {"?follow=perhaps", "follow=perhaps of the query: "},
        {"?program=%00", "program=%00 of the query: it is too long, or can't be read"},
        {"?program=%4", "program=%4 of the query: it is too long, or can't be read"},
        {"?line=3", "line=3 of the query: there are lines=COUNT, follow=1 and program=NAME"},
        {"?lines=3&=4", "=4 of the query: there are "},
    };
    struct logs_query q;
    char why[LOGS_QUERY_WHY_BYTES], name[CONTRACT_NAME_BYTES + 16] = "?program=";
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(logs_query_read(&q, rows[i][0], strlen(rows[i][0]), why), -EINVAL);
        assert_memory_equal(why, rows[i][1], strlen(rows[i][1]));
        assert_true(strlen(why) > strlen(rows[i][0]) + strlen(" of the query: "));
    }
    memset(name + strlen(name), 'x', CONTRACT_NAME_BYTES);
    assert_int_equal(logs_query_read(&q, name, strlen("?program=") + CONTRACT_NAME_BYTES - 1, why), 0);
    assert_int_equal(strlen(q.program), CONTRACT_NAME_BYTES - 1);
    assert_int_equal(logs_query_read(&q, name, strlen("?program=") + CONTRACT_NAME_BYTES, why), -EINVAL);
    assert_true(strlen(why) < 48 + sizeof " of the query: it is too long, or can't be read");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_asked),
        cmocka_unit_test(test_what_is_refused_says_where_and_why),
    };
    return cmocka_run_group_tests_name("proxy/observe/logs_query", tests, NULL, NULL);
}
