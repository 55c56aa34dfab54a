/*
 * shared: the queue that all replicas have in common, in Redis. A request stays with the replica that holds its client; Redis holds a ticket of it (id,
 * model, order, what it takes at each backend, the replica), never a prompt. A script under Redis' own clock gives free slots to tickets (proxy/store/balance; the
 * same rules as balance.h); who holds the ticket is told, and runs it: nobody else can. A slot is a lease, renewed while it is used.
 */
#ifndef PROXY_STORE_SHARED_H
#define PROXY_STORE_SHARED_H

#include "common/conf.h"
#include "common/loop.h"
#include "proxy/balance/balance.h"

struct shared;

enum shared_state {
    SHARED_AWAY, /* each replica for itself, with its part of the slots */
    SHARED_UP,   /* Redis grants */
    SHARED_FIRST, /* we have just begun, and don't know how many we are: nobody grants, until Redis answers or [redis] timeout is over */
};

/* A backend's name in Redis is the same for all replicas: that of member.h. */
struct shared_ops {
    /* Redis answers, or does not: replicas_n is how many were seen last, ourselves included. After SHARED_UP the owner tells anew all that waits and all
     * that is in slots (shared_enter, shared_hold) before anything is granted. */
    void (*state)(void *context, enum shared_state state, unsigned replicas_n);
    /* A slot of that backend is this ticket's. 0; or -ENOENT: it is not known (any more): the slot is handed back. */
    int (*granted)(void *context, uint64_t id, const char *backend);
    /* We stood still for longer than a lease, and the slot is somebody else's by now. */
    void (*lost)(void *context, uint64_t id);
    /* What another replica, or the owner through one, has said. */
    void (*drained)(void *context, const char *backend, int is_drained);
    void (*learnt)(void *context, const char *backend, const char *model, const char *text); /* as given to shared_learnt */
    void *context;
};

/* conf->redis.url is set. 0 or -ENOMEM; a Redis that is not there is no mistake. */
int shared_new(struct shared **out, struct loop *loop, const struct conf *conf, const struct shared_ops *ops) WARN_UNUSED;
/* Gives back all that it has, if Redis listens; does not wait. */
void shared_free(struct shared **s);
enum shared_state shared_state(const struct shared *s);
/* An id for a ticket, which no other replica has given. */
uint64_t shared_next_id(struct shared *s);

struct shared_ticket {
    uint64_t id;
    const char *model;
    unsigned priority;
    uint64_t payer;
    int64_t cost_ms; /* what its payer owes for it, while it is there: proxy/balance/fair.h */
    size_t ways_n;
    struct shared_way { const char *backend; struct balance_way way; } ways[BALANCE_BACKENDS]; /* only where it may go */
};
/* Whether a ticket may be told now: all of thousands at once are more than Redis answers in time. */
int shared_has_room(const struct shared *s);
/* It waits; or, with an id that waits already, its ways are others now: it keeps its place. Nothing while AWAY. Copied. */
void shared_enter(struct shared *s, const struct shared_ticket *t);
/* It does not wait any more, or gives its slot back. Harmless for who has neither. */
void shared_leave(struct shared *s, uint64_t id);
/* Its answer has begun: where its lease is lost, the slot is taken over and above what there is, rather than to be cut off. */
void shared_keep(struct shared *s, uint64_t id);
/* It is in a slot that was given to it while Redis was away, or by an earlier one. */
void shared_hold(struct shared *s, uint64_t id, const char *backend, const char *model, int64_t ends_in_ms);
/* How many stand before it in all replicas' line, and when its slot is expected; as told at the last look. 0: not known. */
void shared_place(const struct shared *s, uint64_t id, size_t *place, int64_t *wait_ms);
/* slots_n: as configured and found; loaded: what it says that it has loaded. */
void shared_backend(struct shared *s, const char *backend, size_t slots_n, unsigned weight);
void shared_loaded(struct shared *s, const char *backend, const char *const *names, size_t names_n);
void shared_drain(struct shared *s, const char *backend, int is_drained);
void shared_learnt(struct shared *s, const char *backend, const char *model, const char *text);
/* `{"state":"up",…}` for GET /status. 0 or -errno. */
int shared_write(const struct shared *s, struct buf *out) WARN_UNUSED;

#endif
