/* common/parse: the URL of a server with an API below it. */
#include "common/parse.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_what_a_server_can_be(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host, *path;
        int is_https, port;
    } cases[] = {
        {"http://h", "h", "", 0, 80},
        {"HTTP://h:8000/", "h", "", 0, 8000},
        {"https://api.example.com", "api.example.com", "", 1, 443},
        {"https://api.example.com/v1", "api.example.com", "/v1", 1, 443},
        {"https://h:8443/a/b%20c//", "h", "/a/b%20c", 1, 8443},
        {"https://[::1]", "::1", "", 1, 443},
        {"http://[fe80::1]:1/x", "fe80::1", "/x", 0, 1},
        {"http://h/@:x", "h", "/@:x", 0, 80},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct url url;
        char why[PARSE_WHY_BYTES], path[64];
        assert_int_equal(parse_url(cases[i].text, &url, why), 0);
        snprintf(path, sizeof path, "%.*s", (int)url.path_n, url.path);
        assert_string_equal(url.address.host, cases[i].host);
        assert_int_equal(url.address.port, cases[i].port);
        assert_int_equal(url.is_https, cases[i].is_https);
        assert_string_equal(path, cases[i].path);
    }
}

static void test_what_it_can_not_be_and_is_not_shown(void **state)
{
    (void)state;
    static char far[600] = "http://sesame";
    memset(far + strlen(far), 'x', sizeof far - strlen(far) - 1);
    const char *const cases[][2] = {
        {"", "write http://"},
        {"sesame:80", "write http://"},
        {"ftp://sesame", "write http://"},
        {"http://", "the host is"},
        {"http://:80", "the host is"},
        {"http://sesame:0", "the host is"},
        {"http://sesame:65536", "the host is"},
        {"http://sesame:", "the host is"},
        {"http://[sesame]", "the host is"},
        {"http://[::1", "the host is"},
        {"http://::1/sesame", "the host is"},
        {"http://ses%61me", "the host is"},
        {far, "the host is"},
        {"http://sesame@h", "no place for a user"},
        {"https://u:sesame@h/x", "no place for a user"},
        {"https://h/x?key=sesame", "no place for a query"},
        {"https://h?key=sesame", "no place for a query"},
        {"https://h/#sesame", "no place for a query"},
        {"https://h/se same", "blank"},
        {"https://h/ses\xc3\xa4me", "blank"},
        {"https://h/\"sesame", "blank"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct url url;
        char why[PARSE_WHY_BYTES] = "";
        if (parse_url(cases[i][0], &url, why) != -EINVAL || !strstr(why, cases[i][1]) || strstr(why, "sesame"))
            fail_msg("%s: \"%s\"", cases[i][0], why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_a_server_can_be),
        cmocka_unit_test(test_what_it_can_not_be_and_is_not_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
