/*
 * ticket: a request as balance.h sees it: for whom it is, how urgent, and what it would take at each backend.
 */
#ifndef PROXY_BALANCE_TICKET_H
#define PROXY_BALANCE_TICKET_H

#include <stddef.h>
#include <stdint.h>

enum {
    BALANCE_BACKENDS = 64, /* an index is below it */
    BALANCE_PRIORITIES = 10,
    BALANCE_PRIORITY = 5,  /* where nobody says */
    BALANCE_NO_WAY = -1,   /* run_ms of a backend that it may not go to */
    BALANCE_FAIR_AGEINGS = 60, /* fair_max_ms, in times of ageing_ms */
};

struct balance_rules {
    int64_t ageing_ms;        /* a class lower is served as if it had come so much later */
    int64_t min_residency_ms; /* so long a backend keeps to its model while requests for that wait */
    int64_t fair_max_ms;      /* nobody is put behind by more than that for what his payer has there already */
};

/* What it would take a request at one backend. */
struct balance_way {
    int32_t run_ms;  /* prefill and decode; BALANCE_NO_WAY: it may not go there */
    int32_t load_ms; /* beside it, where its model is not loaded there */
};

/* A request's place: in line, or in a slot. Embedded in what waits; all zero: neither. Members above `ways` are balance's own. */
struct balance_ticket {
    struct balance_ticket *up, *left, *right; /* in its model's line (line.h), or left and right among those in its backend's slots */
    size_t below_n;                           /* of its part of the line, itself included */
    struct balance_lane *lane;                /* NULL: neither in line nor in a slot */
    int64_t tag_ms;
    uint64_t sequence;   /* breaks ties of tags: the order of arrival */
    int is_tagged;       /* it has a tag, which it keeps when it comes back */
    int64_t cost_ms;     /* its payer owes it (fair.h) while it is there */
    int backend;         /* whose slot it has; -1: it stands in line */
    int64_t granted_ms, ends_ms; /* its slot: since when, and until when as far as is expected */
    unsigned priority;   /* 0 to 9, 9 first */
    uint64_t payer;      /* for whom it counts; 0: for nobody */
    int is_guess;        /* nothing has been learnt yet of what its model takes */
    const struct balance_way *ways; /* BALANCE_BACKENDS of them; borrowed while it stands in line, and may be changed meanwhile */
    void *context;
};

#endif
