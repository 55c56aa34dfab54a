/*
 * See env.h. The proxy's only common ground: built once by main, handed down by pointer. It counts, and it looks
 * at the supervisor's page; it knows no request.
 */
#include "proxy/env.h"

#include "common/wrong.h"
#include "proxy/ask.h"
#include "proxy/observe/observe.h"

#include <stdio.h>

enum { REVIEW_MS = 10000, TRIM_MS = 1000, WANT_INTERVAL_MS = 1000, WARNINGS_A_SECOND = 10, TEXT_BYTES = 512 };

/* Whoever waits may wake what was stopped; the supervisor decides. */
static void want_ollama(struct env *env)
{
    int64_t now_ms = loop_now_ms(env->loop);
    const struct gate_view *view = &env->gate.view;
    if (env->channel_fd < 0 || !view->is_api_watched || view->ollama != CONTRACT_DOWN)
        return;
    if (env->wanted_at_ms && now_ms - env->wanted_at_ms < WANT_INTERVAL_MS)
        return;
    if (contract_send(env->channel_fd, CONTRACT_WANT, 0, "ollama") == 0)
        env->wanted_at_ms = now_ms;
}

/* What changes is told by a message; only one that was lost is found this way. What is down is asked for until it comes. */
static void arm_review(struct env *env)
{
    const struct gate_view *view = &env->gate.view;
    int is_wanted = env->channel_fd >= 0 && view->is_api_watched && view->ollama == CONTRACT_DOWN;
    int64_t at_ms = loop_now_ms(env->loop) + (is_wanted ? WANT_INTERVAL_MS : REVIEW_MS);
    if (!timer_is_armed(&env->review_timer) || at_ms < env->review_timer.at_ms)
        loop_arm(env->loop, &env->review_timer, at_ms);
}

/* Before anybody is let go: what he finds loaded must be there. */
static void see_backend(struct env *env)
{
    const struct gate_view *view = &env->gate.view;
    gate_refresh(&env->gate);
    if (!view->is_api_watched)
        return;
    int32_t pid = view->ollama == CONTRACT_READY ? view->ollama_pid : 0;
    loader_see_backend(&env->loader, pid, view->ollama_restarts_n);
    gpu_watch_see_backend(&env->gpu, pid);
    puller_see_page(&env->puller);
}

/* Which Ollama it is that answers: another one has another pid. One that is not ours is the same as long as we are. */
static int32_t answering_pid(const struct env *env)
{
    return env->gate.view.is_api_watched ? env->gate.view.ollama_pid : -1;
}

/* After those who wait were let go: who asks is first. */
static void load_first(struct env *env)
{
    const struct gate_view *view = &env->gate.view;
    int is_ready = !view->is_api_watched || view->ollama == CONTRACT_READY;
    int32_t pid = answering_pid(env), used_pid = env->page ? atomic_load_explicit(&env->page->used_pid, memory_order_relaxed) : 0;
    int is_used = pid == used_pid || pid == env->loaded_pid || pid == env->answered_pid;
    first_load_look(&env->first_load, is_ready && !env->is_draining ? pid : 0, is_used);
}

/* Something has failed that is no request: who looks is told, with what to do. */
static void note_error(struct env *env, enum error_from from, const char *what)
{
    if (env->observe)
        recent_error(&env->observe->recent, from, sys_realtime_ms(), what, wrong_hint(what), "");
}

void env_review(struct env *env)
{
    if (env->observe && env->page)
        notice_page(&env->observe->notice, env->page, &env->observe->recent, loop_now_ms(env->loop), sys_realtime_ms());
    see_backend(env);
    gate_review(&env->gate);
    load_first(env);
    if (env->is_draining)
        asleep_doubt(&env->asleep);
    if (env->gate.view.ollama != CONTRACT_DOWN)
        env->wanted_at_ms = 0; /* when it is down again it is asked for at once */
    if (env->gate.view.is_api_watched && env->gate.view.ollama != CONTRACT_READY)
        backend_drop_idle(env->backend); /* connections to a server that is gone, or going */
    if (env->gate.waiting_n == 0)
        return;
    want_ollama(env);
    arm_review(env);
}

static void on_review(void *context, int64_t now_ms)
{
    (void)now_ms;
    env_review(context);
}

