/*
 * workers: how many parts of conversations a model is to be given at once. Pure; time is an argument.
 *
 * Its throughput (characters mapped in a second) is measured for each number at once, over all requests: by the jobs for whose time
 * just so many were under way. So many are right as are the largest number whose throughput is at least 1.1 times that of one
 * fewer. What was not measured yet, or long ago, is tried, from the most on down.
 */
#ifndef PROXY_WORKERS_H
#define PROXY_WORKERS_H

#include "common/contract.h"

enum {
    WORKERS_MOST = 16,         /* at once */
    WORKERS_MODELS = 8,        /* that are known; one more takes the place of the longest unused */
    WORKERS_KEPT_MS = 3600000, /* what was measured is believed for so long */
};

/* So many at once: what jobs did then, each counting less with every one that follows. */
struct workers_level {
    double chars, ms;
    int64_t until_ms; /* is believed until then; 0: not measured */
};

struct workers_row {
    char model[CONTRACT_NAME_BYTES]; /* "": a free row */
    size_t now_n;                    /* jobs under way */
    int64_t since_ms;                /* … since then */
    uint64_t used;
    int64_t passed_ms[WORKERS_MOST + 1]; /* with so many under way */
    struct workers_level levels[WORKERS_MOST + 1];
};

/* All zero: nothing is known. */
struct workers_table {
    uint64_t uses;
    struct workers_row rows[WORKERS_MODELS];
};

/* One job under way; embedded in what does it. All zero: none. */
struct workers_job {
    struct workers_row *row; /* NULL: it is not counted, as there are too many models */
    int64_t began_ms;
    int64_t passed_ms[WORKERS_MOST + 1]; /* the row's, when it began */
};

/* How many jobs this model is to have at once, of all requests: 1 to most_n (which is WORKERS_MOST at most). */
size_t workers_choose(const struct workers_table *t, const char *model, size_t most_n, int64_t now_ms);
/* … and how many it has now. */
size_t workers_now(const struct workers_table *t, const char *model);

/* model: it is copied. */
void workers_begin(struct workers_table *t, struct workers_job *job, const char *model, int64_t now_ms);
/* It has ended, with so many characters mapped (0: it failed, or was given up, and says nothing), after it has waited so long for what it
 * needed. Harmless where it is not under way. */
void workers_end(struct workers_job *job, uint64_t chars_n, int64_t waited_ms, int64_t now_ms);

#endif
