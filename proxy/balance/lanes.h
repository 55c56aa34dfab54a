/*
 * lanes: a line for each model that somebody waits for, or has a slot with; found by the model's name, and walked in the order of tags over all of them.
 */
#ifndef PROXY_BALANCE_LANES_H
#define PROXY_BALANCE_LANES_H

#include "common/contract.h"
#include "proxy/balance/line.h"

enum { LANES_BUCKETS = 256, LANES_SPARES = 16 };

struct balance_lane {
    struct balance_lane *next;                         /* in its bucket, or among the spares */
    struct balance_lane *previous_waited, *next_waited; /* among those that somebody waits for */
    struct line line;
    size_t serving_n;          /* slots, of all backends */
    struct balance_ticket *at; /* of a walk: the next one */
    size_t left_n;             /* … and how many more of this line */
    uint64_t loaded;           /* balance's: a bit for each backend that has the model loaded, as of the last walk */
    uint32_t hash;
    size_t model_n;
    char model[CONTRACT_NAME_BYTES];
};

/* All zero: none. */
struct lanes {
    struct balance_lane *waited; /* with a line that is not empty */
    size_t waited_n, waiting_n;  /* such lines, and all that wait */
    struct balance_lane *spares; /* of models that nobody asks for any more */
    size_t spares_n;
    struct balance_lane *buckets[LANES_BUCKETS];
};

/* Nobody may be in them any more. */
void lanes_free(struct lanes *ls);
/* The lane of this model, as it is or new; NULL: no memory. */
struct balance_lane *lanes_take(struct lanes *ls, const char *model);
/* The one with waiters whose model has this hash; NULL: none. */
struct balance_lane *lanes_waited(const struct lanes *ls, uint32_t hash);
/* t, whose lane is set, waits, or waits no more. */
void lanes_add(struct lanes *ls, struct balance_ticket *t);
void lanes_remove(struct lanes *ls, struct balance_ticket *t);
/* The lane goes where nobody waits and none has a slot. */
void lanes_settle(struct lanes *ls, struct balance_lane *lane);

/* Of each line the first so many, all of them in the order of tags. One walk at a time, and nobody comes or goes meanwhile. */
void lanes_walk(struct lanes *ls, size_t depth_n);
/* NULL: it is over. */
struct balance_ticket *lanes_next(struct lanes *ls);

#endif
