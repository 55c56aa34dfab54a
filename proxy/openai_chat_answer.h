/*
 * openai_chat_answer: Ollama's answers of /api/chat as chat completions, whole and in chunks.
 */
#ifndef PROXY_OPENAI_CHAT_ANSWER_H
#define PROXY_OPENAI_CHAT_ANSWER_H

#include "proxy/translation.h"

/* The functions of struct translate_ops. */
int openai_chat_object(struct translation *t, const char *json, size_t json_n, struct buf *out);
int openai_chat_nothing(struct translation *t, struct buf *out);
int openai_chat_rest(struct translation *t, struct buf *out);

#endif
