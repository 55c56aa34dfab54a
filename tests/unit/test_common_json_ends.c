/* common/json_ends: the members of an object of which only the first or the last bytes are there. */
#include "common/json_ends.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct seen {
    char text[512];
    size_t n;
};

static void note(void *context, struct json_text name, struct json_text value, int is_cut)
{
    struct seen *s = context;
    int n = snprintf(s->text + s->n, sizeof s->text - s->n, "%.*s=%.*s%s ", name.at ? (int)name.n : 1, name.at ? name.at : "?",
                     (int)value.n, value.at, is_cut ? "..." : "");
    s->n += n > 0 ? (size_t)n : 0;
}

/* The bytes begin and end where memory that may be read does, so that a sanitizer sees one step too far. */
static int walk(const char *json, int is_back, struct seen *s)
{
    size_t n = strlen(json);
    char *exact = malloc(n ? n : 1);
    int is_object = 1;
    assert_non_null(exact);
    memcpy(exact, json, n);
    *s = (struct seen){.n = 0};
    if (is_back)
        is_object = json_from_back(exact, n, note, s);
    else
        json_from_front(exact, n, note, s);
    free(exact);
    return is_object;
}

static void test_forwards(void **state)
{
    (void)state;
    static const struct {
        const char *json, *seen;
    } rows[] = {
        {" { \"a\" : 1 , \"b\":\"x\\\"},\" ,\"c\":[1,{\"d\":\"]\"}],\"e\":true}", "a=1 b=\"x\\\"},\" c=[1,{\"d\":\"]\"}] e=true "},
        {"{\"a\":true,\"b\":[1,2,3", "a=true b=[1,2,3... "},
        {"{\"a\":true,\"b\":\"12", "a=true b=\"12... "},
        {"{\"a\":tru", "a=tru... "}, /* who knows what follows */
        {"{\"a\":", "a=... "},
        {"{\"a\"", ""}, {"{\"a", ""}, {"{", ""}, {"", ""}, {"{}", ""}, {"[1]", ""}, {"{\"a\":1,}", "a=1 "}, {"{\"a\" 1}", ""},
        {"{\"a\":}", "a=}... "},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct seen s;
        walk(rows[i].json, 0, &s);
        assert_string_equal(s.text, rows[i].seen);
    }
}

static void test_backwards(void **state)
{
    (void)state;
    static const struct {
        const char *json, *seen;
    } rows[] = {
        {"{ \"a\" : 1 , \"b\":\"x\\\"},\" ,\"c\":[1,{\"d\":\"]\"}],\"e\":true }\r\n", "e=true c=[1,{\"d\":\"]\"}] b=\"x\\\"},\" a=1 "},
        {"2,3],\"a\":{\"n\":1},\"b\":5}", "b=5 a={\"n\":1} ?=2,3]... "},
        {"\",\"b\":5}", "b=5 ?=\"... "},
        {"x\\\\\",\"b\":5}", "b=5 ?=x\\\\\"... "}, /* nor of one that ends in a backslash */
        {"\\\"b\":5}", ""},                          /* … or a quote within one: the other end would have told */
        {"5}", "?=5... "}, {"}", ""}, {"{}", ""}, {"{ }", ""}, {"\"a\":1}", "a=1 "}, {"{\"a\":\"\\\\\"}", "a=\"\\\\\" "},
        {"{\"a\":\"\\\\\\\"\",\"b\":1}", "b=1 a=\"\\\\\\\"\" "},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct seen s;
        assert_int_equal(walk(rows[i].json, 1, &s), 1);
        if (strcmp(s.text, rows[i].seen) != 0)
            fail_msg("%s: %s, not %s", rows[i].json, s.text, rows[i].seen);
    }
}

static void test_what_ends_with_no_object(void **state)
{
    (void)state;
    static const char *const rows[] = {"", " ", "{\"a\":1", "[1]", "{\"a\":1}x", "\""};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct seen s;
        assert_int_equal(walk(rows[i], 1, &s), 0);
        assert_string_equal(s.text, "");
    }
}

static void test_both_ways_see_the_same(void **state)
{
    (void)state;
    static const char json[] = "{\"m\":\"a\\\\\",\"x\":[{\"y\":\"\\\"}\"}],\"z\":-1.5e3,\"n\":null}";
    struct seen front, back;
    walk(json, 0, &front);
    walk(json, 1, &back);
    assert_string_equal(front.text, "m=\"a\\\\\" x=[{\"y\":\"\\\"}\"}] z=-1.5e3 n=null ");
    assert_string_equal(back.text, "n=null z=-1.5e3 x=[{\"y\":\"\\\"}\"}] m=\"a\\\\\" ");
    for (size_t n = 0; n < sizeof json - 1; n++) { /* cut anywhere: nothing is told that is not so */
        char cut[sizeof json];
        memcpy(cut, json, n);
        cut[n] = '\0';
        walk(cut, 0, &front);
        assert_null(strstr(front.text, "y="));
        walk(json + n, 1, &back);
        assert_null(strstr(back.text, "y="));
    }
}

static void test_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t value;
    } rows[] = {{"0", 0}, {"41", 41}, {"9007199254740992", 9007199254740992}, {"9007199254740993", -1}, {"99999999999999999999", -1},
                {"", -1}, {"-1", -1}, {"1.5", -1}, {"1e3", -1}, {"\"1\"", -1}, {"null", -1}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(json_text_number((struct json_text){rows[i].text, strlen(rows[i].text)}), rows[i].value);
    assert_true(json_text_is((struct json_text){"abc", 2}, "ab"));
    assert_false(json_text_is((struct json_text){NULL, 0}, "ab"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forwards),
        cmocka_unit_test(test_backwards),
        cmocka_unit_test(test_what_ends_with_no_object),
        cmocka_unit_test(test_both_ways_see_the_same),
        cmocka_unit_test(test_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
