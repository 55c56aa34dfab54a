/* proxy/workers: how many parts at once, by what was measured of a machine that is played here. */
#include "proxy/workers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { PART_CHARS = 12000 };

static struct workers_table table;
static int64_t now_ms;

static int begin(void **state)
{
    (void)state;
    table = (struct workers_table){0};
    now_ms = 1000;
    return 0;
}

/* So many jobs at once, each of which takes so long. */
static void run(size_t at_once_n, int64_t each_ms)
{
    struct workers_job jobs[2 * WORKERS_MOST];
    for (size_t i = 0; i < at_once_n; i++)
        workers_begin(&table, &jobs[i], "m", now_ms);
    assert_int_equal(workers_now(&table, "m"), at_once_n);
    now_ms += each_ms;
    for (size_t i = 0; i < at_once_n; i++)
        workers_end(&jobs[i], PART_CHARS, 0, now_ms);
    assert_int_equal(workers_now(&table, "m"), 0);
}

static size_t choose(size_t most_n)
{
    return workers_choose(&table, "m", most_n, now_ms);
}

/* A machine on which so many jobs at once take times[n] each: it is given what is chosen, until that stays. */
static size_t settle(const int64_t *times, size_t most_n)
{
    for (int i = 0; i < 40; i++)
        run(choose(most_n), times[choose(most_n)]);
    return choose(most_n);
}

static void test_of_what_is_not_known_the_most_are_tried(void **state)
{
    (void)state;
    assert_int_equal(choose(4), 4);
    assert_int_equal(workers_now(&table, "m"), 0);
}

static void test_where_each_more_helps_the_most_stay(void **state)
{
    (void)state;
    const int64_t times[] = {0, 1000, 1000, 1000, 1000};
    assert_int_equal(settle(times, 4), 4);
}

static void test_where_none_helps_it_is_one(void **state)
{
    (void)state;
    const int64_t times[] = {0, 1000, 2000, 3000, 4000};
    assert_int_equal(settle(times, 4), 1);
}

/* Throughputs of 1, 1.5, 1.9, 1.95 jobs a second. */
static void test_the_largest_that_brings_a_tenth_more_than_one_fewer(void **state)
{
    (void)state;
    const int64_t times[] = {0, 1000, 1333, 1579, 2051};
    assert_int_equal(settle(times, 4), 3);
}

static void test_a_tenth_is_the_border(void **state)
{
    (void)state;
    const int64_t enough[] = {0, 1101, 2000}, too_little[] = {0, 1099, 2000};
    assert_int_equal(settle(enough, 2), 2);
    begin(state);
    assert_int_equal(settle(too_little, 2), 1);
}

static void test_fewer_may_be_all_there_is_room_for(void **state)
{
    (void)state;
    const int64_t times[] = {0, 1000, 1000, 1000, 1000};
    settle(times, 4);
    assert_int_equal(choose(2), 2);
    assert_int_equal(choose(1), 1);
}

static void test_it_is_learnt_anew_behind_an_hour(void **state)
{
    (void)state;
    const int64_t alone[] = {0, 1000, 2000, 3000, 4000}, beside[] = {0, 1000, 1000, 1000, 1000};
    assert_int_equal(settle(alone, 4), 1);
    now_ms += WORKERS_KEPT_MS;
    assert_int_equal(choose(4), 4);
    assert_int_equal(settle(beside, 4), 4);
}

static void test_one_odd_measurement_changes_little(void **state)
{
    (void)state;
    const int64_t times[] = {0, 1000, 1000, 1000, 1000};
    run(3, 1000);
    settle(times, 4);
    run(4, 1500);
    assert_int_equal(choose(4), 4);
}

static void test_what_failed_says_nothing(void **state)
{
    (void)state;
    struct workers_job job;
    workers_begin(&table, &job, "m", now_ms);
    now_ms += 1000;
    workers_end(&job, 0, 0, now_ms);
    assert_int_equal(table.rows[0].levels[1].until_ms, 0);
    workers_end(&job, 10, 0, now_ms);
    assert_int_equal(workers_now(&table, "m"), 0);
}

static void test_what_a_job_has_waited_is_not_its_work(void **state)
{
    (void)state;
    struct workers_job job;
    workers_begin(&table, &job, "m", now_ms);
    now_ms += 10000;
    workers_end(&job, 1000, 9000, now_ms);
    assert_true(table.rows[0].levels[1].chars == 1000 && table.rows[0].levels[1].ms == 1000);
}

/* Beside another one for half of its time: it says neither what one alone does, nor what two do. */
static void test_a_job_of_mixed_company_says_nothing(void **state)
{
    (void)state;
    struct workers_job a, b;
    workers_begin(&table, &a, "m", now_ms);
    workers_begin(&table, &b, "m", now_ms);
    now_ms += 1000;
    workers_end(&b, PART_CHARS, 0, now_ms);
    now_ms += 1000;
    workers_end(&a, PART_CHARS, 0, now_ms);
    assert_int_equal(table.rows[0].levels[1].until_ms, 0);
    assert_true(table.rows[0].levels[2].until_ms > 0);
    assert_true(table.rows[0].levels[2].chars == PART_CHARS && table.rows[0].levels[2].ms == 1000);
}

