/* proxy/route: the allow-list, and paths that could be read in two ways. */
#include "proxy/route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static enum route_verdict find(enum method method, const char *path, const struct route **r)
{
    return route_find(method, path, strlen(path), r);
}

static void test_what_each_path_is(void **state)
{
    (void)state;
    static const struct {
        enum method method;
        const char *path;
        enum route_right right;
        int is_activity, needs_model;
    } rows[] = {
        {METHOD_GET, "/", RIGHT_OBSERVE, 0, 0},
        {METHOD_HEAD, "/", RIGHT_OBSERVE, 0, 0},
        {METHOD_GET, "/health", RIGHT_NONE, 0, 0},
        {METHOD_HEAD, "/live", RIGHT_NONE, 0, 0},
        {METHOD_GET, "/ready", RIGHT_NONE, 0, 0},
        {METHOD_HEAD, "/metrics", RIGHT_OBSERVE, 0, 0},
        {METHOD_GET, "/status", RIGHT_OBSERVE, 0, 0},
        {METHOD_GET, "/ui", RIGHT_NONE, 0, 0},
        {METHOD_GET, "/ui/", RIGHT_NONE, 0, 0},
        {METHOD_HEAD, "/ui/main.js", RIGHT_NONE, 0, 0},
        {METHOD_POST, "/sidecar/backends/one/drain", RIGHT_MANAGE, 0, 0},
        {METHOD_POST, "/sidecar/backends/one/10.0.0.1:11434/undrain", RIGHT_MANAGE, 0, 0},
        {METHOD_POST, "/sidecar/backends/one%2F%5Bfd00::1%5D:11434/drain", RIGHT_MANAGE, 0, 0},
        {METHOD_GET, "/api/tags", RIGHT_OBSERVE, 0, 0},
        {METHOD_POST, "/api/show", RIGHT_OBSERVE, 0, 0},
        {METHOD_POST, "/api/generate", RIGHT_INFERENCE, 1, 1},
        {METHOD_POST, "/generate", RIGHT_INFERENCE, 1, 1},
        {METHOD_POST, "/ollama/generate", RIGHT_INFERENCE, 1, 1},
        {METHOD_POST, "/api/embed", RIGHT_INFERENCE, 1, 1},
        {METHOD_POST, "/api/pull", RIGHT_MANAGE, 1, 0},
        {METHOD_DELETE, "/api/delete", RIGHT_MANAGE, 1, 0},
        {METHOD_HEAD, "/api/blobs/sha256:0123abc", RIGHT_MANAGE, 1, 0},
        {METHOD_POST, "/api/blobs/sha256%3A0123abc", RIGHT_MANAGE, 1, 0},
        {METHOD_POST, "/v1/chat/completions", RIGHT_INFERENCE, 1, 1},
        {METHOD_GET, "/v1/models", RIGHT_OBSERVE, 0, 0},
        {METHOD_GET, "/v1/models/llama3.2:1b", RIGHT_OBSERVE, 0, 0},
        {METHOD_GET, "/v1/models/hf.co/me/model:q4", RIGHT_OBSERVE, 0, 0},
        {METHOD_GET, "/v1/models/hf.co%2Fme%2fmodel", RIGHT_OBSERVE, 0, 0},
        {METHOD_DELETE, "/api/user/keys/c3NoLWVk", RIGHT_MANAGE, 0, 0},
        {METHOD_POST, "/api/experimental/web_search", RIGHT_INFERENCE, 1, 0},
        {METHOD_GET, "/api/experimental/model-recommendations", RIGHT_OBSERVE, 0, 0},
        {METHOD_POST, "/v1/images/generations", RIGHT_INFERENCE, 1, 1},
        {METHOD_OPTIONS, "/api/chat", RIGHT_INFERENCE, 1, 1},
        {METHOD_GET, "/sidecar/settings", RIGHT_MANAGE, 0, 0},
        {METHOD_GET, "/sidecar/status", RIGHT_OBSERVE, 0, 0},
        {METHOD_GET, "/sidecar/events", RIGHT_OBSERVE, 0, 0},
        {METHOD_GET, "/sidecar/requests", RIGHT_OBSERVE, 0, 0},
        {METHOD_DELETE, "/sidecar/requests/0123456789abcdef", RIGHT_MANAGE, 0, 0},
        {METHOD_GET, "/sidecar/logs", RIGHT_MANAGE, 0, 0},
        {METHOD_GET, "/sidecar/models", RIGHT_OBSERVE, 0, 0},
        {METHOD_POST, "/sidecar/models/load", RIGHT_MANAGE, 1, 1},
        {METHOD_POST, "/sidecar/models/unload", RIGHT_MANAGE, 1, 1},
        {METHOD_POST, "/pull", RIGHT_MANAGE, 1, 0},
        {METHOD_OPTIONS, "/pull", RIGHT_MANAGE, 1, 0},
        {METHOD_POST, "/chat", RIGHT_INFERENCE, 1, 1},
        {METHOD_GET, "/models", RIGHT_OBSERVE, 0, 0},
        {METHOD_HEAD, "/models", RIGHT_OBSERVE, 0, 0},
        {METHOD_DELETE, "/models/gpt2", RIGHT_MANAGE, 1, 0},
        {METHOD_DELETE, "/models/org/name", RIGHT_MANAGE, 1, 0},
        {METHOD_DELETE, "/models/org%2Fname", RIGHT_MANAGE, 1, 0},
        {METHOD_OPTIONS, "/models/org/name", RIGHT_MANAGE, 1, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct route *r;
        if (find(rows[i].method, rows[i].path, &r) != ROUTE_FOUND)
            fail_msg("%s was not found", rows[i].path);
        assert_int_equal(r->right, rows[i].right);
        assert_int_equal(r->is_activity, rows[i].is_activity);
        assert_int_equal(r->needs_model, rows[i].needs_model);
    }
}

static void test_what_does_not_exist(void **state)
{
    (void)state;
    static const char *const paths[] = {
        "/debug/pprof/", "/debug/pprof/heap", "/api", "/api/", "/api/generate/", "/API/tags", "/api/tagsx", "/api/tag",
        "/api/%67enerate", "/healthz", "/health/", "/v1", "/v1/", "/v1/models/", "/api/blobs/", "/api/blobs/a/b", "/metrics/", "/metric", "/status/", "/uix", "/sidecar/backends/", "/sidecar",
        "/pull/", "/chat/", "/models/", "/chat/completions",
    };
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        const struct route *r;
        if (find(METHOD_GET, paths[i], &r) != ROUTE_UNKNOWN || r)
            fail_msg("%s is known", paths[i]);
    }
}

