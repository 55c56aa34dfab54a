/* proxy/installed: what the list of models says, for how long, what is no list, and which models these are. R4.9 */
#include "proxy/installed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <errno.h>

#include <cmocka.h>

static const char two[] = "{\"models\":[{\"name\":\"a:latest\",\"model\":\"a:latest\",\"size\":1},{\"name\":\"hf.co/Org/b:Q4\",\"model\":\"hf.co/Org/b:Q4\"}]}";

static int read_list(struct installed *i, const char *json, int64_t asked_ms)
{
    return installed_read(i, json, strlen(json), asked_ms);
}

static void test_nothing_is_known_before_the_list(void **state)
{
    (void)state;
    struct installed i;
    installed_init(&i);
    assert_int_equal(installed_look(&i, "a", 0), INSTALLED_UNKNOWN);
    assert_int_equal(installed_look(&i, "a", 1000000), INSTALLED_UNKNOWN);
    installed_fini(&i);
}

static void test_names_are_compared_as_ollama_does(void **state)
{
    (void)state;
    struct installed i;
    installed_init(&i);
    assert_int_equal(read_list(&i, two, 1000), 0);
    static const char *const there[] = {"a", "A:latest", "registry.ollama.ai/library/a", "library/a:LATEST", "hf.co/org/B:q4"};
    for (size_t k = 0; k < sizeof there / sizeof *there; k++)
        assert_int_equal(installed_look(&i, there[k], 1000), INSTALLED_YES);
    static const char *const missing[] = {"b", "a:1b", "org/b:Q4", "hf.co/Org/b", ""};
    for (size_t k = 0; k < sizeof missing / sizeof *missing; k++)
        assert_int_equal(installed_look(&i, missing[k], 1000), INSTALLED_NO);
    installed_fini(&i);
}

static void test_what_is_missing_is_so_for_a_moment_what_is_there_for_long(void **state)
{
    (void)state;
    struct installed i;
    installed_init(&i);
    assert_int_equal(read_list(&i, two, 1000), 0);
    assert_int_equal(installed_look(&i, "c", 1000 + INSTALLED_FRESH_MS - 1), INSTALLED_NO);
    assert_int_equal(installed_look(&i, "c", 1000 + INSTALLED_FRESH_MS), INSTALLED_UNKNOWN);
    assert_int_equal(installed_look(&i, "a", 1000 + 100 * INSTALLED_FRESH_MS), INSTALLED_YES);
    assert_int_equal(read_list(&i, two, 2000000), 0);
    installed_doubt(&i);
    assert_int_equal(installed_look(&i, "c", 2000000), INSTALLED_UNKNOWN);
    assert_int_equal(installed_look(&i, "a", 2000000), INSTALLED_YES);
    installed_forget(&i);
    assert_int_equal(installed_look(&i, "a", 2000000), INSTALLED_UNKNOWN);
    installed_fini(&i);
}

static void test_another_list_takes_the_place_of_the_first(void **state)
{
    (void)state;
    struct installed i;
    installed_init(&i);
    assert_int_equal(read_list(&i, two, 0), 0);
    assert_int_equal(read_list(&i, "{\"models\":[]}", 10), 0);
    assert_int_equal(installed_look(&i, "a", 10), INSTALLED_NO);
    installed_fini(&i);
}

static void test_what_is_no_list_changes_nothing(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "{", "[]", "null", "{}", "{\"models\":null}", "{\"models\":{}}", "{\"models\":[", "<html>", "{\"models\":[{\"name\":\"z\"}]"};
    struct installed i;
    installed_init(&i);
    assert_int_equal(read_list(&i, two, 0), 0);
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++)
        assert_int_equal(read_list(&i, bad[k], 5), -EINVAL);
    assert_int_equal(installed_look(&i, "a", 5), INSTALLED_YES);
    assert_int_equal(installed_look(&i, "z", 5), INSTALLED_NO);
    installed_fini(&i);
}

static void test_odd_items_are_passed_over(void **state)
{
    (void)state;
    struct installed i;
    installed_init(&i);
    assert_int_equal(read_list(&i, "{\"models\":[1,null,{},{\"name\":7},{\"name\":\"\"},{\"name\":\"x\\u0000y\"},{\"model\":\"only\"},{\"name\":\"\\u0061\"}]}", 0), 0);
    assert_int_equal(installed_look(&i, "only", 0), INSTALLED_YES);
    assert_int_equal(installed_look(&i, "a", 0), INSTALLED_YES);
    assert_int_equal(installed_look(&i, "x", 0), INSTALLED_NO);
    installed_fini(&i);
}

