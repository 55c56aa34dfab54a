/*
 * The preload as a table of states and events.
 *
 *   WAITING   Ollama does not answer; ask again after a short pause
 *   LISTING   GET /api/tags is under way: at the start, before each try, and to verify that a pull did what it says
 *   PULLING   POST /api/pull is under way
 *   PAUSING   a try failed, or others have all turns; wait before the next one
 *   ENDED     every row is READY or FAILED, or we were stopped
 *
 * Every way round the machine uses up something: a row, a try (retry.c bounds them), or time that Ollama may be away
 * (api_wait_ms). So it always ends. Only enter() writes the state.
 *
 * Invariant: `ask` is what the state wants; a row is PULLING only while the state is PULLING or its success is being
 * verified.
 */
#include "preload/pull.h"

#include "common/log.h"
#include "common/text.h"
#include "preload/tags.h"

#include <stdio.h>
#include <string.h>

enum {
    PULL_GAP_MS = 2000,  /* we are called once a second: a longer silence means that we were frozen */
    PULL_TURN_MS = 1000, /* whoever waits for his turn looks so often */
};

const struct pull_limits pull_limits_default = {
    .stall_ms = 60 * 1000,
    .api_wait_ms = 10 * 60 * 1000,
    .tags_ms = 10 * 1000,
    .poll_min_ms = 50,
    .poll_max_ms = 1000,
};

typedef void pull_action_fn(struct pull *p, const struct pull_answer *answer);

static const char *const state_names[] = {"waiting", "listing", "pulling", "pausing", "ended"};
_Static_assert(sizeof state_names / sizeof *state_names == PULL_STATE_COUNT, "a name for each state");

static void enter(struct pull *p, enum pull_state state, enum pull_ask ask, int64_t deadline_ms)
{
    if (state != p->state)
        log_event(LOG_DEBUG, "preload_state", "%s->%s", state_names[p->state], state_names[state]);
    if (p->setup.turns)
        p->setup.turns->used_n += (size_t)(state == PULL_PULLING) - (size_t)(p->state == PULL_PULLING);
    p->state = state;
    p->deadline_ms = deadline_ms;
    p->ask = ask;
    p->ask_n++;
}

static void enter_listing(struct pull *p)
{
    buf_consume(&p->body, buf_size(&p->body));
    p->is_body_cut = 0;
    enter(p, PULL_LISTING, PULL_ASK_TAGS, p->now_ms + p->setup.limits.tags_ms);
}

static void enter_waiting(struct pull *p, const char *why)
{
    text_clean(p->why, sizeof p->why, why, strlen(why));
    if (p->waiting_since_ms < 0) {
        p->waiting_since_ms = p->now_ms;
        p->poll_ms = p->setup.limits.poll_min_ms;
    }
    show_waiting(p->setup.show, p->setup.backend, p->why, p->waiting_since_ms, p->now_ms);
    enter(p, PULL_WAITING, PULL_ASK_NOTHING, p->now_ms + p->poll_ms);
    p->poll_ms = p->poll_ms * 2 < p->setup.limits.poll_max_ms ? p->poll_ms * 2 : p->setup.limits.poll_max_ms;
}

static void finish(struct pull *p)
{
    struct models *models = p->setup.models;
    size_t ready_n = models_count(models, CONTRACT_MODEL_READY);
    size_t failed_n = models_count(models, CONTRACT_MODEL_FAILED);
    models_end(models, p->now_ms);
    show_end(p->setup.show, ready_n, failed_n, models->items_n - ready_n - failed_n);
    p->current = NULL;
    enter(p, PULL_ENDED, PULL_ASK_NOTHING, PULL_NEVER_MS);
}

static void fail_model(struct pull *p, struct model *model, enum failure kind, const char *reason)
{
    model->failure = kind;
    models_set(p->setup.models, model, CONTRACT_MODEL_FAILED, reason, p->now_ms);
    show_failed(p->setup.show, model->name, kind, reason);
}

