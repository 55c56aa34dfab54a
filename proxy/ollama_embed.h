/*
 * ollama_embed: Ollama's /api/embed and /api/embeddings (the older one, for one text) as /v1/embeddings, and its answers. What of it is
 * translated how: docs/backends.md, "Ollama's clients".
 */
#ifndef PROXY_OLLAMA_EMBED_H
#define PROXY_OLLAMA_EMBED_H

#include "proxy/translation.h"

extern const struct translate_ops ollama_embed_ops, ollama_embed_one_ops;

#endif
