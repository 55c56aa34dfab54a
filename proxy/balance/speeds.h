/*
 * speeds: how long an answer takes at each backend, with each model; learnt from the counts that answers end with. Pure.
 *
 * For a backend and model: load_ms, prefill (a + b for each new token of the prompt), decode (ms a token), and of a model how many tokens its answers
 * have: means in which the last ones weigh most, and which lose their weight with time, towards the best of the fleet: who was slow once is tried again. prompt_eval_count includes
 * tokens that were in the cache (v0.9.5): what would be absurdly fast is bounded, not believed.
 */
#ifndef PROXY_BALANCE_SPEEDS_H
#define PROXY_BALANCE_SPEEDS_H

#include "common/contract.h"
#include "proxy/balance/balance.h"

/* What is asked. */
struct speeds_ask {
    const char *model;
    int64_t prompt_tokens;  /* all of them */
    int64_t cached_tokens;  /* … of which the backend has those in its cache */
    int64_t output_most;    /* num_predict, max_tokens; 0: not said */
};

/* What an answer ended with. -1: it did not say. */
struct speeds_sample {
    int64_t prompt_tokens, cached_tokens; /* as was expected of the cache */
    int64_t prompt_ms, output_tokens, output_ms;
    int64_t load_ms; /* less than 100: it was loaded, as Ollama counts some there, too */
};

struct speeds;

/* NULL: no memory. */
struct speeds *speeds_new(void);
/* With all that is learnt. */
void speeds_free(struct speeds **s);
/* weight: how fast it is thought to be, beside others, before anything is known. */
void speeds_set_backend(struct speeds *s, int backend, unsigned weight);
/* Another machine may have its place: nothing is known of it. */
void speeds_forget_backend(struct speeds *s, int backend);

/* An answer has ended. */
void speeds_learn(struct speeds *s, int backend, const char *model, const struct speeds_sample *sample, int64_t now_ms);
/* What the answer will take there. run_ms is at least 1. */
void speeds_expect(struct speeds *s, int backend, const struct speeds_ask *ask, int64_t now_ms, struct balance_way *out);
/* 1: answers of this model have told how long they are; 0: what is expected of it is a guess. */
int speeds_has_learnt(const struct speeds *s, const char *model);
/* As learnt now, for /status and other replicas: tokens a second, ms; 0: not known. 1, or 0 where nothing is. */
struct speeds_known {
    double prefill_per_s, decode_per_s, load_ms, output_tokens, samples_n;
};
int speeds_known(const struct speeds *s, int backend, const char *model, int64_t now_ms, struct speeds_known *out);
/* What another replica has learnt, with its weight. */
void speeds_take(struct speeds *s, int backend, const char *model, const struct speeds_known *known, int64_t now_ms);

#endif
