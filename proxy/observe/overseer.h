/*
 * overseer: what the proxy asks of its supervisor, over sockets that it hands up (CONTRACT_ASK): here its status, once for all who want to know. Nobody waits
 * longer than OVERSEER_WAIT_MS: a supervisor that is silent is told of as none.
 * Source: docs/contract.md, Control socket.
 */
#ifndef PROXY_OBSERVE_OVERSEER_H
#define PROXY_OBSERVE_OVERSEER_H

#include "common/buf.h"
#include "common/loop.h"

enum {
    OVERSEER_FRESH_MS = 2000,          /* a status that is no older will do for whoever asks: each costs the supervisor a look at all processes */
    OVERSEER_OLD_MS = 7000,            /* nobody is told of an older one */
    OVERSEER_WAIT_MS = 500,
    OVERSEER_REST_MS = 1000,           /* after a question that has failed none is asked for so long */
    OVERSEER_STATUS_BYTES = 256 * 1024, /* a longer status is none */
    OVERSEER_LINE_BYTES = 510,         /* of a question */
    OVERSEER_TAILS_MAX = 3,            /* at once: the supervisor has four places for a proxy, and one is for its status */
};

struct overseer;

/* Embedded in what waits for a status; all zero but for fn and context: it does not wait. */
struct overseer_waiter {
    void (*fn)(void *context); /* never from within overseer_refresh(); it may leave, ask again, and free what it is in */
    void *context;
    struct overseer *overseer; /* where it waits, or NULL */
    struct overseer_waiter *next;
};

struct overseer {
    struct loop *loop;
    int channel_fd;       /* borrowed; -1: there is no supervisor */
    int fd;               /* of the question under way; -1: none is */
    struct buf coming;    /* its answer, so far */
    struct timer timer;   /* until then who asks waits */
    struct buf status;    /* the last one: an object of JSON, checked; empty: there was none yet */
    int64_t status_at_ms; /* when it came */
    int64_t failed_at_ms; /* a question failed then; 0: the last one did not */
    struct overseer_waiter *waiters;
    unsigned tails_n;     /* overseer_tail's, that are under way */
};

void overseer_init(struct overseer *o, struct loop *loop, int channel_fd);
/* Who waits is called no more; *o may be all zero. */
void overseer_fini(struct overseer *o);

/* A fresh status is there, or none will come: 1; or it is asked for, and w->fn will be called once: 0. */
int overseer_refresh(struct overseer *o, struct overseer_waiter *w) WARN_UNUSED;
/* It waits no more. Harmless where it does not. */
void overseer_leave(struct overseer_waiter *w);
/* The last status, where it is not too old: {"ok":true,…} as the control socket's `status` has it, *json_n bytes, borrowed until the loop turns; NULL:
 * the supervisor has not answered, or there is none. */
const char *overseer_status(const struct overseer *o, size_t *json_n);
/* Whether there is one that could be asked. */
static inline int overseer_is_there(const struct overseer *o)
{
    return o->channel_fd >= 0;
}

/* Our end of a socket on which the supervisor will answer this line (without its end), the caller's; or -errno: -ENOTSUP where there is none, -EFBIG. */
int overseer_hand_up(const struct overseer *o, const char *line) WARN_UNUSED;

#endif
