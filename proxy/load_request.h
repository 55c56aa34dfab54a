/*
 * load_request: one request of our own that makes a backend load a model: POST /api/embed without input, which loads models of
 * any kind and infers nothing (Ollama's server/routes.go EmbedHandler, v0.9.5). No client's end ends it, and it has no time
 * limit: a model loads as long as it takes.
 */
#ifndef PROXY_LOAD_REQUEST_H
#define PROXY_LOAD_REQUEST_H

#include "proxy/backend.h"
#include "proxy/loads.h"
#include "proxy/tell.h"

enum { LOAD_REQUEST_ANSWER_BYTES = 16 * 1024 }; /* of an answer, an error's text above all, so much is read */

struct load_request;

/* The last call; the request is freed behind it. */
typedef void load_request_fn(void *context, const struct load_result *result);

struct load_request_to {
    struct backend *backend; /* borrowed */
    const struct tell *tell; /* borrowed for the call */
    const char *model;
    const struct load_options *options;
    int64_t keep_alive_ms;   /* or ASK_KEEP_UNSAID, ASK_KEEP_FOR_EVER */
};

/* fn comes later, never from within, unless load_request_free comes first. 0 or -ENOMEM. */
int load_request_new(struct load_request **out, const struct load_request_to *to, load_request_fn *fn, void *context) WARN_UNUSED;
/* Ends it without a word. */
void load_request_free(struct load_request **r);

/* A keep_alive as JSON: a duration, or -1. */
enum { KEEP_ALIVE_JSON_BYTES = 32 };
void load_keep_alive_json(int64_t keep_alive_ms, char out[KEEP_ALIVE_JSON_BYTES]);
/* What is to be loaded as one JSON object, appended. more: members behind the model, with a comma before each; options: NULL: not
 * a word of them; keep_alive_ms: or ASK_KEEP_UNSAID, ASK_KEEP_FOR_EVER. 0, -ENOMEM or -EFBIG. */
int load_body_write(const char *model, const char *more, const struct load_options *options, int64_t keep_alive_ms, struct buf *out) WARN_UNUSED;

#endif
