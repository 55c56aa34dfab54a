/*
 * See pulls.h. Whoever waits is only ever told to look again: what has become of his models he finds out then, in one place, pulls_look.
 * Tickets that are to be told are collected first, and told when all rows are as they are to be, as from their fn anybody may look and
 * leave.
 *
 * The number of tries of one model is bounded (pull_retry.h), but for those that end with the backend: of these somebody has to ask for
 * the model again, who waits at the gate first.
 */
#include "proxy/pulls.h"

#include "common/growing.h"
#include "common/log.h"
#include "common/parse.h"

#include <stdio.h>
#include <string.h>

enum {
    LOST_PAUSE_MS = 250,    /* the backend is lost: until it is looked whether it is there again */
    MEMORY_PAUSE_MS = 1000, /* there is none for a try */
    TOLD_EACH_MS = 30000,
    TOLD_PERCENT = 10,
};

void pulls_init(struct pulls *p, struct waiting *waiting, int64_t retries, const struct pulls_ops *ops)
{
    memset(p, 0, sizeof *p);
    installed_init(&p->installed);
    p->waiting = waiting;
    p->retries = retries;
    p->ops = *ops;
}

void pulls_fini(struct pulls *p)
{
    for (size_t i = 0; i < PULLS_MODELS; i++)
        if (p->rows[i].pulling)
            p->ops.end(p->ops.context, &p->rows[i]);
    installed_fini(&p->installed);
}

/* Lines */

static void put(struct pulls_line *line, struct pulls_ticket *t)
{
    t->line = line;
    t->next = NULL;
    t->previous = line->last;
    *(line->last ? &line->last->next : &line->first) = t;
    line->last = t;
}

static void take(struct pulls_ticket *t)
{
    *(t->previous ? &t->previous->next : &t->line->first) = t->next;
    *(t->next ? &t->next->previous : &t->line->last) = t->previous;
    t->line = NULL;
}

static enum pulls_verdict wait_in(struct pulls *p, struct pulls_ticket *t, struct pulls_line *line)
{
    t->is_accepted = 1;
    p->waiting->now_n++;
    put(line, t);
    return PULLS_WAIT;
}

void pulls_leave(struct pulls *p, struct pulls_ticket *t)
{
    if (!t->line)
        return;
    take(t);
    p->waiting->now_n--;
}

static void collect(struct pulls *p, struct pulls_line *line)
{
    for (struct pulls_ticket *t; (t = line->first);) {
        take(t);
        put(&p->due, t);
    }
}

static void tell_due(struct pulls *p)
{
    for (struct pulls_ticket *t; (t = p->due.first);) {
        pulls_leave(p, t);
        t->fn(t->context);
    }
}

/* Rows */

/* PULLS_MODELS: there is none. */
static size_t find(const struct pulls *p, const char *model)
{
    size_t i = 0, model_n = strlen(model);
    while (i < PULLS_MODELS && (p->rows[i].state == PULLS_FREE ||
                                !model_name_equal(p->rows[i].model, strlen(p->rows[i].model), model, model_n)))
        i++;
    return i;
}

/* A free row, else the one that has rested for the longest; NULL: all are under way. */
static struct pulls_row *make_row(struct pulls *p, const char *model)
{
    struct pulls_row *best = NULL;
    for (size_t i = 0; i < PULLS_MODELS; i++) {
        struct pulls_row *row = &p->rows[i];
        int64_t until_ms = row->state == PULLS_FREE ? -1 : row->until_ms;
        if (!pulls_is_under_way(row) && (!best || until_ms < (best->state == PULLS_FREE ? -1 : best->until_ms)))
            best = row;
    }
    if (!best)
        return NULL;
    *best = (struct pulls_row){.state = PULLS_LOST};
    snprintf(best->model, sizeof best->model, "%s", model);
    return best;
}

static void enter(struct pulls *p, struct pulls_row *row, enum pulls_state state)
{
    int was_under_way = pulls_is_under_way(row);
    row->state = state;
    if (was_under_way == pulls_is_under_way(row))
        return;
    if (was_under_way)
        p->ops.end(p->ops.context, row);
    p->ops.count(p->ops.context, !was_under_way);
}

