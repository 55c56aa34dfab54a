/*
 * empty_token: a token of Ollama's without text, for who takes nothing else for a sign of life ([proxy] heartbeat = chunk).
 */
#ifndef PROXY_EMPTY_TOKEN_H
#define PROXY_EMPTY_TOKEN_H

#include "common/buf.h"

enum { EMPTY_TOKEN_TIME_BYTES = 40 };
/* Now, as `created_at` has it. How long it is. */
size_t empty_token_time(char text[EMPTY_TOKEN_TIME_BYTES]);
/* A line of /api/chat or /api/generate that says nothing, appended, and what ends it. 0, -ENOMEM or -EFBIG. */
int empty_token(struct buf *out, int is_chat, const char *model, const char *end) WARN_UNUSED;

#endif
