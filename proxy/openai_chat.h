/*
 * openai_chat: /v1/chat/completions as Ollama's /api/chat, and its answers. What of it is translated how: docs/openai.md.
 */
#ifndef PROXY_OPENAI_CHAT_H
#define PROXY_OPENAI_CHAT_H

#include "proxy/translation.h"

extern const struct translate_ops openai_chat_ops;

#endif
