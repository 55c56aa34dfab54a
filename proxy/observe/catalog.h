/*
 * catalog: which models our one Ollama has, and which of them are loaded, as it says itself (GET /api/tags, /api/ps). It is asked while somebody
 * looks, and while it is awake and ready; nobody is woken. Of several Ollamas the fleet knows by itself.
 */
#ifndef PROXY_OBSERVE_CATALOG_H
#define PROXY_OBSERVE_CATALOG_H

#include "proxy/observe/overseer.h"
#include "proxy/own_request.h"

enum {
    CATALOG_FRESH_MS = 2000, /* what is younger is as fresh as it can be */
    CATALOG_OLD_MS = 30000,  /* what is older is asked for again where nothing seems to have changed: each question is a line in Ollama's log */
    CATALOG_ASK_MS = 1000,   /* for an answer */
    CATALOG_BYTES = 4 << 20, /* of one */
    CATALOG_WHY_BYTES = 160,
};

struct env;

enum catalog_list { CATALOG_TAGS, CATALOG_PS, CATALOG_LISTS };

/* Who waits for an answer; embedded in it, all zero but for fn and context. */
struct catalog_ticket {
    struct catalog_ticket *previous, *next;
    int is_waiting;
    void (*fn)(void *context);
    void *context;
};

struct catalog {
    struct env *env; /* borrowed */
    struct catalog_ask {
        struct catalog *catalog;
        struct own_request request;
        struct buf answer;   /* the last good one; empty: there has been none */
        int is_asking;
    } asks[CATALOG_LISTS];
    int64_t asked_ms;        /* 0: never */
    uint64_t seen;           /* status_look()'s causes, when it was asked last */
    int is_silent;           /* it should have answered, and has not: why */
    char why[CATALOG_WHY_BYTES];
    struct overseer_waiter overseer; /* status_look() asks the supervisor, too, and waits for nothing */
    struct catalog_ticket *first;
};

/* All is borrowed. 0 or -ENOMEM. */
int catalog_new(struct catalog **out, struct env *env) WARN_UNUSED;
/* Nobody may wait. */
void catalog_free(struct catalog **c);

/* 1: what is known is no older than that, or can't be had now; 0: it is asked for, and t->fn comes, never from within. t NULL: nobody waits. */
int catalog_refresh(struct catalog *c, int64_t older_ms, struct catalog_ticket *t);
/* Harmless for who does not wait. */
void catalog_leave(struct catalog *c, struct catalog_ticket *t);
/* Its last answer, or what was known of it before it fell asleep; n 0: nothing. Borrowed for the turn. */
const char *catalog_answer(const struct catalog *c, enum catalog_list list, size_t *n);

#endif
