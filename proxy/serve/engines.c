/* See engines.h. Who wants what, and what has become of it; places are engines_review.c's. */
#include "proxy/serve/engines.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const state_names[] = {"idle", "waiting", "starting", "starting", "ready", "stopping", "failed"};
_Static_assert(sizeof state_names / sizeof *state_names == ENGINES_STATE_COUNT, "a name for each state");

const char *engines_state_name(enum engines_state state)
{
    return state_names[state];
}

void engines_init(struct engines *e, const struct engines_rules *rules, const struct engines_ops *ops)
{
    *e = (struct engines){.rules = *rules, .ops = *ops};
}

static void model_free(struct engines_model *m)
{
    free(m->tries);
    free(m);
}

void engines_fini(struct engines *e)
{
    while (e->first) {
        struct engines_model *m = e->first;
        e->first = m->next;
        model_free(m);
    }
}

static struct engines_model *find(const struct engines *e, const char *name)
{
    struct engines_model *m = e->first;
    while (m && strcmp(m->name, name) != 0)
        m = m->next;
    return m;
}

const struct engines_model *engines_find(const struct engines *e, const char *model)
{
    return find(e, model);
}

/* Only its failures are known of it. */
static int is_spare(const struct engines_model *m, int64_t now_ms)
{
    return m->leases_n == 0 && (m->state == ENGINES_IDLE || (m->state == ENGINES_RESTING && now_ms >= m->rest_until_ms));
}

static void drop(struct engines *e, struct engines_model *m)
{
    struct engines_model **at = &e->first;
    while (*at != m)
        at = &(*at)->next;
    *at = m->next;
    e->models_n--;
    model_free(m);
}

/* Those of whom nothing is to be known any more; of failures that are over the latest stay. */
static void forget(struct engines *e, int64_t now_ms)
{
    struct engines_model *oldest = NULL, *next;
    size_t kept_n = 0;
    for (struct engines_model *m = e->first; m; m = next) {
        next = m->next;
        if (!is_spare(m, now_ms))
            continue;
        if (!engines_has_failed(m)) {
            drop(e, m);
            continue;
        }
        kept_n++;
        if (!oldest || m->used_ms < oldest->used_ms)
            oldest = m;
    }
    if (kept_n > ENGINES_KEPT_MAX)
        drop(e, oldest);
}

static struct engines_model *obtain(struct engines *e, const char *name, int64_t now_ms)
{
    struct engines_model *m = find(e, name);
    if (m)
        return m;
    forget(e, now_ms);
    m = e->models_n < ENGINES_MODELS_MAX ? calloc(1, sizeof *m) : NULL;
    if (!m)
        return NULL;
    snprintf(m->name, sizeof m->name, "%s", name);
    m->used_ms = now_ms;
    m->next = e->first;
    e->first = m;
    e->models_n++;
    return m;
}

static void enlist(struct engines_model *m, struct engines_lease *lease)
{
    lease->is_waiting = 1;
    lease->next = NULL;
    lease->previous = m->last;
    *(m->last ? &m->last->next : &m->first) = lease;
    m->last = lease;
}

static void delist(struct engines_lease *lease)
{
    struct engines_model *m = lease->model;
    if (!lease->is_waiting)
        return;
    lease->is_waiting = 0;
    *(lease->previous ? &lease->previous->next : &m->first) = lease->next;
    *(lease->next ? &lease->next->previous : &m->last) = lease->previous;
}

int engines_holds(const struct engines_lease *lease)
{
    const struct engines_model *m = lease->model;
    return m && lease->number && lease->number == m->number && m->state == ENGINES_READY;
}

void engines_leave(struct engines *e, struct engines_lease *lease, int64_t now_ms)
{
    struct engines_model *m = lease->model;
    (void)e;
    if (!m)
        return;
    delist(lease);
    if (lease->number && lease->number == m->number) {
        m->users_n--;
        m->used_ms = now_ms;
    }
    m->leases_n--;
    lease->model = NULL;
    lease->number = 0;
    lease->has_failed = 0;
}

