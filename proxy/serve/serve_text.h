/*
 * serve_text: a chat completion of OpenAI's API for a model that has no chat template: it is asked for one text (ollama_prompt.h), by its engine's
 * /v1/completions, and what comes of that is told as a chat completion, whole or in chunks. The same as for POST /chat and /api/chat (R1.3).
 */
#ifndef PROXY_SERVE_SERVE_TEXT_H
#define PROXY_SERVE_SERVE_TEXT_H

#include "proxy/translation.h"

extern const struct translate_ops serve_text_ops;

#endif
