/* See serve.h. It ties the pure rooms to the loop, the page and the channel: whatever changes is looked at once, at the end of the turn. */
#include "proxy/serve/serve_state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

void serve_review_soon(struct serve *s)
{
    loop_defer(s->env->loop, &s->review_work);
}

void serve_see_page(struct serve *s)
{
    if (s)
        serve_review_soon(s);
}

/* Another proxy of this supervisor's has requests under way: perhaps with an engine that it has started. */
static int is_shared(const struct env *env)
{
    for (size_t i = 0; env->page && i < CONTRACT_LINES; i++) {
        const struct contract_line *line = &env->page->lines[i];
        if (line != env->line && atomic_load(&line->pid) > 0 && atomic_load(&line->in_flight_n) > 0)
            return 1;
    }
    return 0;
}

/* Its place in our configuration; engines_n: another one's is in force by now, and we drain, or it is being stopped for that. */
static unsigned place_of(const struct conf *conf, const char *engine)
{
    const struct conf_engine *e = conf_engine(conf, engine);
    return (unsigned)(e ? (size_t)(e - conf->engines) : conf->engines_n);
}

static size_t line_of(const struct env *env)
{
    return env->line ? (size_t)(env->line - env->page->lines) : CONTRACT_LINES;
}

/* The page knows what we have to do with each engine, for the other proxies. */
static void tell_holds(struct serve *s)
{
    struct contract_page *page = s->env->page;
    for (size_t i = 0; page && s->env->line && i < CONTRACT_INSTANCES; i++) {
        struct contract_instance *row = &page->instances[i];
        unsigned holds = 0;
        for (const struct engines_model *m = s->engines.first; m; m = m->next)
            if (m->number && m->number == atomic_load(&row->number))
                holds = engines_holding(m);
        contract_instance_hold(row, line_of(s->env), holds);
    }
}

static void see_rows(struct serve *s)
{
    struct engines_row rows[CONTRACT_INSTANCES];
    size_t rows_n = 0;
    for (size_t i = 0; s->env->page && i < CONTRACT_INSTANCES; i++) {
        struct contract_instance_view *v = &s->rows[i];
        contract_instance_read(&s->env->page->instances[i], v);
        if (v->number == 0)
            continue;
        int64_t load_ms = v->ready_at_ms > v->started_at_ms ? v->ready_at_ms - v->started_at_ms : 0;
        rows[rows_n++] = (struct engines_row){.state = v->state, .number = v->number, .engine = place_of(s->env->conf, v->engine), .is_quantized = v->is_quantized,
                                              .was_ready = v->was_ready, .load_ms = load_ms, .model = v->model, .reason = v->reason, .elsewhere = contract_holds_beside(v->holds, line_of(s->env))};
    }
    engines_see(&s->engines, rows, rows_n, loop_now_ms(s->env->loop));
}

static void on_review(void *context)
{
    struct serve *s = context;
    s->engines.is_shared = is_shared(s->env);
    s->engines.is_leaving = s->env->is_draining && env_has_successor(s->env);
    see_rows(s);
    int64_t next_ms = engines_review(&s->engines, loop_now_ms(s->env->loop));
    if (next_ms)
        loop_arm(s->env->loop, &s->timer, next_ms);
    else
        loop_disarm(s->env->loop, &s->timer);
    engines_wake(&s->engines);
    tell_holds(s);
    serve_instances_forget(s, 0);
}

static void on_timer(void *context, int64_t now_ms)
{
    (void)now_ms;
    serve_review_soon(context);
}

static void let_go(struct serve_lease *lease)
{
    if (lease->instance)
        lease->instance->leases_n--;
    lease->instance = NULL;
    lease->upstream = NULL;
    serve_wait_no_more(lease);
}

void serve_leave(struct serve *s, struct serve_lease *lease)
{
    int had_any = lease->hold.model != NULL;
    let_go(lease);
    engines_leave(&s->engines, &lease->hold, loop_now_ms(s->env->loop));
    tell_holds(s);
    if (had_any)
        serve_review_soon(s);
}

int serve_holds(const struct serve_lease *lease)
{
    return lease->instance && engines_holds(&lease->hold);
}

static enum serve_verdict fail(struct serve_lease *lease, int64_t retry_s, const char *why)
{
    lease->retry_s = retry_s;
    snprintf(lease->why, sizeof lease->why, "%s", why);
    return SERVE_FAILED;
}

/* No engine could load it, or even try. */
static enum serve_verdict fail_load(struct serve *s, struct serve_lease *lease)
{
    const struct engines_model *m = lease->hold.model;
    char why[SERVE_WHY_BYTES - 128], text[SERVE_WHY_BYTES];
    int64_t left_ms = m->rest_until_ms - loop_now_ms(s->env->loop);
    int64_t retry_s = m->is_hopeless || left_ms <= 0 ? 0 : (left_ms + 999) / 1000;
    engines_why(&s->engines, m, why, sizeof why);
    snprintf(text, sizeof text, "%s%s", m->is_hopeless ? "no engine can load this model: " : "no engine could load this model: ",
             *why ? why : "none of [models] engines takes its format");
    return fail(lease, retry_s, text);
}

static enum serve_verdict take(struct serve *s, struct serve_lease *lease)
{
    struct serve_instance *instance = serve_instance_of(s, lease->hold.number);
    if (!instance)
        return fail(lease, 1, "the engine that serves this model can't be reached: out of memory");
    lease->instance = instance;
    lease->upstream = &instance->upstream;
    instance->leases_n++;
    return SERVE_READY;
}

