/*
 * known_model: GET /v1/models/NAME, from the answer to GET /v1/models.
 */
#ifndef PROXY_KNOWN_MODEL_H
#define PROXY_KNOWN_MODEL_H

#include "common/buf.h"

/* The name in a path of /v1/models/NAME, decoded: with slashes, and what is behind a percent sign. 0, or -EINVAL where it is no
 * such path, or longer than the room of name_n bytes. */
int known_model_name(const char *path, size_t path_n, char *name, size_t name_n) WARN_UNUSED;

/* Appends the model as Ollama would show it, with its name as it was asked for (openai.go toModel, v0.9.5). 0; -ENOENT where the list has none of that name;
 * -EINVAL where it is no list; -ENOMEM, -EFBIG. */
int known_model_write(const char *list, size_t list_n, const char *name, struct buf *out) WARN_UNUSED;

#endif
