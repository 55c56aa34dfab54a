/*
 * openai_part: the parts of a message's content: texts, images, sound. Source: the API reference of /v1/chat/completions,
 * `messages[].content[]`; ollama/openai/openai.go for what of it Ollama takes.
 */
#ifndef PROXY_OPENAI_PART_H
#define PROXY_OPENAI_PART_H

#include "proxy/openai_ask.h"

/* At the content of message number `index`: its texts as one string, then `,"images":[…]` where it has any. */
void openai_parts(struct openai_ask *a, size_t index, const struct json_value *parts);

#endif
