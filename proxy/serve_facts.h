/*
 * serve_facts: what is told of the models that engines serve, by /health and /metrics. Data alone, as fleet_facts.h.
 */
#ifndef PROXY_SERVE_FACTS_H
#define PROXY_SERVE_FACTS_H

#include <stddef.h>
#include <stdint.h>

enum { SERVE_FACTS_MODELS = 32 }; /* what is beyond is not told */

/* A model that runs, or that somebody waits for. All borrowed. */
struct serve_fact {
    const char *model;
    const char *engine; /* "": none has it yet */
    const char *state;  /* engines_state_name's */
    int is_ready;
    unsigned in_use_n, waiting_n; /* requests */
    int64_t load_ms;              /* 0: not known */
};

struct serve_facts {
    size_t models_n;
    struct serve_fact models[SERVE_FACTS_MODELS];
};

#endif
