/*
 * breaker: whether a backend is fit to be given requests: active probes (rise, fall), answers (a circuit breaker), and how it comes back (slow
 * start). Pure; one table of states and events.
 *
 *     UNKNOWN -> CLOSED -> OPEN -> HALF_OPEN -> CLOSED     (its answers failed, time passed, one request did well)
 *           \-> DOWN -> CLOSED                             (its probes failed, and do well again; from any state)
 */
#ifndef PROXY_BALANCE_BREAKER_H
#define PROXY_BALANCE_BREAKER_H

#include "common/contract.h"

enum breaker_state {
    BREAKER_UNKNOWN,   /* not probed yet */
    BREAKER_CLOSED,    /* requests pass */
    BREAKER_OPEN,      /* none, until until_ms */
    BREAKER_HALF_OPEN, /* one, which decides */
    BREAKER_DOWN,      /* its probes fail */
    BREAKER_STATES
};

enum breaker_event {
    BREAKER_PROBE_GOOD,
    BREAKER_PROBE_BAD,
    BREAKER_ANSWER_GOOD, /* of a request that was begun in this state */
    BREAKER_ANSWER_BAD,
    BREAKER_ANSWER_NONE, /* it was cancelled: it says nothing */
    BREAKER_TIME,        /* until_ms is there */
    BREAKER_EVENTS
};

struct breaker_rules {
    unsigned rise_n, fall_n; /* probes in a row; 0 counts as 1 */
    unsigned failures_n;     /* of answers in a row; 0: however many */
    int64_t open_ms, slow_start_ms;
};

struct breaker {
    const struct breaker_rules *rules; /* borrowed */
    enum breaker_state state;
    unsigned good_n, bad_n, failures_n;
    unsigned era;               /* grows whenever the state changes: what was begun in another one does not count (ABA) */
    int64_t until_ms, since_ms; /* OPEN ends; the state began */
    int is_trying;              /* of HALF_OPEN: its one request is under way */
    int is_slow;                /* of CLOSED: it comes back from a failure */
};

void breaker_init(struct breaker *b, const struct breaker_rules *rules, int64_t now_ms);
/* A probe was answered, or was not. The first one decides alone, as nothing is known before it. */
void breaker_probed(struct breaker *b, int is_good, int64_t now_ms);
/* A request may be given to it. */
int breaker_may(struct breaker *b, int64_t now_ms);
/* … is given to it: the era, to be handed back. */
unsigned breaker_begin(struct breaker *b, int64_t now_ms);
enum breaker_outcome {
    BREAKER_GOOD,
    BREAKER_BAD,
    BREAKER_NOTHING, /* cancelled: it says nothing */
    BREAKER_REFUSED, /* it took no connection: so a probe would have found, and only probes tell when it is back */
};
void breaker_end(struct breaker *b, unsigned era, enum breaker_outcome outcome, int64_t now_ms);
/* How many of its slots may be in use once breaker_may lets a request pass: all, one while that one decides, or, as it comes back, one and
 * then more until slow_start_ms are over. */
size_t breaker_slots(const struct breaker *b, size_t slots_n, int64_t now_ms);
/* When breaker_may or breaker_slots says otherwise by time alone; 0: never. */
int64_t breaker_due_ms(const struct breaker *b, size_t slots_n, int64_t now_ms);
const char *breaker_state_name(enum breaker_state state);
/* For the test of the table: what happens in a cell, never NULL. */
const char *breaker_cell_name(enum breaker_state state, enum breaker_event event);

#endif
