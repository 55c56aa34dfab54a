/*
 * See workers.h. A job tells of a number of jobs at once only where that was so for nearly all of its time: one that ran beside three
 * others and ended beside two would say of three what is true of four.
 */
#include "proxy/workers.h"

#include "common/parse.h"

#include <stdio.h>
#include <string.h>

enum {
    WORTH_PERCENT = 110, /* one more has to bring so much of what there was */
    PURE_PERCENT = 90,   /* of its time */
};

static const double kept = 0.94; /* of what older jobs weigh, with each new one: some sixteen of them count */

/* WORKERS_MODELS where it is not known. */
static size_t find(const struct workers_table *t, const char *model)
{
    size_t i = 0, n = strlen(model);
    while (i < WORKERS_MODELS && (!t->rows[i].model[0] || !model_name_equal(t->rows[i].model, strlen(t->rows[i].model), model, n)))
        i++;
    return i;
}

static int is_known(const struct workers_level *level, int64_t now_ms)
{
    return now_ms < level->until_ms;
}

/* Of all of them together, in a millisecond. */
static double throughput(const struct workers_level *levels, size_t at_once_n)
{
    return levels[at_once_n].chars / levels[at_once_n].ms * (double)at_once_n;
}

static int is_worth_it(const struct workers_level *levels, size_t at_once_n)
{
    return throughput(levels, at_once_n) * 100 >= throughput(levels, at_once_n - 1) * WORTH_PERCENT;
}

size_t workers_choose(const struct workers_table *t, const char *model, size_t most_n, int64_t now_ms)
{
    size_t i = find(t, model), n = most_n;
    if (i == WORKERS_MODELS)
        return n;
    const struct workers_level *levels = t->rows[i].levels;
    while (n > 1 && is_known(&levels[n], now_ms)) {
        if (!is_known(&levels[n - 1], now_ms)) /* it is tried, to know */
            return n - 1;
        if (is_worth_it(levels, n))
            return n;
        n--;
    }
    return n;
}

size_t workers_now(const struct workers_table *t, const char *model)
{
    size_t i = find(t, model);
    return i == WORKERS_MODELS ? 0 : t->rows[i].now_n;
}

/* NULL where all have jobs under way. */
static struct workers_row *take_row(struct workers_table *t, const char *model, int64_t now_ms)
{
    size_t known = find(t, model);
    struct workers_row *row = known == WORKERS_MODELS ? NULL : &t->rows[known];
    for (size_t i = 0; known == WORKERS_MODELS && i < WORKERS_MODELS; i++)
        if (t->rows[i].now_n == 0 && (!row || t->rows[i].used < row->used))
            row = &t->rows[i];
    if (row && known == WORKERS_MODELS) {
        *row = (struct workers_row){.since_ms = now_ms};
        snprintf(row->model, sizeof row->model, "%s", model);
    }
    return row;
}

/* As now_n is about to change. */
static void count_time(struct workers_row *row, int64_t now_ms)
{
    row->passed_ms[row->now_n <= WORKERS_MOST ? row->now_n : 0] += now_ms - row->since_ms;
    row->since_ms = now_ms;
}

void workers_begin(struct workers_table *t, struct workers_job *job, const char *model, int64_t now_ms)
{
    struct workers_row *row = take_row(t, model, now_ms);
    job->row = row;
    job->began_ms = now_ms;
    if (!row)
        return;
    row->used = ++t->uses;
    count_time(row, now_ms);
    row->now_n++;
    memcpy(job->passed_ms, row->passed_ms, sizeof job->passed_ms);
}

/* How many were under way for nearly all of its time; 0: it differs, or they were more than are measured. */
static size_t level_of(const struct workers_job *job, int64_t passed_ms)
{
    for (size_t n = 1; n <= WORKERS_MOST; n++)
        if ((job->row->passed_ms[n] - job->passed_ms[n]) * 100 >= passed_ms * PURE_PERCENT)
            return n;
    return 0;
}

static void learn(struct workers_level *level, uint64_t chars_n, int64_t worked_ms, int64_t now_ms)
{
    double weight = is_known(level, now_ms) ? kept : 0;
    level->chars = level->chars * weight + (double)chars_n;
    level->ms = level->ms * weight + (double)worked_ms;
    level->until_ms = now_ms + WORKERS_KEPT_MS;
}

void workers_end(struct workers_job *job, uint64_t chars_n, int64_t waited_ms, int64_t now_ms)
{
    struct workers_row *row = job->row;
    if (!row)
        return;
    count_time(row, now_ms);
    int64_t passed_ms = now_ms - job->began_ms;
    size_t level = level_of(job, passed_ms);
    if (chars_n > 0 && passed_ms > waited_ms && level > 0)
        learn(&row->levels[level], chars_n, passed_ms - waited_ms, now_ms);
    row->now_n--;
    job->row = NULL;
}
