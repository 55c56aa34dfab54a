/* proxy/json_write: pieces, the first failure, what is escaped of an answer, what is decoded. */
#include "proxy/json_write.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void is_text(struct buf *b, const char *wanted)
{
    assert_int_equal(buf_size(b), strlen(wanted));
    assert_memory_equal(buf_data(b), wanted, strlen(wanted));
    buf_consume(b, buf_size(b));
}

static void test_pieces(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 0);
    struct json_write w = {.out = &b};
    struct json_value value = {JSON_NUMBER, "12345678901234567890 ", 20}, none = {.kind = JSON_NULL};
    json_write_text(&w, "{");
    json_write_string(&w, "a\"\n\xc2\x85", 5);
    json_write_bytes(&w, ":xyz", 1);
    json_write_value(&w, &value);
    json_write_text(&w, ",");
    json_write_value(&w, &none);
    json_write_number(&w, UINT64_MAX);
    assert_int_equal(w.error, 0);
    is_text(&b, "{\"a\\\"\\n\\u0085\":12345678901234567890,null18446744073709551615");
    buf_fini(&b);
}

static void test_members(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 0);
    struct json_write w = {.out = &b};
    struct json_value value = {JSON_STRING, "\"x\\u0000\"", 9}, none = {.kind = JSON_NULL};
    json_write_member(&w, "name", &value);
    json_write_member(&w, "other", &none);
    assert_int_equal(w.error, 0);
    is_text(&b, ",\"name\":\"x\\u0000\",\"other\":null");
    buf_fini(&b);
}

static void test_a_failure_leaves_what_was_there_before(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 8);
    assert_int_equal(buf_text(&b, "old"), 0);
    struct json_write w = json_write_begin(&b);
    json_write_text(&w, "new");
    assert_int_equal(json_write_end(&w), 0);
    w = json_write_begin(&b);
    json_write_text(&w, "xy");
    json_write_text(&w, "z");
    assert_int_equal(json_write_end(&w), -EFBIG);
    w = json_write_begin(&b);
    json_write_text(&w, "x");
    w.error = -EINVAL;
    assert_int_equal(json_write_end(&w), -EINVAL);
    is_text(&b, "oldnew");
    buf_fini(&b);
}

static void test_first_failure_stays(void **state)
{
    (void)state;
    struct buf b;
    const char *at;
    buf_init(&b, 4);
    struct json_write w = {.out = &b};
    json_write_text(&w, "abc");
    json_write_text(&w, "de");
    json_write_text(&w, "f");
    json_write_number(&w, 1);
    json_write_string(&w, "", 0);
    assert_int_equal(json_write_decoded(&w, (struct json_text){"a", 1}, &at), -1);
    assert_int_equal(w.error, -EFBIG);
    is_text(&b, "abc");
    buf_fini(&b);
}

/* reference: httpx's iter_lines ends a line at U+0085, U+2028, U+2029 */
static void test_what_is_escaped_of_an_answer(void **state)
{
    (void)state;
    static const struct {
        const char *text, *wanted;
    } rows[] = {
        {"\"plain \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\"", "\"plain \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\""},
        {"\"a\xc2\x85" "b\xe2\x80\xa8" "c\xe2\x80\xa9" "d\"", "\"a\\u0085b\\u2028c\\u2029d\""},
        {"\"\\u0000 \\ud83d\\ude00 \\ud800 \\\" \\\\\"", "\"\\u0000 \\ud83d\\ude00 \\ud800 \\\" \\\\\""},
        {"\"a\nb\tc\x01\"", "\"a\\u000ab\\u0009c\\u0001\""},
        {"\"\\\xc2\x85\"", "\"\\\\u0085\""},
        {"\"\xc2\"", "\"\xc2\""},
        {"\"\xe2\x80\"", "\"\xe2\x80\""},
        {"[1,\r\n\t2 ,\"\\\\\"\n]", "[1,2 ,\"\\\\\"]"},
        {"123456789012345678901234567890", "123456789012345678901234567890"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf b;
        buf_init(&b, 0);
        struct json_write w = {.out = &b};
        struct json_value value = {JSON_STRING, rows[i].text, strlen(rows[i].text)};
        json_write_safely(&w, &value);
        assert_int_equal(w.error, 0);
        is_text(&b, rows[i].wanted);
        buf_fini(&b);
    }
}

static void test_decoded(void **state)
{
    (void)state;
    struct buf b;
    const char *at;
    buf_init(&b, 0);
    struct json_write w = {.out = &b};
    static const char text[] = "{\\\"a\\\":\\\"\\\\u0000\\u00e9\\\"}";
    ssize_t n = json_write_decoded(&w, (struct json_text){text, sizeof text - 1}, &at);
    assert_int_equal(n, strlen("{\"a\":\"\\u0000\xc3\xa9\"}"));
    assert_ptr_equal(at, buf_data(&b));
    is_text(&b, "{\"a\":\"\\u0000\xc3\xa9\"}");
    assert_int_equal(json_write_decoded(&w, (struct json_text){"\\x", 2}, &at), -EINVAL);
    assert_int_equal(json_write_decoded(&w, (struct json_text){"", 0}, &at), 0);
    assert_int_equal(buf_size(&b), 0);
    assert_int_equal(w.error, 0);
    buf_fini(&b);
}

static void test_what_is_named(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 0);
    struct json_write w = {.out = &b};
    json_write_named_text(&w, "{\"a\":", "x\"y");
    json_write_named_text(&w, ",\"b\":", NULL);
    json_write_named_number(&w, ",\"c\":", INT64_MAX);
    json_write_named_number(&w, ",\"d\":", 0);
    json_write_named_number(&w, ",\"e\":", -1);
    json_write_named_bool(&w, ",\"f\":", 2);
    json_write_named_bool(&w, ",\"g\":", 0);
    is_text(&b, "{\"a\":\"x\\\"y\",\"b\":null,\"c\":9223372036854775807,\"d\":0,\"e\":null,\"f\":true,\"g\":false");
    assert_int_equal(w.error, 0);
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_a_failure_leaves_what_was_there_before),
        cmocka_unit_test(test_first_failure_stays),
        cmocka_unit_test(test_what_is_escaped_of_an_answer),
        cmocka_unit_test(test_decoded),
        cmocka_unit_test(test_what_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
