/*
 * ollama_tags: models of a backend that speaks OpenAI's API as Ollama lists and shows its own (GET /api/tags, POST /api/show). Pure.
 * Source: ollama docs/api.md and api/types.go (ListModelResponse, ShowResponse), v0.9.5; which members its own command needs: cmd/cmd.go.
 *
 * What is not known of them is empty, or 0. A digest is made of the names, and so stays the same.
 */
#ifndef PROXY_OLLAMA_TAGS_H
#define PROXY_OLLAMA_TAGS_H

#include "common/buf.h"
#include "proxy/json_write.h"
#include "proxy/upstream_models.h"

/* Appends Ollama's list ({"models":[…]}), all of it as it stands, with these models behind its own: next gives one after the other (1 with
 * *out, then 0). 0; -EINVAL where that is no list; -ENOMEM, -EFBIG. On failure out is as it was. */
int ollama_tags_write(const char *tags, size_t tags_n, int (*next)(void *context, struct upstream_model *out), void *context, struct buf *out) WARN_UNUSED;
/* An entry of GET /api/ps: it is loaded, until then (seconds since 1970); -1: for as long as we run. How much of it is on a GPU nobody says. */
void ollama_tags_write_loaded(struct json_write *w, const struct upstream_model *m, int64_t expires_s);
/* Appends what /api/show says of it. 0 or -errno, likewise. */
int ollama_tags_show(const struct upstream_model *m, struct buf *out) WARN_UNUSED;

#endif
