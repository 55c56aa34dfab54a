/*
 * openai_embed: /v1/embeddings as Ollama's /api/embed, and its answers. What of it is translated how: docs/openai.md.
 */
#ifndef PROXY_OPENAI_EMBED_H
#define PROXY_OPENAI_EMBED_H

#include "proxy/translation.h"

extern const struct translate_ops openai_embed_ops;

#endif
