/*
 * See exchange_state.h. The parts of a conversation (map.h) are asked for by inner exchanges of their own, some at once (workers.h). What
 * one of these tells is only noted while it is told, and looked at by a timer, as nobody may free an exchange that is on the stack.
 */
#include "proxy/exchange_fleet.h"

#include "common/text.h"
#include "proxy/exchange_inner.h"
#include "proxy/map.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    ANSWER_BYTES = 2 * MAP_SUMMARY_BYTES, /* with all else that Ollama tells */
    WHY_BYTES = 320,
    LINES_BYTES = 160,
    ASKING_TOKENS = 256, /* what says how to summarise a part, roundly */
    ENDED = 1,
};

struct map_failure {
    int status;
    const char *code; /* a literal, or NULL */
    char why[WHY_BYTES];
    char lines[LINES_BYTES];
};

/* A part that is asked for. */
struct map_job {
    struct map_run *run;
    struct exchange *x; /* owned; NULL: it does nothing */
    size_t part;
    struct workers_job work;
    struct buf answer;
    int has_ended, has_failed;
    struct map_failure failure; /* why there is no summary */
};

struct map_run {
    struct exchange *of;
    struct map *map; /* its */
    void (*go_on)(struct exchange *x);
    struct timer timer; /* something is to be looked at */
    char why[WHY_BYTES]; /* the last part that was left out has failed */
    struct map_job jobs[WORKERS_MOST];
};

static void note_end(struct map_job *job)
{
    struct loop *loop = job->run->of->env->loop;
    job->has_ended = 1;
    loop_arm(loop, &job->run->timer, loop_now_ms(loop));
}

static void note_failure(struct map_job *job, int status, const char *code, const char *text, const char *lines)
{
    job->has_failed = 1;
    job->failure = (struct map_failure){.status = status, .code = code};
    snprintf(job->failure.why, WHY_BYTES, "%s", text);
    snprintf(job->failure.lines, LINES_BYTES, "%s", strlen(lines) < LINES_BYTES ? lines : "");
    note_end(job);
}

static void on_head(void *context, int status, const char *type, const char *lines)
{
    (void)context;
    (void)status;
    (void)type;
    (void)lines;
}

static void on_body(void *context, const char *bytes, size_t bytes_n)
{
    struct map_job *job = context;
    if (!job->has_ended && buf_append(&job->answer, bytes, bytes_n) < 0)
        note_failure(job, 502, NULL, "its answer is too long", "");
}

static void on_failed(void *context, const struct inner_failure *f)
{
    struct map_job *job = context;
    if (!job->has_ended)
        note_failure(job, f->status, f->code, f->text, f->lines);
}

static void on_done(void *context)
{
    struct map_job *job = context;
    if (!job->has_ended)
        note_end(job);
}

static void drop_job(struct map_job *job, uint64_t mapped_chars)
{
    struct exchange *x = job->x;
    if (!x)
        return;
    exchange_count_time(x);
    workers_end(&job->work, mapped_chars, x->wait_ms + x->load_ms + x->queue_ms, loop_now_ms(x->env->loop));
    exchange_free(&job->x);
    buf_release(&job->answer);
    job->has_ended = job->has_failed = 0;
}

static const struct route *chat_route(void)
{
    static const char path[] = "/api/chat";
    const struct route *route = NULL;
    (void)route_find(METHOD_POST, path, sizeof path - 1, &route);
    return route;
}

/* 0 or -ENOMEM. */
static int start_job(struct map_run *run, struct map_job *job)
{
    struct exchange *of = run->of;
    const struct conf_strategy *strategy = of->plan->strategy;
    struct inner_sink sink = {.context = job, .head = on_head, .body = on_body, .failed = on_failed, .done = on_done};
    struct buf body;
    job->part = map_next(run->map);
    buf_init(&body, 0);
    int error = map_ask(run->map, job->part, strategy, &body);
    if (error)
        return error;
    job->has_ended = job->has_failed = 0;
    workers_begin(&of->env->optimizer.workers, &job->work, strategy->map_model, loop_now_ms(of->env->loop));
    error = exchange_new_inner(&job->x, of, chat_route(), &body, &sink);
    if (error) {
        workers_end(&job->work, 0, 0, loop_now_ms(of->env->loop));
        map_unask(run->map, job->part);
    }
    return error;
}

/* How many slots of its model are left, beside those that its own parts will take. */
static size_t free_slots(const struct map_run *run)
{
    const struct env *env = run->of->env;
    if (exchange_is_fleets(run->of)) /* its parts that wait are among those who do */
        return exchange_free_slots(run->of);
    size_t free_n = queue_free_n(&env->queue, run->of->plan->strategy->map_model), coming_n = 0;
    for (size_t i = 0; i < WORKERS_MOST; i++)
        coming_n += run->jobs[i].x && !run->jobs[i].x->place.lane;
    return free_n > coming_n ? free_n - coming_n : 0;
}

