/* See live.h. */
#include "proxy/observe/live.h"

static const char *const names[] = {"receiving", "held", "pulling", "loading", "queued", "waiting", "streaming", "listening", "mapping"};
_Static_assert(sizeof names / sizeof *names == LIVE_PHASE_COUNT, "a name for each phase");

const char *live_phase_name(enum live_phase phase)
{
    return names[phase];
}

void live_enter(struct live_list *l, struct live *one, struct exchange *exchange)
{
    *one = (struct live){.previous = l->last, .exchange = exchange};
    *(l->last ? &l->last->next : &l->first) = one;
    l->last = one;
    l->n++;
}

void live_leave(struct live_list *l, struct live *one)
{
    if (!one->exchange)
        return;
    *(one->previous ? &one->previous->next : &l->first) = one->next;
    *(one->next ? &one->next->previous : &l->last) = one->previous;
    *one = (struct live){0};
    l->n--;
}
