/*
 * health: what /health and /ready say, from the shared page or from a probe of the backend.
 */
#ifndef PROXY_HEALTH_H
#define PROXY_HEALTH_H

#include "common/contract.h"
#include "common/buf.h"
#include "proxy/cooldowns.h"
#include "proxy/fleet_facts.h"
#include "proxy/loads.h"
#include "proxy/optimizer.h"
#include "proxy/pulls.h"
#include "proxy/serve_facts.h"
#include "proxy/upstreams.h"

/* What is known of the backend's API. */
enum health_api {
    HEALTH_API_READY,
    HEALTH_API_STARTING, /* the supervisor is at it */
    HEALTH_API_ASLEEP,   /* it was stopped, as nobody needed it */
    HEALTH_API_WAKING,   /* … and is being started, as somebody does */
    HEALTH_API_SILENT,   /* a probe had no good answer */
    HEALTH_API_FAILED    /* the supervisor has given it up */
};

struct health_input {
    const struct contract_page *page; /* NULL where there is no supervisor */
    enum health_api api;
    const char *api_reason;           /* words, or "" */
    const struct fleet_facts *fleet;  /* of several Ollamas: then api does not count. NULL: there is one */
    const struct loads *loads;        /* NULL where none is known */
    const struct cooldowns *cooldowns; /* the same */
    const struct pulls *pulls;          /* the same */
    const struct upstreams *upstreams; /* NULL where none is configured */
    const struct optimizer *optimizer; /* NULL where it is not enabled */
    const struct serve_facts *served;  /* NULL where no models of a hub are served */
    int64_t now_ms;                   /* for them */
    int64_t uptime_ms;
    uint64_t in_flight_n, held_n, queued_n, requests_n, repaired_n;
};

/* What the page says of the backend, where it is the supervisor's own. reason: what to say about it. */
enum health_api health_api_of_page(const struct contract_page *page, char reason[CONTRACT_REASON_BYTES]);

/* Whether some Ollama of these is given requests, or why not (HEALTH_API_READY, STARTING, SILENT), in words. */
enum health_api health_api_of_fleet(const struct fleet_facts *f, char reason[CONTRACT_REASON_BYTES]);

/* Appends the object of /health; *status: 200 or 503. 0 or -errno. */
int health_write(struct buf *out, const struct health_input *in, int *status) WARN_UNUSED;

#endif
