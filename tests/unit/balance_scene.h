/*
 * balance_scene: backends and those who ask for them, for the tests of proxy/balance.
 */
#ifndef TESTS_UNIT_BALANCE_SCENE_H
#define TESTS_UNIT_BALANCE_SCENE_H

#include "proxy/balance/balance.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ASKERS = 64, LIMIT = 100000, SECOND = 1000 };

static const struct balance_rules rules = {.ageing_ms = 15 * SECOND, .min_residency_ms = 10 * SECOND, .fair_max_ms = 600 * SECOND};

struct asker {
    struct balance_ticket ticket;
    struct balance_way ways[BALANCE_BACKENDS];
};

static struct balance *b;
static struct waiting waiting;
static struct asker askers[ASKERS];
static int64_t now_ms, again_ms;

static inline int begin(void **state)
{
    (void)state;
    waiting = (struct waiting){.limit_n = LIMIT};
    now_ms = 1000 * SECOND;
    memset(askers, 0, sizeof askers);
    return !(b = balance_new(&rules, &waiting));
}

static inline int end(void **state)
{
    (void)state;
    for (int i = 0; i < ASKERS; i++)
        balance_leave(b, &askers[i].ticket);
    int is_empty = balance_waiting_n(b) == 0 && waiting.now_n == 0;
    for (int i = 0; i < BALANCE_BACKENDS; i++)
        is_empty = is_empty && balance_used_n(b, i) == 0;
    balance_free(&b);
    return !is_empty || b != NULL;
}

/* So many backends with a slot each, all of the same weight. */
static inline void backends(int n)
{
    for (int i = 0; i < n; i++)
        balance_set_backend(b, i, 1, 1, 1);
}

/* It takes so long anywhere; 0 for a load. */
static inline struct balance_ticket *asker(int i, unsigned priority, uint64_t payer, int32_t run_ms)
{
    struct asker *a = &askers[i];
    a->ticket = (struct balance_ticket){.priority = priority, .payer = payer, .ways = a->ways, .context = a};
    for (int k = 0; k < BALANCE_BACKENDS; k++)
        a->ways[k] = (struct balance_way){.run_ms = run_ms};
    return &a->ticket;
}

static inline void enter(struct balance_ticket *t, const char *model)
{
    assert_int_equal(balance_enter(b, t, model, 0, now_ms), BALANCE_WAIT);
}

/* The number of who gets a slot now; -1: nobody. */
static inline int next(void)
{
    struct balance_ticket *t = balance_next(b, now_ms, &again_ms);
    return t ? (int)((struct asker *)t->context - askers) : -1;
}

static inline void leave(int i)
{
    balance_leave(b, &askers[i].ticket);
}

/* The one in the slot ends after so long; who is next. */
static inline int serve(int i, int64_t takes_ms)
{
    now_ms += takes_ms;
    leave(i);
    return next();
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, begin, end)

#endif