static void test_of_more_than_can_be_counted_none_is_missing(void **state)
{
    (void)state;
    struct installed i;
    struct buf list;
    installed_init(&i);
    buf_init(&list, 0);
    assert_int_equal(buf_text(&list, "{\"models\":["), 0);
    for (int k = 0; k < INSTALLED_MODELS + 5; k++)
        assert_int_equal(buf_printf(&list, "%s{\"name\":\"m%d\"}", k ? "," : "", k), 0);
    assert_int_equal(buf_text(&list, "]}"), 0);
    assert_int_equal(installed_read(&i, buf_data(&list), buf_size(&list), 0), 0);
    assert_int_equal(installed_look(&i, "m3", 0), INSTALLED_YES);
    assert_int_equal(installed_look(&i, "elsewhere", 0), INSTALLED_YES);
    assert_int_equal(installed_look(&i, "elsewhere", INSTALLED_FRESH_MS), INSTALLED_UNKNOWN);
    assert_int_equal(read_list(&i, two, 0), 0);
    assert_int_equal(installed_look(&i, "elsewhere", 0), INSTALLED_NO);
    buf_fini(&list);
    installed_fini(&i);
}

#define DIGITS "000102030405060708090a0b0c0d0e0f"

static void test_a_digest_is_read_as_far_as_it_is_one(void **state)
{
    (void)state;
    static const struct {
        const char *digest;
        int is_known;
    } rows[] = {
        {"\"" DIGITS DIGITS "\"", 1}, {"\"sha256:" DIGITS DIGITS "\"", 1}, {"\"" DIGITS "\"", 1}, {"\"000102030405060708090A0B0C0D0E0F\"", 1},
        {"\"0001\"", 0}, {"\"\"", 0}, {"\"sha256:\"", 0}, {"\"g00102030405060708090a0b0c0d0e0f\"", 0}, {"\"000102030405060708090a0b0c0d0e0\"", 0},
        {"\"" "00000000000000000000000000000000" "\"", 0}, {"null", 0}, {"7", 0}, {"[\"" DIGITS "\"]", 0}, {"\"md5:" DIGITS "\"", 0},
    };
    struct installed i;
    installed_init(&i);
    assert_null(installed_digest(&i, "a"));
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        char list[300];
        snprintf(list, sizeof list, "{\"models\":[{\"name\":\"a:latest\",\"digest\":%s}]}", rows[k].digest);
        assert_int_equal(read_list(&i, list, 0), 0);
        const unsigned char *digest = installed_digest(&i, "A");
        assert_int_equal(digest != NULL, rows[k].is_known);
        for (int byte = 0; digest && byte < INSTALLED_DIGEST_BYTES; byte++)
            assert_int_equal(digest[byte], byte);
        assert_true(installed_is_listed(&i, "a"));
        assert_null(installed_digest(&i, "b"));
    }
    installed_fini(&i);
}

/* Two models of these names and digests, in this order. */
static int read_two(struct installed *i, const char *first, char first_digit, const char *second, char second_digit, int64_t asked_ms)
{
    char list[400];
    snprintf(list, sizeof list, "{\"models\":[{\"name\":\"%s\",\"digest\":\"%c" DIGITS "\"},{\"name\":\"%s\",\"digest\":\"%c" DIGITS "\"}]}", first,
             first_digit, second, second_digit);
    return read_list(i, list, asked_ms);
}

static void test_since_when_the_models_are_the_same(void **state)
{
    (void)state;
    struct installed i;
    installed_init(&i);
    assert_int_equal(i.same_since_ms, -1);
    assert_int_equal(read_two(&i, "a", '1', "b", '2', 100), 0);
    assert_int_equal(i.same_since_ms, 100);
    assert_int_equal(read_two(&i, "b", '2', "a", '1', 200), 0); /* the order does not count */
    assert_int_equal(i.same_since_ms, 100);
    assert_int_equal(i.listed_ms, 200);
    assert_int_equal(read_two(&i, "b", '1', "a", '2', 300), 0);
    assert_int_equal(i.same_since_ms, 300);
    assert_int_equal(read_list(&i, "no list", 350), -EINVAL);
    assert_int_equal(i.same_since_ms, 300);
    installed_doubt(&i);
    assert_int_equal(i.listed_ms, -1);
    assert_int_equal(i.same_since_ms, 300);
    assert_non_null(installed_digest(&i, "a"));
    assert_int_equal(read_two(&i, "b", '1', "a", '2', 400), 0);
    assert_int_equal(i.same_since_ms, 300);
    installed_forget(&i); /* it was changed, whatever it has become */
    assert_int_equal(i.same_since_ms, -1);
    assert_null(installed_digest(&i, "a"));
    assert_int_equal(read_two(&i, "b", '1', "a", '2', 500), 0);
    assert_int_equal(i.same_since_ms, 500);
    installed_fini(&i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_known_before_the_list),
        cmocka_unit_test(test_names_are_compared_as_ollama_does),
        cmocka_unit_test(test_what_is_missing_is_so_for_a_moment_what_is_there_for_long),
        cmocka_unit_test(test_another_list_takes_the_place_of_the_first),
        cmocka_unit_test(test_what_is_no_list_changes_nothing),
        cmocka_unit_test(test_odd_items_are_passed_over),
        cmocka_unit_test(test_of_more_than_can_be_counted_none_is_missing),
        cmocka_unit_test(test_a_digest_is_read_as_far_as_it_is_one),
        cmocka_unit_test(test_since_when_the_models_are_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
