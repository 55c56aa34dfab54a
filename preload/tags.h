/*
 * tags: which models an Ollama has, from its answer to GET /api/tags.
 */
#ifndef PRELOAD_TAGS_H
#define PRELOAD_TAGS_H

#include "common/sys.h"

enum { TAGS_LIMIT_BYTES = 16 << 20 };

struct tags; /* the answer, read once */

/* NULL where the text is no list of models (or there is no memory). */
struct tags *tags_new(const char *text, size_t text_n);
void tags_free(struct tags **tags);

/* 1 where a model of this name is listed. */
int tags_has(const struct tags *tags, const char *name);

#endif