static void pause(struct pulls *p, struct pulls_row *row, int64_t until_ms)
{
    row->until_ms = until_ms;
    enter(p, row, PULLS_PAUSED);
}

static void try_it(struct pulls *p, struct pulls_row *row, int64_t now_ms)
{
    log_event(LOG_INFO, "pull_begin", "model=%s try=%u", row->model, row->retry.total_n + row->retry.lost_n + 1);
    row->told_ms = now_ms;
    enter(p, row, PULLS_RUNNING);
    if (p->ops.begin(p->ops.context, row) < 0)
        pause(p, row, now_ms + MEMORY_PAUSE_MS);
}

static struct pulls_row *first_queued(struct pulls *p)
{
    struct pulls_row *first = NULL;
    for (size_t i = 0; i < PULLS_MODELS; i++) {
        struct pulls_row *row = &p->rows[i];
        if (row->state == PULLS_QUEUED && (!first || (int)(row->order - first->order) < 0))
            first = row;
    }
    return first;
}

/* Those whose turn it is; one that nobody waits for any more, and that has not begun, is none. */
static void begin_next(struct pulls *p, int64_t now_ms)
{
    size_t running_n = 0;
    for (size_t i = 0; i < PULLS_MODELS; i++)
        running_n += pulls_is_under_way(&p->rows[i]) && p->rows[i].state != PULLS_QUEUED;
    for (struct pulls_row *row; running_n < PULLS_AT_ONCE && (row = first_queued(p));) {
        if (!row->line.first) {
            enter(p, row, PULLS_FREE);
            continue;
        }
        try_it(p, row, now_ms);
        running_n++;
    }
}

static void begin(struct pulls *p, struct pulls_row *row, int64_t now_ms)
{
    if (row->state == PULLS_RESTS)
        row->retry = (struct retry){0};
    row->order = p->next_order++;
    row->begun_ms = now_ms;
    row->told_percent = 0;
    row->completed_bytes = row->total_bytes = 0;
    enter(p, row, PULLS_QUEUED);
    begin_next(p, now_ms);
}

/* That was it. */
static void give_up(struct pulls *p, struct pulls_row *row, enum failure kind, const char *detail, int64_t now_ms)
{
    row->rest_ms = growing_next_ms(row->rest_ms, PULLS_REST_FIRST_MS, PULLS_REST_GROWTH, PULLS_REST_LONGEST_MS);
    row->until_ms = now_ms + row->rest_ms;
    row->kind = kind;
    failure_reason(row->reason, sizeof row->reason, kind, detail);
    log_event(LOG_WARNING, "pull_end", "model=%s result=failed cause=%s ms=%lld rests_ms=%lld reason=\"%s\"", row->model, failure_word(kind),
              (long long)(now_ms - row->begun_ms), (long long)row->rest_ms, row->reason);
    p->ops.lost(p->ops.context, row);
    enter(p, row, PULLS_RESTS);
    collect(p, &row->line);
}

/* What the backend's list says of a model that it claims to have pulled. Where there is no list, who waits finds out. */
static void settle(struct pulls *p, struct pulls_row *row, int is_known, int64_t now_ms)
{
    if (is_known && installed_look(&p->installed, row->model, now_ms) == INSTALLED_NO) {
        give_up(p, row, FAILURE_UNLISTED, "", now_ms);
        return;
    }
    log_event(LOG_INFO, "pull_end", "model=%s result=pulled ms=%lld bytes=%llu", row->model, (long long)(now_ms - row->begun_ms),
              (unsigned long long)row->total_bytes);
    enter(p, row, PULLS_FREE);
    collect(p, &row->line);
}

/* What has come of it */

