/* See engines.h. Places: who gets one, and whose it was. */
#include "proxy/serve/engines.h"

#include <errno.h>
#include <string.h>

static void sooner(int64_t *next_ms, int64_t at_ms)
{
    if (*next_ms == 0 || at_ms < *next_ms)
        *next_ms = at_ms;
}

static int has_place(const struct engines_model *m)
{
    return m->number || m->state == ENGINES_ASKED;
}

/* 0; -EAGAIN: the next review sees to it; else this way leads nowhere. */
static int start(struct engines *e, struct engines_model *m, int64_t now_ms)
{
    int error = e->ops.start(e->ops.context, m->name, &m->tries[m->try_at]);
    if (error)
        return error;
    if (m->state != ENGINES_ASKED) {
        m->asked_after = e->number_max;
        m->asked_ms = now_ms;
    }
    m->state = ENGINES_ASKED;
    m->told_ms = now_ms;
    return 0;
}

static void stop(struct engines *e, struct engines_model *m, int64_t now_ms)
{
    m->state = ENGINES_STOPPING;
    m->told_ms = now_ms;
    (void)!e->ops.stop(e->ops.context, m->name);
}

struct places {
    size_t taken_n;   /* whoever has one */
    size_t wanted_n;  /* who is in line for one */
    size_t leaving_n; /* of those that have one, how many end */
};

static struct places count(const struct engines *e)
{
    struct places p = {0};
    for (const struct engines_model *m = e->first; m; m = m->next) {
        p.taken_n += has_place(m) ? 1 : 0;
        p.wanted_n += m->state == ENGINES_WANTED ? 1 : 0;
        p.leaving_n += has_place(m) && m->state == ENGINES_STOPPING ? 1 : 0;
    }
    return p;
}

/* What the supervisor has not heard, it seems; and what it said may be lost as well: its rows are looked at again. */
static void repeat(struct engines *e, struct engines_model *m, int64_t now_ms, int64_t *next_ms)
{
    if (m->state == ENGINES_STARTING)
        sooner(next_ms, now_ms + ENGINES_ASK_AGAIN_MS);
    if (m->state != ENGINES_ASKED && m->state != ENGINES_STOPPING)
        return;
    if (now_ms - m->told_ms >= ENGINES_ASK_AGAIN_MS) {
        if (m->state == ENGINES_STOPPING)
            stop(e, m, now_ms);
        else if (count(e).taken_n > e->rules.models_max) { /* another proxy was quicker */
            m->state = ENGINES_WANTED;
            return;
        } else
            (void)!start(e, m, now_ms);
        m->told_ms = now_ms;
    }
    sooner(next_ms, m->told_ms + ENGINES_ASK_AGAIN_MS);
}

static int is_up(const struct engines_model *m)
{
    return m->state == ENGINES_STARTING || m->state == ENGINES_READY;
}

static int is_unused(const struct engines_model *m)
{
    int is_used = m->users_n > 0 || (m->elsewhere & CONTRACT_HOLD_USED), is_wanted = m->first || (m->elsewhere & CONTRACT_HOLD_WANTED);
    return !is_used && (m->is_drained || !is_wanted);
}

static int64_t turn_end_ms(const struct engines_model *m)
{
    int64_t turn_ms = 2 * m->load_ms;
    turn_ms = turn_ms < ENGINES_TURN_MIN_MS ? ENGINES_TURN_MIN_MS : turn_ms > ENGINES_TURN_MAX_MS ? ENGINES_TURN_MAX_MS : turn_ms;
    return m->ready_ms + turn_ms;
}

/* The one that nobody uses and that was used least recently; else NULL. */
static struct engines_model *find_unused(const struct engines *e)
{
    struct engines_model *found = NULL;
    for (struct engines_model *m = e->first; m; m = m->next)
        if (is_up(m) && is_unused(m) && (!found || m->used_ms < found->used_ms))
            found = m;
    return found;
}

