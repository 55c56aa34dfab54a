/* proxy/model_list: the models that an answer of Ollama's names. */
#include "proxy/model_list.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static int begin(struct json_items *items, const char *json)
{
    return model_list_begin(items, json, strlen(json));
}

static void test_names_and_entries(void **state)
{
    struct json_items items;
    struct json_value entry;
    char name[16];
    (void)state;
    assert_int_equal(begin(&items, "{\"models\":[{\"name\":\"a\\u003ab\",\"size\":1}, {\"name\":\"c\"}]}\n"), 0);
    assert_true(model_list_next(&items, &entry, name, sizeof name));
    assert_string_equal(name, "a:b");
    assert_memory_equal(entry.at, "{\"name\":\"a\\u003ab\",\"size\":1}", entry.n);
    assert_true(model_list_next(&items, NULL, name, sizeof name));
    assert_string_equal(name, "c");
    assert_false(model_list_next(&items, NULL, name, sizeof name));
}

static void test_entries_without_a_name_that_fits_are_passed_by(void **state)
{
    struct json_items items;
    char name[4];
    (void)state;
    assert_int_equal(begin(&items, "{\"models\":[1,{},{\"name\":null},{\"name\":\"\"},{\"name\":\"long\"},{\"name\":\"abc\"}]}"), 0);
    assert_true(model_list_next(&items, NULL, name, sizeof name));
    assert_string_equal(name, "abc");
    assert_false(model_list_next(&items, NULL, name, sizeof name));
}

static void test_a_list_may_be_null(void **state)
{
    struct json_items items;
    char name[4];
    (void)state;
    assert_int_equal(begin(&items, "{\"models\":null}"), -ENOENT);
    assert_int_equal(begin(&items, "{}"), -ENOENT);
    assert_false(model_list_next(&items, NULL, name, sizeof name));
}

static void test_what_is_no_whole_answer_has_no_models(void **state)
{
    static const char *const none[] = {"", "{", "[]", "{\"models\":{}}", "{\"models\":[{\"name\":\"a\"}]", "{\"models\":[]}x"};
    (void)state;
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        struct json_items items;
        char name[4];
        assert_int_equal(begin(&items, none[i]), -EINVAL);
        assert_false(model_list_next(&items, NULL, name, sizeof name));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_and_entries),
        cmocka_unit_test(test_entries_without_a_name_that_fits_are_passed_by),
        cmocka_unit_test(test_a_list_may_be_null),
        cmocka_unit_test(test_what_is_no_whole_answer_has_no_models),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
