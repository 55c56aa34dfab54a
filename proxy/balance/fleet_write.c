/*
 * See fleet_state.h. What its owner is told of the fleet: who waits, how each member is, how fast with the models that it has loaded, and Redis. And what he
 * says of a member.
 */
#include "proxy/balance/fleet_state.h"

#include "proxy/json_write.h"
#include "proxy/model_list.h"
#include "proxy/store/shared.h"

#include <errno.h>
#include <string.h>

enum { REQUESTS_TOLD = 100, LOADED_TOLD = 16, LONGEST_MS = 250 };

struct telling {
    struct fleet *fleet;
    const struct list *shown; /* models; NULL: all */
    struct json_write w;
    size_t told_n;
};

static int may_see(const struct telling *tell, const char *model)
{
    return !tell->shown || conf_names_model(tell->shown, model, strlen(model));
}

static void write_number(struct json_write *w, const char *name, int64_t value)
{
    json_write_text(w, name);
    json_write_number(w, value > 0 ? (uint64_t)value : 0);
}

/* ---- who waits ---- */

static int write_request(void *context, const struct balance_ticket *at, const char *model, size_t place, int64_t wait_ms)
{
    struct telling *tell = context;
    const struct fleet_ticket *t = at->context;
    struct json_write *w = &tell->w;
    int64_t shared_ms;
    if (tell->told_n == REQUESTS_TOLD)
        return 1;
    if (!may_see(tell, model))
        return 0;
    size_t told = fleet_shared_place(tell->fleet, t, &shared_ms);
    json_write_named_text(w, tell->told_n++ ? ",{\"id\":" : "{\"id\":", t->ask.id);
    json_write_named_text(w, ",\"model\":", model);
    write_number(w, ",\"priority\":", t->ask.priority);
    write_number(w, ",\"place\":", (int64_t)(told ? told : place + 1));
    write_number(w, ",\"wait_ms\":", told ? shared_ms : wait_ms);
    write_number(w, ",\"waited_ms\":", fleet_now_ms(tell->fleet) - t->entered_ms);
    json_write_text(w, "}");
    return 0;
}

static void write_queue(struct telling *tell)
{
    struct fleet *f = tell->fleet;
    write_number(&tell->w, "\"queue\":{\"waiting\":", (int64_t)f->site.waiting->now_n);
    write_number(&tell->w, ",\"limit\":", (int64_t)f->site.waiting->limit_n);
    json_write_text(&tell->w, ",\"requests\":[");
    (void)balance_each(f->balance, fleet_now_ms(f), write_request, tell);
    json_write_text(&tell->w, "]}");
}

static int take_wait(void *context, const struct balance_ticket *t, const char *model, size_t place, int64_t wait_ms)
{
    int64_t *longest_ms = context;
    (void)t, (void)model, (void)place;
    *longest_ms = wait_ms > *longest_ms ? wait_ms : *longest_ms;
    return 0;
}

/* Whoever is turned away asks, and there may be many. */
int64_t fleet_longest_wait_ms(struct fleet *f)
{
    int64_t now_ms = fleet_now_ms(f);
    if (now_ms < f->longest_until_ms)
        return f->longest_wait_ms;
    f->longest_wait_ms = 0;
    f->longest_until_ms = now_ms + LONGEST_MS;
    (void)balance_each(f->balance, now_ms, take_wait, &f->longest_wait_ms);
    return f->longest_wait_ms;
}

/* ---- members ---- */

static const char *state_of(const struct member *m, int64_t now_ms)
{
    if (m->is_leaving)
        return "leaving";
    if (m->is_drained)
        return "drained";
    int is_slow = m->breaker.state == BREAKER_CLOSED && member_slots(m, now_ms) < (size_t)m->conf->slots;
    return is_slow ? "slow_start" : breaker_state_name(m->breaker.state);
}

