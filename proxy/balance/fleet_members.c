/* See fleet_state.h. The members' word, as balance, what is learnt and the other replicas are to know it; and which of them answers what needs no slot. */
#include "proxy/balance/fleet_state.h"

#include "proxy/model_list.h"

#include <string.h>

enum { LOADED_MOST = 64 };

void fleet_see_member(struct fleet *f, struct member *m)
{
    int64_t now_ms = fleet_now_ms(f);
    size_t slots_n = fleet_slots_part(f, member_slots(m, now_ms));
    balance_set_backend(f->balance, m->index, slots_n, (unsigned)m->conf->weight, member_is_open(m, now_ms));
}

static void on_changed(void *context, struct member *m)
{
    struct fleet *f = context;
    speeds_set_backend(f->speeds, m->index, (unsigned)m->conf->weight);
    fleet_see_member(f, m);
    fleet_share_member(f, m);
    f->are_ways_due = f->are_lists_due = 1;
    fleet_look(f);
}

static void forget_try(struct fleet *f, int index)
{
    for (size_t i = 0; i < FLEET_BUCKETS; i++)
        for (struct fleet_ticket *t = f->tickets[i]; t; t = t->next)
            t->tried &= ~(UINT64_C(1) << index);
}

static void on_gone(void *context, struct member *m)
{
    struct fleet *f = context;
    balance_set_backend(f->balance, m->index, 0, 1, 0);
    speeds_forget_backend(f->speeds, m->index);
    prefixes_forget_backend(f->prefixes, m->index);
    forget_try(f, m->index);
    fleet_unshare_member(f, m);
    f->are_ways_due = f->are_lists_due = 1;
    fleet_look(f);
}

/* Those of requests that are in slots there are on their way, at least: an Ollama may not say so before they are loaded. */
static size_t add_used(const struct fleet *f, const struct member *m, const char *names[LOADED_MOST], size_t names_n)
{
    for (size_t i = 0; i < FLEET_BUCKETS; i++)
        for (const struct fleet_ticket *t = f->tickets[i]; t; t = t->next)
            if (t->member == m && names_n < LOADED_MOST)
                names[names_n++] = t->model;
    return names_n;
}

static void on_loaded(void *context, struct member *m, const char *const *said, size_t said_n, int64_t asked_ms)
{
    struct fleet *f = context;
    const char *names[LOADED_MOST];
    size_t names_n = said_n < LOADED_MOST ? said_n : LOADED_MOST;
    memcpy(names, said, names_n * sizeof *names);
    names_n = add_used(f, m, names, names_n);
    balance_set_loaded(f->balance, m->index, names, names_n, asked_ms);
    prefixes_keep_models(f->prefixes, m->index, names, names_n);
    fleet_share_loaded(f, m, names, names_n);
    fleet_look(f);
}

static void on_load(void *context, struct member *m, int is_begun)
{
    struct fleet *f = context;
    (void)m;
    f->site.work(f->site.context, is_begun);
}

static void on_failed(void *context, const struct member *m)
{
    struct fleet *f = context;
    if (f->site.failed)
        f->site.failed(f->site.context, m);
}

int fleet_open_members(struct fleet *f)
{
    const struct members_ops ops = {.changed = on_changed, .gone = on_gone, .loaded = on_loaded, .load = on_load, .failed = on_failed, .context = f};
    return members_new(&f->members, f->site.loop, f->site.conf, f->site.tell, f->site.waiting, &ops);
}

/* Reads */

struct member *fleet_any(struct fleet *f, const char *backend, size_t backend_n, const char *model)
{
    const struct fleet_ask ask = {.backend = backend, .backend_n = backend_n};
    int64_t now_ms = fleet_now_ms(f);
    struct member *best = NULL;
    for (size_t i = 0; i < BALANCE_BACKENDS; i++) {
        struct member *m = members_at(f->members, i);
        if (!m || !fleet_is_meant(&ask, m) || !member_is_open(m, now_ms) || (model && member_has(m, model, now_ms) != INSTALLED_YES))
            continue;
        if (!best || m->users_n < best->users_n)
            best = m;
    }
    return best;
}

struct members *fleet_members(struct fleet *f)
{
    return f->members;
}

/* With the models that it says that it has loaded. */
static void gather_speeds(const struct fleet *f, const struct member *m, struct fleet_facts *out)
{
    struct json_items items;
    struct speeds_known known;
    struct fleet_speed *s = &out->speeds[out->speeds_n];
    (void)model_list_begin(&items, buf_data(&m->loaded), buf_size(&m->loaded)); /* no answer yet: no models */
    while (out->speeds_n < FLEET_FACTS_SPEEDS && model_list_next(&items, NULL, s->model, sizeof s->model)) {
        if (!speeds_known(f->speeds, m->index, s->model, fleet_now_ms(f), &known) || known.decode_per_s <= 0)
            continue;
        s->backend = m->name;
        s->tokens_per_s = known.decode_per_s;
        s = &out->speeds[++out->speeds_n];
    }
}

void fleet_gather(const struct fleet *f, struct fleet_facts *out)
{
    members_gather(f->members, f->balance, out);
    out->speeds_n = 0;
    for (size_t i = 0; i < BALANCE_BACKENDS; i++)
        if (members_at(f->members, i))
            gather_speeds(f, members_at(f->members, i), out);
}

size_t fleet_members_n(const struct fleet *f)
{
    size_t n = 0;
    for (size_t i = 0; i < BALANCE_BACKENDS; i++)
        n += members_at(f->members, i) != NULL;
    return n;
}

size_t fleet_free_n(struct fleet *f)
{
    size_t free_n = 0, waiting_n = balance_waiting_n(f->balance);
    int64_t now_ms = fleet_now_ms(f);
    for (size_t i = 0; i < BALANCE_BACKENDS; i++) {
        struct member *m = members_at(f->members, i);
        size_t slots_n = m && member_is_open(m, now_ms) ? fleet_slots_part(f, member_slots(m, now_ms)) : 0;
        size_t used_n = slots_n ? balance_used_n(f->balance, m->index) : 0;
        free_n += slots_n > used_n ? slots_n - used_n : 0;
    }
    return free_n > waiting_n ? free_n - waiting_n : 0;
}

int fleet_names(const struct fleet *f, struct buf *out)
{
    int error = 0;
    for (size_t i = 0; i < BALANCE_BACKENDS && !error; i++) {
        const struct member *m = members_at(f->members, i);
        if (m && !m->is_leaving)
            error = buf_printf(out, "%s%s", buf_size(out) ? ", " : "", m->name);
    }
    return error;
}
