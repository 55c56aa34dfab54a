/*
 * unload: a model is unloaded from each of several Ollamas that has it, all at once, by requests of our own.
 */
#ifndef PROXY_BALANCE_UNLOAD_H
#define PROXY_BALANCE_UNLOAD_H

#include "proxy/balance/member.h"

struct unload;

/* All that is borrowed for the call of unload_new() but `all`, `tell` and `model`, which stay until it is freed. */
struct unload_of {
    const struct members *all;
    const struct tell *tell;
    const char *model;
    const char *backend;    /* only those of this name, or of the section of this name; NULL: all */
    size_t backend_n;
    const struct buf *body; /* of POST /api/generate */
    int64_t now_ms;
};

/* All that were asked have answered. why: who has not done it, and why not; "": each has, or 404: none of them had the model. The last call: the owner may
 * free it. */
typedef void unload_fn(void *context, int status, const char *why);

/* fn comes later, never from within. 0; -ENOENT: none has this model, as far as they have told; -EHOSTDOWN: those that have it do not answer; -ENOMEM. */
int unload_new(struct unload **out, const struct unload_of *of, unload_fn *fn, void *context) WARN_UNUSED;
/* Ends what is under way, without a word. */
void unload_free(struct unload **u);

#endif