static void fail_all(struct pull *p, enum failure kind, const char *detail)
{
    char reason[CONTRACT_REASON_BYTES];
    failure_reason(reason, sizeof reason, kind, detail);
    for (struct model *model; (model = models_next(p->setup.models));)
        fail_model(p, model, kind, reason);
    finish(p);
}

/* The next model of the list, or the end. */
static void proceed(struct pull *p)
{
    struct model *model = models_next(p->setup.models);
    if (!model) {
        finish(p);
        return;
    }
    if (p->setup.turns && p->setup.turns->used_n >= p->setup.turns->most_n) {
        enter(p, PULL_PAUSING, PULL_ASK_NOTHING, p->now_ms + PULL_TURN_MS);
        return;
    }
    if (model != p->current) {
        progress_init(&p->progress);
        p->told_grown = 0;
        p->current = model;
    }
    progress_begin(&p->progress, p->now_ms);
    lines_reset(&p->lines);
    models_set(p->setup.models, model, CONTRACT_MODEL_PULLING, "", p->now_ms);
    show_started(p->setup.show, model->name, model->retry.total_n + model->retry.lost_n + 1, p->now_ms);
    enter(p, PULL_PULLING, PULL_ASK_PULL, progress_stalls_at_ms(&p->progress, p->setup.limits.stall_ms));
}

/* A try failed: once more after a pause, or that was it. */
static void fail_try(struct pull *p, enum failure kind, const char *detail)
{
    char reason[CONTRACT_REASON_BYTES];
    uint32_t random = 0;
    struct model *model = p->current;
    sys_random(&random, sizeof random);
    failure_reason(reason, sizeof reason, kind, detail);
    int64_t pause_ms = -1;
    if (!failure_is_final(kind))
        pause_ms = retry_after_failure(&model->retry, p->setup.retries, progress_is_worth(&p->progress), random);
    if (pause_ms < 0) {
        fail_model(p, model, kind, reason);
        p->current = NULL;
        proceed(p);
        return;
    }
    models_set(p->setup.models, model, CONTRACT_MODEL_PENDING, reason, p->now_ms);
    show_retry(p->setup.show, model->name, kind, reason, pause_ms);
    enter(p, PULL_PAUSING, PULL_ASK_NOTHING, p->now_ms + pause_ms);
}

static void lose_ollama(struct pull *p, const char *why)
{
    struct model *model = p->current;
    char reason[CONTRACT_REASON_BYTES], detail[160];
    text_clean(detail, sizeof detail, why, strlen(why));
    if (!retry_is_loss_free(&model->retry)) {
        fail_try(p, FAILURE_GONE, detail);
        return;
    }
    failure_reason(reason, sizeof reason, FAILURE_GONE, detail);
    models_set(p->setup.models, model, CONTRACT_MODEL_PENDING, reason, p->now_ms);
    show_retry(p->setup.show, model->name, FAILURE_GONE, reason, p->setup.limits.poll_min_ms);
    enter_waiting(p, detail);
}

static int is_ollama_failed(const struct pull *p)
{
    const struct contract_page *page = p->setup.models->contract->page;
    const struct contract_program *ollama = NULL;
    if (page && p->setup.is_backend_ours)
        ollama = contract_find_program(page, "ollama");
    return ollama && atomic_load(&ollama->state) == CONTRACT_FAILED;
}

static void on_waited(struct pull *p, const struct pull_answer *answer)
{
    (void)answer;
    if (p->now_ms - p->waiting_since_ms >= p->setup.limits.api_wait_ms || is_ollama_failed(p))
        fail_all(p, FAILURE_NO_ANSWER, p->why);
    else
        enter_listing(p);
}

static void on_list_late(struct pull *p, const struct pull_answer *answer)
{
    (void)answer;
    enter_waiting(p, "GET /api/tags had no answer in time");
}

