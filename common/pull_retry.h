/*
 * pull_retry: how often a failed pull is tried again, and after what pause.
 */
#ifndef COMMON_PULL_RETRY_H
#define COMMON_PULL_RETRY_H

#include "common/sys.h"

enum {
    RETRY_FIRST_MS = 1000,
    RETRY_LONGEST_MS = 60 * 1000,
    RETRY_ROUNDS_MAX = 8,  /* tries that made progress start the count anew, but not more often than this */
    RETRY_LOSSES_FREE = 10, /* so often Ollama itself may go away without a try being counted */
};

/* One for each model; all zero at the start. */
struct retry {
    unsigned streak_n; /* failures in a row without progress worth its name */
    unsigned total_n;  /* failures at all */
    unsigned lost_n;   /* connections that were lost */
};

/* A try failed. retries: the configured number; has_progress: it brought the model nearer; random: any number.
 * Returns the pause in ms before the next try, or -1: give up. */
int64_t retry_after_failure(struct retry *r, int64_t retries, int has_progress, uint32_t random);

/* Ollama went away in mid-pull. Returns 1 where that is not to be counted as a failed try, else 0. */
int retry_is_loss_free(struct retry *r);

#endif
