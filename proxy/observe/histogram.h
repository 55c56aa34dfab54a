/*
 * histogram: how often something took how long, in buckets. Pure.
 */
#ifndef PROXY_OBSERVE_HISTOGRAM_H
#define PROXY_OBSERVE_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

enum { HISTOGRAM_BUCKETS_MAX = 13 };

/* The upper bounds of buckets, which belong to them, in rising order; what is above the last is in a bucket of its own. */
struct histogram_bounds {
    int64_t unit;   /* how many of what is counted make a second */
    size_t bounds_n;
    int64_t bounds[HISTOGRAM_BUCKETS_MAX];
};

/* All zero: nothing was counted. */
struct histogram {
    uint64_t counts[HISTOGRAM_BUCKETS_MAX + 1]; /* of each bucket alone, not of those below it */
    uint64_t n;
    uint64_t sum;
};

/* What language models take: for a request, a first token, a load, a line (in ms), and for one token (in us). */
extern const struct histogram_bounds histogram_waits, histogram_tokens;

/* One more of this length, in the bounds' unit; negative: none. */
void histogram_add(struct histogram *h, const struct histogram_bounds *by, int64_t value);

#endif