/* libc would keep what large bodies needed. */
static void on_trim(void *context, int64_t now_ms)
{
    struct env *env = context;
    (void)now_ms;
    sys_trim_memory();
    budget_forget_most(&env->bodies);
}

static void on_queue_work(void *context)
{
    struct env *env = context;
    queue_review(&env->queue, loop_now_ms(env->loop));
}

void env_leave_queue(struct env *env, struct queue_ticket *t)
{
    queue_leave(&env->queue, t, loop_now_ms(env->loop));
    if (queue_is_due(&env->queue))
        loop_defer(env->loop, &env->queue_work);
}

/* Nobody knows what another's Ollama takes, nor what ours takes where it chooses by itself: it keeps the line then. */
static size_t slots_of(const struct conf *conf, const struct contract_page *page)
{
    if (conf->proxy.slots > 0)
        return (size_t)conf->proxy.slots;
    return page && conf->is_backend_ours ? (size_t)conf->ollama_parallel : 0;
}

/* How long it may stand still; 0: nobody looks, as where it is not the supervisor's. */
static int64_t stall_timeout_of(const struct conf *conf, const struct contract_page *page)
{
    const struct conf_program *ollama = page && conf->is_backend_ours ? conf_program(conf, "ollama") : NULL;
    return ollama ? ollama->stall_timeout_ms : 0;
}

/* How long the backend keeps a model where nobody says; -1: not known. */
static int64_t keep_alive_of(const struct conf *conf, const struct contract_page *page)
{
    if (!page || !conf->is_backend_ours)
        return ASK_KEEP_UNSAID;
    return conf->ollama_keep_alive_ms < 0 ? ASK_KEEP_FOR_EVER : conf->ollama_keep_alive_ms;
}

/* Who waits for a restart of Ollama that does not come. */
static void on_reopened(void *context)
{
    env_review(context);
}

static void on_loaded(void *context, const struct load *load)
{
    struct env *env = context;
    env_note_load(env);
    first_load_note(&env->first_load, load);
    gpu_watch_loaded(&env->gpu, load);
}

static void on_load(void *context, int is_begun)
{
    struct env *env = context;
    env_count_activity(env, is_begun);
    asked_count(&env->asked, is_begun);
    if (env->loader.loads.loading_n == 0 && env->work_over)
        env->work_over(env->work_over_context);
}

static void on_pull(void *context, int is_begun)
{
    struct env *env = context;
    env_count_activity(env, is_begun);
    if (!is_begun && env->work_over)
        env->work_over(env->work_over_context);
}

void env_backend_failed(void *env, const char *name, const char *why)
{
    char text[TEXT_BYTES];
    snprintf(text, sizeof text, "the backend %.200s can't be used: %.240s", name, *why ? why : "no reason is known");
    note_error(env, ERROR_OF_BACKEND, text);
}

static void on_lost_pull(void *context, const struct pulls_row *row)
{
    char text[TEXT_BYTES];
    snprintf(text, sizeof text, "the model %.200s could not be pulled: %.240s", row->model, row->reason);
    note_error(context, ERROR_OF_PULL, text);
}