/* One is always under way; more, as many as are of use. */
static int may_start(const struct map_run *run)
{
    const struct exchange *of = run->of;
    const struct conf_strategy *s = of->plan->strategy;
    const struct workers_table *table = &of->env->optimizer.workers;
    size_t running_n = run->map->running_n, free_n = free_slots(run);
    if (map_next(run->map) == run->map->parts_n)
        return 0;
    if (running_n == 0)
        return 1;
    if (running_n >= (size_t)s->workers || running_n == WORKERS_MOST || free_n == 0)
        return 0;
    size_t left_n = (size_t)s->workers - running_n, now_n = workers_now(table, s->map_model);
    size_t most_n = now_n + (left_n < free_n ? left_n : free_n);
    return now_n < workers_choose(table, s->map_model, most_n < WORKERS_MOST ? most_n : WORKERS_MOST, loop_now_ms(of->env->loop));
}

/* There is one: fewer than WORKERS_MOST are under way. */
static struct map_job *idle_job(struct map_run *run)
{
    struct map_job *job = run->jobs;
    while (job->x)
        job++;
    return job;
}

static int start_jobs(struct map_run *run)
{
    int error = 0;
    while (!error && may_start(run))
        error = start_job(run, idle_job(run));
    return run->map->running_n > 0 ? 0 : error; /* what could not be asked for now is when another has ended */
}

/* Of these not only the part is the matter: the whole request has to wait, or can't be answered. */
static int ends_all(const struct map_job *job)
{
    static const char *const codes[] = {"hold_timeout", "stopping", "backend_failed", "queue_full", "bodies_full"};
    for (size_t i = 0; job->failure.code && i < sizeof codes / sizeof *codes; i++)
        if (strcmp(job->failure.code, codes[i]) == 0)
            return 1;
    return 0;
}

/* With it the job ends, too. */
static void fail_all(struct exchange *of, const struct map_job *job)
{
    struct map_failure failure = job->failure;
    exchange_fail_with(of, failure.status, failure.code, failure.why, failure.lines);
}

/* … and of these no other part would fare better. */
static int is_hopeless(const struct map_job *job)
{
    return job->failure.status == 404 || (job->failure.code && strcmp(job->failure.code, "load_cooldown") == 0);
}

static void tell_loss(struct map_run *run, const struct map_job *job)
{
    const struct exchange *of = run->of;
    text_clean(run->why, sizeof run->why, job->failure.why, strlen(job->failure.why));
    log_event(LOG_INFO, "part_lost", "id=%s model=%s part=%zu parts=%zu reason=\"%s\"", of->deliver.request_id, of->plan->strategy->map_model,
              job->part + 1, run->map->parts_n, run->why);
}

/* How long a prompt of so many characters is, to know it better next time. */
static void learn_tokens(const struct map_run *run, const struct map_job *job)
{
    const struct exchange *of = run->of;
    const struct conf_strategy *s = of->plan->strategy;
    struct ending_facts facts;
    ending_read(&job->x->ending, &facts);
    if (facts.prompt_tokens_n > 0)
        token_learn(&of->env->optimizer.estimates, s->map_model, map_ask_chars(run->map, job->part), 2, (uint64_t)facts.prompt_tokens_n,
                    (uint64_t)conf_strategy_num_ctx(of->env->conf, s, s->map_model));
}

static void note_no_summary(struct map_job *job)
{
    snprintf(job->failure.why, WHY_BYTES, "its answer is no summary");
    if (!map_is_answer(buf_data(&job->answer), buf_size(&job->answer)))
        exchange_tally_fault(job->x);
}

/* 0; ENDED: the whole request has; -ENOMEM. */
static int take_answer(struct map_run *run, struct map_job *job)
{
    struct exchange *of = run->of;
    struct map *m = run->map;
    size_t lost_n = m->lost_n;
    int answered = job->has_failed ? 0 : map_answered(m, job->part, buf_data(&job->answer), buf_size(&job->answer));
    if (answered < 0)
        return answered;
    if (job->has_failed && ends_all(job)) {
        fail_all(of, job);
        return ENDED;
    }
    if (job->has_failed)
        (void)map_failed(m, job->part);
    if (job->has_failed && is_hopeless(job))
        map_give_up(m);
    if (!answered && !job->has_failed)
        note_no_summary(job);
    if (!answered && m->lost_n > lost_n)
        tell_loss(run, job);
    if (answered) {
        optimizer_count_add(&of->env->optimizer.stats, OPTIMIZER_PARTS_DONE, 1);
        learn_tokens(run, job);
    }
    of->ticket.is_accepted |= answered; /* it is under way: the rest of it is not turned away at a full queue */
    drop_job(job, answered ? m->parts[job->part].chunk.chars_n : 0);
    return 0;
}

