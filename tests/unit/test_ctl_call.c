/* ctl/call: the path that a name stands in, and the reasons that refusals have. */
#include "ctl/call.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_paths(void **state)
{
    (void)state;
    static const struct {
        const char *name, *word, *path;
    } rows[] = {
        {"big", "/drain", "/sidecar/backends/big/drain"},
        {"pool/10.0.0.2:11434", "/undrain", "/sidecar/backends/pool/10.0.0.2:11434/undrain"},
        {"pool/[fd00::1]:11434", "/drain", "/sidecar/backends/pool/%5Bfd00::1%5D:11434/drain"},
        {"a b?\xc3\xa9%", "/drain", "/sidecar/backends/a%20b%3F%C3%A9%25/drain"},
    };
    char path[64];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(call_path("/sidecar/backends/", rows[i].name, rows[i].word, path, sizeof path), 0);
        assert_string_equal(path, rows[i].path);
    }
    for (size_t n = 0; n < sizeof "/sidecar/backends/[]/drain" + 4; n++)
        assert_int_equal(call_path("/sidecar/backends/", "[]", "/drain", path, n), -E2BIG);
    static const char *const others[] = {"..", ".", "../../api/delete", "a/../b", "a/./b", "a/..", "/a", "a//b", "a/", ""};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_int_equal(call_path("/sidecar/backends/", others[i], "/drain", path, sizeof path), -EINVAL);
    assert_int_equal(call_path("/sidecar/backends/", "a..b.", "/drain", path, sizeof path), 0);
}

static void test_what_stands_at_the_end_of_a_path(void **state)
{
    (void)state;
    char path[64];
    assert_int_equal(call_path("/sidecar/requests/", "a b", "", path, sizeof path), 0);
    assert_string_equal(path, "/sidecar/requests/a%20b");
    static const char *const others[] = {".", "..", "a/..", "a/.", "", "/"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_int_equal(call_path("/sidecar/requests/", others[i], "", path, sizeof path), -EINVAL);
}

static void test_reasons(void **state)
{
    (void)state;
    static const struct {
        const char *json, *text;
    } rows[] = {
        {"{\"error\":\"why\"}", "why"},
        {"{\"error\":{\"message\":\"why\",\"code\":7}}", "why"},
        {"{\"error\":{\"message\":7}}", ""},
        {"{\"error\":[]}", ""},
        {"{}", ""},
        {"7", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cJSON *object = cJSON_Parse(rows[i].json);
        assert_string_equal(call_error(object), rows[i].text);
        cJSON_Delete(object);
    }
    assert_string_equal(call_error(NULL), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_what_stands_at_the_end_of_a_path),
        cmocka_unit_test(test_reasons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
