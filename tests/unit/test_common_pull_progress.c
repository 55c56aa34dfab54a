/* common/pull_progress: figures from outside, signs of life, rate and time left. */
#include "common/pull_progress.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { STALL_MS = 60000 };

static void line(struct progress *p, const char *text, int64_t now_ms)
{
    progress_line(p, text, strlen(text), now_ms);
}

static void layer(struct progress *p, const char *digest, long long completed, long long total, int64_t now_ms)
{
    char text[256];
    snprintf(text, sizeof text, "{\"status\":\"pulling %s\",\"digest\":\"sha256:%s\",\"total\":%lld,\"completed\":%lld}",
             digest, digest, total, completed);
    line(p, text, now_ms);
}

static void test_layers_sum_up(void **state)
{
    (void)state;
    struct progress p;
    progress_init(&p);
    progress_begin(&p, 1000);
    assert_int_equal(progress_percent(&p), -1);
    line(&p, "{\"status\":\"pulling manifest\"}", 1000);
    line(&p, "{\"status\":\"pulling a\",\"digest\":\"sha256:a\",\"total\":100}", 1000);
    layer(&p, "a", 50, 100, 1060);
    layer(&p, "b", 0, 300, 1120);
    assert_int_equal(p.completed, 50);
    assert_int_equal(p.total, 400);
    assert_int_equal(progress_percent(&p), 12);
    assert_int_equal(p.grown, 50);
    layer(&p, "a", 100, 100, 1200);
    layer(&p, "b", 300, 300, 1200);
    assert_int_equal(progress_percent(&p), 100);
    line(&p, "{\"status\":\"verifying sha256 digest\"}", 1300);
    assert_int_equal(p.stage, PROGRESS_VERIFY);
    line(&p, "{\"status\":\"success\"}", 1400);
    assert_int_equal(p.stage, PROGRESS_SUCCESS);
}

static void test_lines_without_growth_are_no_sign_of_life(void **state)
{
    (void)state;
    struct progress p;
    progress_init(&p);
    progress_begin(&p, 0);
    layer(&p, "a", 10, 100, 5000);
    for (int64_t now_ms = 5000; now_ms < 60000; now_ms += 60)
        layer(&p, "a", 10, 100, now_ms);
    line(&p, "{\"status\":\"pulling manifest\"}", 60000);
    assert_int_equal(progress_stalls_at_ms(&p, STALL_MS), 65000);
    layer(&p, "a", 11, 100, 64000);
    assert_int_equal(progress_stalls_at_ms(&p, STALL_MS), 124000);
}

static void test_a_part_fetched_twice_is_no_progress(void **state)
{
    (void)state;
    struct progress p;
    progress_init(&p);
    progress_begin(&p, 0);
    layer(&p, "a", 0, 100, 0);
    layer(&p, "a", 50, 100, 1000);
    layer(&p, "a", 20, 100, 2000);
    assert_int_equal(p.completed, 20);
    layer(&p, "a", 50, 100, 3000);
    assert_int_equal(p.grown, 50);
    assert_int_equal(p.alive_at_ms, 1000);
    layer(&p, "a", 51, 100, 4000);
    assert_int_equal(p.grown, 51);
    assert_int_equal(p.alive_at_ms, 4000);
}

static void test_a_resumed_layer_counts_from_where_it_starts(void **state)
{
    (void)state;
    struct progress p;
    progress_init(&p);
    progress_begin(&p, 0);
    layer(&p, "a", 5000000, 10000000, 0);
    assert_int_equal(p.grown, 0);
    assert_false(progress_is_worth(&p));
    layer(&p, "a", 7000000, 10000000, 1000);
    assert_int_equal(p.grown, 2000000);
    assert_true(progress_is_worth(&p));
    progress_begin(&p, 2000);
    assert_false(progress_is_worth(&p));
    layer(&p, "a", 7000000, 10000000, 3000);
    assert_false(progress_is_worth(&p));
}

static void test_verifying_a_big_model_takes_longer(void **state)
{
    (void)state;
    struct progress p;
    progress_init(&p);
    progress_begin(&p, 0);
    layer(&p, "a", 40960000000, 40960000000, 100);
    line(&p, "{\"status\":\"verifying sha256 digest\"}", 200);
    assert_int_equal(progress_stalls_at_ms(&p, STALL_MS), 200 + STALL_MS + 10000000);
    line(&p, "{\"status\":\"writing manifest\"}", 300);
    assert_int_equal(progress_stalls_at_ms(&p, STALL_MS), 300 + STALL_MS);
}

