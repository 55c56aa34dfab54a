/*
 * See speeds.h. Each model has a row, with a cell for each backend. A cell is what answers have told, as sums in which each of them has a weight: all weights
 * become smaller with each answer, and with time. What is expected comes from these sums and, with a little weight, from what is thought of it beforehand: the
 * best that any backend is known for with that model, as weights say, else a default. So a cell whose last answer was long ago comes near to that.
 */
#include "proxy/balance/speeds.h"

#include "common/parse.h"

#include <stdlib.h>
#include <string.h>

enum {
    MODELS_MAX = 32, /* the longest unused one goes first */
    HALF_LIFE_MS = 5 * 60 * 1000,
    FIT_TOKENS = 1024, /* where the line of prefill is held by what is thought of it beforehand: at 0 and here */
    OUTPUT_TOKENS = 200,
    LOADED_MS = 100, /* "load_duration" is not 0 where nothing was loaded */
    TOKENS_MOST = 10000000,
    MS_MOST = 24 * 3600 * 1000,
};

static const double kept = 0.92, output_kept = 0.98;       /* of what older answers weigh, with each new one: some 12 and 50 of them count */
static const double prior_weight = 0.25;                    /* of what is thought beforehand, in answers */
static const double whole_weight = 12;                      /* of one that has answered for long */
static const double known_weight = 1;                       /* so many answers are worth to be compared with */
static const double fastest = 4, slowest = 16;              /* no answer counts as more times faster, or slower, than it was expected */
static const double fastest_unknown = 16;                   /* … where nothing was known */
static const double fast_weight = 0.25;                     /* of one that was faster still: most of it was in a cache, as the count does not tell */
static const double prefill_least_ms = 0.05, decode_least_ms = 0.5; /* a token: 20,000 and 2,000 a second */
static const double token_most_ms = 60000;

/* A mean. */
struct mean {
    double weight, sum;
};

/* ms over tokens, as sums for a line through them. */
struct fit {
    double weight;             /* in answers */
    double w, wx, wy, wxx, wxy; /* a long prompt counts less in them: its error is as long as itself, and it would turn the line as a lever */
};

struct line_ms {
    double a, b; /* a + b a token */
};

struct cell {
    int64_t seen_ms;
    struct fit prefill;
    struct mean decode, load; /* ms a token; ms */
};

/* What is thought of a backend of weight 1. */
struct prior {
    struct line_ms prefill;
    double decode, load;
};

struct row {
    uint32_t hash;
    int64_t used_ms;
    struct mean output;
    int has_best;
    struct prior best; /* of all cells, once somebody has asked for it since one was changed */
    struct cell cells[BALANCE_BACKENDS];
};

struct speeds {
    double weights[BALANCE_BACKENDS]; /* 0: it is not there */
    size_t rows_n;
    struct row *rows[MODELS_MAX];
};

struct speeds *speeds_new(void)
{
    return calloc(1, sizeof(struct speeds));
}

void speeds_free(struct speeds **s)
{
    if (!*s)
        return;
    for (size_t i = 0; i < (*s)->rows_n; i++)
        free((*s)->rows[i]);
    free(*s);
    *s = NULL;
}

static void set_weight(struct speeds *s, int backend, double weight)
{
    s->weights[backend] = weight;
    for (size_t i = 0; i < s->rows_n; i++)
        s->rows[i]->has_best = 0;
}

void speeds_set_backend(struct speeds *s, int backend, unsigned weight)
{
    set_weight(s, backend, weight ? weight : 1);
}

void speeds_forget_backend(struct speeds *s, int backend)
{
    for (size_t i = 0; i < s->rows_n; i++)
        s->rows[i]->cells[backend] = (struct cell){0};
    set_weight(s, backend, 0);
}

/* ---- numbers ---- */

/* What is no number at all is the least one. */
static double between(double n, double least, double most)
{
    return !(n >= least) ? least : n > most ? most : n;
}

static double tokens_of(int64_t n)
{
    return between((double)n, 0, TOKENS_MOST);
}

