/* proxy/json_scan: finding one top-level string the way Go's encoding/json would. */
#include "proxy/json_scan.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { OUT_BYTES = 32 };

/* The bytes end where memory that may be read ends, so that a sanitizer sees one step too far. */
static ssize_t scan(const char *json, size_t n, char out[OUT_BYTES])
{
    char *exact = malloc(n ? n : 1);
    assert_non_null(exact);
    memcpy(exact, json, n);
    ssize_t found = json_scan_string(exact, n, "model", out, OUT_BYTES);
    free(exact);
    return found;
}

static void test_the_model_that_go_would_find(void **state)
{
    (void)state;
    static const struct {
        const char *json, *model;
    } rows[] = {
        {"{\"model\":\"a\"}", "a"},
        {" \t\r\n{ \"prompt\" : \"x\" , \"model\" : \"a:b\" } ", "a:b"},
        {"{\"MODEL\":\"a\"}", "a"},
        {"{\"mOdEl\":\"a\",\"model\":\"b\"}", "b"},
        {"{\"model\":\"a\",\"Model\":\"b\"}", "b"},
        {"{\"mod\\u0065l\":\"a\"}", "a"},
        {"{\"\\u006d\\u004F\\u0064\\u0045\\u006c\":\"a\"}", "a"},
        {"{\"model\":\"a\\u0062\\/\\n\\\"\\\\\"}", "ab/\n\"\\"},
        {"{\"model\":\"\\u00e9\\u20ac\\ud83d\\ude00\"}", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"},
        {"{\"model\":\"\\ud83d\"}", "\xef\xbf\xbd"},
        {"{\"model\":\"\\ude00x\"}", "\xef\xbf\xbdx"},
        {"{\"model\":\"a\",\"model\":null}", "a"},
        {"{\"x\":{\"model\":\"no\"},\"model\":\"yes\"}", "yes"},
        {"{\"model\":\"yes\",\"x\":[{\"model\":\"no\"}]}", "yes"},
        {"{\"x\":\"a \\\"model\\\":\\\"no\\\" \\\\\",\"model\":\"yes\"}", "yes"},
        {"{\"x\":[1,-2.5e9,true,null,\"]}\"],\"model\":\"a\"}", "a"},
        {"{\"seed\":123456789012345678901234567890,\"model\":\"a\"}", "a"},
        {"{\"model\":\"a\"} trailing", "a"},
        {"{\"model\":\"\"}", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char out[OUT_BYTES] = "";
        ssize_t n = scan(rows[i].json, strlen(rows[i].json), out);
        if (n != (ssize_t)strlen(rows[i].model) || strcmp(out, rows[i].model) != 0)
            fail_msg("%s: %zd \"%s\"", rows[i].json, n, out);
    }
}

static void test_no_model_to_be_found(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "{}", "{\"x\":1}", "{\"model\":1}", "{\"model\":null}", "{\"model\":[\"a\"]}", "{\"model\":{\"a\":1}}",
        "{\"model\":true}", "{\"model\":\"a\",\"model\":1}", "{\"modell\":\"a\"}", "{\"mode\":\"a\"}",
        "{\"model\":\"0123456789012345678901234567890123456789\"}",
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char out[OUT_BYTES];
        assert_int_equal(scan(rows[i], strlen(rows[i]), out), -ENOENT);
    }
}

static void test_what_is_no_json_object(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "", " ", "[]", "\"model\"", "null", "{", "{\"", "{\"model", "{\"model\"", "{\"model\":", "{\"model\":\"", "{\"model\":\"a",
        "{\"model\":\"a\"", "{\"model\":\"a\",", "{\"model\":\"a\",}", "{model:\"a\"}", "{\"model\" \"a\"}", "{\"x\":[1,\"model\":\"a\"",
        "{\"x\":[}],\"model\":\"a\"}", "{\"x\":{]},\"model\":\"a\"}", "{\"x\":[1,],\"model\":\"a\"}", "{\"x\":{\"a\"},\"model\":\"a\"}",
        "{\"x\":tru,\"model\":\"a\"}", "{\"x\":01,\"model\":\"a\"}", "{\"x\":+1,\"model\":\"a\"}", "{\"x\":1.,\"model\":\"a\"}",
        "{\"x\":1e,\"model\":\"a\"}", "{\"x\":-,\"model\":\"a\"}", "{\"x\":'a',\"model\":\"a\"}",
        "\xef\xbb\xbf{\"model\":\"a\"}", "{\"model\":\"\\q\"}", "{\"model\":\"\\u12\"}", "{\"model\":,}", "{\"a\":\"\\\"}",
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char out[OUT_BYTES];
        if (scan(rows[i], strlen(rows[i]), out) != -EINVAL)
            fail_msg("%s was taken", rows[i]);
    }
    char out[OUT_BYTES];
    assert_int_equal(scan("{\0\"\0m\0", 6, out), -EINVAL); /* UTF-16 */
}

static void test_every_prefix_is_survived(void **state)
{
    (void)state;
    static const char json[] = "{\"x\":[{\"a\":\"\\u00e9\\\\\"},-1.5],\"mod\\u0065l\":\"a\\ud83d\\ude00b\",\"y\":null}";
    for (size_t n = 0; n < sizeof json - 1; n++) {
        char out[OUT_BYTES];
        assert_int_equal(scan(json, n, out), -EINVAL);
    }
}

/* `depth` brackets, the object's own among them. */
static ssize_t scan_deep(size_t depth)
{
    static const char head[] = "{\"x\":", tail[] = ",\"model\":\"a\"}";
    size_t brackets_n = depth - 1, n = sizeof head - 1 + 2 * brackets_n + sizeof tail - 1;
    char *json = malloc(n), out[OUT_BYTES];
    assert_non_null(json);
    memcpy(json, head, sizeof head - 1);
    memset(json + sizeof head - 1, '[', brackets_n);
    memset(json + sizeof head - 1 + brackets_n, ']', brackets_n);
    memcpy(json + n - (sizeof tail - 1), tail, sizeof tail - 1);
    ssize_t found = scan(json, n, out);
    free(json);
    return found;
}

/* Go takes 10,000 levels, and no more; depth must cost no stack. */
static void test_deep_nesting_as_in_go(void **state)
{
    (void)state;
    assert_int_equal(scan_deep(10000), 1);
    assert_int_equal(scan_deep(10001), -EINVAL);
    assert_int_equal(scan_deep(1000000), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_model_that_go_would_find),
        cmocka_unit_test(test_no_model_to_be_found),
        cmocka_unit_test(test_what_is_no_json_object),
        cmocka_unit_test(test_every_prefix_is_survived),
        cmocka_unit_test(test_deep_nesting_as_in_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
