/* proxy/optimizer_stats: each request counts for its strategy and for all, and the mean is of whole answers alone. (R4.7) */
#include "proxy/optimizer_stats.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct optimizer_stats with_three(void)
{
    struct optimizer_stats s;
    optimizer_stats_init(&s);
    optimizer_stats_add_strategy(&s, "A");
    optimizer_stats_add_strategy(&s, "B");
    optimizer_stats_add_strategy(&s, "C");
    return s;
}

static void assert_mean(const struct optimizer_strategy_stats *s, double mean_s)
{
    assert_true(optimizer_stats_mean_s(s) == mean_s);
}

static void test_it_begins_with_zeros(void **state)
{
    (void)state;
    struct optimizer_stats s = with_three();
    assert_int_equal(s.strategies_n, 3);
    assert_string_equal(s.all.name, "all");
    assert_string_equal(s.strategies[2].name, "C");
    assert_mean(&s.all, 0.0);
    assert_mean(&s.strategies[0], 0.0);
    for (size_t i = 0; i < OPTIMIZER_COUNTER_COUNT; i++)
        assert_int_equal(s.counters[i], 0);
}

static void test_a_request_counts_for_its_strategy_and_for_all(void **state)
{
    (void)state;
    struct optimizer_stats s = with_three();
    optimizer_count_request(&s, "B", OPTIMIZER_ANSWERED, 1500);
    optimizer_count_request(&s, "B", OPTIMIZER_FAILED, 10);
    optimizer_count_request(&s, "C", OPTIMIZER_LEFT, 700);
    optimizer_count_request(&s, NULL, OPTIMIZER_FAILED, 0);
    optimizer_count_request(&s, "D", OPTIMIZER_ANSWERED, 500);
    assert_int_equal(s.all.requests_n, 5);
    assert_int_equal(s.all.errors_n, 2);
    assert_int_equal(s.strategies[0].requests_n, 0);
    assert_int_equal(s.strategies[1].requests_n, 2);
    assert_int_equal(s.strategies[1].errors_n, 1);
    assert_int_equal(s.strategies[2].requests_n, 1);
    assert_int_equal(s.strategies[2].errors_n, 0);
}

static void test_the_mean_is_of_whole_answers(void **state)
{
    (void)state;
    struct optimizer_stats s = with_three();
    optimizer_count_request(&s, "A", OPTIMIZER_ANSWERED, 1000);
    optimizer_count_request(&s, "A", OPTIMIZER_ANSWERED, 2000);
    optimizer_count_request(&s, "A", OPTIMIZER_FAILED, 1); /* a refusal is fast, and says nothing of the others */
    optimizer_count_request(&s, "A", OPTIMIZER_LEFT, 90000);
    optimizer_count_request(&s, "C", OPTIMIZER_ANSWERED, -5);
    assert_mean(&s.strategies[0], 1.5);
    assert_mean(&s.strategies[2], 0.0);
    assert_mean(&s.all, 1.0);
}

static void test_what_is_only_counted(void **state)
{
    (void)state;
    struct optimizer_stats s = with_three();
    optimizer_count_add(&s, OPTIMIZER_TOKENS_SAVED, 1200);
    optimizer_count_add(&s, OPTIMIZER_TOKENS_SAVED, 34);
    optimizer_count_add(&s, OPTIMIZER_TOOL_CALLS, 0);
    assert_int_equal(s.counters[OPTIMIZER_TOKENS_SAVED], 1234);
    assert_int_equal(s.counters[OPTIMIZER_TOOL_CALLS], 0);
}

static void test_no_more_strategies_than_there_is_room_for(void **state)
{
    (void)state;
    struct optimizer_stats s = with_three();
    for (int i = 0; i < 2 * OPTIMIZER_STATS_STRATEGIES_MAX; i++)
        optimizer_stats_add_strategy(&s, "more");
    assert_int_equal(s.strategies_n, OPTIMIZER_STATS_STRATEGIES_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_begins_with_zeros),
        cmocka_unit_test(test_a_request_counts_for_its_strategy_and_for_all),
        cmocka_unit_test(test_the_mean_is_of_whole_answers),
        cmocka_unit_test(test_what_is_only_counted),
        cmocka_unit_test(test_no_more_strategies_than_there_is_room_for),
    };
    return cmocka_run_group_tests_name("proxy/optimizer_stats", tests, NULL, NULL);
}