static enum engines_verdict hold(struct engines_model *m, struct engines_lease *lease, int64_t now_ms)
{
    lease->number = m->number;
    m->users_n++;
    m->used_ms = now_ms;
    return ENGINES_GO;
}

/* It runs, and gets no new request. */
static int is_closed(const struct engines_model *m)
{
    return m->is_drained || (m->elsewhere & CONTRACT_HOLD_DRAINED);
}

unsigned engines_holding(const struct engines_model *m)
{
    return (m->users_n ? CONTRACT_HOLD_USED : 0u) | (m->first ? CONTRACT_HOLD_WANTED : 0u) | (m->is_drained ? CONTRACT_HOLD_DRAINED : 0u);
}

static enum engines_verdict judge(struct engines *e, struct engines_model *m, struct engines_lease *lease, int64_t now_ms)
{
    if (lease->has_failed || (m->state == ENGINES_RESTING && now_ms < m->rest_until_ms)) {
        lease->has_failed = 0;
        return ENGINES_FAIL;
    }
    if (m->state == ENGINES_READY && !is_closed(m))
        return hold(m, lease, now_ms);
    if ((m->state == ENGINES_IDLE || m->state == ENGINES_RESTING) && !engines_begin(e, m, now_ms))
        return ENGINES_FAIL;
    enlist(m, lease);
    return ENGINES_WAIT;
}

enum engines_verdict engines_want(struct engines *e, struct engines_lease *lease, const char *model, int64_t now_ms)
{
    int is_same = lease->model && strcmp(lease->model->name, model) == 0, has_failed = is_same && lease->has_failed;
    if (is_same && engines_holds(lease))
        return ENGINES_GO;
    engines_leave(e, lease, now_ms);
    struct engines_model *m = obtain(e, model, now_ms);
    if (!m)
        return ENGINES_NO_MEMORY;
    lease->has_failed = has_failed;
    lease->model = m;
    m->leases_n++;
    m->used_ms = now_ms;
    return judge(e, m, lease, now_ms);
}

/* What runs is no more. */
static void is_gone(struct engines_model *m)
{
    m->state = ENGINES_IDLE;
    m->number = 0;
    m->users_n = 0;
    m->is_drained = m->is_inherited = 0;
    m->elsewhere = 0;
}

/* The next way, though nobody may wait any more: whoever comes next does not have to wait for this failure once more. */
static void fail_way(struct engines *e, struct engines_model *m, const char *why, int64_t now_ms)
{
    is_gone(m);
    engines_fail_way(e, m, why, now_ms);
}

static void is_ready(struct engines *e, struct engines_model *m, const struct engines_row *row, int64_t now_ms)
{
    m->state = ENGINES_READY;
    m->ready_ms = m->used_ms = now_ms;
    m->load_ms = row->load_ms;
    if (!m->is_inherited)
        e->ops.loaded(e->ops.context, m);
}

static int is_running(const struct engines_row *row)
{
    return row->state == CONTRACT_STARTING || row->state == CONTRACT_READY || row->state == CONTRACT_STOPPING;
}

static void follow(struct engines *e, struct engines_model *m, const struct engines_row *row, int64_t now_ms)
{
    m->number = row->number;
    m->engine = row->engine;
    m->is_quantized = row->is_quantized;
    m->elsewhere = row->elsewhere;
    if (m->elsewhere & CONTRACT_HOLD_USED)
        m->used_ms = now_ms;
    if (row->state == CONTRACT_STOPPING)
        m->state = ENGINES_STOPPING;
    else if (m->state == ENGINES_STOPPING && !(row->elsewhere & CONTRACT_HOLD_USED))
        return; /* it was told, and has not heard it yet; where it is used it was not stopped */
    else if (row->state == CONTRACT_STARTING)
        m->state = ENGINES_STARTING;
    else if (m->state != ENGINES_READY)
        is_ready(e, m, row, now_ms);
}

