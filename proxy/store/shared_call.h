/*
 * shared_call: what is inside of shared.h, and commands of the script (balance/1_known.lua): how each is sent, and what of its reply is the same for all.
 */
#ifndef PROXY_STORE_SHARED_CALL_H
#define PROXY_STORE_SHARED_CALL_H

#include "proxy/store/redis.h"
#include "proxy/store/redis_why.h"
#include "proxy/store/shared.h"
#include "proxy/store/shared_reply.h"
#include "proxy/store/shared_tickets.h"

enum { SHARED_KEY_BYTES = CONF_NAME_N + 64, SHARED_SHA_BYTES = 41, SHARED_BACKENDS = 256 };

/* What was said of a backend last, by us or to us. */
struct shared_said {
    char name[CONF_NAME_N + ADDRESS_TEXT_BYTES];
    int is_drained;
    int is_due; /* it was said here while Redis was away, which is to be told of it */
};

enum shared_step {
    SHARED_DOWN,    /* no connection */
    SHARED_LOADING, /* the script is */
    SHARED_JOINING, /* the first beat is under way */
    SHARED_READY,
};

struct shared {
    struct loop *loop;
    const struct conf_redis *conf;
    const struct conf_balancer *rules;
    struct shared_ops ops;
    struct redis_url url;
    struct redis_ops command_ops, ear_ops;
    struct redis *commands, *ears; /* ears: what is published for us */
    enum shared_step step;
    int is_loading;     /* the script is under way to Redis */
    int is_beating;     /* a beat is */
    int is_first;       /* see SHARED_FIRST: we have no slot that Redis was not told of */
    int is_forgotten;   /* Redis does not know what we have: the owner is to tell it */
    struct timer beat, first; /* first: the end of SHARED_FIRST */
    char me[SHARED_ID_BYTES], name[64], key[SHARED_KEY_BYTES], sha[SHARED_SHA_BYTES];
    char why[REDIS_WHY_BYTES]; /* of what was told last; "" while it is up */
    uint64_t next_id;
    unsigned replicas_n;
    struct shared_tickets tickets;
    struct shared_said *said;
    size_t said_n;
};

/* A command of the script, to which words are added (redis_add), and what sends it: a redis_fn gets s. */
void shared_begin(struct shared *s, const char *command);
void shared_add_id(struct shared *s, uint64_t id);
void shared_send(struct shared *s, redis_fn *fn);
/* One of nothing but an id, whose reply are grants. */
void shared_send_id(struct shared *s, const char *command, uint64_t id);

/* 1: the reply is worth reading. Else what is to be done was done: an error of ours is told, a script that was flushed is loaded again, and of
 * any other error Redis is of no use for now. */
int shared_is_good(struct shared *s, const redisReply *reply);
/* It was, but is none of our script's. */
void shared_refuse(struct shared *s);
/* A redis_fn, whose context is s: the reply of most commands. */
void shared_on_grants(void *context, const redisReply *reply);
/* Somebody has a slot: us, where it says so. */
shared_grant_fn shared_on_grant;

/* Sends the script: at the beginning, and when somebody has flushed Redis' own; what was under way is lost then, and told anew. */
void shared_load_script(struct shared *s);

#endif