/* 2 to the power of -time / HALF_LIFE_MS, nearly: between two halves as a straight line. */
static double aged(const struct cell *c, int64_t now_ms)
{
    int64_t age_ms = now_ms > c->seen_ms ? now_ms - c->seen_ms : 0;
    double left = 1;
    for (; age_ms >= HALF_LIFE_MS && left > 1e-9; age_ms -= HALF_LIFE_MS)
        left /= 2;
    return age_ms >= HALF_LIFE_MS ? 0 : left * (1 - (double)age_ms / HALF_LIFE_MS / 2);
}

static void mean_add(struct mean *m, double value, double weight)
{
    m->weight += weight;
    m->sum += weight * value;
}

static void mean_scale(struct mean *m, double by)
{
    m->weight *= by;
    m->sum *= by;
}

/* The mean, as much of it as is left, with what is thought beforehand. */
static double mean_with(const struct mean *m, double left, double prior)
{
    return (m->sum * left + prior * prior_weight) / (m->weight * left + prior_weight);
}

static void fit_add(struct fit *f, double x, double y, double weight)
{
    double w = weight / ((1 + x / FIT_TOKENS) * (1 + x / FIT_TOKENS));
    f->weight += weight;
    f->w += w;
    f->wx += w * x;
    f->wy += w * y;
    f->wxx += w * x * x;
    f->wxy += w * x * y;
}

static void fit_scale(struct fit *f, double by)
{
    f->weight *= by;
    f->w *= by;
    f->wx *= by;
    f->wy *= by;
    f->wxx *= by;
    f->wxy *= by;
}

static double line_at(struct line_ms l, double tokens)
{
    return l.a + l.b * tokens;
}

/* The line through what was measured and two points of what is thought: so there are always two, and it is never steep by chance. It neither falls nor begins below 0. */
static struct line_ms fit_with(const struct fit *measured, double left, struct line_ms prior)
{
    struct fit f = *measured;
    fit_scale(&f, left);
    fit_add(&f, 0, prior.a, prior_weight / 2);
    fit_add(&f, FIT_TOKENS, line_at(prior, FIT_TOKENS), prior_weight / 2);
    struct line_ms l = {.b = (f.w * f.wxy - f.wx * f.wy) / (f.w * f.wxx - f.wx * f.wx)};
    l.b = between(l.b, prefill_least_ms, token_most_ms);
    l.a = (f.wy - l.b * f.wx) / f.w;
    if (l.a < 0)
        l = (struct line_ms){.b = between(f.wxy / f.wxx, prefill_least_ms, token_most_ms)};
    return l;
}

/* ---- rows and cells ---- */

static struct row *find(const struct speeds *s, uint32_t hash)
{
    size_t i = 0;
    while (i < s->rows_n && s->rows[i]->hash != hash)
        i++;
    return i < s->rows_n ? s->rows[i] : NULL;
}

static uint32_t hash_of(const char *model)
{
    return model_name_hash(model, strlen(model));
}

/* NULL: no memory. */
static struct row *take_row(struct speeds *s, const char *model, int64_t now_ms)
{
    struct row *row = find(s, hash_of(model));
    if (!row && s->rows_n < MODELS_MAX && (row = malloc(sizeof *row))) {
        s->rows[s->rows_n++] = row;
        *row = (struct row){.hash = hash_of(model)};
    } else if (!row && s->rows_n > 0) {
        row = s->rows[0];
        for (size_t i = 1; i < s->rows_n; i++)
            if (s->rows[i]->used_ms < row->used_ms)
                row = s->rows[i];
        *row = (struct row){.hash = hash_of(model)};
    }
    if (row)
        row->used_ms = now_ms;
    return row;
}

/* The cell, as it is to be changed. */
static struct cell *take_cell(struct row *row, int backend, int64_t now_ms)
{
    struct cell *c = &row->cells[backend];
    double left = aged(c, now_ms);
    if (left < 1e-6) /* it is kept as what it was known for */
        left = 1e-6;
    fit_scale(&c->prefill, left);
    mean_scale(&c->decode, left);
    mean_scale(&c->load, left);
    c->seen_ms = now_ms > c->seen_ms ? now_ms : c->seen_ms;
    row->has_best = 0;
    return c;
}

/* ---- what is thought beforehand ---- */

static struct prior defaults(const struct speeds *s)
{
    double sum = 0;
    int n = 0;
    for (int i = 0; i < BALANCE_BACKENDS; i++) {
        sum += s->weights[i];
        n += s->weights[i] > 0;
    }
    double scale = n ? sum / n : 1;
    return (struct prior){.prefill = {.b = 5 * scale}, .decode = 100 * scale, .load = 10000 * scale};
}

