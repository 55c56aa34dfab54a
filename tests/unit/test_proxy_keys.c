/* proxy/keys: what is read as a key, and whose it is. */
#include "proxy/keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/request_of.h"

enum { NOT_ASKED = 99 };

static char first[] = "first-0123456789", third[] = "third-0123456789", none[] = "", name[] = "n";
static char second_hash[2 * SHA256_BYTES + 8], first_hash[2 * SHA256_BYTES + 8];
static char inference[] = "inference";
static char *rights[] = {inference};
static struct conf *conf;
static struct keys keys;

static struct conf_key key_of(char *secret, char *hash)
{
    return (struct conf_key){.name = name, .secret = secret, .secret_hash = hash, .rights = {rights, 1}};
}

static void hash_of(const char *secret, char *out)
{
    unsigned char digest[SHA256_BYTES];
    char hex[SHA256_HEX_BYTES];
    sha256(secret, strlen(secret), digest);
    sha256_hex(digest, hex);
    for (size_t i = 0; hex[i]; i += 2) /* capitals are the same digits */
        hex[i] = (char)(hex[i] >= 'a' ? hex[i] - 32 : hex[i]);
    snprintf(out, 2 * SHA256_BYTES + 8, "sha256:%s", hex);
}

static int setup(void **state)
{
    (void)state;
    conf = calloc(1, sizeof *conf);
    assert_non_null(conf);
    hash_of("second-0123456789", second_hash);
    hash_of(first, first_hash);
    conf->keys[0] = key_of(first, none);
    conf->keys[1] = key_of(none, none); /* its file was not handed down */
    conf->keys[2] = key_of(none, second_hash);
    conf->keys[3] = key_of(none, first_hash); /* the same once more, which only shows here */
    conf->keys[4] = key_of(third, none);
    conf->keys_n = 5;
    return keys_init(&keys, conf);
}

static int teardown(void **state)
{
    (void)state;
    keys_fini(&keys);
    free(conf);
    return 0;
}

/* The index in the configuration, or -1 - what was found instead. */
static int whose(const char *lines)
{
    struct message m = request_of(lines, "");
    size_t at = NOT_ASKED;
    enum keys_found found = keys_find(&keys, &m, &at);
    message_fini(&m);
    return found == KEYS_KNOWN ? (int)keys.items[at].index : -1 - (int)found;
}

static void test_whose_a_key_is(void **state)
{
    (void)state;
    static const struct {
        const char *lines;
        int whose;
    } rows[] = {
        {"", -1 - KEYS_NONE},
        {"X: first-0123456789\n", -1 - KEYS_NONE},
        {"Authorization: Bearer first-0123456789\n", 0},
        {"AUTHORIZATION: bearer first-0123456789\n", 0},
        {"Authorization: BEARER \t  first-0123456789 \t\n", 0},
        {"Authorization: Bearer second-0123456789\n", 2},
        {"authorization: Bearer third-0123456789\n", 4},
        {"X-Api-Key: third-0123456789\n", 4},
        {"x-api-key: second-0123456789\nAuthorization: Bearer second-0123456789\n", 2},
        {"Authorization: Bearer First-0123456789\n", -1 - KEYS_UNKNOWN},
        {"Authorization: Bearer first-012345678\n", -1 - KEYS_UNKNOWN},
        {"Authorization: Bearer first-01234567890\n", -1 - KEYS_UNKNOWN},
        {"Authorization: Bearer \"first-0123456789\"\n", -1 - KEYS_UNKNOWN},
        {"x-api-key: Bearer\n", -1 - KEYS_UNKNOWN},
        {"Authorization: Bearer\n", -1 - KEYS_MALFORMED},
        {"Authorization: Bearer  \n", -1 - KEYS_MALFORMED},
        {"Authorization: \n", -1 - KEYS_MALFORMED},
        {"Authorization: Bearerfirst-0123456789\n", -1 - KEYS_MALFORMED},
        {"Authorization: first-0123456789\n", -1 - KEYS_MALFORMED},
        {"Authorization: Basic Zmlyc3Q6\n", -1 - KEYS_MALFORMED},
        {"Authorization: Digest first-0123456789\n", -1 - KEYS_MALFORMED},
        {"Authorization: Bearer first-0123456789 x\n", -1 - KEYS_MALFORMED},
        {"Authorization: Bearer first-0123456789,\tx\n", -1 - KEYS_MALFORMED},
        {"x-api-key: \n", -1 - KEYS_MALFORMED},
        {"x-api-key: Bearer first-0123456789\n", -1 - KEYS_MALFORMED},
        {"x-api-key: first-0123456789\nAuthorization: Basic x\n", -1 - KEYS_MALFORMED},
        {"Authorization: Bearer first-0123456789\nAuthorization: Bearer first-0123456789\n", -1 - KEYS_SEVERAL},
        {"Authorization: Bearer x\nA: b\nauthorization: Bearer first-0123456789\n", -1 - KEYS_SEVERAL},
        {"x-api-key: x\nx-api-key: y\n", -1 - KEYS_SEVERAL},
        {"x-api-key: x\nAuthorization: Bearer first-0123456789\n", -1 - KEYS_SEVERAL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (whose(rows[i].lines) != rows[i].whose)
            fail_msg("%s is %d", rows[i].lines, whose(rows[i].lines));
}

static void test_a_key_of_any_length(void **state)
{
    (void)state;
    static char lines[10000] = "Authorization: Bearer ";
    size_t start_n = strlen(lines);
    for (size_t n = 4090; n < 4100; n++) {
        memset(lines + start_n, 'x', n);
        memcpy(lines + start_n + n, "\n", 2);
        assert_int_equal(whose(lines), -1 - KEYS_UNKNOWN);
    }
}

static void test_the_empty_secret_of_a_file_that_was_not_read_is_nobodys(void **state)
{
    (void)state;
    assert_int_equal(keys.items_n, 3);
    unsigned char empty[SHA256_BYTES];
    sha256("", 0, empty);
    for (size_t i = 0; i < keys.items_n; i++)
        assert_memory_not_equal(keys.items[i].digest, empty, SHA256_BYTES);
}

static void test_without_keys_nothing_is_read(void **state)
{
    (void)state;
    struct keys nobody = {.items = NULL};
    struct message m = request_of("Authorization: Basic x\nAuthorization: y\n", "");
    size_t at;
    assert_int_equal(keys_find(&nobody, &m, &at), KEYS_NONE);
    message_fini(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whose_a_key_is),
        cmocka_unit_test(test_a_key_of_any_length),
        cmocka_unit_test(test_the_empty_secret_of_a_file_that_was_not_read_is_nobodys),
        cmocka_unit_test(test_without_keys_nothing_is_read),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
