/* common/json_read: members by name, items one by one. */
#include "common/json_read.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char *const names[] = {"a", "long_name"};

static int read_text(const char *text, enum json_match least, struct json_value *values)
{
    struct json_walk w = {text, text + strlen(text)};
    return json_read_members(&w, names, 2, least, values);
}

static void is_value(const struct json_value *value, const char *wanted)
{
    if (!wanted) {
        assert_null(value->at);
        assert_int_equal(value->kind, JSON_NULL);
        return;
    }
    assert_int_equal(value->n, strlen(wanted));
    assert_memory_equal(value->at, wanted, value->n);
}

static void test_members(void **state)
{
    (void)state;
    static const struct {
        const char *text, *a, *b;
        enum json_match least;
    } rows[] = {
        {"{}", NULL, NULL, JSON_EXACT},
        {" { \"a\" : [ 1 ] } tail", "[ 1 ]", NULL, JSON_EXACT},
        {"{\"x\":1,\"long_name\":\"v\",\"a\":{}}", "{}", "\"v\"", JSON_EXACT},
        {"{\"a\":1,\"a\":2}", "2", NULL, JSON_EXACT},
        {"{\"a\":1,\"a\":null}", NULL, NULL, JSON_EXACT},
        {"{\"a\":null,\"a\":1}", "1", NULL, JSON_EXACT},
        {"{\"A\":1,\"Long_Name\":2}", NULL, NULL, JSON_EXACT},
        {"{\"A\":1,\"Long_Name\":2}", "1", "2", JSON_FOLDED},
        {"{\"\\u0061\":1}", "1", NULL, JSON_FOLDED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct json_value values[2];
        assert_int_equal(read_text(rows[i].text, rows[i].least, values), 0);
        is_value(&values[0], rows[i].a);
        is_value(&values[1], rows[i].b);
    }
}

static void test_what_is_no_object(void **state)
{
    (void)state;
    static const char *const rows[] = {"", "[]", "1", "{", "{\"a\"", "{\"a\":1", "{\"a\":1,}", "{\"a\":}", "null"};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct json_value values[2];
        if (read_text(rows[i], JSON_FOLDED, values) != -EINVAL)
            fail_msg("%s was taken", rows[i]);
    }
}

static void test_object_that_is_none_has_no_members(void **state)
{
    (void)state;
    struct json_value values[2] = {{JSON_TRUE, "true", 4}, {JSON_TRUE, "true", 4}}, number = {JSON_NUMBER, "12", 2}, none = {.kind = JSON_NULL};
    json_read_object(&number, names, 2, JSON_FOLDED, values);
    is_value(&values[0], NULL);
    is_value(&values[1], NULL);
    json_read_object(&none, names, 2, JSON_FOLDED, values);
    is_value(&values[0], NULL);
}

static void test_items(void **state)
{
    (void)state;
    static const struct {
        const char *text, *joined;
    } rows[] = {{"[]", ""}, {"[ ]", ""}, {"[1]", "1;"}, {"[ {\"a\":[2]} , \"]\" ,[ ] ]", "{\"a\":[2]};\"]\";[ ];"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct json_value array = {JSON_ARRAY, rows[i].text, strlen(rows[i].text)}, item;
        struct json_items items;
        char joined[64] = "";
        size_t n = 0;
        json_items_init(&items, &array);
        while (json_items_next(&items, &item)) {
            n++;
            assert_int_equal(items.read_n, n);
            strncat(joined, item.at, item.n);
            strcat(joined, ";");
        }
        assert_string_equal(joined, rows[i].joined);
        assert_int_equal(json_items_next(&items, &item), 0);
    }
    struct json_value text = {JSON_STRING, "\"[1]\"", 5}, item;
    struct json_items items;
    json_items_init(&items, &text);
    assert_int_equal(json_items_next(&items, &item), 0);
}

static void test_one_string(void **state)
{
    (void)state;
    struct json_value value = {JSON_STRING, "\"Te\\u0078t\"", 11}, number = {JSON_NUMBER, "1", 1};
    assert_true(json_read_is(&value, "text"));
    assert_false(json_read_is(&value, "tex"));
    assert_false(json_read_is(&number, "1"));
    char big[256];
    memset(big, 'x', sizeof big);
    big[0] = big[sizeof big - 1] = '"';
    struct json_value long_one = {JSON_STRING, big, sizeof big};
    assert_false(json_read_is(&long_one, "x"));
}

static void test_one_count(void **state)
{
    (void)state;
    static const struct {
        struct json_value value;
        uint64_t wanted;
    } rows[] = {
        {{JSON_NUMBER, "12", 2}, 12},  {{JSON_NUMBER, "12,", 2}, 12}, {{JSON_NUMBER, "9007199254740992", 16}, UINT64_C(1) << 53},
        {{JSON_NUMBER, "-1", 2}, 0},   {{JSON_NUMBER, "1.5", 3}, 0},  {{JSON_NUMBER, "99999999999999999999", 20}, 0},
        {{JSON_STRING, "\"1\"", 3}, 0}, {{JSON_NULL, NULL, 0}, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(json_read_count(&rows[i].value), rows[i].wanted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_what_is_no_object),
        cmocka_unit_test(test_object_that_is_none_has_no_members),
        cmocka_unit_test(test_items),
        cmocka_unit_test(test_one_string),
        cmocka_unit_test(test_one_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
