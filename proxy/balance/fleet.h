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
#include "proxy/json_write.h"

struct fleet;
struct shared;

/* What a request is to the fleet. */
struct fleet_ask {
    const char *model;   /* shorter than CONTRACT_NAME_BYTES; borrowed for the call of fleet_enter */
    const char *backend; /* the only one that will do, by its name or its section's; NULL: any. Borrowed as long as the ticket is in */
    size_t backend_n;
    const char *id;      /* of the request, for /status; borrowed likewise */
    unsigned priority;
    uint64_t payer;
    int64_t prompt_tokens, output_most; /* expected; output_most 0: not said */
    struct prefix prefix;               /* of its prompt; cuts_n 0: nobody knows */
};

enum fleet_why {
    FLEET_LOOK_AGAIN, /* fleet_enter says something else than WAIT now */
    FLEET_HUNG,       /* its member answers nothing any more, and another one may: it may leave it (fleet_fail), where no byte has come */
    FLEET_LOST,       /* its slot is somebody else's by now, as we stood still too long: what is under way is to be cancelled, and it may enter again */
};

enum fleet_due {
    FLEET_DUE_NOTHING,
    FLEET_DUE_SLOT, /* Redis has given it one: it is balance's already */
    FLEET_DUE_AWAY, /* no member has its model, or would take it */
    FLEET_DUE_HUNG, /* FLEET_HUNG */
    FLEET_DUE_LOSS, /* FLEET_LOST */
};

/* A request's place. Owned by what waits; all zero but for fn and context before the first time. */
struct fleet_ticket {
    struct balance_ticket balance;
    struct balance_way ways[BALANCE_BACKENDS];
    struct fleet_ask ask;
    char model[CONTRACT_NAME_BYTES];
    struct fleet_ticket *next, **link; /* of those whose ids fall together, and what points here */
    uint64_t id;            /* unique among all replicas' */
    uint64_t tried;         /* bits: members that have failed it */
    int is_in;              /* it waits, or has a slot */
    int is_accepted;        /* it was let in to wait before: max_queue does not count, and it keeps its tag */
    enum fleet_due due;     /* … what is to be said to it by fn, at the end of the turn; */
    struct fleet_ticket *due_next, **due_link; /* … of those to whom something is, in the order in which it came about */
    struct member *member;  /* whose slot it has, used (member_use) until fleet_leave; NULL: none */
    unsigned era;           /* breaker's */
    int is_kept;            /* its answer has begun */
    int is_untold;          /* Redis is to be told of it, later */
    int64_t cached_tokens;  /* what was expected of the member's cache */
    int64_t entered_ms, granted_ms, estimate_ms; /* what was expected of it when it was granted, its wait left out */
    void (*fn)(void *context, enum fleet_why why); /* called once for each FLEET_WAIT, never from within; and where a slot is lost, or its member hangs */
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
/* Its answer has begun: it can't be taken back any more. */
void fleet_keep(struct fleet *f, struct fleet_ticket *t);

enum fleet_end {
    FLEET_ANSWERED, /* well: facts are learnt from */
    FLEET_REFUSED,  /* by a status that is the request's fault (4xx): the member is well */
    FLEET_FAILED,   /* no connection, no answer, a broken one, 5xx: the member's fault */
    FLEET_LEFT,     /* nobody waited for the end */
};
/* Gives back slot or place. facts: of ANSWERED, or NULL. why: of FAILED, for the log; borrowed for the call. Harmless for who has neither. */
void fleet_leave(struct fleet *f, struct fleet_ticket *t, enum fleet_end end, const struct ending_facts *facts, const char *why);
/* … as its member failed before the first byte: it may enter again, and that member is not among those it may get. outcome: what that says of the member. */
void fleet_fail(struct fleet *f, struct fleet_ticket *t, enum breaker_outcome outcome, const char *why);
/* Whether another member than the one it has, and those that have failed it, has its model. */
int fleet_may_go_elsewhere(const struct fleet *f, const struct fleet_ticket *t);

/* Its place in line (1: the next), and when its answer is expected to begin, in ms; of one that waits. With replicas: as the store has told last. */
size_t fleet_place(const struct fleet *f, const struct fleet_ticket *t);
int64_t fleet_wait_ms(const struct fleet *f, const struct fleet_ticket *t);
/* How long who comes now would stand in line, as far as it is known; of a little while ago. */
int64_t fleet_longest_wait_ms(struct fleet *f);
/* The member for what needs no slot: one that may be given requests; backend: the only one that will do, or NULL; model: one that it has to have, or NULL.
 * NULL: none. The caller uses it (member_use). */
struct member *fleet_any(struct fleet *f, const char *backend, size_t backend_n, const char *model);
/* The names of all of them, with commas. 0 or -errno. */
int fleet_names(const struct fleet *f, struct buf *out) WARN_UNUSED;
/* How many members there are, and how many slots of those that may be given requests are free. */
size_t fleet_members_n(const struct fleet *f);
size_t fleet_free_n(struct fleet *f);
struct members *fleet_members(struct fleet *f);
/* For /health and /metrics. */
void fleet_gather(const struct fleet *f, struct fleet_facts *out);
/* `{"queue":…,"backends":[…],"redis":…}` for GET /status; shown: the models that may be told, NULL: all. 0 or -errno. */
int fleet_write(struct fleet *f, const struct list *shown, struct buf *out) WARN_UNUSED;
/* … what stands between the brackets of its `backends`. How many there are. */
int fleet_write_members(struct fleet *f, const struct list *shown, struct json_write *w);
/* Its owner wants nothing new to go to a member, or takes that back: by its name, or that of its section; the other replicas are told. 0 or -ENOENT. */
int fleet_drain(struct fleet *f, const char *name, size_t name_n, int is_drained) WARN_UNUSED;

struct fleet_site {
    struct loop *loop;
    const struct conf *conf;
    const struct tell *tell;
    struct waiting *waiting;
    void (*lists_changed)(void *context); /* what the members have: members_write_tags says otherwise now */
    void (*work)(void *context, int is_begun); /* a load by a request of our own */
    void (*failed)(void *context, const struct member *m); /* it gets no requests, for m->why; or NULL */
    void *context;
};
/* 0 with *out, NULL where conf has no backend with api = ollama; -ENOMEM. */
int fleet_new(struct fleet **out, const struct fleet_site *site) WARN_UNUSED;
void fleet_free(struct fleet **f);

#endif