/* Of those that are used, the one whose turn ends first; else NULL. */
static struct engines_model *find_served(const struct engines *e)
{
    struct engines_model *found = NULL;
    for (struct engines_model *m = e->first; m; m = m->next)
        if (m->state == ENGINES_READY && !m->is_drained && !is_unused(m) && (!found || turn_end_ms(m) < turn_end_ms(found)))
            found = m;
    return found;
}

/* Who has waited longest for a place; NULL: nobody does. */
static struct engines_model *find_first(const struct engines *e)
{
    struct engines_model *found = NULL;
    for (struct engines_model *m = e->first; m; m = m->next)
        if (m->state == ENGINES_WANTED && (!found || m->wanted_ms < found->wanted_ms))
            found = m;
    return found;
}

/* A place for each who waits is to become free, in the end. */
static void make_room(struct engines *e, int64_t now_ms, int64_t *next_ms)
{
    struct places p = count(e);
    size_t needed_n = p.taken_n + p.wanted_n, n = e->rules.models_max + p.leaving_n;
    struct engines_model *m;
    for (m = e->first; m; m = m->next)
        m->is_drained = m->is_drained && needed_n > n && m->state == ENGINES_READY; /* nobody waits for it any more */
    for (; needed_n > n && (m = find_unused(e)); needed_n--)
        stop(e, m, now_ms);
    for (m = e->first; m && needed_n > n; m = m->next)
        needed_n -= m->is_drained && m->state == ENGINES_READY ? 1 : 0;
    for (; needed_n > n && (m = find_served(e)); needed_n--) {
        if (turn_end_ms(m) > now_ms) {
            sooner(next_ms, turn_end_ms(m));
            return;
        }
        m->is_drained = 1;
    }
}

/* Those who wanted it have left before it had a place. One that has failed with an engine goes on: see fail_way. */
static void drop_unwanted(struct engines *e)
{
    for (struct engines_model *m = e->first; m; m = m->next)
        if (m->state == ENGINES_WANTED && !m->first && (m->try_at == 0 || count(e).taken_n >= e->rules.models_max))
            m->state = ENGINES_IDLE;
}

static void give_places(struct engines *e, int64_t now_ms, int64_t *next_ms)
{
    struct engines_model *m;
    while ((m = find_first(e)) && count(e).taken_n < e->rules.models_max) {
        int error = start(e, m, now_ms);
        if (error == -EAGAIN) { /* the channel is full */
            sooner(next_ms, now_ms + ENGINES_SOON_MS);
            return;
        }
        if (error)
            engines_fail_way(e, m, error == -ENOENT ? "it is not in the hub's cache any more" : strerror(-error), now_ms);
    }
}

/* [engine:NAME] idle_timeout */
static void stop_idle(struct engines *e, struct engines_model *m, int64_t now_ms, int64_t *next_ms)
{
    int64_t idle_ms = m->engine < e->rules.engines_n ? e->rules.idle_ms[m->engine] : 0;
    if (m->state != ENGINES_READY || !is_unused(m) || idle_ms == 0 || e->is_leaving)
        return;
    if (now_ms - m->used_ms >= idle_ms)
        stop(e, m, now_ms);
    else
        sooner(next_ms, m->used_ms + idle_ms);
}

int64_t engines_review(struct engines *e, int64_t now_ms)
{
    int64_t next_ms = 0;
    engines_give_up(e, now_ms);
    drop_unwanted(e);
    give_places(e, now_ms, &next_ms);
    make_room(e, now_ms, &next_ms);
    for (struct engines_model *m = e->first; m; m = m->next) {
        stop_idle(e, m, now_ms, &next_ms);
        repeat(e, m, now_ms, &next_ms);
    }
    if (e->is_shared)
        sooner(&next_ms, now_ms + ENGINES_SHARED_MS);
    return next_ms;
}
