/*
 * check: /health, /live, /ready and /metrics as answers.
 */
#ifndef PROXY_CHECK_H
#define PROXY_CHECK_H

#include "common/contract.h"
#include "proxy/deliver.h"
#include "proxy/fleet_facts.h"
#include "proxy/loads.h"
#include "proxy/optimizer.h"
#include "proxy/ping.h"
#include "proxy/pulls.h"
#include "proxy/queue.h"
#include "proxy/route.h"

/* Borrowed, all of it. */
struct check_facts {
    const struct contract_page *page;  /* NULL where there is no supervisor */
    const struct contract_line *line;
    const struct queue *queue;
    const struct loads *loads;
    const struct cooldowns *cooldowns;
    const struct upstreams *upstreams;
    const struct fleet_facts *fleet; /* of several Ollamas, needed until check_start() returns; NULL: there is one, which is asked */
    int is_ollama_optional; /* it is not started by itself, and others answer */
    const struct pulls *pulls;
    const struct optimizer *optimizer; /* NULL where it is not enabled */
    int64_t now_ms; /* for them */
    int is_backend_ours;
    int is_draining;
    int64_t uptime_ms;
};

typedef void check_fn(void *context); /* the answer is given */

struct check {
    struct check_facts facts;
    enum route_kind kind;
    struct deliver *deliver;
    struct ping ping;
    check_fn *fn;
    void *context;
};

/* Answers by `deliver`, now or later; then fn is called, possibly before this returns. check_fini is due after it. */
void check_start(struct check *c, enum route_kind kind, const struct check_facts *facts, struct backend *backend,
                 struct deliver *deliver, check_fn *fn, void *context);
/* Ends one that is under way, too; harmless for one that is all zero. */
void check_fini(struct check *c);

#endif