/* A server whose jobs share its processor: so many at once are done at speeds[n] of one alone, together. Parts follow each other without
 * end, as many at once as are chosen. How many that are in the end. */
static size_t share_processor(const double *speeds, size_t most_n, int parts_n)
{
    struct workers_job jobs[WORKERS_MOST];
    double left[WORKERS_MOST], size[WORKERS_MOST];
    size_t now_n = 0;
    while (parts_n > 0) {
        while (now_n == 0 || now_n < choose(most_n)) {
            workers_begin(&table, &jobs[now_n], "m", now_ms);
            left[now_n] = size[now_n] = 1000 + (parts_n * 37) % 300; /* parts differ */
            now_n++;
        }
        double step = left[0];
        size_t done = 0;
        for (size_t i = 1; i < now_n; i++)
            if (left[i] < step)
                step = left[done = i];
        now_ms += (int64_t)(step * (double)now_n / speeds[now_n]);
        for (size_t i = 0; i < now_n; i++)
            left[i] -= step;
        workers_end(&jobs[done], (uint64_t)size[done], 0, now_ms);
        now_n--;
        if (done < now_n) {
            jobs[done] = jobs[now_n];
            left[done] = left[now_n];
            size[done] = size[now_n];
        }
        parts_n--;
    }
    for (size_t i = 0; i < now_n; i++)
        workers_end(&jobs[i], 0, 0, now_ms);
    return choose(most_n);
}

static void test_a_processor_that_is_shared(void **state)
{
    const double none[] = {0, 1, 1, 1, 1}, all[] = {0, 1, 2, 3, 4}, some[] = {0, 1, 1.7, 2, 2.05};
    assert_int_equal(share_processor(none, 4, 300), 1);
    begin(state);
    assert_int_equal(share_processor(all, 4, 300), 4);
    begin(state);
    assert_in_range(share_processor(some, 4, 300), 2, 3);
}

/* One that takes them one after the other, as where Ollama has fewer places than it is thought to have. */
static void test_a_server_with_one_place(void **state)
{
    (void)state;
    struct workers_job jobs[WORKERS_MOST];
    size_t now_n = 0;
    for (int i = 0; i < 100; i++) {
        while (now_n == 0 || now_n < choose(4))
            workers_begin(&table, &jobs[now_n++], "m", now_ms);
        now_ms += 1000;
        workers_end(&jobs[0], PART_CHARS, 0, now_ms);
        memmove(jobs, jobs + 1, --now_n * sizeof *jobs);
    }
    assert_int_equal(choose(4), 1);
}

static void test_more_than_are_measured_do_no_harm(void **state)
{
    (void)state;
    run(WORKERS_MOST + 5, 1000);
    for (size_t i = 0; i <= WORKERS_MOST; i++)
        assert_int_equal(table.rows[0].levels[i].until_ms, 0);
}

static void test_each_model_has_its_own_and_the_oldest_goes(void **state)
{
    (void)state;
    struct workers_job jobs[WORKERS_MODELS], extra;
    char name[16];
    for (int i = 0; i < WORKERS_MODELS; i++) {
        snprintf(name, sizeof name, "m%d", i);
        workers_begin(&table, &jobs[i], name, now_ms);
    }
    workers_begin(&table, &extra, "one:more", now_ms);
    assert_null(extra.row);
    workers_end(&extra, 1, 0, now_ms + 1);
    workers_end(&jobs[3], 1, 0, now_ms + 1);
    workers_begin(&table, &extra, "one:more", now_ms + 1);
    assert_int_equal(workers_now(&table, "one:more"), 1);
    assert_int_equal(workers_now(&table, "M0:latest"), 1); /* as Ollama compares names */
    assert_int_equal(workers_now(&table, "m3"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_of_what_is_not_known_the_most_are_tried, begin),
        cmocka_unit_test_setup(test_where_each_more_helps_the_most_stay, begin),
        cmocka_unit_test_setup(test_where_none_helps_it_is_one, begin),
        cmocka_unit_test_setup(test_the_largest_that_brings_a_tenth_more_than_one_fewer, begin),
        cmocka_unit_test_setup(test_a_tenth_is_the_border, begin),
        cmocka_unit_test_setup(test_fewer_may_be_all_there_is_room_for, begin),
        cmocka_unit_test_setup(test_it_is_learnt_anew_behind_an_hour, begin),
        cmocka_unit_test_setup(test_one_odd_measurement_changes_little, begin),
        cmocka_unit_test_setup(test_what_failed_says_nothing, begin),
        cmocka_unit_test_setup(test_what_a_job_has_waited_is_not_its_work, begin),
        cmocka_unit_test_setup(test_a_job_of_mixed_company_says_nothing, begin),
        cmocka_unit_test_setup(test_a_processor_that_is_shared, begin),
        cmocka_unit_test_setup(test_a_server_with_one_place, begin),
        cmocka_unit_test_setup(test_more_than_are_measured_do_no_harm, begin),
        cmocka_unit_test_setup(test_each_model_has_its_own_and_the_oldest_goes, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