/* Its row says that it has ended, or there is another one in its place. */
static void end(struct engines *e, struct engines_model *m, const struct engines_row *row, int64_t now_ms)
{
    const char *why = row ? row->reason : "";
    int is_stopped = m->state == ENGINES_STOPPING, was_ready = m->state == ENGINES_READY || (row && row->was_ready);
    if (!is_stopped && !was_ready && m->tries_n > 0) { /* else another proxy has started it, before we knew by which ways */
        fail_way(e, m, why, now_ms);
        return;
    }
    is_gone(m);
    if (!is_stopped)
        engines_note(m, why);
    if (m->first)
        (void)!engines_begin(e, m, now_ms);
}

void engines_give_up(struct engines *e, int64_t now_ms)
{
    for (struct engines_model *m = e->first; m; m = m->next)
        if (m->state == ENGINES_ASKED && now_ms - m->asked_ms >= ENGINES_ASKED_MAX_MS)
            fail_way(e, m, "the supervisor does not start it", now_ms);
}

/* What has become of its start; a failure of another engine is another proxy's affair. */
static int is_answer(const struct engines_model *m, const struct engines_row *row)
{
    return m->state == ENGINES_ASKED && row->number > m->asked_after && strcmp(row->model, m->name) == 0 &&
           (is_running(row) || m->try_at >= m->tries_n || row->engine == m->tries[m->try_at].engine);
}

static const struct engines_row *row_of(const struct engines_model *m, const struct engines_row *rows, size_t rows_n)
{
    for (size_t i = 0; i < rows_n; i++) {
        const struct engines_row *row = &rows[i];
        if (m->number ? row->number == m->number : is_answer(m, row))
            return row;
    }
    return NULL;
}

/* Another proxy has started it: the one before us, or one that still serves. */
static void adopt(struct engines *e, const struct engines_row *row, int64_t now_ms)
{
    struct engines_model *m = obtain(e, row->model, now_ms);
    if (!m || m->number || m->state == ENGINES_ASKED)
        return;
    if (m->state != ENGINES_WANTED)
        (void)!engines_begin(e, m, now_ms); /* should it fail, it is one of these ways that has */
    for (m->try_at = 0; m->try_at + 1 < m->tries_n && m->tries[m->try_at].engine != row->engine;)
        m->try_at++;
    m->is_inherited = 1;
    m->is_hopeless = 0;
    m->state = ENGINES_IDLE;
    follow(e, m, row, now_ms);
}

void engines_see(struct engines *e, const struct engines_row *rows, size_t rows_n, int64_t now_ms)
{
    for (struct engines_model *m = e->first; m; m = m->next) {
        const struct engines_row *row = row_of(m, rows, rows_n);
        if (row && is_running(row))
            follow(e, m, row, now_ms);
        else if (m->number || row)
            end(e, m, row, now_ms);
    }
    for (size_t i = 0; i < rows_n; i++) {
        if (rows[i].number > e->number_max)
            e->number_max = rows[i].number;
        if (is_running(&rows[i]))
            adopt(e, &rows[i], now_ms);
    }
    forget(e, now_ms);
}

int engines_stop(struct engines *e, const char *model, int64_t now_ms)
{
    struct engines_model *m = find(e, model);
    if (!m || !m->number)
        return -ENOENT;
    if (m->users_n > 0 || m->first || (m->elsewhere & (CONTRACT_HOLD_USED | CONTRACT_HOLD_WANTED)))
        return -EBUSY;
    m->state = ENGINES_STOPPING;
    m->told_ms = now_ms;
    (void)!e->ops.stop(e->ops.context, m->name);
    return 0;
}

/* Something is to be said to those who wait for it. */
static int is_settled(const struct engines_model *m)
{
    return m->first && (m->first->has_failed || m->state == ENGINES_RESTING || (m->state == ENGINES_READY && !is_closed(m)));
}

void engines_wake(struct engines *e)
{
    for (struct engines_model *m = e->first; m;) {
        if (!is_settled(m)) {
            m = m->next;
            continue;
        }
        struct engines_lease *lease = m->first;
        delist(lease);
        lease->fn(lease->context);
        m = e->first;
    }
}
