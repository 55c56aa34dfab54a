/* See shared_tickets.h. Ids are counted up: their last bits choose the bucket. */
#include "proxy/store/shared_tickets.h"

#include <stdlib.h>

static struct shared_entry **place_of(const struct shared_tickets *all, uint64_t id)
{
    struct shared_entry **at = (struct shared_entry **)&all->buckets[id % SHARED_BUCKETS];
    while (*at && (*at)->id != id)
        at = &(*at)->next;
    return at;
}

struct shared_entry *shared_tickets_find(const struct shared_tickets *all, uint64_t id)
{
    return *place_of(all, id);
}

struct shared_entry *shared_tickets_set(struct shared_tickets *all, uint64_t id, enum shared_place state)
{
    struct shared_entry **at = place_of(all, id), *e = *at;
    if (!e) {
        *at = e = calloc(1, sizeof *e);
        if (!e)
            return NULL;
        e->id = id;
        all->entries_n++;
    } else
        all->slots_n -= e->state == SHARED_SLOT;
    e->state = state;
    all->slots_n += state == SHARED_SLOT;
    return e;
}

int shared_tickets_drop(struct shared_tickets *all, uint64_t id)
{
    struct shared_entry **at = place_of(all, id), *e = *at;
    if (!e)
        return 0;
    *at = e->next;
    all->entries_n--;
    all->slots_n -= e->state == SHARED_SLOT;
    free(e);
    return 1;
}

void shared_tickets_fini(struct shared_tickets *all)
{
    for (size_t i = 0; i < SHARED_BUCKETS; i++)
        while (all->buckets[i])
            shared_tickets_drop(all, all->buckets[i]->id);
}
