/*
 * play: a trace, by one way to distribute its requests. Those of others give each request at once to a machine, where it stands in a line, first come, first
 * served; ours is proxy/balance itself.
 */
#ifndef BENCH_BALANCE_PLAY_H
#define BENCH_BALANCE_PLAY_H

#include "bench/balance/trace.h"

enum policy {
    POLICY_OURS,         /* it knows prompts, and learns speeds and lengths from what has ended */
    POLICY_TOLD,         /* ours, told before what each request will take on each machine */
    POLICY_LEAST,        /* fewest requests, as nginx' least_conn and HAProxy's leastconn; of equals in turn */
    POLICY_ROUND_ROBIN,
    POLICY_RANDOM,
    POLICIES,
};

extern const char *const policy_names[POLICIES];

/* Milliseconds. A wait ends when a machine begins to read the prompt: its model is loaded by then. */
struct played {
    double wait_p50, wait_p95, wait_mean;
    double whole_p50, whole_p95, whole_mean; /* until the answer is complete */
    double makespan;                         /* until all are */
    double loads;                            /* of models, so many */
};

void play(const struct trace *trace, const struct fleet_row *fleet, enum policy policy, uint64_t seed, struct played *out);

#endif
