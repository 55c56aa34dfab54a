/*
 * openai_logprobs: how likely each token was, in the two shapes of OpenAI's.
 * Sources: https://platform.openai.com/docs/api-reference/chat/object, /completions/object; ollama api/types.go, Logprob.
 */
#ifndef PROXY_OPENAI_LOGPROBS_H
#define PROXY_OPENAI_LOGPROBS_H

#include "common/json_read.h"
#include "proxy/json_write.h"

/* Ollama's array as that of a chat completion: every member is there, null or empty where Ollama tells none; null where this is no
 * array. */
void openai_logprobs_chat(struct json_write *w, const struct json_value *logprobs);
/* … as that of a completion. text_n: how many characters went before; brought up to its end. */
void openai_logprobs_text(struct json_write *w, const struct json_value *logprobs, uint64_t *text_n);

#endif
