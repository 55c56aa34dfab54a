/* proxy/observe: histograms, the series of the last ten minutes, what ended last, and the list of what is under way. */
#include "proxy/observe/histogram.h"
#include "proxy/observe/live.h"
#include "proxy/observe/recent.h"
#include "proxy/observe/series.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { NOW_MS = 50000000 }; /* the beginning of a step */

static void test_a_bound_belongs_to_its_bucket(void **state)
{
    (void)state;
    struct histogram h = {.n = 0};
    const struct histogram_bounds *by = &histogram_waits;
    histogram_add(&h, by, -1); /* not known: it is not counted */
    assert_int_equal(h.n, 0);
    histogram_add(&h, by, 0);
    histogram_add(&h, by, 50);
    histogram_add(&h, by, 51);
    histogram_add(&h, by, 600000);
    histogram_add(&h, by, 600001);
    assert_int_equal(h.counts[0], 2);
    assert_int_equal(h.counts[1], 1);
    assert_int_equal(h.counts[12], 1);
    assert_int_equal(h.counts[13], 1);
    assert_int_equal(h.n, 5);
    assert_int_equal(h.sum, 1200102);
}

static void test_bounds_rise(void **state)
{
    static const struct histogram_bounds *const all[] = {&histogram_waits, &histogram_tokens};
    (void)state;
    for (size_t i = 0; i < 2; i++)
        for (size_t b = 1; b < all[i]->bounds_n; b++)
            assert_true(all[i]->bounds[b - 1] < all[i]->bounds[b]);
}

static void test_a_series_begins_with_nothing(void **state)
{
    (void)state;
    struct series s = {.number = 0};
    series_init(&s, NOW_MS);
    for (size_t i = 0; i < SERIES_STEPS; i++)
        assert_int_equal(series_at(&s, i)->requests_n, 0);
    series_now(&s, NOW_MS + 4999)->requests_n++;
    assert_int_equal(series_at(&s, SERIES_STEPS - 1)->requests_n, 1);
}

static void test_steps_that_passed_had_what_was_under_way(void **state)
{
    (void)state;
    struct series s = {.number = 0};
    series_init(&s, NOW_MS);
    series_in_flight(&s, NOW_MS, 3);
    series_in_flight(&s, NOW_MS, 2); /* the most in a step counts */
    series_held(&s, NOW_MS, 1);
    series_held(&s, NOW_MS + 3 * SERIES_STEP_MS, 0);
    series_now(&s, NOW_MS + 5 * SERIES_STEP_MS);
    static const unsigned in_flight[] = {3, 2, 2, 2, 2, 2}, held[] = {1, 1, 1, 1, 0, 0};
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(series_at(&s, SERIES_STEPS - 6 + i)->in_flight_max_n, in_flight[i]);
        assert_int_equal(series_at(&s, SERIES_STEPS - 6 + i)->held_max_n, held[i]);
    }
}

static void test_what_is_long_ago_is_forgotten(void **state)
{
    (void)state;
    struct series s = {.number = 0};
    series_init(&s, NOW_MS);
    series_now(&s, NOW_MS)->requests_n = 7;
    series_now(&s, NOW_MS + (SERIES_STEPS - 1) * SERIES_STEP_MS);
    assert_int_equal(series_at(&s, 0)->requests_n, 7);
    series_now(&s, NOW_MS + SERIES_STEPS * SERIES_STEP_MS);
    assert_int_equal(series_at(&s, 0)->requests_n, 0);
    series_now(&s, NOW_MS)->errors_n = 1; /* a clock that is behind: it is the latest step's */
    assert_int_equal(series_at(&s, SERIES_STEPS - 1)->errors_n, 1);
    series_now(&s, NOW_MS + (int64_t)1000 * SERIES_STEPS * SERIES_STEP_MS);
    for (size_t i = 0; i < SERIES_STEPS; i++)
        assert_int_equal(series_at(&s, i)->errors_n, 0);
}

static double sum_of(const struct series *s)
{
    double all = 0;
    for (size_t i = 0; i < SERIES_STEPS; i++)
        all += series_at(s, i)->tokens;
    return all;
}

static int is_near(double a, double b)
{
    return a - b < 1e-6 && b - a < 1e-6;
}

static void test_tokens_are_spread_over_the_time_in_which_they_came(void **state)
{
    (void)state;
    struct series s = {.number = 0};
    int64_t now_ms = NOW_MS + 10 * SERIES_STEP_MS;
    series_init(&s, NOW_MS);
    series_tokens(&s, now_ms, now_ms - 12500, now_ms, 250); /* 20 a second */
    assert_true(is_near(series_at(&s, SERIES_STEPS - 1)->tokens, 0));
    assert_true(is_near(series_at(&s, SERIES_STEPS - 2)->tokens, 100));
    assert_true(is_near(series_at(&s, SERIES_STEPS - 3)->tokens, 100));
    assert_true(is_near(series_at(&s, SERIES_STEPS - 4)->tokens, 50));
    series_tokens(&s, now_ms, now_ms, now_ms, 5); /* all at once */
    assert_true(is_near(series_at(&s, SERIES_STEPS - 1)->tokens, 5));
    assert_true(is_near(sum_of(&s), 255));
    series_tokens(&s, now_ms, now_ms - 2 * SERIES_STEPS * SERIES_STEP_MS, now_ms, 2400); /* what is older than all steps is nobody's */
    assert_true(is_near(sum_of(&s), 255 + 1190));
}

