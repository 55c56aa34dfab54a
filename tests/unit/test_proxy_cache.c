/* proxy/cache: what is kept for how long, what goes first, and that it never takes more than it may. R4.9 */
#include "proxy/cache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { HOUR_MS = 3600000, MEGA = 1 << 20 };

static const struct cache_answer by_a = {
    .type = "application/json", .strategy = "C", .tokens_received_n = 7000, .tokens_saved_n = 5000,
    .models = {{"qwen3:4b", {1, 2, 3}}, {"qwen3:0.6b", {4, 5, 6}}}, .models_n = 2};

static const unsigned char *key_of(unsigned n)
{
    static const unsigned char secret[SIPHASH_BYTES];
    static unsigned char key[CACHE_KEY_BYTES];
    siphash(secret, &n, sizeof n, key);
    return key;
}

static void keep(struct cache *c, unsigned n, size_t bytes_n, int64_t now_ms)
{
    struct cache_draft d;
    char *bytes = malloc(bytes_n + 1);
    assert_non_null(bytes);
    memset(bytes, 'a' + (int)(n % 26), bytes_n);
    cache_draft_begin(&d, c);
    cache_draft_add(&d, bytes, bytes_n / 2);
    cache_draft_add(&d, bytes, bytes_n - bytes_n / 2);
    cache_keep(&d, key_of(n), &by_a, now_ms);
    assert_null(d.cache);
    free(bytes);
}

static int is_there(struct cache *c, unsigned n, int64_t now_ms)
{
    return cache_find(c, key_of(n), now_ms) != NULL;
}

static void test_what_was_kept_is_found_as_it_was(void **state)
{
    (void)state;
    struct cache c;
    cache_init(&c, MEGA, HOUR_MS);
    assert_null(cache_find(&c, key_of(1), 0));
    keep(&c, 1, 1000, 5000);
    struct cache_entry *e = cache_find(&c, key_of(1), 6000);
    assert_non_null(e);
    assert_int_equal(e->bytes_n, 1000);
    assert_int_equal(e->bytes[999], 'b');
    assert_int_equal(e->made_ms, 5000);
    assert_string_equal(e->answer.type, "application/json");
    assert_string_equal(e->answer.strategy, "C");
    assert_int_equal(e->answer.tokens_received_n, 7000);
    assert_int_equal(e->answer.models_n, 2);
    assert_string_equal(e->answer.models[1].name, "qwen3:0.6b");
    assert_memory_equal(e->answer.models[1].digest, by_a.models[1].digest, CACHE_DIGEST_BYTES);
    assert_ptr_not_equal(e->answer.models[1].name, by_a.models[1].name);
    assert_false(is_there(&c, 2, 6000));
    cache_fini(&c);
    assert_int_equal(c.bytes, 0);
}

static void test_an_old_answer_is_none(void **state)
{
    (void)state;
    struct cache c;
    cache_init(&c, MEGA, HOUR_MS);
    keep(&c, 1, 10, 1000);
    assert_true(is_there(&c, 1, 1000 + HOUR_MS - 1)); /* to be used makes it no younger */
    assert_false(is_there(&c, 1, 1000 + HOUR_MS));
    assert_int_equal(c.entries_n, 0);
    keep(&c, 2, 10, 0);
    keep(&c, 3, 10, HOUR_MS); /* the older ones go meanwhile */
    assert_int_equal(c.entries_n, 1);
    cache_fini(&c);
}

static void test_a_new_answer_takes_the_place_of_the_former(void **state)
{
    (void)state;
    struct cache c;
    cache_init(&c, MEGA, HOUR_MS);
    keep(&c, 1, 1000, 0);
    keep(&c, 1, 10, 1);
    assert_int_equal(c.entries_n, 1);
    assert_int_equal(cache_find(&c, key_of(1), 2)->bytes_n, 10);
    assert_true(c.bytes < 1000);
    cache_drop(cache_find(&c, key_of(1), 2));
    assert_false(is_there(&c, 1, 2));
    cache_fini(&c);
    assert_int_equal(c.bytes, 0);
}

static void test_what_was_not_used_for_the_longest_goes_first(void **state)
{
    (void)state;
    struct cache c;
    cache_init(&c, 10000, HOUR_MS);
    for (unsigned n = 0; n < 4; n++)
        keep(&c, n, 1800, n);
    assert_int_equal(c.entries_n, 4);
    assert_true(is_there(&c, 0, 10));
    keep(&c, 4, 1800, 20);
    assert_true(is_there(&c, 0, 30));
    assert_false(is_there(&c, 1, 30));
    assert_true(c.bytes <= c.limit_bytes);
    cache_fini(&c);
}

static void test_a_large_answer_is_not_kept_and_costs_nobody_his_place(void **state)
{
    (void)state;
    struct cache c;
    cache_init(&c, 10000, HOUR_MS);
    keep(&c, 1, 100, 0);
    keep(&c, 2, 2501, 0); /* more than a quarter */
    keep(&c, 3, 2500, 0); /* … with what stands beside it */
    keep(&c, 4, 1000000, 0);
    assert_false(is_there(&c, 2, 0));
    assert_false(is_there(&c, 3, 0));
    assert_false(is_there(&c, 4, 0));
    assert_true(is_there(&c, 1, 0));
    cache_fini(&c);
    cache_init(&c, 0, HOUR_MS);
    keep(&c, 1, 100, 0);
    keep(&c, 2, 0, 0);
    assert_int_equal(c.bytes, 0);
    cache_fini(&c);
}

