/*
 * backoff: how long to wait before a program is started again, and when to give up. Pure: the clock and the dice
 * are arguments.
 */
#ifndef SUPERVISOR_BACKOFF_H
#define SUPERVISOR_BACKOFF_H

#include "common/sys.h"

/* The rule, from [program:NAME]. */
struct backoff_rule {
    int64_t min_ms, max_ms;
    int64_t window_ms;
    unsigned max_restarts;
};

/* The exits within the window, oldest first. */
struct backoff {
    int64_t *exits_at_ms; /* owned; max_restarts of them */
    unsigned exits_n;
    unsigned room_n;
};

/* 0 or -ENOMEM. The only allocation: the supervisor makes none once it runs. */
int backoff_init(struct backoff *b, const struct backoff_rule *rule) WARN_UNUSED;
void backoff_fini(struct backoff *b);
/* Forgets all exits, as when the owner starts the program by hand. */
void backoff_reset(struct backoff *b);

/* An exit at now_ms. Returns the wait in milliseconds: 0 for the first one within the window, then min_ms, twice that,
 * … up to max_ms, each with up to a tenth more (random: any number) so that many machines do not march in step;
 * or -1: more than max_restarts within the window, give up. */
int64_t backoff_exit(struct backoff *b, const struct backoff_rule *rule, int64_t now_ms, uint32_t random);
/* The wait alone, after so many failures in a row (from 1 on). */
int64_t backoff_wait(const struct backoff_rule *rule, unsigned earlier_n, uint32_t random);

#endif
