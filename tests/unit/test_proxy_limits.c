/* proxy/limits: who is counted, what passes when, what is told of it, and who makes room. */
#include "proxy/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct limits_who by_address(const char *text, int64_t requests, int64_t tokens)
{
    struct limits_who who = {.per_minute = {requests, tokens}};
    struct ip ip;
    assert_int_equal(ip_parse(text, strlen(text), &ip), 0);
    limits_address(&ip, &who.ip);
    return who;
}

static int passes(struct limits *l, const struct limits_who *who, int64_t now_ms)
{
    struct limits_verdict v;
    limits_enter(l, who, 1, now_ms, &v);
    return v.refused_by == LIMIT_KINDS;
}

static unsigned passed(struct limits *l, const struct limits_who *who, unsigned tries_n, int64_t now_ms)
{
    unsigned n = 0;
    for (unsigned i = 0; i < tries_n; i++)
        n += (unsigned)passes(l, who, now_ms);
    return n;
}

static void test_a_minutes_worth_at_once_and_then_evenly(void **state)
{
    (void)state;
    struct limits l;
    struct limits_who who = by_address("192.0.2.1", 6, 0);
    struct limits_verdict v;
    assert_int_equal(limits_init(&l, 0, 1), 0);
    assert_int_equal(passed(&l, &who, 20, 1000), 6);
    limits_enter(&l, &who, 1, 1000, &v);
    assert_int_equal(v.refused_by, LIMIT_REQUESTS);
    assert_int_equal(v.retry_ms, 10000);
    assert_int_equal(passed(&l, &who, 20, 10999), 0); /* one in 10 s */
    assert_int_equal(passed(&l, &who, 20, 11000), 1);
    assert_int_equal(passed(&l, &who, 20, 41000), 3);
    assert_int_equal(passed(&l, &who, 20, 10000000), 6);
    limits_fini(&l);
}

static void test_any_rate_passes_that_many_in_a_minute(void **state)
{
    (void)state;
    static const int64_t rates[] = {1, 7, 59, 61, 1000, 7777};
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        struct limits l;
        struct limits_who who = by_address("192.0.2.1", rates[i], 0);
        int64_t n = 0;
        assert_int_equal(limits_init(&l, 0, 1), 0);
        assert_int_equal(passed(&l, &who, 10000, 0), rates[i]);
        for (int64_t ms = 1; ms <= 60000; ms++)
            n += passes(&l, &who, ms);
        assert_int_equal(n, rates[i]);
        limits_fini(&l);
    }
}

static void test_tokens_are_taken_behind_and_may_be_owed(void **state)
{
    (void)state;
    struct limits l;
    struct limits_who who = by_address("192.0.2.1", 100, 600);
    struct limits_verdict v;
    assert_int_equal(limits_init(&l, 0, 1), 0);
    limits_enter(&l, &who, 1, 0, &v);
    assert_int_equal(v.refused_by, LIMIT_KINDS);
    assert_int_equal(v.left[LIMIT_TOKENS].remaining, 600);
    limits_take(&l, &who, 599, 0);
    assert_true(passes(&l, &who, 0)); /* one is left */
    limits_take(&l, &who, 1001, 0);   /* 1000 are owed: 100 s */
    limits_enter(&l, &who, 1, 0, &v);
    assert_int_equal(v.refused_by, LIMIT_TOKENS);
    assert_int_equal(v.retry_ms, 100001);
    assert_int_equal(limits_retry_s(&v), 101);
    assert_int_equal(v.left[LIMIT_TOKENS].remaining, 0);
    assert_int_equal(v.left[LIMIT_TOKENS].reset_ms, 160000);
    assert_int_equal(v.left[LIMIT_REQUESTS].remaining, 98); /* who is refused takes nothing */
    limits_enter(&l, &who, 0, 0, &v);                       /* one that has no tokens is not refused for them */
    assert_int_equal(v.refused_by, LIMIT_KINDS);
    assert_false(passes(&l, &who, 100000));
    assert_true(passes(&l, &who, 100001));
    limits_fini(&l);
}