static struct prior for_weight(struct prior p, double weight)
{
    double w = weight > 0 ? weight : 1;
    return (struct prior){.prefill = {p.prefill.a / w, p.prefill.b / w}, .decode = p.decode / w, .load = p.load / w};
}

/* The best that any backend is known for, however long ago; for a weight of 1. */
static struct prior find_best(const struct speeds *s, const struct row *row)
{
    struct prior best = defaults(s), normal = best;
    int has_prefill = 0, has_decode = 0, has_load = 0;
    for (int i = 0; i < BALANCE_BACKENDS; i++) {
        const struct cell *c = &row->cells[i];
        double w = s->weights[i] > 0 ? s->weights[i] : 1;
        if (c->decode.weight > 0 && (!has_decode++ || c->decode.sum / c->decode.weight * w < best.decode))
            best.decode = c->decode.sum / c->decode.weight * w;
        if (c->load.weight > 0 && (!has_load++ || c->load.sum / c->load.weight * w < best.load))
            best.load = c->load.sum / c->load.weight * w;
        if (c->prefill.weight > 0) {
            struct line_ms l = fit_with(&c->prefill, whole_weight / c->prefill.weight, for_weight(normal, w).prefill);
            if (!has_prefill++ || line_at(l, FIT_TOKENS) * w < line_at(best.prefill, FIT_TOKENS))
                best.prefill = (struct line_ms){l.a * w, l.b * w};
        }
    }
    return best;
}

/* What is thought of this backend; row NULL: of a model that nobody has seen. */
static struct prior prior_of(const struct speeds *s, struct row *row, int backend)
{
    if (row && !row->has_best) {
        row->best = find_best(s, row);
        row->has_best = 1;
    }
    return for_weight(row ? row->best : defaults(s), s->weights[backend]);
}

/* ---- to learn, and to tell ---- */

/* What an answer says, bounded by what was expected of it; its weight is less where it was too fast. */
static double bounded(double value, double expected, double known, double *weight)
{
    double times = known < known_weight ? fastest_unknown : fastest;
    if (value * times < expected) {
        *weight *= fast_weight;
        return expected / times;
    }
    return known >= known_weight && value > expected * slowest ? expected * slowest : value;
}

static void learn_prefill(struct cell *c, const struct speeds_sample *in, struct line_ms prior)
{
    if (in->prompt_tokens <= 0 || in->prompt_ms <= 0)
        return;
    double x = between(tokens_of(in->prompt_tokens) - tokens_of(in->cached_tokens), 1, TOKENS_MOST), weight = 1;
    double expected = line_at(fit_with(&c->prefill, 1, prior), x);
    double y = bounded(between((double)in->prompt_ms, prefill_least_ms * x, MS_MOST), expected, c->prefill.weight, &weight);
    fit_scale(&c->prefill, kept);
    fit_add(&c->prefill, x, y, weight);
}

static void learn_decode(struct cell *c, const struct speeds_sample *in, double prior)
{
    if (in->output_tokens <= 0 || in->output_ms <= 0)
        return;
    double tokens = tokens_of(in->output_tokens), weight = between(tokens / 8, 0, 1); /* a few tell less */
    double ms = between((double)in->output_ms / tokens, decode_least_ms, token_most_ms);
    ms = bounded(ms, mean_with(&c->decode, 1, prior), c->decode.weight, &weight);
    mean_scale(&c->decode, kept);
    mean_add(&c->decode, ms, weight);
}

void speeds_learn(struct speeds *s, int backend, const char *model, const struct speeds_sample *sample, int64_t now_ms)
{
    struct row *row = take_row(s, model, now_ms);
    if (!row)
        return;
    struct prior prior = prior_of(s, row, backend);
    struct cell *c = take_cell(row, backend, now_ms);
    learn_prefill(c, sample, prior.prefill);
    learn_decode(c, sample, prior.decode);
    if (sample->load_ms >= LOADED_MS) {
        mean_scale(&c->load, kept);
        mean_add(&c->load, between((double)sample->load_ms, 0, MS_MOST), 1);
    }
    if (sample->output_tokens > 0) {
        mean_scale(&row->output, output_kept);
        mean_add(&row->output, tokens_of(sample->output_tokens), 1);
    }
}

