/*
 * serve_lists: the models of the hub's cache as the lists of other APIs have them (ollama_tags.h, openai_models.h).
 */
#ifndef PROXY_SERVE_SERVE_LISTS_H
#define PROXY_SERVE_SERVE_LISTS_H

#include "proxy/serve/serve.h"
#include "proxy/translation.h"
#include "proxy/upstream_models.h"

/* What is told of one; borrowed. family is never NULL. */
struct upstream_model serve_lists_model(const struct shelf_model *m);
/* Appends Ollama's answer to GET /api/ps, with those that are loaded behind its own. now_s: since 1970. 0; -EINVAL where it is no list of models; or -errno: out is
 * as it was. */
int serve_lists_write_ps(const struct serve *s, const char *list, size_t list_n, int64_t now_s, struct buf *out) WARN_UNUSED;
/* The same as a translation, whose models are serve_loaded(). */
extern const struct translate_ops serve_ps_ops;

#endif
