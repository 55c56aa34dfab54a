/*
 * model_load: POST /sidecar/models/load and unload as Ollama has them: a request of /api/generate without a prompt (Ollama's docs/api.md, "Load a
 * model", "Unload a model"). Pure.
 */
#ifndef PROXY_MODEL_LOAD_H
#define PROXY_MODEL_LOAD_H

#include "proxy/translation.h"

extern const struct translate_ops model_load_ops, model_unload_ops;

/* Appends the answer: the model is loaded, and that took so long; load_ms -1: it was unloaded. 0 or -errno. */
int model_load_answer(struct buf *out, int64_t load_ms) WARN_UNUSED;

#endif