static int is_ready_still(const struct serve *s, uint32_t number)
{
    struct contract_instance_view view;
    for (size_t i = 0; i < CONTRACT_INSTANCES; i++) {
        contract_instance_read(&s->env->page->instances[i], &view);
        if (view.number == number)
            return view.state == CONTRACT_READY;
    }
    return 0;
}

enum serve_verdict serve_want(struct serve *s, struct serve_lease *lease, const char *model)
{
    const struct shelf_model *found;
    if (serve_holds(lease))
        return SERVE_READY;
    let_go(lease);
    if (s->env->channel_fd < 0)
        return fail(lease, 0, "this proxy runs alone: nobody starts an engine for it; run ollama-supervisor");
    if (!serve_find(s, lease, model, &found))
        return SERVE_WAIT;
    if (!found)
        return SERVE_NOT_OURS;
    lease->hold.fn = lease->fn;
    lease->hold.context = lease->context;
    serve_review_soon(s);
    enum engines_verdict verdict = engines_want(&s->engines, &lease->hold, found->name, loop_now_ms(s->env->loop));
    tell_holds(s);
    if (verdict == ENGINES_GO && !is_ready_still(s, lease->hold.number)) { /* the supervisor stops it: it has looked before we said that we use it */
        see_rows(s);
        return serve_want(s, lease, model);
    }
    switch (verdict) {
    case ENGINES_GO:
        return take(s, lease);
    case ENGINES_WAIT:
        return SERVE_WAIT;
    case ENGINES_FAIL:
        return fail_load(s, lease);
    case ENGINES_NO_MEMORY:
        return fail(lease, 1, "out of memory");
    }
    return SERVE_FAILED;
}

const struct translate_models *serve_loaded(const struct serve *s)
{
    return &s->loaded;
}

int serve_stop(struct serve *s, const char *model)
{
    const struct shelf_model *found = shelf_find(s->list.shelf, model);
    serve_review_soon(s);
    return engines_stop(&s->engines, found ? found->name : model, loop_now_ms(s->env->loop));
}

static int64_t left_ms(const struct serve *s, const struct engines_model *m)
{
    int64_t idle_ms = m->engine < s->engines.rules.engines_n ? s->engines.rules.idle_ms[m->engine] : 0, unused_ms = m->users_n > 0 ? 0 : loop_now_ms(s->env->loop) - m->used_ms;
    return idle_ms <= 0 ? -1 : unused_ms < idle_ms ? idle_ms - unused_ms : 0;
}

int serve_running(const struct serve *s, const char *model, struct serve_running *out)
{
    const struct engines_model *m = engines_find(&s->engines, model);
    if (!m || !m->number)
        return 0;
    *out = (struct serve_running){.engine = s->engines.rules.names[m->engine], .is_ready = m->state == ENGINES_READY, .is_quantized = m->is_quantized,
                                  .leases_n = m->users_n, .load_ns = m->load_ms * 1000000, .left_ms = left_ms(s, m)};
    return 1;
}

static void log_rest(void *context, const struct engines_model *model)
{
    struct serve *s = context;
    char why[SERVE_WHY_BYTES];
    engines_why(&s->engines, model, why, sizeof why);
    buf_neutralise(why);
    log_event(LOG_WARNING, "model_rests", "model=%s for_ms=%lld reason=\"%s\"", model->name, (long long)s->engines.rules.cooldown_ms, why);
}

static void init_engines(struct serve *s)
{
    const struct conf *conf = s->env->conf;
    struct engines_rules rules = {.models_max = (size_t)conf->models.max_cache_models, .engines_n = conf->engines_n, .cooldown_ms = conf->models.load_cooldown_ms};
    struct engines_ops ops = {.start = serve_start, .stop = serve_tell_stop, .find = serve_find_ways, .loaded = serve_note_load, .rests = log_rest, .context = s};
    for (size_t i = 0; i < conf->engines_n; i++) {
        rules.names[i] = conf->engines[i].name;
        rules.idle_ms[i] = conf->engines[i].idle_timeout_ms;
    }
    rules.names[conf->engines_n] = "removed";
    engines_init(&s->engines, &rules, &ops);
}

_Static_assert((int)ENGINES_MAX == (int)CONF_ENGINES_MAX, "each engine has its rules");

int serve_new(struct serve **out, struct env *env)
{
    *out = NULL;
    if (!env->conf->models.serve)
        return 0;
    struct serve *s = calloc(1, sizeof *s);
    if (!s)
        return -ENOMEM;
    s->env = env;
    s->loaded.context = s;
    s->review_work = (struct deferred){.fn = on_review, .context = s};
    timer_init(&s->timer, on_timer, s);
    init_engines(s);
    serve_gpus_init(s);
    int error = serve_list_init(s);
    if (error) {
        free(s);
        return error;
    }
    *out = s;
    serve_review_soon(s);
    return 0;
}

void serve_free(struct serve **out)
{
    struct serve *s = *out;
    if (!s)
        return;
    serve_list_fini(s);
    serve_gpus_fini(s);
    serve_notes_free(s);
    loop_forget(s->env->loop, &s->review_work);
    loop_disarm(s->env->loop, &s->timer);
    serve_instances_forget(s, 1);
    engines_fini(&s->engines);
    free(s);
    *out = NULL;
}
