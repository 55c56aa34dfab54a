/*
 * own_request: a small request of our own to a backend, and its answer as a whole.
 */
#ifndef PROXY_OWN_REQUEST_H
#define PROXY_OWN_REQUEST_H

#include "proxy/backend.h"
#include "proxy/fetch.h"
#include "proxy/tell.h"

enum { OWN_REQUEST_ANSWER_BYTES = 256 * 1024 };

struct own_request {
    struct fetch fetch;
    struct buf head, answer;
    struct timer timer;
    int status;
    /* The last call. status: 0 where there was no answer, or none that is whole and short enough; answer: borrowed for the call. */
    void (*done)(void *context, int status, const char *answer, size_t answer_n);
    void *context;
};

void own_request_init(struct own_request *r, struct backend *backend, void (*done)(void *, int, const char *, size_t), void *context);
/* body: NULL for a GET. done comes later, never from within, unless own_request_cancel comes first. 0 or -ENOMEM. */
int own_request_start(struct own_request *r, const struct tell *tell, const char *path, const struct buf *body) WARN_UNUSED;
/* Ends it without a word; harmless where there is none. */
void own_request_cancel(struct own_request *r);
void own_request_fini(struct own_request *r);

#endif
