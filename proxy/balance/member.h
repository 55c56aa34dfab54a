/*
 * member: one Ollama among several: where it is, how it is, what it has and has loaded. members: all of them, as names of hosts become
 * addresses and addresses come and go. They probe by GET /api/ps, list by GET /api/tags; requests are none of their business.
 */
#ifndef PROXY_BALANCE_MEMBER_H
#define PROXY_BALANCE_MEMBER_H

#include "common/conf.h"
#include "common/network.h"
#include "proxy/backend.h"
#include "proxy/balance/balance.h"
#include "proxy/balance/breaker.h"
#include "proxy/fleet_facts.h"
#include "proxy/installed.h"
#include "proxy/loader.h"
#include "proxy/own_request.h"

enum { MEMBER_NAME_BYTES = CONF_NAME_N + ADDRESS_TEXT_BYTES, MEMBER_WHY_BYTES = 160 };

struct members;
struct members_row;

struct member {
    struct members *all;
    int index;                 /* its place, below BALANCE_BACKENDS, as long as it is there */
    const struct conf_backend *conf;
    char name[MEMBER_NAME_BYTES]; /* of its section; NAME/ADDRESS:PORT where its host's name has several addresses. It changes with their number */
    char path[256];            /* of its url, without a slash at its end: "" mostly */
    struct backend backend;    /* with its key */
    struct loader loader;      /* models that are loaded there by requests of our own */
    struct installed installed; /* which models it has */
    struct breaker breaker;
    int is_listed;             /* installed was read */
    int is_drained;            /* the owner wants nothing new to go there */
    int is_leaving;            /* its address is gone: nothing new, and it goes when nobody uses it */
    size_t users_n;            /* exchanges that have it: it stays while there are any */
    char why[MEMBER_WHY_BYTES]; /* of its last failure; "" */
    /* members' own. */
    struct members_row *row;   /* of its section */
    int has_backend;           /* it is somewhere: backend, loader and the two requests are set up */
    struct ip ip;              /* … where, where its host's name was looked up by us; all zero: elsewhere */
    struct own_request probe, list;
    void (*probed)(struct member *m, const char *why);
    int is_probing, is_listing, is_used, is_changed;
    int64_t probed_ms, probe_at_ms; /* a probe was begun; the next one is due */
    int64_t listed_ms, list_asked_ms; /* the list was asked for, the good one and the last one; -1: never */
    enum breaker_state told_state; /* of the breaker, as it was told last */
    size_t told_slots_n;
    struct timer timer;        /* of probes, and of the breaker's time */
    struct buf tags, loaded;   /* its answers to GET /api/tags and /api/ps; empty before the first */
};

struct members_ops {
    /* m may be given requests, or not any more; its name, slots, models, or whether it is drained have changed: look again. m may be new. Later, never from within. */
    void (*changed)(void *context, struct member *m);
    /* m goes now: nobody uses it. */
    void (*gone)(void *context, struct member *m);
    /* What it says that it has loaded. */
    void (*loaded)(void *context, struct member *m, const char *const *names, size_t names_n, int64_t asked_ms);
    /* A load by a request of our own has begun there, or ended: it is work. From within its loader. */
    void (*load)(void *context, struct member *m, int is_begun);
    /* Its breaker has opened, or its probes fail: m->why. Once for each time. */
    void (*failed)(void *context, const struct member *m);
    void *context;
};

/* Those of conf with api = ollama. All is borrowed. 0 or -ENOMEM. */
int members_new(struct members **out, struct loop *loop, const struct conf *conf, const struct tell *tell, struct waiting *waiting, const struct members_ops *ops) WARN_UNUSED;
/* Nobody may use one any more. */
void members_free(struct members **m);
/* The members in the order of their indices, with gaps: NULL. i below BALANCE_BACKENDS. */
struct member *members_at(const struct members *all, size_t i);
/* By its name. */
struct member *members_find(const struct members *all, const char *name, size_t name_n);
/* Whether that is its name, or its section's. */
int member_is_named(const struct member *m, const char *name, size_t name_n);
/* How many there are by this name, their own or their section's; those that leave aside. */
size_t members_count(const struct members *all, const char *name, size_t name_n);
/* It may be given requests now; and how many at once. */
int member_is_open(struct member *m, int64_t now_ms);
size_t member_slots(const struct member *m, int64_t now_ms);
/* Whether it has this model: its owner's word (`models`), else its list. UNKNOWN: members_refresh may tell, or its first list is awaited. */
enum installed_verdict member_has(const struct member *m, const char *model, int64_t now_ms);
/* Whether a list of any of them has this model, and its owner lets it answer for that. */
int members_list(const struct members *all, const char *model);
/* An exchange uses it, or does not any more. */
void member_use(struct member *m);
void member_leave(struct member *m);
/* What it has loaded has changed: it is asked sooner than it would be. */
void member_probe_soon(struct member *m);
/* A request of somebody's was answered, or was not: the era is breaker_begin's. why: of BAD and REFUSED, borrowed. */
void member_answered(struct member *m, unsigned era, enum breaker_outcome outcome, const char *why);
/* By its name, or that of a section: all addresses of that then, later ones too. 0, or -ENOENT. */
int members_drain(struct members *all, const char *name, size_t name_n, int is_drained);
/* Lists older than that are asked for again: 1 where all are as fresh as can be, else `changed` comes. */
int members_refresh(struct members *all, int64_t older_ms);
/* {"models":[…]} of all of them, a name once, as GET /api/tags has it; and {"models":[…]} of GET /api/ps, of those that are up. 0 or -errno. */
int members_write_tags(const struct members *all, struct buf *out) WARN_UNUSED;
int members_write_ps(const struct members *all, struct buf *out) WARN_UNUSED;
/* What is told of them, those that leave aside: all borrowed until the next turn. b: who has their slots. */
void members_gather(const struct members *all, const struct balance *b, struct fleet_facts *out);

#endif