static double output_of(const struct row *row, int64_t most)
{
    struct mean m = row ? row->output : (struct mean){0};
    mean_add(&m, OUTPUT_TOKENS, 1);
    double tokens = m.sum / m.weight;
    return most > 0 && tokens_of(most) < tokens ? tokens_of(most) : tokens;
}

void speeds_expect(struct speeds *s, int backend, const struct speeds_ask *ask, int64_t now_ms, struct balance_way *out)
{
    struct row *row = find(s, hash_of(ask->model));
    static const struct cell nothing;
    const struct cell *c = row ? &row->cells[backend] : &nothing;
    struct prior prior = prior_of(s, row, backend);
    double left = aged(c, now_ms), tokens = between(tokens_of(ask->prompt_tokens) - tokens_of(ask->cached_tokens), 1, TOKENS_MOST);
    double prefill_ms = line_at(fit_with(&c->prefill, left, prior.prefill), tokens);
    double decode_ms = mean_with(&c->decode, left, prior.decode) * output_of(row, ask->output_most);
    *out = (struct balance_way){
        .run_ms = (int32_t)between(prefill_ms + decode_ms, 1, MS_MOST),
        .load_ms = (int32_t)between(mean_with(&c->load, left, prior.load), 0, MS_MOST),
    };
}

int speeds_has_learnt(const struct speeds *s, const char *model)
{
    const struct row *row = find(s, hash_of(model));
    return row && row->output.weight > 0;
}

int speeds_known(const struct speeds *s, int backend, const char *model, int64_t now_ms, struct speeds_known *out)
{
    *out = (struct speeds_known){0};
    struct row *row = find(s, hash_of(model));
    const struct cell *c = row ? &row->cells[backend] : NULL;
    if (!c || (c->prefill.weight <= 0 && c->decode.weight <= 0 && c->load.weight <= 0))
        return 0;
    double left = aged(c, now_ms);
    struct prior prior = prior_of(s, row, backend);
    if (c->prefill.weight > 0)
        out->prefill_per_s = 1000 / fit_with(&c->prefill, left, prior.prefill).b;
    if (c->decode.weight > 0)
        out->decode_per_s = 1000 / mean_with(&c->decode, left, prior.decode);
    if (c->load.weight > 0)
        out->load_ms = mean_with(&c->load, left, prior.load);
    if (row->output.weight > 0)
        out->output_tokens = output_of(row, 0);
    out->samples_n = (c->prefill.weight > c->decode.weight ? c->prefill.weight : c->decode.weight) * left;
    return 1;
}

/* Both, each with its weight; and the greater weight, not their sum, as either may have learnt from the other. */
static void mean_merge(struct mean *m, double value, double weight)
{
    double most = m->weight > weight ? m->weight : weight;
    mean_add(m, value, weight);
    mean_scale(m, most / m->weight);
}

void speeds_take(struct speeds *s, int backend, const char *model, const struct speeds_known *known, int64_t now_ms)
{
    double weight = between(known->samples_n, 0, 1 / (1 - kept));
    struct row *row = weight > 0 ? take_row(s, model, now_ms) : NULL;
    if (!row)
        return;
    struct cell *c = take_cell(row, backend, now_ms);
    if (known->decode_per_s > 0)
        mean_merge(&c->decode, between(1000 / known->decode_per_s, decode_least_ms, token_most_ms), weight);
    if (known->load_ms > 0)
        mean_merge(&c->load, between(known->load_ms, 0, MS_MOST), weight);
    if (known->output_tokens > 0)
        mean_merge(&row->output, between(known->output_tokens, 1, TOKENS_MOST), weight);
    if (known->prefill_per_s > 0) {
        double most = c->prefill.weight > weight ? c->prefill.weight : weight;
        struct line_ms l = {.b = between(1000 / known->prefill_per_s, prefill_least_ms, token_most_ms)};
        fit_add(&c->prefill, 0, 0, weight / 2);
        fit_add(&c->prefill, FIT_TOKENS, line_at(l, FIT_TOKENS), weight / 2);
        fit_scale(&c->prefill, most / c->prefill.weight);
    }
}
