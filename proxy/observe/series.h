/*
 * series: the last ten minutes in steps, for charts. Nothing is done while nothing happens: steps that have passed are made up for with what
 * was so all that time. Pure.
 */
#ifndef PROXY_OBSERVE_SERIES_H
#define PROXY_OBSERVE_SERIES_H

#include <stddef.h>
#include <stdint.h>

enum { SERIES_STEP_MS = 5000, SERIES_STEPS = 120 };

struct series_step {
    double tokens;                            /* that were generated in it */
    uint32_t requests_n, errors_n;            /* that ended */
    uint32_t first_tokens_n;                  /* answers that began, and ended well … */
    uint64_t first_token_ms_sum;              /* … and what they took for that */
    uint32_t in_flight_max_n, held_max_n;     /* at once */
};

struct series {
    int64_t number; /* of the latest step, since the clock began */
    uint32_t in_flight_n, held_n; /* now */
    struct series_step steps[SERIES_STEPS]; /* a ring: a step is at number % SERIES_STEPS */
};

/* *s is all zero. */
void series_init(struct series *s, int64_t now_ms);

/* So many are under way, or held, from now on. */
void series_in_flight(struct series *s, int64_t now_ms, size_t in_flight_n);
void series_held(struct series *s, int64_t now_ms, size_t held_n);
/* The latest step, to be added to. */
struct series_step *series_now(struct series *s, int64_t now_ms);
/* Tokens that came between these times, as evenly as if. What is older than the first step is nobody's. */
void series_tokens(struct series *s, int64_t now_ms, int64_t from_ms, int64_t to_ms, double tokens);

/* For telling, behind series_now(): 0 is the oldest, SERIES_STEPS - 1 the latest, which is not over. */
const struct series_step *series_at(const struct series *s, size_t i);

#endif
