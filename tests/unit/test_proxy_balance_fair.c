/* proxy/balance/fair: tags, and what payers owe. */
#include "proxy/balance/fair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SECOND = 1000, NOW = 1000 * SECOND, CROWD = 20000, STEPS = 20000, PAYERS = 5, HELD = 40 };

static const struct balance_rules rules = {.ageing_ms = 15 * SECOND, .fair_max_ms = 600 * SECOND};
static struct fair f;

static int begin(void **state)
{
    (void)state;
    memset(&f, 0, sizeof f);
    return 0;
}

/* How far it stands behind one that comes at that moment from nobody. */
static int64_t behind_ms(uint64_t payer, unsigned priority)
{
    return fair_tag_ms(&f, &rules, payer, priority, NOW) - fair_tag_ms(&f, &rules, 0, priority, NOW);
}

static void test_a_class_lower_is_an_ageing_later(void **state)
{
    (void)state;
    for (unsigned p = 0; p < BALANCE_PRIORITIES; p++)
        assert_int_equal(fair_tag_ms(&f, &rules, 7, p, NOW), NOW + (9 - p) * rules.ageing_ms);
}

static void test_a_payer_stands_behind_what_he_has_there(void **state)
{
    (void)state;
    fair_owe(&f, 7, 5, 2 * SECOND);
    fair_owe(&f, 7, 5, 3 * SECOND);
    assert_int_equal(behind_ms(7, 5), 5 * SECOND);
    assert_int_equal(behind_ms(8, 5), 0);
}

static void test_what_is_over_is_not_counted(void **state)
{
    (void)state;
    fair_owe(&f, 7, 5, 30 * SECOND);
    fair_owe(&f, 7, 5, 2 * SECOND);
    fair_settle(&f, 7, 5, 30 * SECOND);
    assert_int_equal(behind_ms(7, 5), 2 * SECOND);
    fair_settle(&f, 7, 5, 2 * SECOND);
    assert_int_equal(behind_ms(7, 5), 0);
}

static void test_his_lower_class_stands_behind_his_higher_and_not_the_other_way_round(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++)
        fair_owe(&f, 7, 5, 20 * SECOND);
    assert_int_equal(behind_ms(7, 6), 0);
    assert_int_equal(behind_ms(7, 3), 200 * SECOND);
    assert_true(fair_tag_ms(&f, &rules, 7, 5, NOW) < fair_tag_ms(&f, &rules, 7, 4, NOW));
}

/* With a model of which nothing is known the first of a payer is the next to last as little as his tenth. */
static void test_guesses_turn_no_classes_round(void **state)
{
    (void)state;
    int64_t low_ms = fair_tag_ms(&f, &rules, 8, 4, NOW);
    for (int i = 0; i < FAIR_GUESSES; i++) {
        assert_true(fair_tag_ms(&f, &rules, 7, 5, NOW) < low_ms);
        fair_owe(&f, 7, 5, fair_cost_ms(&rules, 30 * SECOND, 1));
    }
    assert_int_equal(fair_cost_ms(&rules, 30 * SECOND, 0), 30 * SECOND);
    assert_int_equal(fair_cost_ms(&rules, 100, 1), 100);
}

static void test_a_flood_is_behind_by_fair_max_at_the_most(void **state)
{
    (void)state;
    fair_owe(&f, 7, 5, 3600 * SECOND);
    assert_int_equal(behind_ms(7, 5), rules.fair_max_ms);
}

/* More payers than anybody remembers: who owes most is not forgotten for them. */
static void test_a_flood_is_not_forgotten_for_a_crowd(void **state)
{
    (void)state;
    fair_owe(&f, 7, 5, 300 * SECOND);
    for (uint64_t payer = 100; payer < CROWD; payer++)
        fair_owe(&f, payer, 5, SECOND);
    assert_int_equal(behind_ms(7, 5), 300 * SECOND);
    for (uint64_t payer = 100; payer < CROWD; payer++)
        fair_settle(&f, payer, 5, SECOND);
    fair_settle(&f, 7, 5, 300 * SECOND);
    static const struct fair_row none[FAIR_WAYS];
    for (size_t i = 0; i < FAIR_SETS; i++)
        for (size_t k = 0; k < FAIR_WAYS; k++)
            assert_true(f.rows[i][k].payer == none[k].payer && f.rows[i][k].sum_ms == 0);
}

/* Whatever comes and goes, he stands behind what is there: as a sum over all of it says. */
static void test_owed_is_what_is_there(void **state)
{
    (void)state;
    struct { uint64_t payer; unsigned priority; int64_t cost_ms; } held[HELD] = {{0}};
    uint32_t chance = 1;
    for (int step = 0; step < STEPS; step++) {
        chance = chance * 1664525 + 1013904223;
        size_t at = (chance >> 8) % HELD;
        if (held[at].payer)
            fair_settle(&f, held[at].payer, held[at].priority, held[at].cost_ms);
        held[at].payer = held[at].payer ? 0 : 1 + (chance >> 14) % PAYERS;
        held[at].priority = (chance >> 18) % BALANCE_PRIORITIES;
        held[at].cost_ms = chance >> 20;
        if (held[at].payer)
            fair_owe(&f, held[at].payer, held[at].priority, held[at].cost_ms);
        unsigned priority = (chance >> 24) % BALANCE_PRIORITIES;
        int64_t owed_ms = 0;
        for (size_t i = 0; i < HELD; i++)
            owed_ms += held[i].payer == 1 && held[i].priority >= priority ? held[i].cost_ms : 0;
        assert_int_equal(behind_ms(1, priority), owed_ms);
    }
}

#define TEST(t) cmocka_unit_test_setup(t, begin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_class_lower_is_an_ageing_later), TEST(test_a_payer_stands_behind_what_he_has_there), TEST(test_what_is_over_is_not_counted),
        TEST(test_his_lower_class_stands_behind_his_higher_and_not_the_other_way_round), TEST(test_guesses_turn_no_classes_round),
        TEST(test_a_flood_is_behind_by_fair_max_at_the_most), TEST(test_a_flood_is_not_forgotten_for_a_crowd), TEST(test_owed_is_what_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
