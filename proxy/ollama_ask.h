/*
 * ollama_ask: what requests of Ollama's own API have in common, as a backend wants it that speaks OpenAI's.
 *
 * Sources: ollama docs/api.md and api/types.go (Options); https://platform.openai.com/docs/api-reference/chat/create, and what vLLM and
 * llama-server take beyond it. What becomes of each member: docs/backends.md, "Ollama's clients". Reading, and telling mistakes, is
 * openai_ask.h's.
 */
#ifndef PROXY_OLLAMA_ASK_H
#define PROXY_OLLAMA_ASK_H

#include "proxy/openai_ask.h"

/* The first members that a table of names has. `model` stands where openai_ask_model() finds it. */
enum ollama_ask_member {
    OLLAMA_MODEL,
    OLLAMA_STREAM,
    OLLAMA_OPTIONS,
    OLLAMA_FORMAT,
    OLLAMA_KEEP_ALIVE,
    OLLAMA_THINK,
    OLLAMA_LOGPROBS,
    OLLAMA_TOP_LOGPROBS,
    OLLAMA_ASK_N,
};
#define OLLAMA_ASK_NAMES "model", "stream", "options", "format", "keep_alive", "think", "logprobs", "top_logprobs"

/* What is said in `options`, by the names that another API has for it beside them; in the order of ollama_ask.c's table. */
#define OLLAMA_FLAT_NAMES                                                                                                                           \
    "temperature", "top_p", "frequency_penalty", "presence_penalty", "seed", "max_tokens", "stop", "top_k", "min_p", "repeat_penalty"
enum { OLLAMA_FLAT_STOP = 6, OLLAMA_FLAT_N = 10 };

/* What an API has that is not as Ollama's own. All zero: nothing. */
struct ollama_ask_rules {
    const struct json_value *flat; /* OLLAMA_FLAT_N values, which are more than those in `options`; NULL: there are none */
    const char *max_tokens, *temperature; /* written where nothing is said; NULL: nothing */
    const char *no_limit;          /* … for max_tokens where there is to be no limit; NULL: nothing */
    int is_whole;                  /* it streams only where it is asked to */
};

/* From the opening brace on: the model, whether it streams, and all other members above. */
void ollama_ask_write(struct openai_ask *a, const struct ollama_ask_rules *rules);

/* Whether an array has nothing in it, or is none. */
int ollama_is_empty(const struct json_value *array);

/* A request with nothing to be answered: such loads a model, or unloads it (keep_alive 0), and there is nothing here to load. Writes Ollama's
 * answer to it, `said` being its member for what is said. 1, or what openai_ask_end() says. */
int ollama_ask_nothing(struct openai_ask *a, const char *said);

#endif
