/*
 * store: what proxies have in common in Redis beside their queue: answers that are kept ([optimizer] cache = redis), and what of everybody's
 * limits is left. Both are there without it as well, in each proxy's own memory: who does not get Redis' word in time goes on by that.
 */
#ifndef PROXY_STORE_STORE_H
#define PROXY_STORE_STORE_H

#include "common/conf.h"
#include "common/loop.h"
#include "proxy/cache.h"
#include "proxy/limits.h"
#include "proxy/optimizer.h"

struct store;
struct store_get;

/* Who waits for a kept answer. All zero: nobody. */
struct store_ask {
    int is_over;           /* it was asked for once, which is enough */
    struct store_get *get; /* under way; NULL: none */
    void (*fn)(void *context);
    void *context;
};

#ifdef WITH_BALANCER

/* All is borrowed. 0 with *out, NULL where conf has no [redis] url, or nothing is kept there; -ENOMEM. */
int store_new(struct store **out, struct loop *loop, const struct conf *conf, struct optimizer *optimizer, struct limits *limits) WARN_UNUSED;
/* Nobody may wait any more. */
void store_free(struct store **s);

/* s may be NULL in all that follow. */

/* 1: a->fn is called, within STORE_WAIT_MS, never from within: what was found is in the optimizer's cache then. 0: nothing is to be waited for. */
int store_find(struct store *s, struct store_ask *a, const unsigned char key[CACHE_KEY_BYTES]);
/* It does not wait any more. Harmless for who does not. */
void store_leave(struct store_ask *a);
/* One that was kept in the optimizer's cache. */
void store_keep(struct store *s, const struct cache_entry *e);

/* It has taken so much of its limits here. */
void store_took(struct store *s, const struct limits_who *who, enum limit_kind kind, int64_t n);

#else

/* A build without Redis: nothing is ever found. */
static inline int store_find(struct store *s, struct store_ask *a, const unsigned char key[CACHE_KEY_BYTES])
{
    (void)s, (void)a, (void)key;
    return 0;
}
/* See above. */
static inline void store_leave(struct store_ask *a)
{
    (void)a;
}
/* See above. */
static inline void store_keep(struct store *s, const struct cache_entry *e)
{
    (void)s, (void)e;
}
/* See above. */
static inline void store_took(struct store *s, const struct limits_who *who, enum limit_kind kind, int64_t n)
{
    (void)s, (void)who, (void)kind, (void)n;
}

#endif

#endif
