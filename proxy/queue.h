/*
 * queue: where requests wait for a slot. A backend answers so many requests for one model at once; who comes beyond
 * that stands in the model's line, in the order of arrival, and leaves it only when a slot is free.
 */
#ifndef PROXY_QUEUE_H
#define PROXY_QUEUE_H

#include "common/contract.h"
#include "proxy/waiting.h"

enum { QUEUE_BUCKETS = 256 };

enum queue_verdict {
    QUEUE_GO,        /* it has a slot, or needs none */
    QUEUE_WAIT,      /* it stands in line: its fn comes later */
    QUEUE_FULL,      /* too many wait already */
    QUEUE_NO_MEMORY,
};

typedef void queue_fn(void *context);

struct queue_lane;

/* A request's place: in line, or in a slot. Embedded in what waits. */
struct queue_ticket {
    struct queue_ticket *previous, *next; /* in line */
    struct queue_lane *lane;              /* NULL: neither in line nor in a slot */
    int has_slot;
    int64_t since_ms;                     /* when it got its slot */
    queue_fn *fn;                         /* called once, from queue_review: it has a slot now */
    void *context;
};

struct queue {
    size_t slots_n;            /* of each model; 0: no limit, and so no lines */
    struct waiting *waiting;   /* borrowed */
    size_t waiting_n;          /* in all lines */
    size_t serving_n;          /* slots that are taken */
    int64_t mean_us;           /* how long a slot was held lately; 0: not known */
    int is_walking;
    struct queue_lane *due_first, *due_last; /* somebody stands in line, and a slot is free */
    struct queue_lane *spares;               /* of models that nobody asks for any more */
    size_t spares_n;
    struct queue_lane *buckets[QUEUE_BUCKETS];
};

void queue_init(struct queue *q, size_t slots_n, struct waiting *waiting);
/* Nobody may be in it any more. */
void queue_fini(struct queue *q);

/* model: its name, shorter than CONTRACT_NAME_BYTES; it is copied. Names that Ollama takes for the same model share a
 * line. is_accepted: it was let in to wait before, so that max_queue does not count. Who has a slot keeps it. */
enum queue_verdict queue_enter(struct queue *q, struct queue_ticket *t, const char *model, int is_accepted, int64_t now_ms);
/* Gives back the slot, or the place in line. Harmless for who has neither. Calls nobody: see queue_is_due. */
void queue_leave(struct queue *q, struct queue_ticket *t, int64_t now_ms);
/* A slot is free and somebody waits for it: queue_review is to be called soon. */
static inline int queue_is_due(const struct queue *q)
{
    return q->due_first != NULL;
}
/* Gives free slots to those who are first in line. From their fn anybody may enter and leave. */
void queue_review(struct queue *q, int64_t now_ms);

/* How many slots of this model nobody has or waits for; SIZE_MAX where there is no limit. */
size_t queue_free_n(const struct queue *q, const char *model);
/* When those who now stand in this model's line will have been served, as far as the last answers tell; 0: no idea. */
int64_t queue_estimate_ms(const struct queue *q, const char *model);

#endif
