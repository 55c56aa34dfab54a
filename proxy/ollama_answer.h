/*
 * ollama_answer: chat and text completions as answers of Ollama's /api/chat and /api/generate, whole and in pieces: lines of JSON.
 * Sources: the API reference, "The chat completion chunk object"; ollama docs/api.md and api/types.go (ChatResponse, GenerateResponse, Metrics).
 *
 * The last line comes when the stream says that it is over, as the counts come behind the reason. How long it took is measured here:
 * the other API does not tell it.
 */
#ifndef PROXY_OLLAMA_ANSWER_H
#define PROXY_OLLAMA_ANSWER_H

#include "proxy/ollama_turn.h"

/* The functions of struct translate_ops. */
int ollama_answer_object(struct translation *t, const char *json, size_t json_n, struct buf *out);
int ollama_answer_end(struct translation *t, struct buf *out);

#endif
