/* proxy/cooldowns: which loads are not tried for a while, and what ends that; time is injected. */
#include "proxy/cooldowns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct cooldowns c;
static struct load_options options;

static int setup(void **state)
{
    (void)state;
    cooldowns_init(&c, 300000);
    options = (struct load_options){.set = 0};
    return 0;
}

static const struct cooldown *strike(const char *model, int64_t now_ms)
{
    return cooldowns_failed(&c, model, &options, "no room", 0, now_ms);
}

static void fail_thrice(const char *model, int64_t now_ms)
{
    assert_null(strike(model, now_ms));
    assert_null(strike(model, now_ms));
    assert_non_null(strike(model, now_ms));
}

static void test_it_rests_behind_the_third_failure_in_a_row(void **state)
{
    (void)state;
    assert_null(strike("m", 1000));
    assert_null(strike("m", 2000));
    assert_null(cooldowns_look(&c, "m", &options, 2000));
    const struct cooldown *row = strike("m", 3000);
    assert_non_null(row);
    assert_int_equal(cooldown_until_ms(row), 13000);
    assert_ptr_equal(cooldowns_look(&c, "m", &options, 12999), row);
    assert_null(cooldowns_look(&c, "m", &options, 13000));
    assert_null(cooldowns_look(&c, "n", &options, 5000));
}

static void test_a_success_between_begins_the_count_anew(void **state)
{
    (void)state;
    strike("m", 0);
    strike("m", 0);
    assert_int_equal(cooldowns_loaded(&c, "m", &options), 0);
    assert_null(strike("m", 0));
    assert_null(strike("m", 0));
    assert_non_null(strike("m", 0));
}

static void test_pauses_grow_up_to_the_longest_and_a_success_ends_them(void **state)
{
    (void)state;
    static const int64_t lengths_ms[] = {10000, 30000, 90000, 270000, 300000, 300000};
    int64_t now_ms = 0;
    strike("m", 0);
    strike("m", 0);
    for (size_t i = 0; i < sizeof lengths_ms / sizeof *lengths_ms; i++) {
        const struct cooldown *row = strike("m", now_ms);
        assert_non_null(row);
        assert_int_equal(row->length_ms, lengths_ms[i]);
        now_ms = cooldown_until_ms(row);
        assert_null(cooldowns_look(&c, "m", &options, now_ms)); /* one try */
    }
    assert_int_equal(cooldowns_loaded(&c, "m", &options), 1);
    assert_int_equal(cooldowns_loaded(&c, "m", &options), 0);
    assert_null(strike("m", now_ms));
}

static void test_a_short_limit_and_none(void **state)
{
    (void)state;
    c.longest_ms = 2000;
    fail_thrice("m", 0);
    assert_int_equal(cooldown_until_ms(&c.rows[0]), 2000);
    assert_int_equal(strike("m", 2000)->length_ms, 2000);
    cooldowns_init(&c, 0);
    for (int i = 0; i < 10; i++)
        assert_null(strike("m", 0));
    assert_null(cooldowns_look(&c, "m", &options, 0));
}

static void test_other_options_and_names_of_one_model(void **state)
{
    (void)state;
    struct load_options smaller = {.set = 0};
    load_options_set(&options, LOAD_NUM_CTX, 100000);
    load_options_set(&smaller, LOAD_NUM_CTX, 2048);
    fail_thrice("m", 0);
    assert_null(cooldowns_look(&c, "m", &smaller, 1));
    assert_non_null(cooldowns_look(&c, "M:latest", &options, 1));
    assert_int_equal(cooldowns_loaded(&c, "m", &smaller), 0);
    assert_non_null(cooldowns_look(&c, "m", &options, 1));
}

static void test_a_change_ends_all_of_them(void **state)
{
    (void)state;
    fail_thrice("a", 0);
    fail_thrice("b", 0);
    strike("c", 0);
    assert_int_equal(cooldowns_forget(&c), 2);
    assert_null(cooldowns_look(&c, "a", &options, 1));
    assert_null(strike("c", 0));
    assert_int_equal(cooldowns_forget(&c), 0);
}

static void test_who_may_have_killed_the_backend_is_a_suspect_until_it_loads(void **state)
{
    (void)state;
    struct load_options other = {.set = 0};
    load_options_set(&other, LOAD_NUM_CTX, 9);
    strike("m", 0);
    assert_false(cooldowns_is_suspect(&c, "m"));
    assert_null(cooldowns_failed(&c, "m", &options, "gone", 1, 0));
    assert_true(cooldowns_is_suspect(&c, "m"));
    assert_true(cooldowns_is_suspect(&c, "library/m"));
    assert_false(cooldowns_is_suspect(&c, "n"));
    cooldowns_loaded(&c, "m", &other);
    assert_false(cooldowns_is_suspect(&c, "m"));
}

static void test_the_table_keeps_the_latest(void **state)
{
    (void)state;
    char name[16];
    for (int i = 0; i < COOLDOWNS_ROWS + 3; i++) {
        snprintf(name, sizeof name, "m%d", i);
        fail_thrice(name, i);
    }
    assert_null(cooldowns_look(&c, "m2", &options, 70));
    assert_non_null(cooldowns_look(&c, "m3", &options, 70));
    assert_non_null(cooldowns_look(&c, "m66", &options, 70));
}

static void test_what_is_told(void **state)
{
    (void)state;
    char text[COOLDOWNS_TEXT_BYTES];
    fail_thrice("m", 0);
    c.rows[0].length_ms = 252000;
    cooldown_text(&c.rows[0], 1, text);
    assert_string_equal(text, "model 'm' could not be loaded 3 times in a row: no room; it is tried again in 4 min 12 s");
    cooldown_text(&c.rows[0], 250500, text);
    assert_non_null(strstr(text, "; it is tried again in 2 s"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_it_rests_behind_the_third_failure_in_a_row, setup),
        cmocka_unit_test_setup(test_a_success_between_begins_the_count_anew, setup),
        cmocka_unit_test_setup(test_pauses_grow_up_to_the_longest_and_a_success_ends_them, setup),
        cmocka_unit_test_setup(test_a_short_limit_and_none, setup),
        cmocka_unit_test_setup(test_other_options_and_names_of_one_model, setup),
        cmocka_unit_test_setup(test_a_change_ends_all_of_them, setup),
        cmocka_unit_test_setup(test_who_may_have_killed_the_backend_is_a_suspect_until_it_loads, setup),
        cmocka_unit_test_setup(test_the_table_keeps_the_latest, setup),
        cmocka_unit_test_setup(test_what_is_told, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
