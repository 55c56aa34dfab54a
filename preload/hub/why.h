/*
 * why: what an answer of a hub's means where it is not what was asked for, and whether asking again may help. Pure.
 */
#ifndef PRELOAD_HUB_WHY_H
#define PRELOAD_HUB_WHY_H

#include "common/pull_retry.h"
#include "preload/hub/fetch.h"

enum { WHY_PAUSE_MAX_S = 120 /* whoever asks us to wait longer is not waited for */ };

struct why {
    struct trouble trouble; /* TROUBLE_NONE: it is good */
    int is_final;           /* the same question gets the same answer */
};

/* lost: no whole answer came, for this reason; NULL: it did. what: for people: `the model org/name`, `the file x of org/name`. */
void why_of(struct why *w, const struct fetch_head *head, const char *lost, const char *what, const struct settings *settings);
/* The pause before the next try, in ms, or -1: give up. has_progress: this one has brought something nearer. */
int64_t why_pause_ms(const struct why *w, struct retry *retry, int64_t retries, int has_progress, uint32_t random);

#endif
