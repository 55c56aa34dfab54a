/* proxy/balance: how long requests wait, beside other ways to distribute them: what bench/balance prints, over a few traces that are always the same. */
#include "bench/balance/figures.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { TRACES = 8, REQUESTS = 1500 };

static void assert_reached(enum figures_fleet fleet)
{
    struct figures f;
    for (int a = TRACE_POISSON; a <= TRACE_BURSTS; a++)
        for (int l = 0; l < FIGURES_LOADS; l++) {
            figures_make(&f, fleet, (enum trace_arrivals)a, figures_loads[l], TRACES, REQUESTS);
            double most = figures_most_of_least(fleet, (enum trace_arrivals)a, figures_loads[l]);
            if (f.of_least.mean > most || f.of_told.mean > figures_most_of_told())
                fail_msg("%s, arrivals %d, load %.1f: %.2f of least-conn's, %.2f at most; %.2f of told's", figures_fleets[fleet].name, a, figures_loads[l], f.of_least.mean, most, f.of_told.mean);
            assert_true(f.means[POLICY_OURS].wait_p95 > 0 && f.means[POLICY_OURS].whole_p50 > f.means[POLICY_OURS].wait_p50);
        }
}

static void test_of_equal_backends(void **state)
{
    (void)state;
    assert_reached(FLEET_EQUAL);
}

static void test_of_backends_of_mixed_speeds(void **state)
{
    (void)state;
    assert_reached(FLEET_MIXED);
}

static void test_where_one_slows_down(void **state)
{
    (void)state;
    assert_reached(FLEET_SLOWS_DOWN);
}

static void test_where_two_models_share_backends(void **state)
{
    (void)state;
    assert_reached(FLEET_TWO_MODELS);
}

/* What an answer takes as a whole: here a free one that is slow loses against a busy one that is fast. */
static void test_answers_are_complete_earlier_too(void **state)
{
    (void)state;
    struct figures f;
    figures_make(&f, FLEET_MIXED, TRACE_POISSON, 0.5, TRACES, REQUESTS);
    assert_true(f.whole_of_least.mean < 0.7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_of_equal_backends),
        cmocka_unit_test(test_of_backends_of_mixed_speeds),
        cmocka_unit_test(test_where_one_slows_down),
        cmocka_unit_test(test_where_two_models_share_backends),
        cmocka_unit_test(test_answers_are_complete_earlier_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
