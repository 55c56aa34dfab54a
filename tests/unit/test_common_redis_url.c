/* common/redis_url: what of a line is where, and what is said of a mistake. */
#include "common/redis_url.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_what_is_where(void **state)
{
    static const struct {
        const char *text, *host, *path, *user, *password;
        unsigned port, database;
    } rows[] = {
        {"redis://127.0.0.1", "127.0.0.1", "", "", "", 6379, 0},
        {"redis://redis:6380/3", "redis", "", "", "", 6380, 3},
        {"REDIS://redis/", "redis", "", "", "", 6379, 0},
        {"redis://:secret@redis", "redis", "", "", "secret", 6379, 0},
        {"redis://me:s%40%2Fc%3a@redis:1/16383", "redis", "", "me", "s@/c:", 1, 16383},
        {"redis://:a:b@redis", "redis", "", "", "a:b", 6379, 0},
        {"redis://[::1]:7000", "::1", "", "", "", 7000, 0},
        {"redis://[::1]", "::1", "", "", "", 6379, 0},
        {"unix:///run/redis/redis.sock", "", "/run/redis/redis.sock", "", "", 0, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct redis_url url;
        char why[PARSE_WHY_BYTES] = "";
        assert_int_equal(redis_url_parse(rows[i].text, &url, why), 0);
        assert_string_equal(url.address.host, rows[i].host);
        assert_string_equal(url.path, rows[i].path);
        assert_string_equal(url.user, rows[i].user);
        assert_string_equal(url.password, rows[i].password);
        assert_int_equal(url.address.port, rows[i].port);
        assert_int_equal(url.database, rows[i].database);
    }
}

static void test_a_mistake_is_told_without_the_text(void **state)
{
    static const struct { const char *text, *why; } rows[] = {
        {"", "redis://"},
        {"127.0.0.1:6379", "redis://"},
        {"http://redis", "redis://"},
        {"rediss://redis", "tunnel"},
        {"redis://", "no host"},
        {"redis://:s3cret@", "no host"},
        {"redis://s3cret@redis", ":PASSWORD"},
        {"redis://:s3cret%zz@redis", "%25"},
        {"redis://:s3cret%4", "no host"},
        {"redis://:s3cret%4@redis", "%25"},
        {"redis://:s3cret%00@redis", "%25"},
        {"redis://:s3 cret@redis", "%XX"},
        {"redis://redis:0", "65535"},
        {"redis://redis:65536", "65535"},
        {"redis://redis/s3cret", "number of a database"},
        {"redis://redis/16384", "number of a database"},
        {"redis://redis/1/2", "number of a database"},
        {"redis://redis?db=1", "query"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct redis_url url = {.database = 77};
        char why[PARSE_WHY_BYTES] = "";
        assert_int_equal(redis_url_parse(rows[i].text, &url, why), -EINVAL);
        if (!strstr(why, rows[i].why) || strstr(why, "s3"))
            fail_msg("%s: %s", rows[i].text, why);
        assert_int_equal(url.database, 77);
    }
}

static void test_nothing_is_cut(void **state)
{
    struct redis_url url;
    char text[REDIS_SECRET_BYTES + 32], why[PARSE_WHY_BYTES];
    (void)state;
    for (size_t n = REDIS_SECRET_BYTES - 1; n <= REDIS_SECRET_BYTES; n++) {
        memcpy(text, "redis://:", 9);
        memset(text + 9, 'x', n);
        memcpy(text + 9 + n, "@h", 3);
        assert_int_equal(redis_url_parse(text, &url, why), n < REDIS_SECRET_BYTES ? 0 : -EINVAL);
    }
    for (size_t n = REDIS_PATH_BYTES - 1; n <= REDIS_PATH_BYTES; n++) {
        memcpy(text, "unix://", 7);
        memset(text + 7, '/', n);
        text[7 + n] = '\0';
        assert_int_equal(redis_url_parse(text, &url, why), n < REDIS_PATH_BYTES ? 0 : -EINVAL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_where),
        cmocka_unit_test(test_a_mistake_is_told_without_the_text),
        cmocka_unit_test(test_nothing_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