/* Each part has its summary, or is left out. */
static void finish(struct map_run *run)
{
    struct exchange *of = run->of;
    struct map *m = run->map;
    struct plan *plan = of->plan;
    void (*go_on)(struct exchange *x) = run->go_on;
    optimizer_count_add(&of->env->optimizer.stats, OPTIMIZER_PARTS_FAILED, m->lost_n);
    exchange_tell_progress(of, "");
    plan->step = m->done_n > 0 ? PLAN_REDUCE : PLAN_DIRECT;
    plan->summaries = m->done_n > 0 ? map_summaries(m) : NULL;
    if (m->parts_n > 0 && m->done_n == 0)
        log_event(env_warning(of->env), "map_failed", "id=%s model=%s parts=%zu reason=\"%s\"", of->deliver.request_id, plan->strategy->map_model,
                  m->parts_n, run->why);
    exchange_leave_map(of);
    buf_release(&m->text);
    if (plan->step == PLAN_REDUCE && !plan->summaries)
        exchange_break_off(of, ACCESS_FAILED, "out of memory");
    else
        go_on(of);
}

static void tell_progress(const struct map_run *run)
{
    char text[64];
    snprintf(text, sizeof text, "mapped %zu of %zu parts", run->map->done_n + run->map->lost_n, run->map->parts_n);
    exchange_tell_progress(run->of, text);
}

static void on_timer(void *context, int64_t now_ms)
{
    struct map_run *run = context;
    int error = 0;
    (void)now_ms;
    for (size_t i = 0; i < WORKERS_MOST && !error; i++)
        if (run->jobs[i].has_ended)
            error = take_answer(run, &run->jobs[i]);
    if (error == ENDED)
        return;
    if (map_is_over(run->map) && !error) {
        finish(run);
        return;
    }
    error = error ? error : start_jobs(run);
    if (error)
        exchange_break_off(run->of, ACCESS_FAILED, "out of memory");
    else
        tell_progress(run);
}

static struct map_run *run_new(struct exchange *of, void (*go_on)(struct exchange *x))
{
    struct map_run *run = calloc(1, sizeof *run);
    if (!run)
        return NULL;
    run->of = of;
    run->map = of->map;
    run->go_on = go_on;
    timer_init(&run->timer, on_timer, run);
    for (size_t i = 0; i < WORKERS_MOST; i++) {
        run->jobs[i].run = run;
        buf_init(&run->jobs[i].answer, ANSWER_BYTES);
    }
    return run;
}

/* What Ollama has room for behind a part; above that it would forget the part while it writes. */
static uint64_t left_beside_part(const struct map_run *run)
{
    const struct conf_strategy *s = run->of->plan->strategy;
    int64_t num_ctx = conf_strategy_num_ctx(run->of->env->conf, s, s->map_model), left_n = num_ctx - s->chunk_tokens - ASKING_TOKENS;
    return num_ctx == 0 ? UINT64_MAX : left_n > 0 ? (uint64_t)left_n : 0;
}

static int read_parts(struct map_run *run)
{
    struct exchange *of = run->of;
    const struct conf_strategy *s = of->plan->strategy;
    size_t part_chars = map_part_chars(&of->env->optimizer.estimates, s->map_model, (uint64_t)s->chunk_tokens);
    int error = map_read(run->map, buf_data(&of->body), buf_size(&of->body), part_chars);
    if (error || run->map->parts_n == 0)
        return error;
    map_share_room(run->map, exchange_summaries_room(of, run->map->parts_n), left_beside_part(run));
    return budget_grow(&of->env->bodies, &of->body_share, buf_size(&of->body) + buf_size(&of->asked_body) + buf_size(&run->map->text));
}

static void fail_to_read(struct exchange *x, int error)
{
    char why[PLAN_WHY_BYTES] = "messages: what they say can't be read";
    const struct conf_strategy *s = x->plan->strategy;
    if (error == -E2BIG)
        snprintf(why, sizeof why, "the conversation is too long: strategy %s summarises %d parts of %lld tokens at the most; send less, or raise chunk_tokens in "
                 "[strategy:%s]", s->name, PLAN_PARTS_MAX, (long long)s->chunk_tokens, s->name);
    exchange_fail_plan(x, error, why);
}

void exchange_begin_map(struct exchange *x, void (*go_on)(struct exchange *x))
{
    x->map = calloc(1, sizeof *x->map);
    x->map_run = x->map ? run_new(x, go_on) : NULL;
    int error = x->map_run ? read_parts(x->map_run) : -ENOMEM;
    if (error) {
        fail_to_read(x, error);
        return;
    }
    exchange_enter(x, EXCHANGE_MAP);
    if (x->map->parts_n == 0) {
        finish(x->map_run);
        return;
    }
    exchange_arm(x);
    loop_arm(x->env->loop, &x->map_run->timer, loop_now_ms(x->env->loop));
}

void exchange_leave_map(struct exchange *x)
{
    struct map_run *run = x->map_run;
    if (!run)
        return;
    loop_disarm(x->env->loop, &run->timer);
    for (size_t i = 0; i < WORKERS_MOST; i++)
        drop_job(&run->jobs[i], 0);
    x->map_run = NULL;
    free(run);
}
