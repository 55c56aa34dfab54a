/*
 * live: the requests whose answers are not whole, and what is told of one. A list alone: it asks nobody, and costs a request two links.
 */
#ifndef PROXY_OBSERVE_LIVE_H
#define PROXY_OBSERVE_LIVE_H

#include <stddef.h>
#include <stdint.h>

struct exchange;

enum { LIVE_PRIORITIES = 10 }; /* 0 to 9 */

/* Where a request is. */
enum live_phase {
    LIVE_RECEIVING, /* its body comes */
    LIVE_HELD,      /* waits for Ollama, for its model, or for another try */
    LIVE_PULLING,   /* … for a model that is pulled */
    LIVE_LOADING,   /* … for its model to be loaded */
    LIVE_QUEUED,    /* … for a slot */
    LIVE_WAITING,   /* is with the backend, of whose answer there is no byte */
    LIVE_STREAMING, /* its answer comes */
    LIVE_LISTENING, /* gets an answer that is made for another one, too */
    LIVE_MAPPING,   /* parts of its conversation are summarised */
    LIVE_PHASE_COUNT
};

/* Embedded in an exchange. All zero: not in the list. */
struct live {
    struct live *previous, *next; /* the one that began before, and behind it */
    struct exchange *exchange;    /* borrowed; NULL: not in the list */
};

/* All zero: none. */
struct live_list {
    struct live *first, *last; /* the oldest, and the latest */
    size_t n;
};

/* What is told of one, by exchange_tell_live() of exchange_state.h. Texts are borrowed, until the loop's turn ends; what is not known is "",
 * numbers -1. */
struct live_facts {
    const char *id, *method, *path, *model, *client, *key, *backend;
    size_t method_n, path_n;             /* which have no ends of their own */
    enum live_phase phase;
    int64_t phase_ms, age_ms;            /* since when it is in its phase, and since its head had come */
    int64_t wait_ms, queue_ms, load_ms;  /* so far */
    int64_t first_token_ms;              /* from its head to the first byte of its answer */
    int64_t tokens_n;                    /* that have come so far, as far as they can be counted by lines */
    unsigned priority;
    size_t place;                        /* in line; 0: not known */
};

/* It is the latest. */
void live_enter(struct live_list *l, struct live *one, struct exchange *exchange);
/* Harmless where it is not in the list. */
void live_leave(struct live_list *l, struct live *one);

/* `held`. */
const char *live_phase_name(enum live_phase phase);

#endif
