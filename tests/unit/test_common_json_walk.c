/* common/json_walk: values and members as places in the text, and names as Go compares them. */
#include "common/json_walk.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* One value in memory that ends where it ends; its kind, or -EINVAL. *used_n: how far the walk came. */
static int walk(const char *text, size_t *used_n)
{
    size_t n = strlen(text);
    char *exact = malloc(n ? n : 1);
    struct json_value v;
    assert_non_null(exact);
    memcpy(exact, text, n);
    struct json_walk w = {exact, exact + n};
    int error = json_value(&w, &v);
    *used_n = (size_t)(w.at - exact);
    assert_true(*used_n <= n);
    if (!error)
        assert_true(v.n > 0 && v.at + v.n == w.at);
    free(exact);
    return error ? error : (int)v.kind;
}

static void test_values(void **state)
{
    (void)state;
    static const struct {
        const char *text, *rest;
        enum json_kind kind;
    } rows[] = {
        {"true", "", JSON_TRUE},
        {" \t\r\nfalse ", " ", JSON_FALSE},
        {"null,", ",", JSON_NULL},
        {"0", "", JSON_NUMBER},
        {"-0.50e+07]", "]", JSON_NUMBER},
        {"12345678901234567890123", "", JSON_NUMBER},
        {"1E5}", "}", JSON_NUMBER},
        {"\"\"", "", JSON_STRING},
        {"\"\\\\\\\"\\u0000\xff\"x", "x", JSON_STRING},
        {"[]", "", JSON_ARRAY},
        {"{}", "", JSON_OBJECT},
        {"[ [ ] , { } ]", "", JSON_ARRAY},
        {"{\"a\":[1,{\"b\":{}},\"]\"],\"c\":{\"d\":null}}, 5", ", 5", JSON_OBJECT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t used_n;
        if (walk(rows[i].text, &used_n) != (int)rows[i].kind || strcmp(rows[i].text + used_n, rows[i].rest) != 0)
            fail_msg("%s", rows[i].text);
    }
}

static void test_what_is_no_value(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "", " ", ",", "]", "}", ":", "nul", "nulL", "tru", "falsE", "-", "+1", ".5", "1.", "1.e5", "1e", "1e+", "NaN", "'a'", "\"",
        "\"\\\"", "[", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "[}", "{", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,", "{\"a\":1,}",
        "{a:1}", "{1:1}", "{\"a\" 1}", "{\"a\":1]", "{]", "[{\"a\":1,2}]", "[[1}]", "{\"a\":{\"b\":1]}", "\xef\xbb\xbf" "1",
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t used_n;
        if (walk(rows[i], &used_n) != -EINVAL)
            fail_msg("%s was taken", rows[i]);
    }
}

static void test_members(void **state)
{
    (void)state;
    static const char text[] = " \"a\" : 1 , \"b\":[ 2 ] , \"\" : {} } rest";
    static const struct {
        const char *name, *value;
    } rows[] = {{"a", "1"}, {"b", "[ 2 ]"}, {"", "{}"}};
    struct json_walk w = {text, text + sizeof text - 1};
    struct json_member m;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(json_member(&w, i == 0, &m), 1);
        assert_int_equal(m.name.n, strlen(rows[i].name));
        assert_memory_equal(m.name.at, rows[i].name, m.name.n);
        assert_ptr_equal(m.at, m.name.at - 1);
        assert_int_equal(m.value.n, strlen(rows[i].value));
        assert_memory_equal(m.value.at, rows[i].value, m.value.n);
        assert_int_equal(m.is_last, i == 2);
    }
    assert_string_equal(w.at, " rest");
    w = (struct json_walk){"  }x", "  }x" + 4};
    assert_int_equal(json_member(&w, 1, &m), 0);
    w = (struct json_walk){"}", "}" + 1};
    assert_int_equal(json_member(&w, 0, &m), -EINVAL); /* behind a comma */
}

static void test_names_as_go_compares_them(void **state)
{
    (void)state;
    static const struct {
        const char *text, *name;
        enum json_match match;
    } rows[] = {
        {"num_ctx", "num_ctx", JSON_EXACT},
        {"num\\u005fctx", "num_ctx", JSON_EXACT},
        {"\\u006eum_ct\\u0078", "num_ctx", JSON_EXACT},
        {"\\u006e\\u0075\\u006d\\u005f\\u0063\\u0074\\u0078", "num_ctx", JSON_EXACT},
        {"Num_CTX", "num_ctx", JSON_FOLDED},
        {"num\\u005Fct\\u0058", "num_ctx", JSON_FOLDED},
        {"option\xc5\xbf", "options", JSON_FOLDED},
        {"option\\u017f", "options", JSON_FOLDED},
        {"OPTION\\u017F", "options", JSON_FOLDED},
        {"\xe2\x84\xaa" "eep_alive", "keep_alive", JSON_FOLDED},
        {"\\u212Aeep_alive", "keep_alive", JSON_FOLDED},
        {"\\u212a\\u0045\\u0065\\u0070\\u005f\\u0061\\u006c\\u0069\\u0076\\u0065", "keep_alive", JSON_FOLDED},
        {"option", "options", JSON_OTHER},
        {"optionss", "options", JSON_OTHER},
        {"option\\u0073s", "options", JSON_OTHER},
        {"options\\u0000", "options", JSON_OTHER},
        {"option\\u0000", "options", JSON_OTHER},
        {"option\\ud800", "options", JSON_OTHER},
        {"option\\q", "options", JSON_OTHER},
        {"option\xc5", "options", JSON_OTHER},
        {"option\xff", "options", JSON_OTHER},
        {"", "options", JSON_OTHER},
        {"num@ctx", "num_ctx", JSON_OTHER},
        {"num\x7f" "ctx", "num_ctx", JSON_OTHER}, /* _ without the bit that tells cases apart */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct json_text text = {rows[i].text, strlen(rows[i].text)};
        if (json_match(text, rows[i].name) != rows[i].match)
            fail_msg("%s %s", rows[i].text, rows[i].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_what_is_no_value),
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_names_as_go_compares_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
