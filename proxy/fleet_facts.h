/*
 * fleet_facts: what is told of several Ollamas, by /health and /metrics. Data alone: who tells does not know how they are looked at.
 */
#ifndef PROXY_FLEET_FACTS_H
#define PROXY_FLEET_FACTS_H

#include "common/contract.h"

enum { FLEET_FACTS_MEMBERS = 64, FLEET_FACTS_SPEEDS = 64 };

/* All borrowed. */
struct fleet_fact {
    const char *name;
    const char *state; /* breaker_state_name's */
    const char *why;   /* of its last failure; "" */
    int is_up;         /* it is given requests */
    int is_drained;    /* … but for its owner's wish */
    int is_asked;      /* it was looked at, and has answered or not */
    size_t slots_n, used_n, models_n;
};

/* … as learnt: of a model that one of them has loaded. */
struct fleet_speed {
    const char *backend; /* its name */
    char model[CONTRACT_NAME_BYTES];
    double tokens_per_s; /* generated */
};

struct fleet_facts {
    size_t waiting_n; /* requests in line */
    size_t members_n;
    struct fleet_fact members[FLEET_FACTS_MEMBERS];
    size_t speeds_n; /* the first ones, where there are more */
    struct fleet_speed speeds[FLEET_FACTS_SPEEDS];
};

#endif
