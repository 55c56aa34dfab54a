/* See exchange_fleet.h. The member that a request has, until it leaves it: what came of it is what the fleet learns. */
#include "proxy/balance/unload.h"
#include "proxy/exchange_fleet.h"

/* Its slot, and what is known of the member by what came of it. */
static void give_back(struct exchange *x, enum fleet_end end, const struct ending_facts *facts, const char *why)
{
    struct member *m = x->member;
    x->member = NULL;
    if (x->fleet && x->fleet->ticket.is_in)
        fleet_leave(x->env->fleet, &x->fleet->ticket, end, facts, why);
    else if (m)
        member_leave(m);
}

void exchange_judge_member(struct exchange *x, int how, const char *why)
{
    struct ending_facts facts;
    if (!x->member)
        return;
    ending_read(&x->ending, &facts);
    if (x->load_ms > 0 && x->fleet->tries_n == 0) /* by a request of our own, of which the answer says nothing */
        facts.load_ns = x->load_ms * 1000000;
    give_back(x, how > 0 ? FLEET_ANSWERED : how == 0 ? FLEET_REFUSED : FLEET_FAILED, how > 0 ? &facts : NULL, why);
}

void exchange_keep_member(struct exchange *x)
{
    if (x->fleet && x->fleet->ticket.is_in)
        fleet_keep(x->env->fleet, &x->fleet->ticket);
}

void exchange_leave_member(struct exchange *x)
{
    if (x->fleet)
        unload_free(&x->fleet->unload);
    give_back(x, FLEET_LEFT, NULL, NULL);
    if (x->fleet) /* Redis may still have it, between two tries */
        fleet_leave(x->env->fleet, &x->fleet->ticket, FLEET_LEFT, NULL, NULL);
}

void exchange_changed_member(struct exchange *x)
{
    if (x->member)
        installed_doubt(&x->member->installed);
    (void)!members_refresh(fleet_members(x->env->fleet), 0);
}

int exchange_gather_fleet(const struct env *env, struct fleet_facts *out)
{
    if (!env->fleet)
        return 0;
    fleet_gather(env->fleet, out);
    return 1;
}

size_t exchange_free_slots(const struct exchange *x)
{
    return fleet_free_n(x->env->fleet);
}
