/* See cooldowns.h. */
#include "proxy/cooldowns.h"

#include "common/growing.h"
#include "common/parse.h"

#include <stdio.h>
#include <string.h>

void cooldowns_init(struct cooldowns *c, int64_t longest_ms)
{
    *c = (struct cooldowns){.longest_ms = longest_ms};
}

static int is_of(const struct cooldown *row, const char *model)
{
    return row->model[0] && model_name_equal(row->model, strlen(row->model), model, strlen(model));
}

static const struct cooldown *find(const struct cooldowns *c, const char *model, const struct load_options *options)
{
    for (size_t i = 0; i < COOLDOWNS_ROWS; i++)
        if (is_of(&c->rows[i], model) && load_options_equal(&c->rows[i].options, options))
            return &c->rows[i];
    return NULL;
}

int64_t cooldown_until_ms(const struct cooldown *row)
{
    return row->length_ms ? row->failed_ms + row->length_ms : 0;
}

static int is_in_force(const struct cooldown *row, int64_t now_ms)
{
    return row->model[0] && now_ms < cooldown_until_ms(row);
}

const struct cooldown *cooldowns_look(const struct cooldowns *c, const char *model, const struct load_options *options, int64_t now_ms)
{
    const struct cooldown *row = find(c, model, options);
    return row && is_in_force(row, now_ms) ? row : NULL;
}

int cooldowns_is_suspect(const struct cooldowns *c, const char *model)
{
    for (size_t i = 0; i < COOLDOWNS_ROWS; i++)
        if (c->rows[i].is_suspect && is_of(&c->rows[i], model))
            return 1;
    return 0;
}

/* Its row, else a free one, else the one that has not failed for longest. */
static struct cooldown *row_of(struct cooldowns *c, const char *model, const struct load_options *options)
{
    const struct cooldown *known = find(c, model, options);
    struct cooldown *row = c->rows;
    if (known)
        return &c->rows[known - c->rows];
    for (size_t i = 1; i < COOLDOWNS_ROWS && row->model[0]; i++)
        if (!c->rows[i].model[0] || c->rows[i].failed_ms < row->failed_ms)
            row = &c->rows[i];
    *row = (struct cooldown){.options = *options};
    snprintf(row->model, sizeof row->model, "%s", model);
    return row;
}

const struct cooldown *cooldowns_failed(struct cooldowns *c, const char *model, const struct load_options *options, const char *why,
                                        int is_lost, int64_t now_ms)
{
    if (c->longest_ms == 0)
        return NULL;
    struct cooldown *row = row_of(c, model, options);
    row->failures_n++;
    row->failed_ms = now_ms;
    row->is_suspect |= is_lost;
    snprintf(row->why, sizeof row->why, "%s", why);
    if (row->failures_n < COOLDOWNS_AFTER)
        return NULL;
    row->length_ms = growing_next_ms(row->length_ms, COOLDOWNS_FIRST_MS, COOLDOWNS_GROWTH, c->longest_ms);
    return row;
}

/* 1 where a pause ends with it, also one whose time is over: whether it helped was not known before. */
static size_t drop(struct cooldown *row)
{
    size_t had_pause = row->length_ms > 0;
    *row = (struct cooldown){.failures_n = 0};
    return had_pause;
}

size_t cooldowns_loaded(struct cooldowns *c, const char *model, const struct load_options *options)
{
    size_t ended_n = 0;
    for (size_t i = 0; i < COOLDOWNS_ROWS; i++) {
        struct cooldown *row = &c->rows[i];
        if (!is_of(row, model))
            continue;
        row->is_suspect = 0;
        if (load_options_equal(&row->options, options))
            ended_n += drop(row);
    }
    return ended_n;
}

size_t cooldowns_forget(struct cooldowns *c)
{
    size_t ended_n = 0;
    for (size_t i = 0; i < COOLDOWNS_ROWS; i++)
        if (c->rows[i].model[0]) /* memory that was never written to is none */
            ended_n += drop(&c->rows[i]);
    return ended_n;
}

void cooldown_text(const struct cooldown *row, int64_t now_ms, char out[COOLDOWNS_TEXT_BYTES])
{
    int64_t left_s = (cooldown_until_ms(row) - now_ms + 999) / 1000;
    char left[48];
    if (left_s < 60)
        snprintf(left, sizeof left, "%lld s", (long long)(left_s > 0 ? left_s : 0));
    else
        snprintf(left, sizeof left, "%lld min %lld s", (long long)(left_s / 60), (long long)(left_s % 60));
    snprintf(out, COOLDOWNS_TEXT_BYTES, "model '%s' could not be loaded %u times in a row: %s; it is tried again in %s", row->model,
             row->failures_n, row->why, left);
}