void env_init(struct env *env, struct loop *loop, const struct conf *conf, const struct contract *contract,
              struct contract_line *line, struct backend *backend)
{
    *env = (struct env){.loop = loop, .conf = conf, .line = line, .backend = backend};
    env->page = contract->page;
    env->bodies.limit_bytes = (uint64_t)(conf->proxy.max_held_bodies_bytes > conf->proxy.max_body_bytes
                                             ? conf->proxy.max_held_bodies_bytes : conf->proxy.max_body_bytes);
    env->channel_fd = contract->channel_fd;
    env->give_fd = contract->kept_fds[1];
    env->started_at_ms = loop_now_ms(loop);
    uint64_t token = env->page ? env->page->token : 0;
    if (token == 0)
        sys_random(&token, sizeof token);
    tell_init(&env->tell, token, conf->proxy.forwarded);
    env->waiting.limit_n = (size_t)conf->proxy.max_queue;
    gate_init(&env->gate, contract->page, conf->is_backend_ours, &env->waiting);
    asked_init(&env->asked, loop, line, contract->channel_fd, stall_timeout_of(conf, contract->page));
    queue_init(&env->queue, slots_of(conf, contract->page), &env->waiting);
    loader_init(&env->loader, backend, &env->tell, &env->waiting, keep_alive_of(conf, contract->page), conf->models.load_cooldown_ms, &(struct loader_ops){on_load, on_loaded, env});
    puller_init(&env->puller, &(struct puller_site){conf, backend, &env->tell, &env->gate, NULL, line, on_pull, on_lost_pull, env});
    fit_init(&env->loader.fit, conf, contract->page);
    first_load_init(&env->first_load, conf, &env->gate, &env->loader);
    asleep_init(&env->asleep, conf, &env->gate, backend, &env->tell);
    gpu_watch_init(&env->gpu, &(struct gpu_watch_site){backend, &env->tell, &env->gate, &env->loader.loads, env->channel_fd, on_reopened, env});
    overseer_init(&env->overseer, loop, env->channel_fd);
    optimizer_init(&env->optimizer, conf);
    env->queue_work = (struct deferred){.fn = on_queue_work, .context = env};
    sys_random(&env->next_id, sizeof env->next_id);
    timer_init(&env->review_timer, on_review, env);
    timer_init(&env->trim_timer, on_trim, env);
    bucket_init(&env->warnings, WARNINGS_A_SECOND, WARNINGS_A_SECOND, env->started_at_ms);
    atomic_store(&line->pid, (int32_t)sys_getpid());
}

enum log_level env_warning(struct env *env)
{
    if (!bucket_take(&env->warnings, loop_now_ms(env->loop))) {
        env->untold_n++;
        return LOG_DEBUG;
    }
    if (env->untold_n > 0)
        log_event(LOG_WARNING, "untold", "n=%llu", (unsigned long long)env->untold_n);
    env->untold_n = 0;
    return LOG_WARNING;
}

void env_body_gone(struct env *env, struct budget_share *share)
{
    budget_give_back(&env->bodies, share);
    if (budget_has_shrunk(&env->bodies) && !timer_is_armed(&env->trim_timer))
        loop_arm(env->loop, &env->trim_timer, loop_now_ms(env->loop) + TRIM_MS);
}

void env_fini(struct env *env)
{
    optimizer_fini(&env->optimizer);
    asleep_fini(&env->asleep);
    limits_fini(&env->limits);
    gpu_watch_fini(&env->gpu);
    overseer_fini(&env->overseer);
    first_load_fini(&env->first_load);
    loader_fini(&env->loader);
    puller_fini(&env->puller);
    asked_fini(&env->asked);
    queue_fini(&env->queue);
}

void env_wait(struct env *env)
{
    want_ollama(env);
    arm_review(env);
}

int env_has_successor(const struct env *env)
{
    return env->give_fd >= 0 && env->page && !atomic_load(&env->page->is_stopping) && !env->gate.is_orphaned;
}

void env_count_activity(struct env *env, int is_begun)
{
    atomic_fetch_add(&env->line->in_flight_n, is_begun ? 1u : (uint32_t)-1);
    atomic_store(&env->line->last_active_ms, loop_monotonic_ms(env->loop));
}

void env_count_held(struct env *env, int is_begun)
{
    uint32_t before_n = atomic_fetch_add(&env->line->held_n, is_begun ? 1u : (uint32_t)-1);
    observe_held(env->observe, loop_now_ms(env->loop), is_begun ? before_n + 1 : before_n - 1);
}

/* Once for each Ollama. A message that is lost is no harm: the page is looked at again with the next one. */
static void note(struct env *env, int32_t *noted_pid, _Atomic int64_t *at_ms)
{
    int32_t pid = answering_pid(env);
    if (pid == *noted_pid || pid == 0)
        return;
    *noted_pid = pid;
    atomic_store(at_ms, loop_monotonic_ms(env->loop));
    if (env->channel_fd >= 0)
        (void)!contract_send(env->channel_fd, CONTRACT_CHANGED, 0, "");
}

void env_note_load(struct env *env)
{
    note(env, &env->loaded_pid, &env->line->loaded_at_ms);
}

void env_note_first_token(struct env *env)
{
    note(env, &env->answered_pid, &env->line->first_token_at_ms);
}
