/*
 * See fleet_state.h. The queue that all replicas have in common (store/shared.h): while Redis answers it says who gets a slot; while it
 * does not, each replica gives its own part of the slots. What waits and what is in slots is told anew when it comes back.
 */
#include "proxy/balance/fleet_state.h"

#include "proxy/store/shared.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { SPEEDS_BYTES = 128 };

int fleet_is_shared(const struct fleet *f)
{
    return f->shared && shared_state(f->shared) == SHARED_UP;
}

int fleet_is_alone(const struct fleet *f)
{
    return !f->shared || shared_state(f->shared) == SHARED_AWAY;
}

size_t fleet_slots_part(const struct fleet *f, size_t slots_n)
{
    if (!f->shared || fleet_is_shared(f) || slots_n == 0)
        return slots_n;
    size_t part_n = slots_n / (f->replicas_n ? f->replicas_n : 1);
    return part_n ? part_n : 1;
}

uint64_t fleet_next_id(struct fleet *f)
{
    return f->shared ? shared_next_id(f->shared) : ++f->next_id;
}

/* What is told */

void fleet_share_member(struct fleet *f, struct member *m)
{
    int64_t now_ms = fleet_now_ms(f);
    if (fleet_is_shared(f))
        shared_backend(f->shared, m->name, member_is_open(m, now_ms) ? member_slots(m, now_ms) : 0, (unsigned)m->conf->weight);
}

void fleet_unshare_member(struct fleet *f, const struct member *m)
{
    if (fleet_is_shared(f))
        shared_backend(f->shared, m->name, 0, 1);
}

void fleet_share_loaded(struct fleet *f, const struct member *m, const char *const *names, size_t names_n)
{
    if (fleet_is_shared(f))
        shared_loaded(f->shared, m->name, names, names_n);
}

/* Only to those that we find open: another replica may find others. */
static void add_ways(const struct fleet *f, const struct fleet_ticket *t, struct shared_ticket *out)
{
    for (size_t i = 0; i < BALANCE_BACKENDS; i++) {
        struct member *m = t->ways[i].run_ms != BALANCE_NO_WAY ? members_at(f->members, i) : NULL;
        if (m && member_is_open(m, fleet_now_ms(f)))
            out->ways[out->ways_n++] = (struct shared_way){m->name, t->ways[i]};
    }
    out->cost_ms = balance_cost_ms(f->balance, t->model, t->ways, t->balance.is_guess);
}

void fleet_share_ticket(struct fleet *f, struct fleet_ticket *t)
{
    struct shared_ticket ticket = {.id = t->id, .model = t->model, .priority = t->ask.priority, .payer = t->ask.payer};
    if (!fleet_is_shared(f))
        return;
    t->is_untold = !shared_has_room(f->shared);
    f->are_untold |= t->is_untold;
    if (t->is_untold)
        return;
    add_ways(f, t, &ticket);
    shared_enter(f->shared, &ticket);
}

void fleet_share_untold(struct fleet *f)
{
    f->are_untold = 0;
    for (size_t i = 0; i < FLEET_BUCKETS; i++)
        for (struct fleet_ticket *t = f->tickets[i]; t; t = t->next)
            if (t->is_untold && !t->member && !t->due)
                fleet_share_ticket(f, t);
}

void fleet_share_keep(struct fleet *f, const struct fleet_ticket *t)
{
    if (fleet_is_shared(f))
        shared_keep(f->shared, t->id);
}

void fleet_unshare_ticket(struct fleet *f, const struct fleet_ticket *t)
{
    if (f->shared)
        shared_leave(f->shared, t->id);
}

size_t fleet_shared_place(const struct fleet *f, const struct fleet_ticket *t, int64_t *wait_ms)
{
    size_t place = 0;
    *wait_ms = 0;
    if (fleet_is_shared(f))
        shared_place(f->shared, t->id, &place, wait_ms);
    return place;
}

/* Speeds, as one replica tells them to another. */

