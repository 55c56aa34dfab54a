/*
 * show_request: asks a backend what a model is: POST /api/show, a request of our own that loads nothing.
 */
#ifndef PROXY_SHOW_REQUEST_H
#define PROXY_SHOW_REQUEST_H

#include "proxy/backend.h"
#include "proxy/tell.h"

enum {
    SHOW_REQUEST_ANSWER_BYTES = 2 << 20, /* a longer answer counts for none */
    SHOW_REQUEST_MS = 5000,              /* … and so does one that takes longer */
};

struct show_request;

/* The last call; the request is freed behind it. json: the answer with status 200, borrowed for the call; NULL: there is none. */
typedef void show_request_fn(void *context, const char *json, size_t json_n);

/* fn comes later, never from within, unless show_request_free comes first. tell is borrowed for the call. 0 or -ENOMEM. */
int show_request_new(struct show_request **out, struct backend *backend, const struct tell *tell, const char *model,
                     show_request_fn *fn, void *context) WARN_UNUSED;
/* Ends it without a word. */
void show_request_free(struct show_request **r);

#endif