/* The names that its answer to GET /api/ps has. */
static void write_loaded(struct telling *tell, const struct member *m, void (*write_one)(struct telling *tell, const struct member *m, const char *model))
{
    struct json_items items;
    char model[CONTRACT_NAME_BYTES];
    tell->told_n = 0;
    (void)model_list_begin(&items, buf_data(&m->loaded), buf_size(&m->loaded)); /* no answer yet: no models */
    while (tell->told_n < LOADED_TOLD && model_list_next(&items, NULL, model, sizeof model))
        if (may_see(tell, model))
            write_one(tell, m, model);
}

static void write_name(struct telling *tell, const struct member *m, const char *model)
{
    (void)m;
    json_write_text(&tell->w, tell->told_n++ ? "," : "");
    json_write_string(&tell->w, model, strlen(model));
}

static void write_speed(struct telling *tell, const struct member *m, const char *model)
{
    struct speeds_known known;
    if (!speeds_known(tell->fleet->speeds, m->index, model, fleet_now_ms(tell->fleet), &known))
        return;
    json_write_named_text(&tell->w, tell->told_n++ ? ",{\"model\":" : "{\"model\":", model);
    if (!tell->w.error)
        tell->w.error = buf_printf(tell->w.out, ",\"prefill_per_s\":%.1f,\"decode_per_s\":%.1f,\"load_ms\":%.0f}", known.prefill_per_s, known.decode_per_s, known.load_ms);
}

static void write_member(struct telling *tell, const struct member *m)
{
    struct json_write *w = &tell->w;
    int64_t now_ms = fleet_now_ms(tell->fleet);
    json_write_named_text(w, "{\"name\":", m->name);
    json_write_named_text(w, ",\"url\":", m->conf->url);
    json_write_named_text(w, ",\"state\":", state_of(m, now_ms));
    write_number(w, ",\"slots\":", (int64_t)fleet_slots_part(tell->fleet, member_slots(m, now_ms)));
    write_number(w, ",\"used\":", (int64_t)balance_used_n(tell->fleet->balance, m->index));
    json_write_text(w, m->is_drained ? ",\"drained\":true" : ",\"drained\":false");
    json_write_text(w, ",\"loaded\":[");
    write_loaded(tell, m, write_name);
    write_number(w, "],\"models_n\":", (int64_t)m->installed.names_n);
    json_write_text(w, ",\"speeds\":[");
    write_loaded(tell, m, write_speed);
    json_write_named_text(w, "],\"error\":", tell->shown ? "" : m->why); /* it may be about another model */
    json_write_text(w, "}");
}

static int write_members(struct telling *tell)
{
    int told_n = 0;
    for (size_t i = 0; i < BALANCE_BACKENDS; i++) {
        const struct member *m = members_at(tell->fleet->members, i);
        if (!m)
            continue;
        json_write_text(&tell->w, told_n++ ? "," : "");
        write_member(tell, m);
    }
    return told_n;
}

int fleet_write_members(struct fleet *f, const struct list *shown, struct json_write *w)
{
    struct telling tell = {.fleet = f, .shown = shown, .w = *w};
    int told_n = write_members(&tell);
    *w = tell.w;
    return told_n;
}

int fleet_write(struct fleet *f, const struct list *shown, struct buf *out)
{
    struct telling tell = {.fleet = f, .shown = shown, .w = json_write_begin(out)};
    json_write_text(&tell.w, "{");
    write_queue(&tell);
    json_write_text(&tell.w, ",\"backends\":[");
    (void)write_members(&tell);
    json_write_text(&tell.w, "]");
    if (f->shared)
        json_write_text(&tell.w, ",\"redis\":");
    if (f->shared && !tell.w.error)
        tell.w.error = shared_write(f->shared, out);
    json_write_text(&tell.w, "}\n");
    return json_write_end(&tell.w);
}

int fleet_drain(struct fleet *f, const char *name, size_t name_n, int is_drained)
{
    if (members_drain(f->members, name, name_n, is_drained) < 0)
        return -ENOENT;
    for (size_t i = 0; f->shared && i < BALANCE_BACKENDS; i++) {
        const struct member *m = members_at(f->members, i);
        if (m && member_is_named(m, name, name_n))
            shared_drain(f->shared, m->name, is_drained);
    }
    return 0;
}
