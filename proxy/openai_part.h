/*
 * openai_part: the parts of a message's content: texts, images, sound. Source: the API reference of /v1/chat/completions,
 * `messages[].content[]`; ollama/openai/openai.go for what of it Ollama takes.
 */
#ifndef PROXY_OPENAI_PART_H
#define PROXY_OPENAI_PART_H

#include "proxy/openai_ask.h"

/* What of message number `index` is text, in an open string; content: whatever was sent, an array of parts or not. What a part of another
 * kind is, is left out. is_behind: something stands there already. 1 where anything stands there now. */
int openai_parts_text(struct openai_ask *a, const struct json_value *content, int is_behind);
/* Behind that string: `,"images":[…]`, where it has any. */
void openai_parts_images(struct openai_ask *a, size_t index, const struct json_value *content);

#endif
