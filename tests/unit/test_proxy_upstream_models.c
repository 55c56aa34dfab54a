/* proxy/upstream_models: which models a backend lists, and which of them count. */
#include "proxy/upstream_models.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* `name owner created` of each, with a blank behind it. */
static const char *told(const struct upstream_models *m)
{
    static char text[1024];
    struct upstream_model at = {.name = NULL};
    size_t n = 0;
    *text = '\0';
    while (upstream_models_next(m, &at))
        n += (size_t)snprintf(text + n, sizeof text - n, "%s %s %llu ", at.name, at.owner, (unsigned long long)at.created_s);
    return text;
}

static int take(struct upstream_models *m, const char *json)
{
    return upstream_models_read(m, json, strlen(json), "us");
}

static void test_lists_of_both_kinds(void **state)
{
    struct upstream_models m;
    (void)state;
    upstream_models_init(&m);
    assert_int_equal(take(&m, "{\"object\":\"list\",\"data\":[{\"id\":\"a\",\"created\":7,\"owned_by\":\"o\"},{\"id\":\"b\\/c\",\"x\":[{}]}]}"), 0);
    assert_string_equal(told(&m), "a o 7 b/c us 0 ");
    assert_int_equal(take(&m, "{\"models\":[{\"name\":\"n\",\"model\":\"other\"},{\"model\":\"m\"}]}"), 0);
    assert_string_equal(told(&m), "n us 0 m us 0 ");
    assert_int_equal(take(&m, "{\"models\":[{\"name\":\"n\"}],\"data\":[{\"id\":\"d\"}]}"), 0);
    assert_string_equal(told(&m), "d us 0 ");
    upstream_models_fini(&m);
}

static void test_what_is_no_list_changes_nothing(void **state)
{
    static const char *const wrong[] = {"", "[]", "null", "{}", "{\"data\":null}", "{\"data\":{}}", "{\"data\":[{\"id\":\"x\"}", "<html>", "{\"error\":{}}"};
    struct upstream_models m;
    (void)state;
    upstream_models_init(&m);
    assert_int_equal(take(&m, "{\"data\":[{\"id\":\"a\"}]}"), 0);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(take(&m, wrong[i]), -EINVAL);
        assert_string_equal(told(&m), "a us 0 ");
    }
    assert_int_equal(take(&m, "{\"data\":[]}"), 0);
    assert_string_equal(told(&m), "");
    upstream_models_fini(&m);
}

static void test_odd_items_are_left_out(void **state)
{
    struct upstream_models m;
    char json[1024], name[UPSTREAM_NAME_BYTES + 1];
    (void)state;
    memset(name, 'x', sizeof name);
    name[UPSTREAM_NAME_BYTES] = '\0';
    snprintf(json, sizeof json,
             "{\"data\":[null,1,\"s\",[],{},{\"id\":null},{\"id\":7},{\"id\":\"\"},{\"id\":\"a\\u0000b\"},{\"id\":\"%s\"},{\"id\":\"good\",\"created\":-1,"
             "\"owned_by\":null},{\"id\":\"good\",\"created\":5}]}", name);
    upstream_models_init(&m);
    assert_int_equal(take(&m, json), 0);
    assert_string_equal(told(&m), "good us 0 ");
    upstream_models_fini(&m);
}

static void test_there_are_no_more_than_fit(void **state)
{
    struct upstream_models m;
    struct buf json;
    (void)state;
    buf_init(&json, 0);
    assert_int_equal(buf_text(&json, "{\"data\":["), 0);
    for (int i = 0; i < UPSTREAM_MODELS_N + 10; i++)
        assert_int_equal(buf_printf(&json, "%s{\"id\":\"m%d\"}", i ? "," : "", i), 0);
    assert_int_equal(buf_text(&json, "]}"), 0);
    upstream_models_init(&m);
    assert_int_equal(upstream_models_read(&m, buf_data(&json), buf_size(&json), "us"), 0);
    assert_int_equal(m.models_n, UPSTREAM_MODELS_N);
    buf_fini(&json);
    upstream_models_fini(&m);
}

static void test_names_are_compared(void **state)
{
    struct upstream_models m;
    struct upstream_model found;
    (void)state;
    upstream_models_init(&m);
    assert_int_equal(take(&m, "{\"data\":[{\"id\":\"a:latest\"},{\"id\":\"B\"}]}"), 0);
    assert_int_equal(upstream_models_find(&m, "a", 1, &found), 1);
    assert_string_equal(found.name, "a:latest");
    assert_int_equal(upstream_models_find(&m, "a", 0, &found), 0);
    assert_int_equal(upstream_models_find(&m, "b", 0, &found), 0);
    assert_int_equal(upstream_models_find(&m, "B", 0, &found), 1);
    upstream_models_fini(&m);
}

static void test_names_of_the_owner(void **state)
{
    char first[] = "gpt-*", second[] = "named", third[] = "d";
    char *items[] = {first, second, third};
    struct list names = {.items = items, .items_n = 3};
    struct upstream_models m;
    (void)state;
    upstream_models_init(&m);
    assert_int_equal(upstream_models_narrow(&m, &names, "us"), 0);
    assert_string_equal(told(&m), "named us 0 d us 0 ");
    assert_int_equal(take(&m, "{\"data\":[{\"id\":\"gpt-1\",\"created\":3},{\"id\":\"other\"},{\"id\":\"d\",\"created\":4}]}"), 0);
    assert_int_equal(upstream_models_narrow(&m, &names, "us"), 0);
    assert_string_equal(told(&m), "named us 0 gpt-1 us 3 d us 4 ");
    upstream_models_fini(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists_of_both_kinds),        cmocka_unit_test(test_what_is_no_list_changes_nothing),
        cmocka_unit_test(test_odd_items_are_left_out),     cmocka_unit_test(test_there_are_no_more_than_fit),
        cmocka_unit_test(test_names_are_compared),         cmocka_unit_test(test_names_of_the_owner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
