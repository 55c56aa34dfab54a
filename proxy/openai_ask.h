/*
 * openai_ask: what requests of /v1/chat/completions and /v1/completions have in common, as Ollama's own API wants it.
 *
 * Sources: https://platform.openai.com/docs/api-reference/chat/create, /completions/create; which of it Ollama takes, and as
 * what: its openai/openai.go, v0.9.5 and newer. What has no counterpart there is not read: docs/openai.md.
 */
#ifndef PROXY_OPENAI_ASK_H
#define PROXY_OPENAI_ASK_H

#include "common/json_read.h"
#include "proxy/json_write.h"
#include "proxy/mistakes.h"
#include "proxy/translation.h"

/* The first members that a table of names has; openai_ask_begin() and openai_ask_options() write them. */
enum openai_ask_member {
    OPENAI_MODEL,
    OPENAI_STREAM,
    OPENAI_STREAM_OPTIONS,
    OPENAI_KEEP_ALIVE,
    OPENAI_STOP,
    OPENAI_MAX_TOKENS,
    OPENAI_MAX_COMPLETION_TOKENS,
    OPENAI_SEED,
    OPENAI_TEMPERATURE,
    OPENAI_TOP_P,
    OPENAI_FREQUENCY_PENALTY,
    OPENAI_PRESENCE_PENALTY,
    OPENAI_ANSWERS,
    OPENAI_OPTIONS,
    OPENAI_TOP_K,
    OPENAI_MIN_P,
    OPENAI_REPEAT_PENALTY,
    OPENAI_NUM_CTX,
    OPENAI_ASK_N,
};
#define OPENAI_ASK_NAMES                                                                                               \
    "model", "stream", "stream_options", "keep_alive", "stop", "max_tokens", "max_completion_tokens", "seed",          \
        "temperature", "top_p", "frequency_penalty", "presence_penalty", "n", "options", "top_k", "min_p",             \
        "repeat_penalty", "num_ctx"

/* A request under way from one API to the other. */
struct openai_ask {
    struct translation *t;
    const struct json_value *values; /* its members; by a table that begins with OPENAI_ASK_NAMES */
    struct json_write w;
    struct mistakes mistakes;
};

/* Reads the body's members: values, as many as names. 0, or -EINVAL with the reason in why (TRANSLATE_WHY_BYTES). */
int openai_ask_read(struct openai_ask *a, struct translation *t, struct json_text body, const char *const *names,
                    size_t names_n, struct json_value *values, struct buf *out, char *why);
/* The opening brace, and `model`; for what streams, `stream` too. */
void openai_ask_model(struct openai_ask *a);
void openai_ask_stream(struct openai_ask *a);
/* keep_alive, where it is there: an extension of ours, as Ollama's own /v1 does not read it. */
void openai_ask_keep_alive(struct openai_ask *a);
/* `options`, from the members of this API, and those that Ollama's clients send beside them. penalty: what stands for a penalty that is
 * not there; NULL: nothing. */
void openai_ask_options(struct openai_ask *a, const char *penalty);
/* The same of a request that generates nothing: `options` and num_ctx alone, and nothing where neither is there. */
void openai_ask_load_options(struct openai_ask *a);
/* Refuses more than one answer: `n`, or what else is called so. */
void openai_ask_one(struct openai_ask *a, const struct json_value *value, const char *name);
/* The closing brace. 0; -EINVAL with every mistake in why, or the buffer's error: it is as it was before then. */
int openai_ask_end(struct openai_ask *a);

/* Whether a member is there: neither absent nor null. */
static inline int openai_is_there(const struct json_value *value)
{
    return value->kind != JSON_NULL;
}

/* Of the kinds of a value, for json_kinds: what may be there. */
#define OPENAI_KIND(kind) (1U << (kind))
#define OPENAI_BOOLEAN (OPENAI_KIND(JSON_TRUE) | OPENAI_KIND(JSON_FALSE))
/* Whether it is a number, or the text of one in a string, as some agents send it: *out is that number. */
int openai_is_number(const struct json_value *value, struct json_value *out);
/* A number of this API as one of Ollama's, of however many digits. least: the least that a whole number may be; -1: whatever; of others
 * OPENAI_ANY_NUMBER. 1 where it is there, and right: *out is it. */
enum { OPENAI_ANY_NUMBER = -2 };
int openai_is_count(struct openai_ask *a, const struct json_value *value, const char *name, int least, struct json_value *out);
/* 1 where it is there and of one of these kinds; what: what it may be, for the mistake that another kind is. */
int openai_is_a(struct openai_ask *a, const struct json_value *value, unsigned kinds, const char *name, const char *what);

#endif
