/*
 * upstream: a backend of [backend:NAME], as a request sees it that goes there.
 */
#ifndef PROXY_UPSTREAM_H
#define PROXY_UPSTREAM_H

#include "proxy/backend.h"
#include "proxy/queue.h"
#include "proxy/route.h"

/* All is borrowed from upstreams.c, which outlives every request. */
struct upstream {
    const char *name;        /* of its section */
    enum backend_api api;
    struct backend *backend; /* where it is, with its credentials; NULL: nowhere, as libcurl is missing */
    struct queue *queue;     /* its own slots */
    struct deferred *queue_work; /* … to be deferred when one is free */
    const char *path;        /* of its url, as what is asked for begins: "" or "/api"; never with /v1, nor a slash, at its end */
    const char *why;         /* it can't be used, or has no list */
    int is_hosted;           /* by https: it is told nothing of who asks. Nor is an engine, as some refuse an X-Request-Id that is no UUID
                              * (llama-cpp-python), or let pages of all sites read what they answer (llama-server) */
};

#endif
