/* See fleet_state.h. A way is there wherever the model is, whether that member is up or not: who waits for one that is down waits in line. */
#include "proxy/balance/fleet_state.h"

int fleet_is_meant(const struct fleet_ask *ask, const struct member *m)
{
    return !m->is_leaving && (!ask->backend || member_is_named(m, ask->backend, ask->backend_n));
}

static void expect(struct fleet *f, const struct fleet_ticket *t, const struct member *m, struct balance_way *way)
{
    struct speeds_ask ask = {.model = t->model, .prompt_tokens = t->ask.prompt_tokens, .output_most = t->ask.output_most};
    ask.cached_tokens = prefixes_cached_tokens(f->prefixes, m->index, t->model, &t->ask.prefix);
    speeds_expect(f->speeds, m->index, &ask, fleet_now_ms(f), way);
}

enum fleet_ways fleet_find_ways(struct fleet *f, struct fleet_ticket *t)
{
    static const struct balance_way none = {.run_ms = BALANCE_NO_WAY};
    int64_t now_ms = fleet_now_ms(f);
    int has_way = 0, is_untold = 0, was_tried = 0;
    for (size_t i = 0; i < BALANCE_BACKENDS; i++) {
        struct member *m = members_at(f->members, i);
        t->ways[i] = none;
        if (!m || !fleet_is_meant(&t->ask, m))
            continue;
        enum installed_verdict has = member_has(m, t->model, now_ms);
        is_untold |= has == INSTALLED_UNKNOWN && (m->is_listed || now_ms < f->settled_ms);
        was_tried |= has == INSTALLED_YES && (t->tried >> i & 1);
        if (has != INSTALLED_YES || (t->tried >> i & 1))
            continue;
        expect(f, t, m, &t->ways[i]);
        has_way = 1;
    }
    return has_way ? FLEET_WAYS_SOME : is_untold ? FLEET_WAYS_UNTOLD : was_tried ? FLEET_WAYS_TRIED : FLEET_WAYS_NONE;
}

static int has_other(const struct fleet *f, const struct fleet_ticket *t, int must_be_open)
{
    int64_t now_ms = fleet_now_ms(f);
    for (size_t i = 0; i < BALANCE_BACKENDS; i++) {
        struct member *m = members_at(f->members, i);
        int is_tried = (t->tried >> i & 1) || m == t->member;
        if (m && !is_tried && fleet_is_meant(&t->ask, m) && member_has(m, t->model, now_ms) == INSTALLED_YES && (!must_be_open || member_is_open(m, now_ms)))
            return 1;
    }
    return 0;
}

int fleet_may_go_elsewhere(const struct fleet *f, const struct fleet_ticket *t)
{
    return has_other(f, t, 0);
}

int fleet_is_stuck(const struct fleet *f, const struct fleet_ticket *t)
{
    return t->member && !t->is_kept && t->member->breaker.state == BREAKER_DOWN && has_other(f, t, 1);
}
