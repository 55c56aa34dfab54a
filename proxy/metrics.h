/*
 * metrics: GET /metrics, in Prometheus' words. Pure: it asks nobody, and counts nothing.
 * Source: https://prometheus.io/docs/instrumenting/exposition_formats/ (text format 0.0.4).
 */
#ifndef PROXY_METRICS_H
#define PROXY_METRICS_H

#include "common/buf.h"
#include "proxy/fleet_facts.h"
#include "proxy/optimizer.h"

#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

struct metrics_input {
    const struct optimizer *optimizer; /* NULL: it is not enabled, and nothing is told of it */
    const struct fleet_facts *fleet;   /* NULL: there is one Ollama, and nothing is told of it */
    int is_up;                         /* a backend answers, or would as soon as somebody asked: it sleeps on purpose */
};

/* Appends all there is. Each label value is there from the beginning, with a zero. 0; -ENOMEM, -EFBIG, and out is as it was. */
int metrics_write(struct buf *out, const struct metrics_input *in) WARN_UNUSED;

#endif
