/*
 * redis: a connection to Redis that comes again by itself: commands and their replies in turn, and what is published. What comes is read
 * by hiredis (docs/adr/0019-hiredis.md); the socket is on our loop, and waits for nothing.
 */
#ifndef PROXY_STORE_REDIS_H
#define PROXY_STORE_REDIS_H

#include "common/loop.h"
#include "common/redis_url.h"

#include <hiredis/hiredis.h>

struct redis;

enum redis_state {
    REDIS_PAUSE,      /* until the next try */
    REDIS_LOOKING_UP, /* its host's name */
    REDIS_CONNECTING,
    REDIS_GREETING,   /* whether it lets us in */
    REDIS_UP,
    REDIS_STATES
};

/* None may free it. */
struct redis_ops {
    /* Commands may be sent. */
    void (*up)(void *context);
    /* … no more, or a try has failed; why: what, and what to do, borrowed. Commands that were under way have had NULL for an answer. */
    void (*down)(void *context, const char *why);
    /* Published on a channel that was subscribed to. NULL: nothing is. */
    void (*message)(void *context, const char *text, size_t text_n);
    void *context;
};

/* All is borrowed for as long as it lives. */
struct redis_site {
    struct loop *loop;
    const struct redis_url *at;
    const char *password; /* where the url has none; "": none */
    const char *name;     /* that its CLIENT LIST shows; no blanks */
    int64_t timeout_ms;   /* to be let in, and for each reply */
};

/* It begins to connect in the next turn. 0 or -ENOMEM. */
int redis_new(struct redis **out, const struct redis_site *site, const struct redis_ops *ops) WARN_UNUSED;
/* What is still to be sent is sent as far as it goes at once. Nobody is told; commands under way are answered with NULL. */
void redis_free(struct redis **r);
enum redis_state redis_state(const struct redis *r);
/* Commands that are not answered yet. */
size_t redis_under_way_n(const struct redis *r);

/* The reply, gone when this returns; NULL: there will be none. */
typedef void redis_fn(void *context, const redisReply *reply);

/* A command, word by word, then redis_send: 0, and fn is called once, later; or -ENOTCONN, -ENOBUFS, -ENOMEM: nothing was sent. */
void redis_begin(struct redis *r);
void redis_add(struct redis *r, const char *bytes, size_t bytes_n);
void redis_add_text(struct redis *r, const char *text);
void redis_add_number(struct redis *r, int64_t number);
int redis_send(struct redis *r, redis_fn *fn, void *context) WARN_UNUSED;

/* It answers, but not as we need it: it is left, and tried again later. why: as of down(), which is called; borrowed. */
void redis_refuse(struct redis *r, const char *why);

#endif