/* Rows whose models are there are READY; the one that was to be there now and isn't has failed. */
static void apply_list(struct pull *p, const struct tags *tags)
{
    struct models *models = p->setup.models;
    for (size_t i = 0; i < models->items_n; i++) {
        struct model *model = &models->items[i];
        if (model->state == CONTRACT_MODEL_READY || model->state == CONTRACT_MODEL_FAILED ||
            !tags_has(tags, model->name))
            continue;
        models_set(models, model, CONTRACT_MODEL_READY, "", p->now_ms);
        if (model == p->current && p->is_claimed)
            show_done(p->setup.show, &p->progress, p->now_ms);
        else
            show_there(p->setup.show, model->name);
    }
    if (p->is_claimed && p->current->state != CONTRACT_MODEL_READY) {
        char reason[CONTRACT_REASON_BYTES];
        failure_reason(reason, sizeof reason, FAILURE_UNLISTED, "");
        fail_model(p, p->current, FAILURE_UNLISTED, reason);
    }
    if (p->is_claimed)
        p->current = NULL;
    p->is_claimed = 0;
}

static void on_list(struct pull *p, const struct pull_answer *answer)
{
    char why[80];
    struct tags *tags = NULL;
    if (answer->is_lost) {
        enter_waiting(p, answer->text);
        return;
    }
    if (answer->status == 200 && !p->is_body_cut)
        tags = tags_new(buf_data(&p->body), buf_size(&p->body));
    if (!tags) {
        snprintf(why, sizeof why, "HTTP %ld and no list of models: is it Ollama?", answer->status);
        enter_waiting(p, why);
        return;
    }
    p->waiting_since_ms = -1;
    apply_list(p, tags);
    tags_free(&tags);
    proceed(p);
}

static void on_pull_late(struct pull *p, const struct pull_answer *answer)
{
    (void)answer;
    int64_t stalls_at_ms = progress_stalls_at_ms(&p->progress, p->setup.limits.stall_ms);
    if (stalls_at_ms > p->now_ms)
        p->deadline_ms = stalls_at_ms;
    else
        fail_try(p, FAILURE_STALLED, "");
}

static void on_pulled(struct pull *p, const struct pull_answer *answer)
{
    const struct progress *progress = &p->progress;
    char detail[160];
    lines_end(&p->lines);
    if (progress->error[0]) {
        fail_try(p, failure_classify(progress->error, answer->status), progress->error);
    } else if (progress->stage == PROGRESS_SUCCESS) {
        p->is_claimed = 1;
        enter_listing(p);
    } else if (answer->is_lost) {
        lose_ollama(p, answer->text);
    } else if (answer->status != 200 || progress->garbage_n > 0 || p->lines.dropped_n > 0) {
        snprintf(detail, sizeof detail, "HTTP %ld%s%s", answer->status, progress->garbage[0] ? ": " : "",
                 progress->garbage);
        enum failure kind = answer->status == 200 || progress->garbage_n > 0 ? FAILURE_GARBAGE
                                                                             : failure_classify("", answer->status);
        fail_try(p, kind, detail);
    } else {
        fail_try(p, FAILURE_CUT, "");
    }
}

static void on_paused(struct pull *p, const struct pull_answer *answer)
{
    (void)answer;
    enter_listing(p);
}

static void on_stop(struct pull *p, const struct pull_answer *answer)
{
    (void)answer;
    p->is_stopped = 1;
    if (models_stop(p->setup.models, p->now_ms))
        enter(p, PULL_ENDED, PULL_ASK_NOTHING, PULL_NEVER_MS);
    else
        finish(p);
}

static void on_nothing(struct pull *p, const struct pull_answer *answer)
{
    (void)p;
    (void)answer;
}