void pulls_progress(struct pulls *p, struct pulls_row *row, uint64_t completed_bytes, uint64_t total_bytes, int64_t now_ms)
{
    (void)p;
    row->completed_bytes = completed_bytes;
    row->total_bytes = total_bytes;
    int percent = total_bytes ? progress_percent_of(completed_bytes, total_bytes) : 0;
    if (percent < row->told_percent + TOLD_PERCENT && now_ms - row->told_ms < TOLD_EACH_MS)
        return;
    row->told_percent = percent;
    row->told_ms = now_ms;
    log_event(LOG_INFO, "pull_going", "model=%s percent=%d completed=%llu total=%llu", row->model, percent, (unsigned long long)completed_bytes,
              (unsigned long long)total_bytes);
}

static void try_again(struct pulls *p, struct pulls_row *row, enum failure kind, const char *detail, int64_t pause_ms, int64_t now_ms)
{
    row->kind = kind;
    failure_reason(row->reason, sizeof row->reason, kind, detail);
    log_event(LOG_WARNING, "pull_again", "model=%s cause=%s in_ms=%lld reason=\"%s\"", row->model, failure_word(kind), (long long)pause_ms,
              row->reason);
    pause(p, row, now_ms + pause_ms);
}

void pulls_tried(struct pulls *p, struct pulls_row *row, enum failure kind, const char *detail, int has_moved, uint32_t random, int64_t now_ms)
{
    int64_t pause_ms = -1;
    if (kind == FAILURE_NONE) {
        enter(p, row, PULLS_CLAIMED);
        installed_doubt(&p->installed);
        p->ops.list(p->ops.context, 1);
        return;
    }
    if (kind == FAILURE_GONE && retry_is_loss_free(&row->retry))
        pause_ms = LOST_PAUSE_MS;
    else if (!failure_is_final(kind))
        pause_ms = retry_after_failure(&row->retry, p->retries, has_moved, random);
    if (pause_ms >= 0)
        try_again(p, row, kind, detail, pause_ms, now_ms);
    else
        give_up(p, row, kind, detail, now_ms);
    begin_next(p, now_ms);
    tell_due(p);
}

void pulls_listed(struct pulls *p, int is_known, int64_t now_ms)
{
    p->unknowable_until_ms = is_known ? 0 : now_ms + PULLS_AFRESH_MS;
    for (size_t i = 0; i < PULLS_MODELS; i++)
        if (p->rows[i].state == PULLS_CLAIMED)
            settle(p, &p->rows[i], is_known, now_ms);
    collect(p, &p->asking);
    begin_next(p, now_ms);
    tell_due(p);
}

/* Who waits for a backend that is away does so at the gate. */
static void go_on(struct pulls *p, struct pulls_row *row, int64_t now_ms)
{
    if (p->ops.is_ready(p->ops.context)) {
        try_it(p, row, now_ms);
        return;
    }
    row->until_ms = now_ms;
    enter(p, row, PULLS_LOST);
    collect(p, &row->line);
}

void pulls_time(struct pulls *p, int64_t now_ms)
{
    for (size_t i = 0; i < PULLS_MODELS; i++)
        if (p->rows[i].state == PULLS_PAUSED && now_ms >= p->rows[i].until_ms)
            go_on(p, &p->rows[i], now_ms);
    begin_next(p, now_ms);
    tell_due(p);
}

int64_t pulls_next_ms(const struct pulls *p)
{
    int64_t next_ms = -1;
    for (size_t i = 0; i < PULLS_MODELS; i++) {
        const struct pulls_row *row = &p->rows[i];
        if (row->state == PULLS_PAUSED && (next_ms < 0 || row->until_ms < next_ms))
            next_ms = row->until_ms;
    }
    return next_ms;
}

void pulls_models_changed(struct pulls *p)
{
    installed_forget(&p->installed);
    for (size_t i = 0; i < PULLS_MODELS; i++)
        if (p->rows[i].state == PULLS_RESTS)
            p->rows[i].state = PULLS_FREE;
}

size_t pulls_under_way_n(const struct pulls *p)
{
    size_t n = 0;
    for (size_t i = 0; i < PULLS_MODELS; i++)
        n += (size_t)pulls_is_under_way(&p->rows[i]);
    return n;
}

size_t pulls_kept_n(const struct pulls *p)
{
    size_t n = pulls_under_way_n(p);
    for (size_t i = 0; i < PULLS_MODELS; i++)
        n += p->rows[i].state == PULLS_LOST;
    return n;
}

