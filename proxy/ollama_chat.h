/*
 * ollama_chat: Ollama's /api/chat and /api/generate for a backend that speaks OpenAI's API: the requests become chat completions, or text
 * completions where a prompt is raw, or has a suffix. What of it is translated how: docs/backends.md, "Ollama's clients".
 */
#ifndef PROXY_OLLAMA_CHAT_H
#define PROXY_OLLAMA_CHAT_H

#include "proxy/ollama_ask.h"

extern const struct translate_ops ollama_chat_ops, ollama_generate_ops;

/* For other requests of conversations. Room for what is written, and the turn of the answer: 0 or -ENOMEM, which is also a->w.error. */
int ollama_chat_begin(struct openai_ask *a, size_t json_n);
/* From the opening brace on: all that rules and a->values say (ollama_ask_write), the tools and the messages; for a model that lacks a template one prompt. */
void ollama_chat_write(struct openai_ask *a, const struct ollama_ask_rules *rules, const struct json_value *messages, const struct json_value *tools);

#endif
