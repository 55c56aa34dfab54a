/* See exchange_fleet.h. Where a request stands in line, in words for its client: in its answer's head, as it was when it came; in heartbeats, as it is. */
#include "proxy/exchange_fleet.h"

#include <stdio.h>

void exchange_note_place(struct exchange *x)
{
    struct exchange_fleet *f = x->fleet;
    if (f->place)
        return;
    f->place = fleet_place(x->env->fleet, &f->ticket);
    f->expected_ms = fleet_wait_ms(x->env->fleet, &f->ticket);
    exchange_tell_times(x); /* the first heartbeat may begin the head */
}

const char *exchange_place_text(struct exchange *x)
{
    struct exchange_fleet *f = x->fleet;
    if (!f || x->state != EXCHANGE_QUEUE)
        return NULL;
    size_t place = fleet_place(x->env->fleet, &f->ticket);
    int64_t wait_ms = fleet_wait_ms(x->env->fleet, &f->ticket);
    if (wait_ms > 0)
        snprintf(f->comment, sizeof f->comment, "place %zu, about %lld s", place, (long long)(wait_ms + 999) / 1000);
    else
        snprintf(f->comment, sizeof f->comment, "place %zu", place);
    return f->comment;
}
