/*
 * openai_models: GET /v1/models and /v1/models/NAME, from Ollama's list of models (GET /api/tags): by us, so that they say the same
 * whether it is awake or not, and of every name that a model goes by. Pure.
 * Sources: https://platform.openai.com/docs/api-reference/models; ollama openai/openai.go, v0.9.5 (ToListCompletion, ToModel).
 */
#ifndef PROXY_OPENAI_MODELS_H
#define PROXY_OPENAI_MODELS_H

#include "proxy/translation.h"

/* The name in a path of /v1/models/NAME, decoded: with slashes, and what is behind a percent sign. 0, or -EINVAL where it is no
 * such path, or longer than the room of name_n bytes. */
int openai_models_name(const char *path, size_t path_n, char *name, size_t name_n) WARN_UNUSED;

/* When a time as RFC 3339 writes it was, in seconds since 1970; 0 where it is none, or before then. */
int64_t openai_models_time(const char *text);

/* Appends what t->path asks for: the list, or the one model, with its name as it was asked for. tags: what GET /api/tags says. 0; -ENOENT
 * where there is no such model; -EINVAL where that is no list; -ENOMEM, -EFBIG. On failure out is as it was. */
int openai_models_write(const struct translation *t, const char *tags, size_t tags_n, struct buf *out) WARN_UNUSED;

/* What is told of a model that there is not. */
#define OPENAI_MODELS_NONE "model not found: GET /v1/models lists those that there are"

extern const struct translate_ops openai_models_ops;

#endif
