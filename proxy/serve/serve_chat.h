/*
 * serve_chat: POST /chat, for an engine that speaks OpenAI's API: a conversation with the members of a chat completion beside it (max_tokens,
 * temperature and so on), and an answer as Ollama's /api/chat gives it (R1.3). It is whole unless a stream is asked for. What is not known of an
 * answer is null.
 */
#ifndef PROXY_SERVE_SERVE_CHAT_H
#define PROXY_SERVE_SERVE_CHAT_H

#include "proxy/translation.h"

extern const struct translate_ops serve_chat_ops;

#endif
