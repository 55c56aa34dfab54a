/* See shared.h: what is told of backends and tickets. Nothing while Redis is away. */
#include "proxy/store/shared_tell.h"

#include "common/log.h"

#include <stdio.h>
#include <stdlib.h>

enum { UNDER_WAY_MOST = 1024 };

/* ---- backends ---- */

/* NULL: there are too many, or no memory. */
static struct shared_said *said_of(struct shared *s, const char *name)
{
    for (size_t i = 0; i < s->said_n; i++)
        if (strcmp(s->said[i].name, name) == 0)
            return &s->said[i];
    struct shared_said *more = s->said_n < SHARED_BACKENDS ? realloc(s->said, (s->said_n + 1) * sizeof *more) : NULL;
    if (!more)
        return NULL;
    s->said = more;
    struct shared_said *new = &more[s->said_n++];
    new->is_drained = new->is_due = 0;
    snprintf(new->name, sizeof new->name, "%s", name);
    return new;
}

void shared_on_drained(void *context, const char *backend, int is_drained)
{
    struct shared *s = context;
    struct shared_said *said = said_of(s, backend);
    if (!said || said->is_due || said->is_drained == is_drained)
        return;
    said->is_drained = is_drained;
    s->ops.drained(s->ops.context, backend, is_drained);
}

static void on_backend(void *context, const redisReply *reply)
{
    struct shared *s = context;
    int is_differing;
    if (!shared_is_good(s, reply))
        return;
    if (shared_read_backend(reply, shared_on_grant, s, &is_differing) < 0)
        shared_refuse(s);
    else if (is_differing)
        log_event(LOG_DEBUG, "slots_differ", "hint=\"replicas tell different numbers of slots of a backend: the last one counts\"");
}

void shared_backend(struct shared *s, const char *backend, size_t slots_n, unsigned weight)
{
    if (s->step != SHARED_READY)
        return;
    shared_begin(s, "backend");
    redis_add_text(s->commands, backend);
    redis_add_number(s->commands, (int64_t)slots_n);
    redis_add_number(s->commands, weight);
    shared_send(s, on_backend);
}

void shared_loaded(struct shared *s, const char *backend, const char *const *names, size_t names_n)
{
    if (s->step != SHARED_READY)
        return;
    shared_begin(s, "loaded");
    redis_add_text(s->commands, backend);
    for (size_t i = 0; i < names_n; i++)
        redis_add_text(s->commands, names[i]);
    shared_send(s, shared_on_grants);
}

static void tell_drained(struct shared *s, const char *backend, int is_drained)
{
    shared_begin(s, "drain");
    redis_add_text(s->commands, backend);
    redis_add_text(s->commands, is_drained ? "1" : "0");
    shared_send(s, shared_on_grants);
}

void shared_drain(struct shared *s, const char *backend, int is_drained)
{
    struct shared_said *said = said_of(s, backend);
    if (said) {
        said->is_drained = is_drained;
        said->is_due = s->step != SHARED_READY;
    }
    if (s->step == SHARED_READY)
        tell_drained(s, backend, is_drained);
}

void shared_drain_all(struct shared *s)
{
    for (size_t i = 0; i < s->said_n && s->step == SHARED_READY; i++) {
        struct shared_said *said = &s->said[i];
        if (said->is_due || said->is_drained)
            tell_drained(s, said->name, said->is_drained);
        said->is_due = 0;
    }
}

void shared_learnt(struct shared *s, const char *backend, const char *model, const char *text)
{
    if (s->step != SHARED_READY)
        return;
    shared_begin(s, "learnt");
    redis_add_text(s->commands, backend);
    redis_add_text(s->commands, model);
    redis_add_text(s->commands, text);
    shared_send(s, shared_on_grants);
}

/* ---- tickets ---- */

int shared_has_room(const struct shared *s)
{
    return redis_under_way_n(s->commands) < UNDER_WAY_MOST;
}

void shared_enter(struct shared *s, const struct shared_ticket *t)
{
    char payer[SHARED_ID_BYTES] = "0";
    if (s->step != SHARED_READY || !shared_tickets_set(&s->tickets, t->id, SHARED_LINE))
        return;
    if (t->payer)
        shared_id_text(t->payer, payer);
    shared_begin(s, "enter");
    shared_add_id(s, t->id);
    redis_add_text(s->commands, t->model);
    redis_add_number(s->commands, t->priority);
    redis_add_text(s->commands, payer);
    redis_add_number(s->commands, t->cost_ms);
    redis_add_number(s->commands, s->rules->ageing_ms);
    redis_add_number(s->commands, BALANCE_FAIR_AGEINGS * s->rules->ageing_ms);
    redis_add_number(s->commands, s->rules->min_residency_ms);
    redis_add_number(s->commands, s->conf->lease_ms);
    for (size_t i = 0; i < t->ways_n; i++) {
        redis_add_text(s->commands, t->ways[i].backend);
        redis_add_number(s->commands, t->ways[i].way.run_ms);
        redis_add_number(s->commands, t->ways[i].way.load_ms);
    }
    shared_send(s, shared_on_grants);
}

void shared_leave(struct shared *s, uint64_t id)
{
    if (shared_tickets_drop(&s->tickets, id))
        shared_send_id(s, "leave", id);
}

void shared_keep(struct shared *s, uint64_t id)
{
    struct shared_entry *e = shared_tickets_find(&s->tickets, id);
    if (!e || e->state == SHARED_LINE || !shared_tickets_set(&s->tickets, id, SHARED_SLOT))
        return;
    shared_send_id(s, "keep", id);
}

void shared_hold(struct shared *s, uint64_t id, const char *backend, const char *model, int64_t ends_in_ms)
{
    const struct shared_entry *e = shared_tickets_find(&s->tickets, id);
    if (s->step != SHARED_READY || (e && e->state == SHARED_LOST) || !shared_tickets_set(&s->tickets, id, SHARED_SLOT))
        return;
    shared_begin(s, "hold");
    shared_add_id(s, id);
    redis_add_text(s->commands, backend);
    redis_add_text(s->commands, model);
    redis_add_number(s->commands, ends_in_ms);
    redis_add_number(s->commands, s->conf->lease_ms);
    shared_send(s, shared_on_grants);
}

void shared_place(const struct shared *s, uint64_t id, size_t *place, int64_t *wait_ms)
{
    const struct shared_entry *e = shared_tickets_find(&s->tickets, id);
    *place = e && e->state == SHARED_LINE ? e->place : 0;
    *wait_ms = e && e->state == SHARED_LINE ? e->wait_ms : 0;
}
