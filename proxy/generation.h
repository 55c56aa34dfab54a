/*
 * generation: an optimised answer that is made once, by an inner exchange, for all who listen to it (exchange_listen.c).
 */
#ifndef PROXY_GENERATION_H
#define PROXY_GENERATION_H

#include "common/loop.h"
#include "proxy/cache.h"
#include "proxy/share.h"

struct env;
struct exchange;

struct generation {
    struct env *env;        /* borrowed */
    struct share share;
    struct exchange *inner; /* makes it; owned, also when it has ended, as what it knows is reported; NULL: it was known */
    size_t users_n;         /* exchanges that have it, those that have ended and are not freed among them */
    struct deferred work;   /* somebody has left: it may have to end */
    struct timer stall;     /* somebody holds the others for too long then */
    struct cache_entry *kept; /* where it was known: what it is; held */
    struct cache_draft draft; /* what may be kept of it, when it is whole */
    unsigned char cache_key[CACHE_KEY_BYTES];
    int64_t begun_ms;
};

#endif
