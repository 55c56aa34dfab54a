/* proxy/lacks: which errors are about a path, and which are about what a request names. */
#include "proxy/lacks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* In memory that ends where it ends, for a sanitizer. */
static int lacks(int status, const char *text)
{
    size_t n = strlen(text);
    char *body = malloc(n ? n : 1);
    assert_non_null(body);
    memcpy(body, text, n);
    int is_lacking = lacks_path(status, body, n);
    free(body);
    return is_lacking;
}

static void test_routers_words(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "404 page not found", "404 page not found\n", "", " \r\n", "Not Found", "<html>404</html>",
        "{\"detail\":\"Not Found\"}", "{\"detail\":\"Method Not Allowed\"}",
        "{\"error\":{\"code\":404,\"message\":\"File Not Found\",\"type\":\"not_found_error\"}}",
        "{\"error\":{\"message\":\"Invalid URL (POST /v1/messages)\",\"type\":\"invalid_request_error\",\"param\":null,\"code\":null}}",
        "{\"error\":\"Unexpected endpoint or method. (POST /v1/messages)\"}",
        "{\"error\":{\"message\":\"no such path: /v1/messages\"}}", "\n{\"error\":\"there is no path /v1/messages here\"}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_int_equal(lacks(404, texts[i]), 1);
        assert_int_equal(lacks(405, texts[i]), 1);
        assert_int_equal(lacks(400, texts[i]), 0);
        assert_int_equal(lacks(500, texts[i]), 0);
    }
}

static void test_what_a_request_names(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{\"error\":{\"message\":\"model 'x' not found\",\"type\":\"not_found_error\",\"param\":null,\"code\":null}}",
        "{\"type\":\"error\",\"error\":{\"type\":\"not_found_error\",\"message\":\"model 'not found' not found\"}}",
        "{\"object\":\"error\",\"message\":\"The model `x` does not exist.\",\"type\":\"NotFoundError\",\"param\":null,\"code\":404}",
        "{\"error\":{\"message\":\"Response with id 'resp_1' not found.\",\"type\":\"invalid_request_error\"}}",
        "{", "{\"", "{\"error\":\"\"}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_int_equal(lacks(404, texts[i]), 0);
}

static void test_which_paths(void **state)
{
    (void)state;
    size_t n;
    const struct route *rows = route_table(&n);
    for (size_t i = 0; i < n; i++) {
        int is_late = strncmp(rows[i].path, "/v1/responses", 13) == 0 || strncmp(rows[i].path, "/v1/messages", 12) == 0 ||
                      strncmp(rows[i].path, "/v1/audio/", 10) == 0 || strncmp(rows[i].path, "/v1/images/", 11) == 0;
        assert_int_equal(lacks_may(&rows[i]), is_late);
    }
    assert_non_null(strstr(lacks_advice("/v1/messages"), "0.14.0"));
    assert_non_null(strstr(lacks_advice("/v1/responses"), "0.13.3"));
    assert_string_equal(lacks_advice("/v1/images/edits"), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_routers_words),
        cmocka_unit_test(test_what_a_request_names),
        cmocka_unit_test(test_which_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
