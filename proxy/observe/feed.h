/*
 * feed: what goes on, told to all who look on: one text for all of them, made when something has changed, at most once a second, and every few
 * seconds. Whoever has not taken the last one is passed over. Nothing is done while nobody looks.
 */
#ifndef PROXY_OBSERVE_FEED_H
#define PROXY_OBSERVE_FEED_H

#include "common/buf.h"
#include "common/loop.h"

enum {
    FEED_LISTENERS_MAX = 16,
    FEED_OF_ADDRESS_MAX = 8, /* … of one address: others are to find a place whatever a page there asks for */
    FEED_LOOK_MS = 1000, /* between two looks whether something has changed */
    FEED_TELL_MS = 5000, /* so often it is told all the same */
    FEED_PING_MS = 15000, /* who was told nothing for so long hears that we are there */
    FEED_BYTES = 8 << 20,
};

/* Who looks on; embedded in it, all zero but for the calls and context. */
struct feed_listener {
    struct feed_listener *previous, *next;
    int is_in;
    int64_t told_ms;
    const char *address; /* of who looks on; borrowed while it is in */
    /* 1: it has taken these bytes; 0: it is not through with the last ones. May not leave. */
    int (*tell)(void *context, const char *bytes, size_t bytes_n);
    void *context;
};

struct feed_ops {
    uint64_t (*look)(void *context);                    /* another number where something has changed */
    int (*write)(void *context, struct buf *out);       /* the event, whole. 0 or -errno */
    void *context;
};

struct feed {
    struct loop *loop;
    struct feed_ops ops;
    struct timer timer;
    uint64_t seen;
    int64_t told_ms;
    size_t listeners_n;
    struct feed_listener *first;
};

/* All is borrowed. 0 or -ENOMEM. */
int feed_new(struct feed **out, struct loop *loop, const struct feed_ops *ops) WARN_UNUSED;
/* Nobody may listen. */
void feed_free(struct feed **f);

/* Whether somebody of this address may enter: 0; -EBUSY: there are too many; -EDQUOT: too many of this address. */
int feed_has_room(const struct feed *f, const char *address) WARN_UNUSED;
/* It is told at once what there is, and from now on. 0; as feed_has_room() says; -ENOMEM, -EFBIG. */
int feed_enter(struct feed *f, struct feed_listener *l) WARN_UNUSED;
/* Harmless for who is not in. */
void feed_leave(struct feed *f, struct feed_listener *l);

#endif
