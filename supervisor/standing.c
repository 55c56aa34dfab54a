/*
 * See standing.h. A first pull may take hours, and a manager that waits for READY=1 kills what takes longer than its limit.
 * So the start asks for more time, but only for what moves: bytes of a pull, or the state of a program or a model. What each
 * step may take by itself (start_timeout, the pause before a restart, the check of a pulled file) is in what is asked for.
 */
#include "supervisor/standing.h"

#include "common/hash.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    LOOK_EVERY_MS = 10 * 1000,
    EXTEND_AGAIN_MS = 1000,             /* no more often than this */
    EXTEND_MS = 2 * 60 * 1000,          /* beyond what a step may take by itself */
    VERIFY_BYTES_PER_MS = 4096,         /* a slow disk that a pulled file is read from once more: 4 MB/s */
};

struct text {
    char *at;
    size_t n, room_n;
};

static void add(struct text *t, const char *format, ...) PRINTF_LIKE(2, 3);
static void add(struct text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = t->n < t->room_n ? vsnprintf(t->at + t->n, t->room_n - t->n, format, args) : 0;
    va_end(args);
    t->n += n > 0 ? (size_t)n : 0;
}

static size_t rows_n(const struct contract_page *page)
{
    uint32_t n = atomic_load(&page->models_n);
    return n < CONTRACT_MODELS ? n : CONTRACT_MODELS;
}

static int percent(const struct contract_model_view *m)
{
    double part = m->total_bytes ? 100.0 * (double)m->completed_bytes / (double)m->total_bytes : 0;
    return part >= 100 ? 100 : (int)part;
}

/* How far the list is; nothing where there is none, or it has ended well. */
static void add_models(const struct supervisor *s, struct text *t, const char *before)
{
    const struct contract_page *page = s->board.page;
    uint32_t phase = atomic_load(&page->phase);
    unsigned there_n = 0, failed_n = 0;
    struct contract_model_view model, pulled = {.state = CONTRACT_MODEL_EMPTY};
    if (phase == CONTRACT_PHASE_WAITING)
        add(t, "%spreloading models", before);
    if (phase != CONTRACT_PHASE_LISTED && phase != CONTRACT_PHASE_DONE)
        return;
    for (size_t i = 0; i < rows_n(page); i++) {
        contract_model_read(&page->models[i], &model);
        there_n += model.state == CONTRACT_MODEL_READY;
        failed_n += model.state == CONTRACT_MODEL_FAILED;
        if (model.state == CONTRACT_MODEL_PULLING)
            pulled = model;
    }
    if (phase == CONTRACT_PHASE_LISTED) {
        add(t, "%spulling models: %u of %u there", before, there_n, atomic_load(&page->models_n));
        if (pulled.state == CONTRACT_MODEL_PULLING)
            add(t, ", %s at %d %%", pulled.name, percent(&pulled));
        if (failed_n)
            add(t, ", %u failed", failed_n);
    } else if (failed_n) {
        add(t, "%s%u of %u models failed", before, failed_n, atomic_load(&page->models_n));
    }
}

static void add_starting(const struct supervisor *s, struct text *t)
{
    const struct child *ollama = state_child((struct supervisor *)s, "ollama");
    if (!ollama || !ollama->program.is_wanted || ollama->program.state == CONTRACT_READY)
        add_models(s, t, "");
    else if (ollama->program.state == CONTRACT_DOWN)
        add(t, "starting");
    else
        add(t, "waiting for Ollama%s%s", ollama->program.reason[0] ? ": " : "", ollama->program.reason);
    if (t->n == 0)
        add(t, "starting");
}

/* What a user would want to know of a program that is not as it should be. */
static void add_trouble(const struct supervisor *s, const struct child *c, struct text *t)
{
    const struct program *p = &c->program;
    const char *name = p->conf->name;
    enum contract_sleep sleep = state_is_ollama(c) ? state_sleep(s) : CONTRACT_AWAKE;
    if (sleep == CONTRACT_ASLEEP)
        add(t, "; ollama is asleep");
    else if (sleep == CONTRACT_WAKING && p->state != CONTRACT_FAILED && p->state != CONTRACT_BACKOFF)
        add(t, "; ollama is waking");
    else if (p->state == CONTRACT_FAILED || p->state == CONTRACT_BACKOFF)
        add(t, "; %s %s: %s", name, p->state == CONTRACT_FAILED ? "has failed" : "is to be started again", p->reason);
    else if (p->state == CONTRACT_STARTING && !p->is_task)
        add(t, "; %s is starting%s%s", name, p->reason[0] ? ": " : "", p->reason);
    else if (p->state == CONTRACT_DOWN && state_is_ollama(c))
        add(t, "; ollama is down");
}

