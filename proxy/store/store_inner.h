/*
 * store_inner: what is inside of store.h.
 */
#ifndef PROXY_STORE_STORE_INNER_H
#define PROXY_STORE_STORE_INNER_H

#include "proxy/store/redis.h"
#include "proxy/store/store.h"

#include <stdio.h>

enum { STORE_WAIT_MS = 200, STORE_KEY_BYTES = 2 * CONF_NAME_N + 128, STORE_SHA_BYTES = 41 };

struct store_took;

struct store {
    struct loop *loop;
    const struct conf *conf;
    struct optimizer *optimizer;
    struct limits *limits;
    struct redis_url url;
    struct redis_ops ops;
    struct redis *redis;
    char why[256];              /* of what was told last; "" while it is up */
    char sha[STORE_SHA_BYTES];  /* of the limits' script; "": it is not loaded */
    struct timer tell;          /* what was taken is told then */
    struct store_took *took;    /* what is to be told: STORE_TOOK places; NULL before the first */
    size_t took_n;
};

/* A key's name behind [redis] prefix. */
static inline void store_key(const struct store *s, const char *kind, const char *name, char out[STORE_KEY_BYTES])
{
    snprintf(out, STORE_KEY_BYTES, "%s:%s:%s", s->conf->redis.prefix, kind, name);
}

/* store_cache.c, store_limits.c: Redis is there. */
void store_cache_begin(struct store *s);
void store_limits_begin(struct store *s);
void store_limits_fini(struct store *s);

#endif