static pull_action_fn *const actions[PULL_STATE_COUNT][PULL_EVENT_COUNT] = {
    [PULL_WAITING] = {[PULL_TIMER] = on_waited, [PULL_ANSWER] = on_nothing, [PULL_STOP] = on_stop},
    [PULL_LISTING] = {[PULL_TIMER] = on_list_late, [PULL_ANSWER] = on_list, [PULL_STOP] = on_stop},
    [PULL_PULLING] = {[PULL_TIMER] = on_pull_late, [PULL_ANSWER] = on_pulled, [PULL_STOP] = on_stop},
    [PULL_PAUSING] = {[PULL_TIMER] = on_paused, [PULL_ANSWER] = on_nothing, [PULL_STOP] = on_stop},
    [PULL_ENDED] = {[PULL_TIMER] = on_nothing, [PULL_ANSWER] = on_nothing, [PULL_STOP] = on_nothing},
};

int pull_has_action(enum pull_state state, enum pull_event event)
{
    return actions[state][event] != NULL;
}

static void take_line(void *context, const char *line, size_t line_n)
{
    struct pull *p = context;
    progress_line(&p->progress, line, line_n, p->now_ms);
}

void pull_init(struct pull *p, const struct pull_setup *setup, int64_t now_ms)
{
    memset(p, 0, sizeof *p);
    p->setup = *setup;
    p->now_ms = now_ms;
    p->waiting_since_ms = -1;
    lines_init(&p->lines, LINES_LIMIT_BYTES, take_line, p);
    buf_init(&p->body, TAGS_LIMIT_BYTES);
    if (setup->models->items_n == 0) {
        finish(p);
        return;
    }
    p->waiting_since_ms = now_ms;
    p->poll_ms = setup->limits.poll_min_ms;
    enter_listing(p);
}

void pull_fini(struct pull *p)
{
    lines_fini(&p->lines);
    buf_fini(&p->body);
}

static void report_progress(struct pull *p)
{
    uint64_t grown = p->progress.grown - p->told_grown;
    p->told_grown = p->progress.grown;
    models_progress(p->setup.models, p->current, p->progress.completed, p->progress.total, grown, p->now_ms);
    show_progress(p->setup.show, &p->progress, p->now_ms);
}

/* Whatever comes first behind a freeze: nobody is to blame for the time that it took. */
static void take_time(struct pull *p, int64_t now_ms)
{
    int64_t gap_ms = now_ms - p->now_ms;
    p->now_ms = now_ms;
    if (gap_ms <= PULL_GAP_MS || p->deadline_ms == PULL_NEVER_MS)
        return;
    p->deadline_ms += gap_ms;
    p->progress.alive_at_ms += gap_ms;
    p->waiting_since_ms += p->waiting_since_ms < 0 ? 0 : gap_ms;
}

void pull_bytes(struct pull *p, const char *bytes, size_t bytes_n, int64_t now_ms)
{
    take_time(p, now_ms);
    if (p->state == PULL_LISTING && buf_append(&p->body, bytes, bytes_n) < 0)
        p->is_body_cut = 1;
    if (p->state != PULL_PULLING)
        return;
    lines_feed(&p->lines, bytes, bytes_n);
    report_progress(p);
}

static void handle(struct pull *p, enum pull_event event, const struct pull_answer *answer, int64_t now_ms)
{
    take_time(p, now_ms);
    actions[p->state][event](p, answer);
}

void pull_answer(struct pull *p, const struct pull_answer *answer, int64_t now_ms)
{
    handle(p, PULL_ANSWER, answer, now_ms);
}

void pull_hurry(struct pull *p, int64_t now_ms)
{
    if (p->state == PULL_WAITING)
        handle(p, PULL_TIMER, NULL, now_ms);
}

void pull_time(struct pull *p, int64_t now_ms)
{
    take_time(p, now_ms);
    if (now_ms >= p->deadline_ms)
        handle(p, PULL_TIMER, NULL, now_ms);
    if (p->state == PULL_PULLING)
        show_progress(p->setup.show, &p->progress, now_ms);
}

void pull_stop(struct pull *p, int64_t now_ms)
{
    handle(p, PULL_STOP, NULL, now_ms);
}

int pull_may_sleep(const struct pull *p)
{
    return p->state == PULL_ENDED || (p->state == PULL_WAITING && !p->current);
}
