/*
 * generate_answer: answers of /api/generate as server-sent events, for who asks POST /generate for them: each object as Ollama wrote it,
 * then `data: [DONE]`.
 */
#ifndef PROXY_GENERATE_ANSWER_H
#define PROXY_GENERATE_ANSWER_H

#include "proxy/translation.h"

/* Without `request`: the body is generate.h's. */
extern const struct translate_ops generate_answer_ops;

#endif