/* Who asks */

static enum installed_verdict find_installed(const struct pulls *p, const struct pulls_want *want, int64_t now_ms, size_t *nth)
{
    enum installed_verdict all = INSTALLED_NO;
    for (size_t i = 0; i < want->models_n; i++) {
        enum installed_verdict one = installed_look(&p->installed, want->models[i], now_ms);
        *nth = i;
        if (one == INSTALLED_YES)
            return one;
        if (one == INSTALLED_UNKNOWN)
            all = one;
    }
    *nth = 0;
    return all;
}

/* None is there. */
static enum pulls_verdict find_pull(struct pulls *p, struct pulls_ticket *t, const struct pulls_want *want, int64_t now_ms, size_t *nth)
{
    for (size_t i = 0; i < want->models_n; i++) {
        *nth = i;
        if (p->ops.is_awaited(p->ops.context, want->models[i]))
            return PULLS_AT_GATE;
        if (pulls_failed(p, want->models[i], now_ms))
            t->failed |= 1u << i;
        if (t->failed & 1u << i)
            continue; /* so that it comes to an end, also where so many fail that their rows are taken for others */
        size_t place = find(p, want->models[i]);
        struct pulls_row *row = place < PULLS_MODELS ? &p->rows[place] : make_row(p, want->models[i]);
        if (!row)
            return PULLS_CROWDED;
        wait_in(p, t, &row->line);
        if (!pulls_is_under_way(row))
            begin(p, row, now_ms);
        return PULLS_WAIT;
    }
    return PULLS_NONE;
}

static enum pulls_verdict look(struct pulls *p, struct pulls_ticket *t, const struct pulls_want *want, int64_t now_ms, size_t *nth)
{
    enum installed_verdict verdict = find_installed(p, want, now_ms, nth);
    int is_full = !t->is_accepted && waiting_is_full(p->waiting);
    pulls_leave(p, t);
    if (verdict == INSTALLED_YES) {
        if (*nth > 0 && !installed_is_fresh(&p->installed, now_ms) && now_ms >= p->unknowable_until_ms)
            p->ops.list(p->ops.context, 0); /* a better one may be there by now: for who comes next */
        return PULLS_GO;
    }
    if (verdict == INSTALLED_UNKNOWN) {
        if (now_ms < p->unknowable_until_ms)
            return PULLS_GO;
        if (is_full)
            return PULLS_FULL;
        p->ops.list(p->ops.context, 0);
        return wait_in(p, t, &p->asking);
    }
    if (!want->may_pull)
        return PULLS_NONE;
    return is_full ? PULLS_FULL : find_pull(p, t, want, now_ms, nth);
}

enum pulls_verdict pulls_look(struct pulls *p, struct pulls_ticket *t, const struct pulls_want *want, int64_t now_ms, size_t *nth)
{
    enum pulls_verdict verdict = look(p, t, want, now_ms, nth);
    if (verdict != PULLS_WAIT && verdict != PULLS_AT_GATE)
        t->failed = 0; /* it does not wait any more */
    return verdict;
}

enum pulls_verdict pulls_refresh(struct pulls *p, struct pulls_ticket *t, int64_t since_ms, int64_t now_ms)
{
    int is_full = t && !t->is_accepted && waiting_is_full(p->waiting);
    if (t)
        pulls_leave(p, t);
    if (p->installed.listed_ms >= since_ms)
        return PULLS_GO;
    if (now_ms < p->unknowable_until_ms || !p->ops.is_ready(p->ops.context))
        return PULLS_NONE;
    if (is_full)
        return PULLS_FULL;
    p->ops.list(p->ops.context, 0);
    return t ? wait_in(p, t, &p->asking) : PULLS_WAIT;
}

const struct pulls_row *pulls_failed(const struct pulls *p, const char *model, int64_t now_ms)
{
    size_t place = find(p, model);
    return place < PULLS_MODELS && p->rows[place].state == PULLS_RESTS && now_ms < p->rows[place].until_ms ? &p->rows[place] : NULL;
}