static void test_of_two_limits_the_later_one_is_told(void **state)
{
    (void)state;
    struct limits l;
    struct limits_who who = by_address("192.0.2.1", 1, 60);
    struct limits_verdict v;
    assert_int_equal(limits_init(&l, 0, 1), 0);
    assert_true(passes(&l, &who, 0));
    limits_take(&l, &who, 70, 0);
    limits_enter(&l, &who, 1, 0, &v);
    assert_int_equal(v.refused_by, LIMIT_REQUESTS);
    assert_int_equal(v.retry_ms, 60000);
    limits_take(&l, &who, 70, 0);
    limits_enter(&l, &who, 1, 0, &v);
    assert_int_equal(v.refused_by, LIMIT_TOKENS);
    assert_int_equal(v.retry_ms, 80001);
    limits_fini(&l);
}

static void test_odd_numbers_and_clocks(void **state)
{
    (void)state;
    struct limits l;
    struct limits_who who = by_address("192.0.2.1", 1000000000, 1000000000);
    assert_int_equal(limits_init(&l, 0, 1), 0);
    assert_true(passes(&l, &who, 0));
    limits_take(&l, &who, -1, 0);
    limits_take(&l, &who, INT64_MAX, 0);
    limits_take(&l, &who, INT64_MAX, 0);
    assert_false(passes(&l, &who, 1));
    assert_true(passes(&l, &who, INT64_MAX / 2)); /* a gap fills one burst */
    limits_take(&l, &who, 1000000001, INT64_MAX / 2);
    assert_false(passes(&l, &who, 5)); /* a clock that goes back takes nothing away, and brings nothing */
    assert_true(passes(&l, &who, 6));
    limits_fini(&l);
}

static int are_one(const char *a, const char *b)
{
    struct limits l;
    struct limits_who first = by_address(a, 1, 0), second = by_address(b, 1, 0);
    assert_int_equal(limits_init(&l, 0, 1), 0);
    assert_true(passes(&l, &first, 0));
    int is_one = !passes(&l, &second, 0);
    limits_fini(&l);
    return is_one;
}

static void test_who_is_one(void **state)
{
    (void)state;
    assert_true(are_one("192.0.2.1", "::ffff:192.0.2.1"));
    assert_false(are_one("192.0.2.1", "192.0.2.2"));
    assert_true(are_one("2001:db8::1", "2001:db8::ffff:1"));
    assert_false(are_one("2001:db8::1", "2001:db8:0:1::1"));
    assert_true(are_one("127.0.0.1", "127.9.9.9")); /* anybody there has all of them */
    assert_true(are_one("127.0.0.1", "::1"));
    assert_false(are_one("127.0.0.1", "::ffff:128.0.0.1"));
}

static void test_keys_count_apart_from_addresses_and_from_each_other(void **state)
{
    (void)state;
    struct limits l;
    struct limits_who none = by_address("192.0.2.1", 1, 0), a = none, b = none;
    a.key = "a";
    b.key = "b";
    b.key_index = 1;
    assert_int_equal(limits_init(&l, 2, 1), 0);
    assert_int_equal(passed(&l, &a, 5, 0), 1);
    assert_int_equal(passed(&l, &b, 5, 0), 1);
    assert_int_equal(passed(&l, &none, 5, 0), 1);
    limits_fini(&l);
}

/* 20,000 other addresses come by, each once: who was busy is not forgotten. */
static void test_a_crowd_does_not_reset_who_is_busy(void **state)
{
    (void)state;
    struct limits l;
    struct limits_who busy = by_address("2001:db8::1", 60, 0);
    assert_int_equal(limits_init(&l, 0, 1), 0);
    assert_int_equal(passed(&l, &busy, 100, 0), 60);
    for (unsigned i = 0; i < 20000; i++) {
        char text[IP_TEXT_BYTES];
        snprintf(text, sizeof text, "2001:db8:1:%x::1", i);
        struct limits_who other = by_address(text, 60, 0);
        assert_true(passes(&l, &other, 10));
    }
    assert_int_equal(passed(&l, &busy, 100, 10), 0);
    assert_int_equal(passed(&l, &busy, 100, 1000), 1);
    limits_fini(&l);
}

static void told(int64_t requests, int64_t tokens, int64_t taken_n, const char *wanted)
{
    struct limits l;
    struct limits_who who = by_address("192.0.2.1", requests, tokens);
    struct limits_verdict v;
    struct buf out;
    buf_init(&out, 4096);
    assert_int_equal(limits_init(&l, 0, 1), 0);
    limits_take(&l, &who, taken_n, 0);
    limits_enter(&l, &who, 1, 0, &v);
    assert_int_equal(limits_lines(&v, &out), 0);
    assert_int_equal(buf_append(&out, "", 1), 0);
    assert_string_equal(buf_data(&out), wanted);
    buf_fini(&out);
    limits_fini(&l);
}

