/*
 * counts: what is counted of requests since this process began, for /metrics. Names of models come from clients: only those that have answered
 * get a count of their own, and no more than COUNTS_MODELS_MAX of them; all others are `other`. Pure.
 */
#ifndef PROXY_OBSERVE_COUNTS_H
#define PROXY_OBSERVE_COUNTS_H

#include "common/contract.h"
#include "proxy/observe/histogram.h"

enum {
    COUNTS_MODELS_MAX = 32,
    COUNTS_ROUTES_MAX = 64, /* rows of route.c's table, and one for what is none of them */
};

struct route;

/* What became of a request. */
enum outcome {
    OUTCOME_OK,
    OUTCOME_REFUSED,       /* an error that is the client's affair: 4xx, or a limit of ours */
    OUTCOME_TIMEOUT,
    OUTCOME_CANCELLED,     /* by the operator */
    OUTCOME_CLIENT_GONE,
    OUTCOME_BACKEND_ERROR,
    OUTCOME_FAILED,        /* we could not, or are shutting down */
    OUTCOME_COUNT
};

/* What is only counted. */
enum count {
    COUNT_HEARTBEATS,
    COUNT_RETRIES,
    COUNT_CANCELLED,       /* answers of backends that ended before they were whole, as nobody was to get them */
    COUNT_WASTED_MS,       /* … and how long backends had worked on them */
    COUNT_RECEIVED_BYTES,
    COUNT_SENT_BYTES,
    COUNT_REPAIRED_CALLS,
    COUNT_COUNT
};

/* Of one model. */
struct model_counts {
    char name[CONTRACT_NAME_BYTES]; /* "": of requests that name none */
    uint64_t prompt_tokens_n, output_tokens_n;
    struct histogram first_token, token, load;
    uint64_t requests[COUNTS_ROUTES_MAX][OUTCOME_COUNT];
};

struct counts {
    uint64_t counters[COUNT_COUNT];
    struct histogram queue, wait;
    struct histogram requests[COUNTS_ROUTES_MAX]; /* by route */
    struct model_counts none, other;
    struct model_counts *models[COUNTS_MODELS_MAX]; /* owned */
    size_t models_n;
    size_t latest; /* of models: asked for last */
};

/* *c is all zero. */
void counts_init(struct counts *c);
void counts_fini(struct counts *c);

/* Where the requests of this model are counted. is_real: it has answered. Never NULL. */
struct model_counts *counts_model(struct counts *c, const char *model, int is_real);

/* Where a route is in tables: of NULL, behind all of them. */
size_t counts_route(const struct route *r);

/* `ok`. */
const char *outcome_name(enum outcome outcome);

#endif
