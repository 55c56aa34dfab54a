/* See fleet_state.h. Each proxy is alone with its backends: it gives all of their slots. */
#include "proxy/balance/fleet_state.h"

int fleet_share(struct fleet *f)
{
    f->replicas_n = 1;
    return 0;
}

void fleet_unshare(struct fleet *f)
{
    f->shared = NULL;
}

int fleet_is_shared(const struct fleet *f)
{
    return f->shared != NULL;
}

size_t fleet_slots_part(const struct fleet *f, size_t slots_n)
{
    return slots_n / f->replicas_n;
}

uint64_t fleet_next_id(struct fleet *f)
{
    return ++f->next_id;
}

void fleet_share_ticket(struct fleet *f, const struct fleet_ticket *t)
{
    (void)f, (void)t;
}

void fleet_share_keep(struct fleet *f, const struct fleet_ticket *t)
{
    (void)f, (void)t;
}

void fleet_unshare_ticket(struct fleet *f, const struct fleet_ticket *t)
{
    (void)f, (void)t;
}

size_t fleet_shared_place(const struct fleet *f, const struct fleet_ticket *t, int64_t *wait_ms)
{
    (void)f, (void)t;
    *wait_ms = 0;
    return 0;
}

void fleet_share_member(struct fleet *f, struct member *m)
{
    (void)f, (void)m;
}

void fleet_share_loaded(struct fleet *f, const struct member *m, const char *const *names, size_t names_n)
{
    (void)f, (void)m, (void)names, (void)names_n;
}

void fleet_share_speeds(struct fleet *f, const struct member *m, const char *model)
{
    (void)f, (void)m, (void)model;
}