static void test_lines_of_the_head(void **state)
{
    (void)state;
    told(60, 0, 0, "x-ratelimit-limit-requests: 60\r\nx-ratelimit-remaining-requests: 59\r\nx-ratelimit-reset-requests: 1s\r\n");
    told(6000, 100, 10, "x-ratelimit-limit-requests: 6000\r\nx-ratelimit-remaining-requests: 5999\r\nx-ratelimit-reset-requests: 10ms\r\n"
                        "x-ratelimit-limit-tokens: 100\r\nx-ratelimit-remaining-tokens: 90\r\nx-ratelimit-reset-tokens: 6s\r\n");
    told(0, 100, 0, "x-ratelimit-limit-tokens: 100\r\nx-ratelimit-remaining-tokens: 100\r\nx-ratelimit-reset-tokens: 0s\r\n");
    told(0, 100, 600, "x-ratelimit-limit-tokens: 100\r\nx-ratelimit-remaining-tokens: 0\r\nx-ratelimit-reset-tokens: 6m0s\r\n");
    told(0, 1, 61, "x-ratelimit-limit-tokens: 1\r\nx-ratelimit-remaining-tokens: 0\r\nx-ratelimit-reset-tokens: 1h1m0s\r\n");
}

static void test_words(void **state)
{
    (void)state;
    char text[320];
    struct limits_who who = by_address("192.0.2.1", 60, 1000);
    struct limits_verdict v = {.refused_by = LIMIT_REQUESTS, .retry_ms = 1, .left = {{60, 0, 0}, {1000, 0, 0}}};
    limits_text(&who, &v, text, sizeof text);
    assert_string_equal(text, "without a key an address may have 60 requests a minute ([proxy] requests_per_minute): try again in 1 s");
    v.left[LIMIT_REQUESTS].limit = 1;
    limits_text(&who, &v, text, sizeof text);
    assert_string_equal(text, "without a key an address may have 1 request a minute ([proxy] requests_per_minute): try again in 1 s");
    who.key = "alice";
    v.refused_by = LIMIT_TOKENS;
    v.retry_ms = 1001;
    limits_text(&who, &v, text, sizeof text);
    assert_string_equal(text, "this key may have 1000 tokens a minute ([key:alice] tokens_per_minute): try again in 2 s");
}

/* limits_set: what others have taken as well. */
static void test_what_is_left_of_all_counts(void **state)
{
    struct limits l;
    struct limits_who who = by_address("192.0.2.1", 10, 100);
    int64_t parts[LIMIT_KINDS] = {2 * LIMITS_PARTS, -1};
    struct limits_verdict v;
    (void)state;
    assert_int_equal(limits_init(&l, 0, 1), 0);
    limits_set(&l, &who, parts, 1000);
    limits_enter(&l, &who, 0, 1000, &v);
    assert_int_equal(v.refused_by, LIMIT_KINDS);
    assert_int_equal(v.left[LIMIT_REQUESTS].remaining, 1);
    limits_enter(&l, &who, 1, 1000, &v);
    assert_int_equal(v.refused_by, LIMIT_TOKENS);
    parts[LIMIT_REQUESTS] = INT64_MAX; /* never more than there is */
    parts[LIMIT_TOKENS] = INT64_MIN;
    limits_set(&l, &who, parts, 1000);
    limits_enter(&l, &who, 0, 1000, &v);
    assert_int_equal(v.left[LIMIT_REQUESTS].remaining, 9);
    assert_int_equal(v.left[LIMIT_TOKENS].remaining, 0);
    limits_enter(&l, &who, 1, 1000, &v);
    assert_true(v.retry_ms > 0);
    limits_fini(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_minutes_worth_at_once_and_then_evenly),
        cmocka_unit_test(test_any_rate_passes_that_many_in_a_minute),
        cmocka_unit_test(test_tokens_are_taken_behind_and_may_be_owed),
        cmocka_unit_test(test_of_two_limits_the_later_one_is_told),
        cmocka_unit_test(test_odd_numbers_and_clocks),
        cmocka_unit_test(test_who_is_one),
        cmocka_unit_test(test_keys_count_apart_from_addresses_and_from_each_other),
        cmocka_unit_test(test_a_crowd_does_not_reset_who_is_busy),
        cmocka_unit_test(test_lines_of_the_head),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_what_is_left_of_all_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
