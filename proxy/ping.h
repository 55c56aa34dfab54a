/*
 * ping: asks a backend once whether its API answers (GET /api/tags), within a time limit.
 */
#ifndef PROXY_PING_H
#define PROXY_PING_H

#include "proxy/fetch.h"

enum { PING_TIMEOUT_MS = 2000 };

/* is_answering: 200 came, whole. why: words, where it is not. The ping may be freed in the call. */
typedef void ping_fn(void *context, int is_answering, const char *why);

struct ping {
    struct fetch fetch;
    struct timer timer;
    struct buf head;
    ping_fn *fn;
    void *context;
    int status;
};

/* The answer comes later. 0, or -errno with a sentence in why; ping_fini is due in any case. */
int ping_start(struct ping *p, struct backend *backend, ping_fn *fn, void *context, char *why,
                size_t why_n) WARN_UNUSED;
void ping_fini(struct ping *p);

#endif