static void test_absurd_numbers_are_cut(void **state)
{
    (void)state;
    static const char *const absurd[] = {"-5", "1e308", "-1e308", "0.5", "\"7\"", "null", "[]", "1e999", "true"};
    for (size_t i = 0; i < sizeof absurd / sizeof *absurd; i++) {
        for (size_t j = 0; j < sizeof absurd / sizeof *absurd; j++) {
            struct progress p;
            char text[256];
            progress_init(&p);
            progress_begin(&p, 0);
            snprintf(text, sizeof text, "{\"status\":\"s\",\"digest\":\"d\",\"total\":%s,\"completed\":%s}", absurd[i], absurd[j]);
            line(&p, text, 10);
            line(&p, text, 2000);
            int percent = progress_percent(&p);
            assert_true(percent >= -1 && percent <= 100);
            assert_true(progress_left_ms(&p, 3000) >= -1);
        }
    }
}

static void test_more_than_the_total_is_the_total(void **state)
{
    (void)state;
    struct progress p;
    progress_init(&p);
    progress_begin(&p, 0);
    layer(&p, "a", 500, 100, 0);
    assert_int_equal(progress_percent(&p), 100);
    assert_int_equal(p.completed, 100);
}

static void test_errors_are_cleaned(void **state)
{
    (void)state;
    struct progress p;
    progress_init(&p);
    progress_begin(&p, 0);
    line(&p, "{\"error\":\"write \\u001b[2Jx:\\nno space\\u0000 left\"}", 0);
    assert_string_equal(p.error, "write ?[2Jx: no space");
    line(&p, "{\"error\":\"\"}", 0);
    assert_true(p.error[0] != '\0');
}

static void test_garbage_is_counted_and_kept_short(void **state)
{
    (void)state;
    static const char *const garbage[] = {"<html>\033[31m", "[]", "17", "\"success\"", "null", "{", "{}", "{\"status\":1}", "\xff\xfe"};
    struct progress p;
    progress_init(&p);
    progress_begin(&p, 0);
    for (size_t i = 0; i < sizeof garbage / sizeof *garbage; i++)
        line(&p, garbage[i], 0);
    assert_int_equal(p.garbage_n, sizeof garbage / sizeof *garbage);
    assert_string_equal(p.garbage, "<html>?[31m");
    assert_int_equal(p.stage, PROGRESS_MANIFEST);
}

static void test_more_layers_than_places(void **state)
{
    (void)state;
    struct progress p;
    progress_init(&p);
    progress_begin(&p, 0);
    for (int i = 0; i < 3 * PROGRESS_LAYERS; i++) {
        char digest[16];
        snprintf(digest, sizeof digest, "%d", i);
        layer(&p, digest, 10, 10, i);
    }
    assert_int_equal(p.layers_n, PROGRESS_LAYERS);
    assert_int_equal(p.alive_at_ms, 3 * PROGRESS_LAYERS - 1);
    assert_true(progress_percent(&p) <= 100);
}

static void test_rate_and_time_left(void **state)
{
    (void)state;
    struct progress p;
    progress_init(&p);
    progress_begin(&p, 0);
    assert_int_equal(progress_rate(&p, 0), 0);
    assert_int_equal(progress_left_ms(&p, 0), -1);
    for (int64_t now_ms = 0; now_ms <= 20000; now_ms += 100)
        layer(&p, "a", 1000 + now_ms, 41000, now_ms);
    assert_int_equal(progress_rate(&p, 20000), 1000);
    assert_int_equal(progress_left_ms(&p, 20000), 20000);
    assert_true(progress_rate(&p, 40000) < 400); /* what stands still gets slower */
}

static void test_nested_json_does_no_harm(void **state)
{
    (void)state;
    struct progress p;
    char *deep = malloc(60001);
    assert_non_null(deep);
    memset(deep, '[', 60000);
    deep[60000] = '\0';
    progress_init(&p);
    progress_begin(&p, 0);
    line(&p, deep, 0);
    assert_int_equal(p.garbage_n, 1);
    free(deep);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layers_sum_up),
        cmocka_unit_test(test_lines_without_growth_are_no_sign_of_life),
        cmocka_unit_test(test_a_part_fetched_twice_is_no_progress),
        cmocka_unit_test(test_a_resumed_layer_counts_from_where_it_starts),
        cmocka_unit_test(test_verifying_a_big_model_takes_longer),
        cmocka_unit_test(test_absurd_numbers_are_cut),
        cmocka_unit_test(test_more_than_the_total_is_the_total),
        cmocka_unit_test(test_errors_are_cleaned),
        cmocka_unit_test(test_garbage_is_counted_and_kept_short),
        cmocka_unit_test(test_more_layers_than_places),
        cmocka_unit_test(test_rate_and_time_left),
        cmocka_unit_test(test_nested_json_does_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
