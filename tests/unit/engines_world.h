/*
 * engines_world: a supervisor that is played, those who want models, and between them the engines of proxy/serve/engines.h.
 */
#ifndef TESTS_UNIT_ENGINES_WORLD_H
#define TESTS_UNIT_ENGINES_WORLD_H

#include "proxy/serve/engines.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS = 9, WANTERS = 40, MODELS = 5, COOLDOWN_MS = 300000, IDLE_MS = 600000, GOOD = 0, BAD = 1 };

struct wanter {
    struct engines_lease lease;
    const char *model;
    enum engines_verdict verdict;
    int is_busy, answers_n;
};

/* A supervisor that does as it is told when the test says so. */
static struct engines_row rows[ROWS];
static char row_models[ROWS][32];
static uint32_t number;
static struct engines e;
static struct wanter wanters[WANTERS];
static int64_t now_ms, next_ms;
static int starts_n, stops_n, loads_n, rests_n;
static int is_deaf; /* the errno of each start; 0: it is begun */
static int is_unlisted; /* no way is known */
static const char *refused; /* why no engine can be tried; NULL: they can */
static char last_start[64], last_stop[64];

static struct engines_row *row_of(const char *model)
{
    struct engines_row *found = NULL; /* the latest */
    for (int i = 0; i < ROWS; i++)
        if (rows[i].number && strcmp(rows[i].model, model) == 0 && (!found || rows[i].number > found->number))
            found = &rows[i];
    return found;
}

static int is_active(const struct engines_row *row)
{
    return row && (row->state == CONTRACT_STARTING || row->state == CONTRACT_READY || row->state == CONTRACT_STOPPING);
}

static int on_start(void *context, const char *model, const struct engines_try *with)
{
    (void)context;
    if (is_deaf)
        return -is_deaf;
    starts_n++;
    snprintf(last_start, sizeof last_start, "%s %u", model, with->engine);
    if (is_active(row_of(model)))
        return 0;
    for (int i = 0; i < ROWS; i++) {
        if (rows[i].state != CONTRACT_DOWN && rows[i].state != CONTRACT_FAILED)
            continue;
        snprintf(row_models[i], sizeof row_models[i], "%s", model);
        rows[i] = (struct engines_row){.state = CONTRACT_STARTING, .number = ++number, .engine = with->engine, .is_quantized = with->is_quantized,
                                       .model = row_models[i], .reason = ""};
        return 0;
    }
    fail_msg("no row is free");
    return 0;
}

static unsigned users_n(const char *model)
{
    unsigned n = 0;
    for (int i = 0; i < WANTERS; i++)
        n += wanters[i].is_busy && wanters[i].verdict == ENGINES_GO && strcmp(wanters[i].model, model) == 0 && engines_holds(&wanters[i].lease);
    return n;
}

static int on_stop(void *context, const char *model)
{
    struct engines_row *row = row_of(model);
    (void)context;
    stops_n++;
    assert_int_equal(users_n(model), 0); /* never one that answers */
    snprintf(last_stop, sizeof last_stop, "%s", model);
    if (row && is_active(row))
        row->state = CONTRACT_STOPPING;
    return 0;
}

static size_t on_find(void *context, const char *model, struct engines_try tries[ENGINES_TRIES_MAX])
{
    (void)context;
    (void)model;
    if (is_unlisted)
        return 0;
    tries[0] = (struct engines_try){.engine = GOOD, .is_quantized = 1};
    tries[1] = (struct engines_try){.engine = BAD};
    for (int i = 0; refused && i < 2; i++)
        snprintf(tries[i].why, sizeof tries[i].why, "%s", refused);
    return 2;
}

static void on_loaded(void *context, const struct engines_model *model)
{
    (void)context;
    assert_int_equal(model->state, ENGINES_READY);
    loads_n++;
}

static void on_rest(void *context, const struct engines_model *model)
{
    (void)context;
    assert_int_equal(model->state, ENGINES_RESTING);
    rests_n++;
}

static void want(struct wanter *w, const char *model)
{
    w->model = model;
    w->is_busy = 1;
    w->verdict = engines_want(&e, &w->lease, model, now_ms);
    w->answers_n += w->verdict != ENGINES_WAIT;
}

static void on_change(void *context)
{
    struct wanter *w = context;
    assert_true(w->is_busy && w->verdict == ENGINES_WAIT);
    want(w, w->model);
}

static void leave(struct wanter *w)
{
    w->is_busy = 0;
    engines_leave(&e, &w->lease, now_ms);
}

/* As the proxy does when something has happened: until nothing does any more. */
static void settle(void)
{
    for (int i = 0; i < 4; i++) {
        engines_see(&e, rows, ROWS, now_ms);
        next_ms = engines_review(&e, now_ms);
        engines_wake(&e);
    }
}

static void world_begin(size_t models_max)
{
    struct engines_rules rules = {.models_max = models_max, .engines_n = 2, .cooldown_ms = COOLDOWN_MS, .idle_ms = {IDLE_MS, 0}, .names = {"vllm", "other"}};
    struct engines_ops ops = {on_start, on_stop, on_find, on_loaded, on_rest, NULL};
    engines_init(&e, &rules, &ops);
    memset(rows, 0, sizeof rows);
    for (int i = 0; i < ROWS; i++)
        rows[i].model = rows[i].reason = "";
    memset(wanters, 0, sizeof wanters);
    for (int i = 0; i < WANTERS; i++)
        wanters[i].lease = (struct engines_lease){.fn = on_change, .context = &wanters[i]};
    number = 0;
    now_ms = 1000;
    starts_n = stops_n = loads_n = rests_n = is_deaf = is_unlisted = 0;
    refused = NULL;
    last_start[0] = last_stop[0] = '\0';
}

static void world_end(void)
{
    for (int i = 0; i < WANTERS; i++)
        leave(&wanters[i]);
    engines_fini(&e);
}

#endif