static void test_paths_that_can_be_read_in_two_ways(void **state)
{
    (void)state;
    static const char *const paths[] = {
        "", "api/tags", "//", "//api/generate", "/api//tags", "/./api/tags", "/api/./tags", "/api/../tags", "/..", "/.",
        "/api/%2e%2e/tags", "/api/%2E/tags", "/api%2ftags", "/api/blobs/sha256%2fx", "/v1/models/..%2fx", "/v1/models/a%2f..",
        "/v1/models/a%2f%2fb", "/v1/models/%2e%2e/x", "/v1/models/a%00", "/v1/models/a%0a", "/v1/models/a%", "/v1/models/a%4",
        "/v1/models/a%zz", "/v1/models/a%25", "/v1/models/a%5cb", "/api\\tags", "/v1/models/a%20b",
        "/v1/models/a%2f", "/v1/models/a;b", "/v1/models/a%3bb", "/api/generate;x", "/api/{x}", "/v1/models/a|b", "/v1/models/a\"b",
        "/v1/models/a b", "/v1/models/a?b", "/v1/models/\xc3\xa9", "/api/tags/..", "/api/tags//", "/%2fapi", "/v1%2fmodels/a",
        "/sidecar/backends/one%2f..%2ftwo/drain", "/sidecar/backends/one%20/drain", "/sidecar/backends/%2e%2e/drain", "/sidecar/backends/a%2f",
        "/models/..%2fx", "/models/a%2f", "/models/a%00", "/ui/..", "/ui/%2e%2e/x", "/ui/a%2fb", "/models%2fa", "/models/%2e%2e/x", "/pull%2fa", "/models/a%20b",
    };
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        const struct route *r;
        if (find(METHOD_GET, paths[i], &r) != ROUTE_BAD_PATH)
            fail_msg("%s was taken", paths[i]);
    }
}

static void test_a_wrong_method_is_told_the_right_ones(void **state)
{
    (void)state;
    const struct route *r;
    char allow[64];
    assert_int_equal(find(METHOD_GET, "/api/generate", &r), ROUTE_WRONG_METHOD);
    route_allow(r, allow, sizeof allow);
    assert_string_equal(allow, "POST, OPTIONS");
    assert_int_equal(find(METHOD_OTHER, "/api/tags", &r), ROUTE_WRONG_METHOD);
    assert_int_equal(find(METHOD_POST, "/health", &r), ROUTE_WRONG_METHOD);
    route_allow(r, allow, sizeof allow);
    assert_string_equal(allow, "GET, HEAD");
}

static void test_the_dialect_shows_in_the_path(void **state)
{
    (void)state;
    assert_int_equal(route_dialect("/api/x", 6), DIALECT_OLLAMA);
    assert_int_equal(route_dialect("/v1/x", 5), DIALECT_OPENAI);
    assert_int_equal(route_dialect("/v1/messages", 12), DIALECT_ANTHROPIC);
    assert_int_equal(route_dialect("/v1/messages/count", 18), DIALECT_ANTHROPIC);
    assert_int_equal(route_dialect("/v1/messagesx", 13), DIALECT_OPENAI);
    assert_int_equal(route_dialect("", 0), DIALECT_OLLAMA);
    assert_int_equal(route_dialect("/pull", 5), DIALECT_SERVE);
    assert_int_equal(route_dialect("/chat?x", 7), DIALECT_SERVE);
    assert_int_equal(route_dialect("/models/a", 9), DIALECT_SERVE);
    assert_int_equal(route_dialect("/modelsx", 8), DIALECT_OLLAMA);
    assert_int_equal(route_dialect("/models\0x", 9), DIALECT_OLLAMA);
    assert_int_equal(route_dialect("/pul", 4), DIALECT_OLLAMA);
}

/* Rows that no request can reach, or that a longer one hides, would be mistakes. */
static void test_every_row_is_reachable(void **state)
{
    (void)state;
    size_t rows_n;
    const struct route *rows = route_table(&rows_n);
    for (size_t i = 0; i < rows_n; i++) {
        char path[64];
        const struct route *r;
        size_t n = strlen(rows[i].path);
        memcpy(path, rows[i].path, n + 1);
        if (path[n - 1] == '*' || path[n - 1] == ':')
            path[n - 1] = 'x';
        enum method method = (enum method)(rows[i].methods & (0u - rows[i].methods));
        assert_int_equal(find(method, path, &r), ROUTE_FOUND);
        assert_ptr_equal(r, &rows[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_each_path_is),
        cmocka_unit_test(test_what_does_not_exist),
        cmocka_unit_test(test_paths_that_can_be_read_in_two_ways),
        cmocka_unit_test(test_a_wrong_method_is_told_the_right_ones),
        cmocka_unit_test(test_the_dialect_shows_in_the_path),
        cmocka_unit_test(test_every_row_is_reachable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
