/*
 * breaker: whether a backend is fit to be given requests: active probes (rise, fall), answers (a circuit breaker), and how it comes back (slow
 * start). Pure; one table of states and events.
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

struct breaker_rules {
    unsigned rise_n, fall_n;     /* probes in a row */
    unsigned failures_n;         /* of answers in a row */
    int64_t open_ms, slow_start_ms;
};

struct breaker {
    const struct breaker_rules *rules;
    enum breaker_state state;
    unsigned good_n, bad_n, failures_n;
    unsigned era;          /* grows whenever the state changes: what was begun in another one does not count (ABA) */
    int64_t until_ms, since_ms;
    int is_trying;         /* of HALF_OPEN: its one request is under way */
};

void breaker_init(struct breaker *b, const struct breaker_rules *rules, int64_t now_ms);
/* A probe was answered, or was not. */
void breaker_probed(struct breaker *b, int is_good, int64_t now_ms);
/* A request may be given to it. */
int breaker_may(struct breaker *b, int64_t now_ms);
/* … is given to it: the era, to be handed back. */
unsigned breaker_begin(struct breaker *b, int64_t now_ms);
enum breaker_outcome { BREAKER_GOOD, BREAKER_BAD, BREAKER_NOTHING /* cancelled: it says nothing */ };
void breaker_end(struct breaker *b, unsigned era, enum breaker_outcome outcome, int64_t now_ms);
/* How many of its slots may be in use, as it comes back slowly. */
size_t breaker_slots(const struct breaker *b, size_t slots_n, int64_t now_ms);
/* When its state may change by time alone; 0: never. */
int64_t breaker_due_ms(const struct breaker *b, int64_t now_ms);
const char *breaker_state_name(enum breaker_state state);

#endif
