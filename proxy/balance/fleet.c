/*
 * See fleet.h. Slots are given in one place, at the end of a turn of the loop: whoever comes, leaves or changes only says that it is to be
 * looked at. So nobody is called from within his own call, and all that has happened in a turn is known before anything is decided.
 */
#include "proxy/balance/fleet_state.h"

#include <errno.h>
#include <stdlib.h>

enum {
    RECKON_MS = 1000,  /* what a request takes is reckoned anew so often while it waits */
    UNTOLD_MS = 100,   /* Redis is told of more of those that wait so often, where they are too many at once */
    SETTLE_MS = 30000, /* from our start on: a member that has not said by then what it has may be down for long */
};

/* Who gets a slot */

/* Those who wait: where each may go by now, and whether it may go anywhere at all. And those who wait for a byte of one that is down. */
static void find_all_ways(struct fleet *f, int is_told)
{
    int is_untold = 0;
    for (size_t i = 0; i < FLEET_BUCKETS; i++)
        for (struct fleet_ticket *t = f->tickets[i]; t; t = t->next) {
            if (!t->due && fleet_is_stuck(f, t))
                fleet_set_due(f, t, FLEET_DUE_HUNG);
            if (t->member || t->due)
                continue;
            enum fleet_ways ways = fleet_find_ways(f, t);
            is_untold |= ways == FLEET_WAYS_UNTOLD;
            int is_hopeless = ways == FLEET_WAYS_NONE || ways == FLEET_WAYS_TRIED;
            if (is_hopeless)
                fleet_set_due(f, t, FLEET_DUE_AWAY);
            else if (is_told)
                fleet_share_ticket(f, t);
        }
    f->are_ways_due = 0;
    f->reckoned_ms = fleet_now_ms(f);
    if (is_untold)
        (void)!members_refresh(f->members, RECKON_MS);
}

static void tell(struct fleet *f, struct fleet_ticket *t)
{
    enum fleet_due due = t->due;
    fleet_set_due(f, t, FLEET_DUE_NOTHING);
    if (due == FLEET_DUE_SLOT) {
        fleet_give(f, t);
        return;
    }
    if (due == FLEET_DUE_HUNG) {
        t->fn(t->context, FLEET_HUNG);
        return;
    }
    if (due == FLEET_DUE_LOSS) /* Redis knows */
        fleet_withdraw(f, t);
    else
        fleet_leave(f, t, FLEET_LEFT, NULL, NULL);
    t->fn(t->context, due == FLEET_DUE_LOSS ? FLEET_LOST : FLEET_LOOK_AGAIN);
}

static void arm(struct fleet *f, int64_t again_ms)
{
    int64_t reckon_ms = balance_waiting_n(f->balance) > 0 ? f->reckoned_ms + RECKON_MS : 0;
    if (reckon_ms && (!again_ms || reckon_ms < again_ms))
        again_ms = reckon_ms;
    if (f->are_untold && (!again_ms || fleet_now_ms(f) + UNTOLD_MS < again_ms))
        again_ms = fleet_now_ms(f) + UNTOLD_MS;
    if (again_ms)
        loop_arm(f->site.loop, &f->timer, again_ms);
    else
        loop_disarm(f->site.loop, &f->timer);
}

static void give_slots(struct fleet *f)
{
    int64_t again_ms = 0;
    struct balance_ticket *t;
    while (fleet_is_alone(f) && (t = balance_next(f->balance, fleet_now_ms(f), &again_ms)))
        fleet_give(f, t->context);
    arm(f, again_ms);
}

/* How many replicas share the slots has changed. */
static void see_members(struct fleet *f)
{
    f->are_parts_due = 0;
    for (size_t i = 0; i < BALANCE_BACKENDS; i++)
        if (members_at(f->members, i))
            fleet_see_member(f, members_at(f->members, i));
}

static void on_work(void *context)
{
    struct fleet *f = context;
    int are_ways_due = f->are_ways_due;
    if (f->are_parts_due)
        see_members(f);
    if (f->are_lists_due) {
        f->are_lists_due = 0;
        f->site.lists_changed(f->site.context);
    }
    if (are_ways_due || fleet_now_ms(f) >= f->reckoned_ms + RECKON_MS)
        find_all_ways(f, are_ways_due);
    while (f->due_first)
        tell(f, f->due_first);
    if (f->are_untold)
        fleet_share_untold(f);
    give_slots(f);
}

static void on_timer(void *context, int64_t now_ms)
{
    struct fleet *f = context;
    f->are_ways_due |= now_ms >= f->settled_ms && f->reckoned_ms < f->settled_ms;
    on_work(f);
}

/* Life */

static int open_rooms(struct fleet *f)
{
    f->balance = balance_new(&f->rules, f->site.waiting);
    f->speeds = speeds_new();
    f->prefixes = prefixes_new();
    if (!f->balance || !f->speeds || !f->prefixes)
        return -ENOMEM;
    int error = fleet_open_members(f);
    return error ? error : fleet_share(f);
}

int fleet_new(struct fleet **out, const struct fleet_site *site)
{
    const struct conf_balancer *conf = &site->conf->balancer;
    *out = NULL;
    if (!site->conf->is_fleet)
        return 0;
    struct fleet *f = calloc(1, sizeof *f);
    if (!f)
        return -ENOMEM;
    f->site = *site;
    f->replicas_n = 1;
    f->due_end = &f->due_first;
    f->rules = (struct balance_rules){conf->ageing_ms, conf->min_residency_ms, BALANCE_FAIR_AGEINGS * conf->ageing_ms};
    f->work = (struct deferred){.fn = on_work, .context = f};
    timer_init(&f->timer, on_timer, f);
    f->settled_ms = fleet_now_ms(f) + SETTLE_MS;
    int error = open_rooms(f);
    if (error)
        fleet_free(&f);
    *out = f;
    return error;
}

void fleet_free(struct fleet **f)
{
    if (!*f)
        return;
    loop_disarm((*f)->site.loop, &(*f)->timer);
    fleet_unshare(*f);
    members_free(&(*f)->members);
    prefixes_free(&(*f)->prefixes);
    speeds_free(&(*f)->speeds);
    balance_free(&(*f)->balance);
    free(*f);
    *f = NULL;
}
