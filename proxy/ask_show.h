/*
 * ask_show: what a request's body asks /api/show for, as far as the answer is told while Ollama is asleep.
 */
#ifndef PROXY_ASK_SHOW_H
#define PROXY_ASK_SHOW_H

#include "common/buf.h"
#include "proxy/known.h"

/* 0, or -EINVAL where it asks for more than a model, and how much of it (a system prompt or options change what is shown), or is
 * none that Ollama would take. (Ollama's api/types.go ShowRequest, server/routes.go GetModelInfo, v0.9.5) */
int ask_show_read(struct known_key *key, const char *json, size_t json_n) WARN_UNUSED;

/* Appends the body that asks for this. 0 or -errno. */
int ask_show_write(const struct known_key *key, struct buf *out) WARN_UNUSED;

#endif
