/*
 * pull_request: asks a backend for a model: POST /api/pull, and its answer line by line as it comes (common/pull_progress.h). One for all
 * the tries of a pull: what a layer had of bytes before counts for the next.
 */
#ifndef PROXY_PULL_REQUEST_H
#define PROXY_PULL_REQUEST_H

#include "common/pull_failure.h"
#include "common/pull_progress.h"
#include "proxy/backend.h"
#include "proxy/tell.h"

enum { PULL_REQUEST_LINE_BYTES = 64 * 1024, PULL_REQUEST_STALL_MS = 60000 };

struct pull_request;

/* How a try has ended; borrowed for the call. */
struct pull_try {
    enum failure kind;  /* FAILURE_NONE: the backend says that the model is there */
    const char *detail; /* clean words, or "" */
    int has_moved;      /* it brought the model nearer */
};

struct pull_request_ops {
    void (*moved)(void *context, const struct progress *progress, uint64_t grown_bytes); /* so many are new since the last call */
    void (*ended)(void *context, const struct pull_try *end); /* the last call of a try; it may be freed, or started again */
};

/* stall_ms: without a byte of progress for so long, whatever lines come, a try has failed (PULL_REQUEST_STALL_MS is the preloader's limit,
 * too). ops and context are borrowed. 0 or -ENOMEM. */
int pull_request_new(struct pull_request **out, struct backend *backend, const char *model, int64_t stall_ms,
                     const struct pull_request_ops *ops, void *context) WARN_UNUSED;
/* A try: ops->ended comes later, never from within. tell is borrowed for the call. 0 or -ENOMEM. */
int pull_request_start(struct pull_request *r, const struct tell *tell) WARN_UNUSED;
/* Ends it without a word: Ollama keeps what it has of the model. */
void pull_request_free(struct pull_request **r);

#endif
