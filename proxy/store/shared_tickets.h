/*
 * shared_tickets: what Redis knows of us: by id, whether it waits or is in a slot, and where it stands in line.
 */
#ifndef PROXY_STORE_SHARED_TICKETS_H
#define PROXY_STORE_SHARED_TICKETS_H

#include "common/sys.h"

enum { SHARED_BUCKETS = 256 };

enum shared_place {
    SHARED_LINE,
    SHARED_SLOT, /* its lease is renewed */
    SHARED_LOST, /* its lease was, and its owner has not said yet what he does */
};

struct shared_entry {
    struct shared_entry *next; /* in its bucket */
    uint64_t id;
    enum shared_place state;
    size_t place;    /* as told at the last look; 0: not known */
    int64_t wait_ms;
};

struct shared_tickets {
    struct shared_entry *buckets[SHARED_BUCKETS];
    size_t entries_n, slots_n;
};

/* NULL: there is none. */
struct shared_entry *shared_tickets_find(const struct shared_tickets *all, uint64_t id);
/* The same, made where there is none; its state is set. NULL: no memory. */
struct shared_entry *shared_tickets_set(struct shared_tickets *all, uint64_t id, enum shared_place state);
/* 1: there was one. */
int shared_tickets_drop(struct shared_tickets *all, uint64_t id);
void shared_tickets_fini(struct shared_tickets *all);

#endif
