/*
 * fleet: several Ollamas as one, as an exchange sees them: it asks for a slot, and gets a member. Ties together who waits (balance.h), what is
 * learnt (speeds.h, prefix.h), the members (member.h) and the other replicas (store/shared.h).
 */
#ifndef PROXY_BALANCE_FLEET_H
#define PROXY_BALANCE_FLEET_H

#include "proxy/balance/balance.h"
#include "proxy/balance/member.h"
#include "proxy/balance/prefix.h"
#include "proxy/balance/speeds.h"
#include "proxy/ending.h"

struct fleet;
struct shared;

/* What a request is to the fleet. */
struct fleet_ask {
    const char *model;
    unsigned priority;
    uint64_t payer;
    int64_t prompt_tokens, output_most; /* expected; output_most 0: not said */
    struct prefix prefix;               /* of its prompt; cuts_n 0: nobody knows */
};

enum fleet_why { FLEET_GRANTED, FLEET_MODEL_GONE /* no member has its model any more */ };

/* A request's place. Embedded, or owned by what waits; all zero but for fn and context before the first time. */
struct fleet_ticket {
    struct balance_ticket balance;
    struct balance_way ways[BALANCE_BACKENDS];
    struct fleet_ask ask;
    char model[CONTRACT_NAME_BYTES];
    uint64_t id;            /* unique among all replicas' */
    uint64_t tried;         /* bits: members that have failed it */
    int is_accepted;        /* it was let in to wait before: max_queue does not count, and it keeps its tag */
    struct member *member;  /* whose slot it has, used (member_use) until fleet_leave; NULL: none */
    unsigned era;           /* breaker's */
    int is_under_way;       /* breaker_begin was called */
    int64_t cached_tokens;  /* what was expected of the member's cache */
    int64_t entered_ms, granted_ms, estimate_ms; /* what was expected of it when it was granted, its wait left out */
    void (*fn)(void *context, enum fleet_why why); /* called once for each FLEET_WAIT, never from within */
    void *context;
};

enum fleet_verdict {
    FLEET_GO,       /* t->member */
    FLEET_WAIT,
    FLEET_FULL,     /* too many wait already */
    FLEET_NO_MODEL, /* no member has it, as far as all of them have told */
    FLEET_NO_MORE,  /* each that has it has failed this request: t->tried */
    FLEET_NO_MEMORY,
};

/* t->ask is set. */
enum fleet_verdict fleet_enter(struct fleet *f, struct fleet_ticket *t);
/* Its request goes to the member now: a load of its model, or itself. */
void fleet_begin(struct fleet *f, struct fleet_ticket *t);

enum fleet_end {
    FLEET_ANSWERED, /* well: facts are learnt from */
    FLEET_REFUSED,  /* by a status that is the request's fault (4xx): the member is well */
    FLEET_FAILED,   /* no connection, no answer, a broken one, 5xx: the member's fault */
    FLEET_LEFT,     /* nobody waited for the end */
};
/* Gives back slot or place. facts: of ANSWERED, or NULL. prompt_tokens as the member counted them are in facts. Harmless for who has neither. */
void fleet_leave(struct fleet *f, struct fleet_ticket *t, enum fleet_end end, const struct ending_facts *facts);
/* … as its member failed before the first byte: it may enter again, and that member is not among those it may get. why: for the log, borrowed. */
void fleet_fail(struct fleet *f, struct fleet_ticket *t, const char *why);

/* Its place in line (1: the next), and when its answer is expected to begin, in ms; of one that waits. With replicas: as the store has told last. */
size_t fleet_place(const struct fleet *f, const struct fleet_ticket *t);
int64_t fleet_wait_ms(const struct fleet *f, const struct fleet_ticket *t);
/* Any member that is up, for what needs no slot: model NULL, or one that it has to have. NULL: none. The caller uses it (member_use). */
struct member *fleet_any(struct fleet *f, const char *model);
struct members *fleet_members(struct fleet *f);
/* `{"queue":…,"backends":[…]}` for GET /status. 0 or -errno. */
int fleet_write(struct fleet *f, struct buf *out) WARN_UNUSED;

struct fleet_site {
    struct loop *loop;
    const struct conf *conf;
    const struct tell *tell;
    struct waiting *waiting;
    void (*lists_changed)(void *context); /* what the members have: members_write_tags says otherwise now */
    void *context;
};
/* 0 with *out, NULL where conf has no backend with api = ollama; -ENOMEM. */
int fleet_new(struct fleet **out, const struct fleet_site *site) WARN_UNUSED;
void fleet_free(struct fleet **f);

#endif
