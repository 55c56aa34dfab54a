/*
 * metrics: GET /metrics, in Prometheus' words. Pure: it asks nobody, and counts nothing. How a family of them is told: observe/metrics_write.h.
 */
#ifndef PROXY_METRICS_H
#define PROXY_METRICS_H

#include "common/buf.h"
#include "common/conf.h"
#include "proxy/fleet_facts.h"
#include "proxy/observe/observe.h"
#include "proxy/observe/supervisor_facts.h"
#include "proxy/optimizer.h"
#include "proxy/serve_facts.h"

#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

struct metrics_input {
    const struct observe *observe;     /* NULL: nothing is told of requests */
    size_t queued_n[LIVE_PRIORITIES];  /* that stand in line, by priority */
    const struct optimizer *optimizer; /* NULL: it is not enabled, and nothing is told of it */
    const struct contract_page *page;  /* NULL: there is no supervisor, and nothing is told of it */
    const struct supervisor_facts *supervisor; /* NULL: it has not answered */
    const struct serve_facts *served;  /* NULL: no models of a hub are served, and nothing is told of them */
    const struct fleet_facts *fleet;   /* NULL: there is one Ollama, and nothing is told of it */
    const struct list *shown;          /* models that may be named; NULL: all */
    int is_up;                         /* a backend answers, or would as soon as somebody asked: it sleeps on purpose */
};

/* Appends all there is. Each label value is there from the beginning, with a zero. 0; -ENOMEM, -EFBIG, and out is as it was. */
int metrics_write(struct buf *out, const struct metrics_input *in) WARN_UNUSED;

#endif
