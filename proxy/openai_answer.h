/*
 * openai_answer: what answers of /v1/chat/completions and /v1/completions have in common: the frame, how it ended, the counts.
 * Source: the API reference, "The chat completion chunk object" and its neighbours; ollama/openai/openai.go.
 */
#ifndef PROXY_OPENAI_ANSWER_H
#define PROXY_OPENAI_ANSWER_H

#include "common/json_read.h"
#include "proxy/json_write.h"
#include "proxy/translation.h"

/* The first members of an object of Ollama's answer, for tables of names. */
enum openai_answer_member { ANSWER_MODEL, ANSWER_DONE, ANSWER_DONE_REASON, ANSWER_PROMPT_EVAL_COUNT, ANSWER_EVAL_COUNT, ANSWER_N };
#define OPENAI_ANSWER_NAMES "model", "done", "done_reason", "prompt_eval_count", "eval_count"

/* What an API calls its objects. */
struct openai_kind {
    const char *whole, *piece; /* chat.completion, chat.completion.chunk */
};

struct openai_answer {
    struct translation *t;
    const struct openai_kind *kind;
    const struct json_value *values; /* Ollama's; by a table that begins with OPENAI_ANSWER_NAMES. NULL: there is no answer yet */
    struct json_write w;
};

/* From the beginning to the bracket of `choices`; an event's `data: ` before it. */
void openai_answer_begin(struct openai_answer *a, int is_event);
/* Behind the last choice: closes `choices` and the object; an event's end behind it. */
void openai_answer_end(struct openai_answer *a, int is_event, int has_usage);
/* An event with the counts, where the client wants it, and the one that ends the stream. */
void openai_answer_last(struct openai_answer *a);
/* Whether it is the last object of the answer. */
static inline int openai_answer_is_done(const struct openai_answer *a)
{
    return a->values[ANSWER_DONE].kind == JSON_TRUE;
}
/* `,"finish_reason":` and why it ended, where it has. */
void openai_answer_reason(struct openai_answer *a, int has_ended);

/* Whether a value is a string in which something is. */
static inline int openai_has_text(const struct json_value *value)
{
    return value->kind == JSON_STRING && value->n > 2;
}
/* A string of Ollama's, an empty one where there is none. */
void openai_answer_text(struct openai_answer *a, const struct json_value *text);

#endif
