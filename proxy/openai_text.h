/*
 * openai_text: /v1/completions as Ollama's /api/generate, and its answers. What of it is translated how: docs/openai.md.
 */
#ifndef PROXY_OPENAI_TEXT_H
#define PROXY_OPENAI_TEXT_H

#include "proxy/translation.h"

extern const struct translate_ops openai_text_ops;

#endif
