/*
 * ollama_message: the messages of /api/chat as those of a chat completion. Source: ollama docs/api.md, "Generate a chat completion", and
 * api/types.go (Message, ToolCall); the API reference of /v1/chat/completions, `messages`.
 */
#ifndef PROXY_OLLAMA_MESSAGE_H
#define PROXY_OLLAMA_MESSAGE_H

#include "proxy/openai_ask.h"

/* `"messages":[…]`, with a comma before it. */
void ollama_messages(struct openai_ask *a, const struct json_value *messages);

#endif