static void end_one(struct recent *r, int nth, const char *path, const char *error)
{
    char id[32];
    snprintf(id, sizeof id, "id-%d", nth);
    const char *texts[ENDED_TEXT_COUNT] = {[ENDED_ID] = id, [ENDED_PATH] = path, [ENDED_ERROR] = error};
    recent_end(r, &(struct ended){.at_ms = nth, .status = 200}, texts);
}

static void test_the_last_requests_are_remembered(void **state)
{
    (void)state;
    struct recent r = {.ended_n = 0};
    for (int i = 0; i < RECENT_ENDED_MAX + 3; i++)
        end_one(&r, i, "/api/chat", NULL);
    assert_string_equal(ended_text(recent_ended(&r, 0), ENDED_ID), "id-66");
    assert_string_equal(ended_text(recent_ended(&r, RECENT_ENDED_MAX - 1), ENDED_ID), "id-3");
    assert_null(recent_ended(&r, RECENT_ENDED_MAX));
    assert_string_equal(ended_text(recent_ended(&r, 0), ENDED_ERROR), "");
}

static void test_texts_are_cut_between_characters(void **state)
{
    (void)state;
    char path[1000], error[1000];
    struct recent r = {.ended_n = 0};
    memset(path, 'p', sizeof path);
    path[sizeof path - 1] = '\0';
    for (size_t i = 0; i + 2 < sizeof error; i += 2)
        memcpy(error + i, "\xc3\xa4", 2);
    error[sizeof error - 2] = '\0';
    end_one(&r, 1, path, error);
    const struct ended *e = recent_ended(&r, 0);
    size_t n = strlen(ended_text(e, ENDED_ERROR));
    assert_int_equal(strlen(ended_text(e, ENDED_PATH)), RECENT_TEXT_BYTES - 1);
    assert_true(n > 100 && n % 2 == 0);
    assert_memory_equal(ended_text(e, ENDED_ERROR), error, n);
    assert_true(e->at[ENDED_ERROR] + n < RECENT_TEXTS_BYTES);
}

static void test_the_same_words_are_one_error(void **state)
{
    (void)state;
    struct recent r = {.ended_n = 0};
    char what[32];
    for (int i = 0; i < RECENT_ERRORS_MAX; i++) {
        snprintf(what, sizeof what, "error %d", i);
        recent_error(&r, ERROR_OF_REQUEST, i, what, NULL, "");
    }
    recent_error(&r, ERROR_OF_REQUEST, 100, "error 5", "do that", "x");
    assert_int_equal(r.errors_n, RECENT_ERRORS_MAX);
    assert_string_equal(r.errors[0].what, "error 5");
    assert_int_equal(r.errors[0].times_n, 2);
    assert_int_equal(r.errors[0].at_ms, 100);
    assert_string_equal(r.errors[0].what_to_do, "do that");
    assert_string_equal(r.errors[1].what, "error 31");
    recent_error(&r, ERROR_OF_PROGRAM, 101, "error 5", NULL, ""); /* another's */
    assert_int_equal(r.errors[0].times_n, 1);
    assert_string_equal(r.errors[1].what, "error 5");
    assert_int_equal(r.errors_n, RECENT_ERRORS_MAX);
    assert_string_equal(r.errors[RECENT_ERRORS_MAX - 1].what, "error 1"); /* error 0 is forgotten */
}

static void test_who_is_under_way_comes_and_goes(void **state)
{
    struct live_list l = {.n = 0};
    struct live a = {.next = NULL}, b = a, c = a;
    struct exchange *any = (struct exchange *)&l;
    (void)state;
    live_leave(&l, &a); /* harmless */
    live_enter(&l, &a, any);
    live_enter(&l, &b, any);
    live_enter(&l, &c, any);
    assert_ptr_equal(l.first, &a);
    assert_ptr_equal(l.last, &c);
    live_leave(&l, &b);
    live_leave(&l, &b);
    assert_int_equal(l.n, 2);
    assert_ptr_equal(a.next, &c);
    assert_ptr_equal(c.previous, &a);
    live_leave(&l, &a);
    live_leave(&l, &c);
    assert_int_equal(l.n, 0);
    assert_null(l.first);
    assert_null(l.last);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_bound_belongs_to_its_bucket),
        cmocka_unit_test(test_bounds_rise),
        cmocka_unit_test(test_a_series_begins_with_nothing),
        cmocka_unit_test(test_steps_that_passed_had_what_was_under_way),
        cmocka_unit_test(test_what_is_long_ago_is_forgotten),
        cmocka_unit_test(test_tokens_are_spread_over_the_time_in_which_they_came),
        cmocka_unit_test(test_the_last_requests_are_remembered),
        cmocka_unit_test(test_texts_are_cut_between_characters),
        cmocka_unit_test(test_the_same_words_are_one_error),
        cmocka_unit_test(test_who_is_under_way_comes_and_goes),
    };
    return cmocka_run_group_tests_name("proxy/observe/parts", tests, NULL, NULL);
}
