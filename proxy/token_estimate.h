/*
 * token_estimate: how many tokens a prompt will have, before a model has counted them.
 *
 * Of each model that has answered it is learnt: so many tokens for a prompt as such (its template, a system prompt of its own), so many
 * for each character (code points, as bytes would make other scripts look longer than they are). What counts most is what was
 * answered last. Before the first answer a token has 4 characters. Pure.
 *
 * Not every count says something: short prompts are mostly template, Ollama leaves out messages of what is longer than num_ctx without
 * a word, and what it has still in its cache some versions do not count.
 */
#ifndef PROXY_TOKEN_ESTIMATE_H
#define PROXY_TOKEN_ESTIMATE_H

#include "common/contract.h"

enum {
    TOKEN_ESTIMATES_MODELS = 64,  /* one more takes the place of the longest unused */
    TOKENS_A_MESSAGE = 8,         /* its role, and what the template puts around it */
    TOKENS_LEARN_MIN = 200,       /* a prompt of no more teaches nothing */
    TOKENS_CHARS_MOST = 6,        /* characters a token, at most and */
    TOKENS_CHARS_LEAST = 2,       /* … at least */
    TOKENS_CHARS_DEFAULT = 4,
};

/* Sums over the prompts of a model, each counting less with every one that follows. x: thousands of characters; y: tokens, those of its
 * messages' frames taken away. */
struct token_sums {
    double n, x, xx, y, xy;
};

struct token_row {
    char model[CONTRACT_NAME_BYTES]; /* "": a free row */
    struct token_sums sums;
    double overhead;        /* tokens of a prompt as such; may be below zero */
    double slope;           /* tokens a character */
    double error;           /* mean of |estimate - count| / count, the latest counting most */
    uint64_t learnt_n;
    unsigned outliers_n;    /* in a row, that were not believed */
    uint64_t used;
};

/* All zero: nothing is known. */
struct token_estimates {
    struct token_row rows[TOKEN_ESTIMATES_MODELS];
    uint64_t uses;
};

/* Whether an answer of this model has taught something. */
int token_is_known(const struct token_estimates *e, const char *model);
/* What is known of a model, for who counts again and again; model "": where that is not known yet. */
struct token_line {
    double overhead, slope;
};
struct token_line token_line(const struct token_estimates *e, const char *model);
/* A prompt of so many characters in so many messages. */
uint64_t token_count(struct token_line line, uint64_t chars_n, size_t messages_n);
uint64_t token_estimate(const struct token_estimates *e, const char *model, uint64_t chars_n, size_t messages_n);
/* How many characters at most have so many tokens, beside what is counted already; 0 where there is no room for one. */
uint64_t token_chars(struct token_line line, uint64_t tokens_n);
/* The model has counted tokens_n. num_ctx: how many it takes; 0: not known. */
void token_learn(struct token_estimates *e, const char *model, uint64_t chars_n, size_t messages_n, uint64_t tokens_n, uint64_t num_ctx);
/* How far estimates were from what was counted then, as a part of that (0.03), of late; 0 where nothing was learnt. */
double token_error_ratio(const struct token_estimates *e, const char *model);

#endif
