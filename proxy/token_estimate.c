/*
 * See token_estimate.h. A line through the counts, by least squares, that leans on what is likely without them: many prompts of one
 * length say nothing of how overhead and slope share what was counted, and the first prompt least of all.
 */
#include "proxy/token_estimate.h"

#include <stdio.h>
#include <string.h>

static const double kept = 0.95; /* of what older prompts weigh, with each new one: some twenty of them count */
static const double error_kept = 0.9;
/* What is likely: a count lies some 30 tokens off the line; there is no overhead, give or take 100; and a character is a quarter of
 * a token, give or take 0.08. The last two weigh as much as so many prompts, of no and of a thousand characters. */
static const double overhead_weight = 30.0 * 30.0 / (100.0 * 100.0), slope_weight = 30.0 * 30.0 / (80.0 * 80.0);
/* The most is little: one dense prompt, as of base64, must not make a long one of each short one. */
static const double overhead_least = -512, overhead_most = 512;
static const double outlier = 0.5; /* so far from the estimate, as a part of it, a count is not believed */

enum {
    OUTLIERS_FROM = 5, /* prompts that must have been learnt from, before one can be an outlier */
    OUTLIERS_MAX = 4,  /* so many in a row are none: the model is another one by now */
};

static const struct token_row *find(const struct token_estimates *e, const char *model)
{
    for (size_t i = 0; i < TOKEN_ESTIMATES_MODELS; i++)
        if (e->rows[i].learnt_n && strcmp(e->rows[i].model, model) == 0)
            return &e->rows[i];
    return NULL;
}

/* That of this model, or a new one: a free one, as it was never used, or the longest unused. */
static struct token_row *row_of(struct token_estimates *e, const char *model)
{
    struct token_row *row = &e->rows[0];
    for (size_t i = 0; i < TOKEN_ESTIMATES_MODELS; i++) {
        if (e->rows[i].learnt_n && strcmp(e->rows[i].model, model) == 0)
            return &e->rows[i];
        if (e->rows[i].used < row->used)
            row = &e->rows[i];
    }
    *row = (struct token_row){.learnt_n = 0};
    snprintf(row->model, sizeof row->model, "%s", model);
    return row;
}

static double within(double value, double least, double most)
{
    return value < least ? least : value > most ? most : value;
}

static struct token_line line_of(const struct token_row *row)
{
    return row ? (struct token_line){row->overhead, row->slope} : (struct token_line){0, 1.0 / TOKENS_CHARS_DEFAULT};
}

static double count(struct token_line line, uint64_t chars_n, size_t messages_n)
{
    return within(line.overhead + line.slope * (double)chars_n + (double)messages_n * TOKENS_A_MESSAGE, 1, 1e15);
}

int token_is_known(const struct token_estimates *e, const char *model)
{
    return find(e, model) != NULL;
}

struct token_line token_line(const struct token_estimates *e, const char *model)
{
    return line_of(find(e, model));
}

uint64_t token_count(struct token_line line, uint64_t chars_n, size_t messages_n)
{
    return (uint64_t)(count(line, chars_n, messages_n) + 0.5);
}

uint64_t token_estimate(const struct token_estimates *e, const char *model, uint64_t chars_n, size_t messages_n)
{
    return token_count(token_line(e, model), chars_n, messages_n);
}

uint64_t token_chars(struct token_line line, uint64_t tokens_n)
{
    return (uint64_t)within((double)tokens_n / line.slope, 0, 1e15);
}

/* The line, by the sums and what is likely. A slope that no tokenizer has is brought within its bounds, and the overhead fits to that. */
static void fit(struct token_row *row)
{
    const struct token_sums *s = &row->sums;
    double n = s->n + overhead_weight, xx = s->xx + slope_weight, xy = s->xy + slope_weight * 1000 / TOKENS_CHARS_DEFAULT;
    double slope = (n * xy - s->x * s->y) / (n * xx - s->x * s->x);
    slope = within(slope, 1000.0 / TOKENS_CHARS_MOST, 1000.0 / TOKENS_CHARS_LEAST);
    row->slope = slope / 1000;
    row->overhead = within((s->y - slope * s->x) / n, overhead_least, overhead_most);
}

static void add(struct token_sums *s, double x, double y)
{
    s->n = kept * s->n + 1;
    s->x = kept * s->x + x;
    s->xx = kept * s->xx + x * x;
    s->y = kept * s->y + y;
    s->xy = kept * s->xy + x * y;
}

/* Whether the count tells how long the prompt is: not where a part of it was cached, or may have been left out, as it would not have fitted. */
static int is_telling(uint64_t chars_n, uint64_t tokens_n, double guess, uint64_t num_ctx)
{
    double most = num_ctx == 0 ? (double)UINT64_MAX : 0.9 * (double)num_ctx;
    return tokens_n > TOKENS_LEARN_MIN && (double)tokens_n * TOKENS_CHARS_MOST >= (double)chars_n && (double)tokens_n < most && guess < most;
}

/* Whether the count is to be believed. */
static int is_plausible(struct token_row *row, double off)
{
    if (row->learnt_n < OUTLIERS_FROM || off <= outlier) {
        row->outliers_n = 0;
        return 1;
    }
    if (++row->outliers_n < OUTLIERS_MAX)
        return 0;
    row->sums = (struct token_sums){.n = 0};
    row->outliers_n = 0;
    return 1;
}

void token_learn(struct token_estimates *e, const char *model, uint64_t chars_n, size_t messages_n, uint64_t tokens_n, uint64_t num_ctx)
{
    double guess = count(token_line(e, model), chars_n, messages_n), off = guess - (double)tokens_n;
    if (!*model || !is_telling(chars_n, tokens_n, guess, num_ctx))
        return;
    struct token_row *row = row_of(e, model);
    off = (off < 0 ? -off : off) / (double)tokens_n;
    row->used = ++e->uses;
    if (!is_plausible(row, off))
        return;
    row->error = row->learnt_n ? error_kept * row->error + (1 - error_kept) * off : off;
    row->learnt_n++;
    add(&row->sums, (double)chars_n / 1000, (double)tokens_n - (double)messages_n * TOKENS_A_MESSAGE);
    fit(row);
}

double token_error_ratio(const struct token_estimates *e, const char *model)
{
    const struct token_row *row = find(e, model);
    return row ? row->error : 0;
}
