/* See fleet.h. A request's way through the fleet: in line, in a slot, out again. */
#include "proxy/balance/fleet_state.h"

#include "common/log.h"

#include <stdio.h>

enum { LISTS_OLD_MS = 1000 }; /* who asks for a model that nobody has has the lists asked for again, at most so often */

static struct fleet_ticket **bucket_of(struct fleet *f, uint64_t id)
{
    return &f->tickets[id % FLEET_BUCKETS];
}

static void put_in(struct fleet *f, struct fleet_ticket *t)
{
    struct fleet_ticket **bucket = bucket_of(f, t->id);
    t->next = *bucket;
    t->link = bucket;
    if (t->next)
        t->next->link = &t->next;
    *bucket = t;
    t->is_in = 1;
}

static void take_out(struct fleet *f, struct fleet_ticket *t)
{
    *t->link = t->next;
    if (t->next)
        t->next->link = t->link;
    t->is_in = 0;
    fleet_set_due(f, t, FLEET_DUE_NOTHING);
}

/* It will not wait: max_queue says nothing about it. */
static int may_begin_now(struct fleet *f, const struct fleet_ticket *t)
{
    for (size_t i = 0; i < BALANCE_BACKENDS; i++) {
        struct member *m = t->ways[i].run_ms != BALANCE_NO_WAY ? members_at(f->members, i) : NULL;
        if (m && member_is_open(m, fleet_now_ms(f)) && balance_used_n(f->balance, m->index) < member_slots(m, fleet_now_ms(f)))
            return 1;
    }
    return 0;
}

static enum fleet_verdict wait_in_line(struct fleet *f, struct fleet_ticket *t)
{
    int64_t now_ms = fleet_now_ms(f);
    t->balance.priority = t->ask.priority;
    t->balance.payer = t->ask.payer;
    t->balance.is_guess = !speeds_has_learnt(f->speeds, t->model);
    t->balance.ways = t->ways;
    t->balance.context = t;
    switch (balance_enter(f->balance, &t->balance, t->model, t->is_accepted || may_begin_now(f, t), now_ms)) {
    case BALANCE_FULL:
        return FLEET_FULL;
    case BALANCE_NO_MEMORY:
        return FLEET_NO_MEMORY;
    case BALANCE_WAIT:
        break;
    }
    if (!t->id) {
        t->id = fleet_next_id(f);
        t->entered_ms = now_ms;
    }
    t->is_accepted = 1;
    put_in(f, t);
    fleet_share_ticket(f, t);
    fleet_look(f);
    return FLEET_WAIT;
}

enum fleet_verdict fleet_enter(struct fleet *f, struct fleet_ticket *t)
{
    if (t->member)
        return FLEET_GO;
    if (t->is_in)
        return FLEET_WAIT;
    snprintf(t->model, sizeof t->model, "%s", t->ask.model);
    switch (fleet_find_ways(f, t)) {
    case FLEET_WAYS_NONE: /* it may have been pulled behind our back */
        if (members_refresh(f->members, LISTS_OLD_MS))
            return FLEET_NO_MODEL;
        break;
    case FLEET_WAYS_TRIED:
        return FLEET_NO_MORE;
    case FLEET_WAYS_UNTOLD:
        (void)!members_refresh(f->members, LISTS_OLD_MS);
        break;
    case FLEET_WAYS_SOME:
        break;
    }
    return wait_in_line(f, t);
}

void fleet_give(struct fleet *f, struct fleet_ticket *t)
{
    struct member *m = members_at(f->members, (size_t)t->balance.backend);
    int64_t now_ms = fleet_now_ms(f);
    t->member = m;
    t->is_kept = 0;
    t->granted_ms = now_ms;
    t->estimate_ms = t->balance.ends_ms - t->balance.granted_ms;
    t->cached_tokens = prefixes_cached_tokens(f->prefixes, m->index, t->model, &t->ask.prefix);
    member_use(m);
    t->era = breaker_begin(&m->breaker, now_ms);
    fleet_see_member(f, m); /* one that tries takes no more */
    t->fn(t->context, FLEET_LOOK_AGAIN);
}

void fleet_keep(struct fleet *f, struct fleet_ticket *t)
{
    t->is_kept = 1;
    if (t->due == FLEET_DUE_LOSS) /* its answer came in the very turn in which it was told that its slot is lost */
        fleet_set_due(f, t, FLEET_DUE_NOTHING);
    fleet_share_keep(f, t);
}

static int64_t ms_of(int64_t ns)
{
    return ns < 0 ? -1 : (ns + 500000) / 1000000;
}

static void learn(struct fleet *f, const struct fleet_ticket *t, const struct ending_facts *facts)
{
    const struct member *m = t->member;
    int64_t now_ms = fleet_now_ms(f);
    struct speeds_sample sample = {
        .prompt_tokens = facts->prompt_tokens_n,
        .cached_tokens = t->cached_tokens,
        .prompt_ms = ms_of(facts->prompt_ns),
        .output_tokens = facts->tokens_n,
        .output_ms = ms_of(facts->eval_ns),
        .load_ms = ms_of(facts->load_ns),
    };
    speeds_learn(f->speeds, m->index, t->model, &sample, now_ms);
    fleet_share_speeds(f, m, t->model);
    prefixes_note(f->prefixes, m->index, member_slots(m, now_ms), t->model, &t->ask.prefix);
}

static void leave_member(struct fleet *f, struct fleet_ticket *t, enum breaker_outcome outcome, const char *why)
{
    struct member *m = t->member;
    t->member = NULL;
    member_answered(m, t->era, outcome, why ? why : "");
    fleet_see_member(f, m);
    member_leave(m);
}

static void leave(struct fleet *f, struct fleet_ticket *t, enum breaker_outcome outcome, const char *why)
{
    balance_leave(f->balance, &t->balance);
    take_out(f, t);
    if (t->member)
        leave_member(f, t, outcome, why);
    fleet_look(f);
}

void fleet_withdraw(struct fleet *f, struct fleet_ticket *t)
{
    leave(f, t, BREAKER_NOTHING, NULL);
}

void fleet_leave(struct fleet *f, struct fleet_ticket *t, enum fleet_end end, const struct ending_facts *facts, const char *why)
{
    static const enum breaker_outcome outcomes[] = {BREAKER_GOOD, BREAKER_GOOD, BREAKER_BAD, BREAKER_NOTHING};
    if (end == FLEET_ANSWERED && facts && t->member)
        learn(f, t, facts);
    if (t->id)
        fleet_unshare_ticket(f, t); /* also one that is between two members */
    if (t->is_in)
        leave(f, t, outcomes[end], why);
    t->id = 0;
}

void fleet_fail(struct fleet *f, struct fleet_ticket *t, enum breaker_outcome outcome, const char *why)
{
    t->tried |= UINT64_C(1) << t->member->index;
    leave(f, t, outcome, why);
}

size_t fleet_place(const struct fleet *f, const struct fleet_ticket *t)
{
    int64_t wait_ms;
    size_t place = fleet_shared_place(f, t, &wait_ms);
    return place ? place : balance_place(f->balance, &t->balance) + 1;
}

int64_t fleet_wait_ms(const struct fleet *f, const struct fleet_ticket *t)
{
    int64_t wait_ms;
    size_t place = fleet_shared_place(f, t, &wait_ms);
    return place ? wait_ms : balance_wait_ms(f->balance, &t->balance, fleet_now_ms(f));
}