static void test_there_are_so_many_at_most(void **state)
{
    (void)state;
    struct cache c;
    cache_init(&c, 64 * MEGA, HOUR_MS);
    for (unsigned n = 0; n < CACHE_ENTRIES + 10; n++)
        keep(&c, n, 1, 0);
    assert_int_equal(c.entries_n, CACHE_ENTRIES);
    assert_false(is_there(&c, 9, 0));
    for (unsigned n = 10; n < CACHE_ENTRIES + 10; n++)
        assert_true(is_there(&c, n, 0));
    cache_fini(&c);
    assert_int_equal(c.bytes, 0);
}

static void test_what_is_being_sent_stays_and_counts(void **state)
{
    (void)state;
    struct cache c;
    cache_init(&c, 10000, HOUR_MS);
    keep(&c, 1, 2000, 0);
    struct cache_entry *held = cache_find(&c, key_of(1), 0), *twice = held;
    cache_hold(held);
    cache_hold(twice);
    size_t held_bytes = c.bytes;
    for (unsigned n = 2; n < 20; n++)
        keep(&c, n, 2000, 0);
    assert_false(is_there(&c, 1, 0));
    assert_int_equal(held->bytes[1999], 'b');
    assert_true(c.bytes <= c.limit_bytes);
    size_t entries_n = c.entries_n;
    cache_release(&held);
    assert_null(held);
    cache_release(&held);
    assert_int_equal(twice->bytes[0], 'b');
    size_t before_bytes = c.bytes;
    cache_release(&twice);
    assert_int_equal(c.bytes, before_bytes - held_bytes);
    keep(&c, 30, 2000, 0);
    assert_int_equal(c.entries_n, entries_n + 1);
    cache_fini(&c);
    assert_int_equal(c.bytes, 0);
}

static void test_a_draft_that_is_dropped_leaves_nothing(void **state)
{
    (void)state;
    struct cache c;
    struct cache_draft d = {0};
    cache_init(&c, 10000, HOUR_MS);
    cache_draft_drop(&d);
    cache_draft_add(&d, "x", 1);
    cache_keep(&d, key_of(1), &by_a, 0);
    cache_draft_begin(&d, &c);
    cache_draft_add(&d, "abc", 3);
    assert_int_equal(c.bytes, 3);
    cache_draft_drop(&d);
    cache_draft_drop(&d);
    assert_int_equal(c.bytes, 0);
    cache_keep(&d, key_of(1), &by_a, 0);
    assert_false(is_there(&c, 1, 0));
    cache_fini(&c);
}

static void test_many_drafts_at_once_take_no_more_than_all_may(void **state)
{
    (void)state;
    static struct cache_draft drafts[20];
    char piece[1000] = "";
    struct cache c;
    cache_init(&c, 10000, HOUR_MS);
    keep(&c, 1, 1000, 0);
    for (unsigned i = 0; i < 20; i++)
        cache_draft_begin(&drafts[i], &c);
    for (unsigned k = 0; k < 2; k++) {
        for (unsigned i = 0; i < 20; i++) {
            cache_draft_add(&drafts[i], piece, sizeof piece);
            assert_true(c.bytes <= c.limit_bytes);
        }
    }
    for (unsigned i = 0; i < 20; i++)
        cache_keep(&drafts[i], key_of(100 + i), &by_a, 1);
    assert_true(c.entries_n > 0 && c.bytes <= c.limit_bytes);
    cache_fini(&c);
    assert_int_equal(c.bytes, 0);
}

/* Whatever comes: what is found is what was kept last, and what all take is what is counted. */
static void test_long_use_in_any_order(void **state)
{
    (void)state;
    enum { KEYS = 50 };
    static int64_t made_ms[KEYS];
    struct cache_entry *held[4] = {0};
    struct cache c;
    unsigned random = 1;
    cache_init(&c, 20000, 500);
    for (int64_t now_ms = 1; now_ms < 20000; now_ms++) {
        random = random * 1664525 + 1013904223;
        unsigned n = (random >> 8) % KEYS;
        struct cache_entry *e = cache_find(&c, key_of(n), now_ms);
        assert_true(!e || (e->made_ms == made_ms[n] && now_ms - e->made_ms < 500));
        if (e && (random & 3) == 0) {
            cache_release(&held[random >> 30]);
            cache_hold(held[random >> 30] = e);
        } else if (!e) {
            keep(&c, n, (random >> 16) % 4000, now_ms);
            made_ms[n] = now_ms;
        } else if ((random & 31) == 1) {
            cache_drop(e);
        }
        assert_true(c.bytes <= c.limit_bytes);
    }
    for (size_t i = 0; i < 4; i++)
        cache_release(&held[i]);
    cache_fini(&c);
    assert_int_equal(c.bytes, 0);
    assert_int_equal(c.entries_n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_kept_is_found_as_it_was),
        cmocka_unit_test(test_an_old_answer_is_none),
        cmocka_unit_test(test_a_new_answer_takes_the_place_of_the_former),
        cmocka_unit_test(test_what_was_not_used_for_the_longest_goes_first),
        cmocka_unit_test(test_a_large_answer_is_not_kept_and_costs_nobody_his_place),
        cmocka_unit_test(test_there_are_so_many_at_most),
        cmocka_unit_test(test_what_is_being_sent_stays_and_counts),
        cmocka_unit_test(test_a_draft_that_is_dropped_leaves_nothing),
        cmocka_unit_test(test_many_drafts_at_once_take_no_more_than_all_may),
        cmocka_unit_test(test_long_use_in_any_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
