/*
 * check: /health, /live, /ready and /metrics as answers.
 */
#ifndef PROXY_CHECK_H
#define PROXY_CHECK_H

#include "common/contract.h"
#include "proxy/deliver.h"
#include "proxy/fleet_facts.h"
#include "proxy/health.h"
#include "proxy/loads.h"
#include "proxy/observe/live.h"
#include "proxy/observe/overseer.h"
#include "proxy/optimizer.h"
#include "proxy/ping.h"
#include "proxy/pulls.h"
#include "proxy/queue.h"
#include "proxy/route.h"

struct observe;
struct serve;

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
    int is_alone;           /* there is none, and nobody to be asked */
    const struct pulls *pulls;
    const struct serve *serve; /* NULL where no models of a hub are served */
    const struct optimizer *optimizer; /* NULL where it is not enabled */
    const struct observe *observe;
    const struct list *shown; /* the models that /metrics may name; NULL: all */
    const struct overseer *overseer; /* for /metrics, of what overseer_refresh() has brought */
    size_t line_n[LIVE_PRIORITIES]; /* requests that stand in line, by priority */
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
    struct overseer_waiter overseen; /* for who has it: waits for the supervisor's status before it starts */
    check_fn *fn;
    void *context;
};

/* How the backend's API is, and why, where that is known without asking it: 1, or 0. */
int check_knows_api(const struct check_facts *f, enum health_api *api, char why[CONTRACT_REASON_BYTES]);
/* Appends the object of GET /health; *status: 200 or 503. 0 or -errno. */
int check_write_health(const struct check_facts *f, enum health_api api, const char *reason, struct buf *out, int *status) WARN_UNUSED;

/* Answers by `deliver`, now or later; then fn is called, possibly before this returns. check_fini is due after it. */
void check_start(struct check *c, enum route_kind kind, const struct check_facts *facts, struct backend *backend,
                 struct deliver *deliver, check_fn *fn, void *context);
/* Ends one that is under way, too; harmless for one that is all zero. */
void check_fini(struct check *c);

#endif