static int read_known(const char *text, struct speeds_known *out)
{
    return sscanf(text, "%lf %lf %lf %lf %lf", &out->prefill_per_s, &out->decode_per_s, &out->load_ms, &out->output_tokens, &out->samples_n) == 5 ? 0 : -EINVAL;
}

void fleet_share_speeds(struct fleet *f, const struct member *m, const char *model)
{
    struct speeds_known known;
    char text[SPEEDS_BYTES];
    if (!fleet_is_shared(f) || !speeds_known(f->speeds, m->index, model, fleet_now_ms(f), &known))
        return;
    snprintf(text, sizeof text, "%.6g %.6g %.6g %.6g %.6g", known.prefill_per_s, known.decode_per_s, known.load_ms, known.output_tokens, known.samples_n);
    shared_learnt(f->shared, m->name, model, text);
}

/* Redis' word */

static void tell_all(struct fleet *f)
{
    for (size_t i = 0; i < BALANCE_BACKENDS; i++) {
        struct member *m = members_at(f->members, i);
        if (m)
            fleet_share_member(f, m);
    }
    for (size_t i = 0; i < FLEET_BUCKETS; i++)
        for (struct fleet_ticket *t = f->tickets[i]; t; t = t->next) {
            int64_t left_ms = t->member ? t->granted_ms + t->estimate_ms - fleet_now_ms(f) : 0;
            if (!t->member)
                fleet_share_ticket(f, t);
            else
                shared_hold(f->shared, t->id, t->member->name, t->model, left_ms > 0 ? left_ms : 0);
        }
}

static void on_state(void *context, enum shared_state state, unsigned replicas_n)
{
    struct fleet *f = context;
    f->replicas_n = replicas_n;
    f->are_parts_due = 1;
    if (state == SHARED_UP)
        tell_all(f);
    fleet_look(f);
}

static struct fleet_ticket *find(const struct fleet *f, uint64_t id)
{
    struct fleet_ticket *t = f->tickets[id % FLEET_BUCKETS];
    while (t && t->id != id)
        t = t->next;
    return t;
}

/* Nobody is told from within Redis' answer. */
static void say_later(struct fleet *f, struct fleet_ticket *t, enum fleet_due due)
{
    fleet_set_due(f, t, due);
    fleet_look(f);
}

static int on_granted(void *context, uint64_t id, const char *backend)
{
    struct fleet *f = context;
    struct fleet_ticket *t = find(f, id);
    struct member *m = members_find(f->members, backend, strlen(backend));
    if (!t || t->member || t->due || !m)
        return -ENOENT;
    balance_grant(f->balance, &t->balance, m->index, fleet_now_ms(f));
    say_later(f, t, FLEET_DUE_SLOT);
    return 0;
}

static void on_lost(void *context, uint64_t id)
{
    struct fleet *f = context;
    struct fleet_ticket *t = find(f, id);
    if (t && t->member && t->is_kept)
        shared_keep(f->shared, id);
    else if (t && t->member)
        say_later(f, t, FLEET_DUE_LOSS);
}

static void on_drained(void *context, const char *backend, int is_drained)
{
    struct fleet *f = context;
    (void)!members_drain(f->members, backend, strlen(backend), is_drained);
}

static void on_learnt(void *context, const char *backend, const char *model, const char *text)
{
    struct fleet *f = context;
    const struct member *m = members_find(f->members, backend, strlen(backend));
    struct speeds_known known;
    if (m && read_known(text, &known) == 0)
        speeds_take(f->speeds, m->index, model, &known, fleet_now_ms(f));
}

int fleet_share(struct fleet *f)
{
    const struct shared_ops ops = {.state = on_state, .granted = on_granted, .lost = on_lost, .drained = on_drained, .learnt = on_learnt, .context = f};
    return *f->site.conf->redis.url ? shared_new(&f->shared, f->site.loop, f->site.conf, &ops) : 0;
}

void fleet_unshare(struct fleet *f)
{
    shared_free(&f->shared);
}