static void add_stopping(const struct supervisor *s, struct text *t)
{
    const char *separator = ": waiting for ";
    const struct child *c;
    add(t, "stopping");
    for (size_t at = 0; (c = state_next_child(s, &at));) {
        if (!program_is_alive(&c->program))
            continue;
        add(t, "%s%s", separator, c->program.conf->name);
        separator = ", ";
    }
}

void standing_words(const struct supervisor *s, char out[STANDING_BYTES])
{
    struct text t = {.at = out, .room_n = STANDING_BYTES};
    out[0] = '\0';
    if (s->is_stopping) {
        add_stopping(s, &t);
    } else if (!s->is_announced) {
        add_starting(s, &t);
    } else {
        add(&t, "running");
        add_models(s, &t, "; ");
        for (size_t i = 0; i < s->children_n; i++)
            add_trouble(s, &s->children[i], &t);
    }
}

/* ---- more time for the start ---- */

/* Differs from before when something has moved. */
static uint64_t mark_of(const struct supervisor *s)
{
    const struct contract_page *page = s->board.page;
    uint64_t mark = hash_add(HASH_START, atomic_load(&page->phase));
    for (size_t i = 0; i < s->children_n; i++) {
        mark = hash_add(mark, (uint64_t)s->children[i].program.state);
        mark = hash_add(mark, s->children[i].program.restarts_n);
    }
    for (size_t i = 0; i < rows_n(page); i++) {
        mark = hash_add(mark, atomic_load(&page->models[i].state));
        mark = hash_add(mark, atomic_load(&page->models[i].completed_bytes));
    }
    return mark;
}

/* The longest that what is under way may take without a sign of life. */
static int64_t step_ms(const struct supervisor *s)
{
    const struct contract_page *page = s->board.page;
    int64_t longest_ms = 0;
    for (size_t i = 0; i < s->children_n; i++) {
        const struct program *p = &s->children[i].program;
        int64_t ms = p->state == CONTRACT_STARTING && !p->is_task ? p->conf->start_timeout_ms
                     : p->state == CONTRACT_BACKOFF               ? p->conf->backoff_max_ms
                     : p->state == CONTRACT_STOPPING              ? p->conf->stop_timeout_ms
                                                                  : 0;
        longest_ms = ms > longest_ms ? ms : longest_ms;
    }
    for (size_t i = 0; i < rows_n(page); i++) {
        uint64_t total_bytes = atomic_load(&page->models[i].total_bytes);
        int64_t ms = atomic_load(&page->models[i].state) == CONTRACT_MODEL_PULLING && total_bytes < INT64_MAX / 2
                         ? (int64_t)(total_bytes / VERIFY_BYTES_PER_MS)
                         : 0;
        longest_ms = ms > longest_ms ? ms : longest_ms;
    }
    return longest_ms < CONF_DAY_MS ? longest_ms : CONF_DAY_MS;
}

static void ask_for_time(struct supervisor *s, int64_t now_ms)
{
    uint64_t mark = mark_of(s);
    if (s->is_announced || s->is_stopping || mark == s->standing_mark || now_ms < s->extend_after_ms)
        return;
    s->standing_mark = mark;
    s->extend_after_ms = now_ms + EXTEND_AGAIN_MS;
    outer_extend(&s->outer, EXTEND_MS + step_ms(s));
}

static void look(void *context, int64_t now_ms)
{
    struct supervisor *s = context;
    standing_tell(s);
    if (!s->is_announced && !s->is_stopping)
        loop_arm(&s->loop, &s->standing_timer, now_ms + LOOK_EVERY_MS);
}

void standing_init(struct supervisor *s)
{
    timer_init(&s->standing_timer, look, s);
    if (outer_is_there(&s->outer))
        loop_arm(&s->loop, &s->standing_timer, loop_now_ms(&s->loop));
}

void standing_tell(struct supervisor *s)
{
    char words[STANDING_BYTES];
    if (!outer_is_there(&s->outer))
        return;
    standing_words(s, words);
    outer_status(&s->outer, words);
    ask_for_time(s, loop_now_ms(&s->loop));
}
