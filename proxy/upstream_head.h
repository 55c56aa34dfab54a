/*
 * upstream_head: the head of a request as a backend of [backend:NAME] gets it: written anew, from a list of what may pass.
 */
#ifndef PROXY_UPSTREAM_HEAD_H
#define PROXY_UPSTREAM_HEAD_H

#include "proxy/forward.h"
#include "proxy/upstream.h"

/* Appends it, with its empty line: its own key and no client's, its path before what is asked for (f->target, else the request's own), and
 * of the client's fields those of a short list. By http also who asks, and through whom, as Ollama is told; by https nothing of that.
 * 0 or -errno. */
int upstream_head(struct buf *out, const struct forward_request *f, const struct upstream *u) WARN_UNUSED;

#endif
