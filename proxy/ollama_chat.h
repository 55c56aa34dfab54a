/*
 * ollama_chat: Ollama's /api/chat and /api/generate for a backend that speaks OpenAI's API: the requests become chat completions, or text
 * completions where a prompt is raw, or has a suffix. What of it is translated how: docs/backends.md, "Ollama's clients".
 */
#ifndef PROXY_OLLAMA_CHAT_H
#define PROXY_OLLAMA_CHAT_H

#include "proxy/translation.h"

extern const struct translate_ops ollama_chat_ops, ollama_generate_ops;

#endif
