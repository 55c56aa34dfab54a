/*
 * fair: in which order requests are served. Each gets one number when it comes, its tag, and keeps it: the lower is served first.
 *
 *     start = max(now, F[payer, priority])                                start-time fair queueing (Goyal, Vin, Cheng, SIGCOMM 1996)
 *     F[payer, priority] = min(start + cost, now + fair_max)
 *     tag = start + (9 - priority) * ageing
 *
 * So a payer who has sent much comes behind others who have not, a class lower comes behind as if it had come later by ageing_ms, and nobody
 * is overtaken for ever: whoever comes later than that is behind him. F is per class, so that somebody's own high class does not wait behind
 * his own flood. All in milliseconds. Pure.
 */
#ifndef PROXY_BALANCE_FAIR_H
#define PROXY_BALANCE_FAIR_H

#include "proxy/balance/ticket.h"

enum { FAIR_SETS = 128, FAIR_WAYS = 8 };

/* Whose virtual time is ahead of the clock. Where more are than there is room for, the one who is least ahead is forgotten. All zero: nobody. */
struct fair {
    struct fair_row {
        uint64_t payer;
        unsigned priority;
        int64_t finish_ms;
    } rows[FAIR_SETS][FAIR_WAYS];
};

/* payer 0: it counts for nobody, and starts now. cost_ms: what it takes of all backends together. */
int64_t fair_tag_ms(struct fair *f, const struct balance_rules *rules, uint64_t payer, unsigned priority, int64_t cost_ms, int64_t now_ms);

#endif
