/*
 * See exchange_state.h. A request waits here until what it needs is there: the API, its own model, a free slot; and a
 * moment, where its last try was refused.
 *
 * A slot is taken last, and kept until the end, over every try: it is the request's place. Were it given back for a pause,
 * a later request would have it for the whole of its answer; and while Ollama is away nobody could use it.
 */
#include "proxy/exchange_engine.h"
#include "proxy/exchange_fleet.h"
#include "proxy/observe/observe.h"
#include "proxy/serve/exchange_alone.h"

#include <stdio.h>

enum { PAUSE_MS = 100 }; /* before a refused connection is tried again */

static struct queue *queue_of(const struct exchange *x)
{
    return x->upstream ? x->upstream->queue : &x->env->queue;
}

static int needs_slot(const struct exchange *x)
{
    return x->ticket.needs_model && queue_of(x)->slots_n > 0;
}

/* hold_timeout limits the waits together, from the first on, until it goes to the backend. */
static void limit_wait(struct exchange *x)
{
    struct env *env = x->env;
    x->ticket.is_accepted = 1;
    if (!x->hold_until_ms && env->conf->proxy.hold_timeout_ms > 0)
        x->hold_until_ms = loop_now_ms(env->loop) + env->conf->proxy.hold_timeout_ms;
    exchange_arm(x);
}

static void wait_at_gate(struct exchange *x)
{
    exchange_count_held(x, 1);
    limit_wait(x);
    env_wait(x->env);
}

static void wait_in_line(struct exchange *x)
{
    exchange_count_held(x, 0);
    exchange_enter(x, EXCHANGE_QUEUE);
    limit_wait(x);
}

static void wait_for_load(struct exchange *x)
{
    exchange_count_held(x, 1);
    exchange_enter(x, EXCHANGE_LOAD);
    exchange_note_asked(x);
    limit_wait(x);
}

static void wait_for_engine(struct exchange *x)
{
    exchange_count_held(x, 0); /* Ollama is not to be started for it */
    exchange_enter(x, EXCHANGE_LOAD);
    limit_wait(x);
}

void exchange_try_again_soon(struct exchange *x)
{
    x->pause_until_ms = loop_now_ms(x->env->loop) + PAUSE_MS;
    exchange_count_held(x, 1);
    exchange_enter(x, EXCHANGE_PAUSE);
    exchange_arm(x);
}

/* Whether its model is there, as it needs it where it must fit; where not, it waits, or has ended. */
static int has_model(struct exchange *x, int must_fit)
{
    switch (exchange_look_for_model(x, must_fit)) {
    case LOAD_GO:
        return 1;
    case LOAD_BEGIN:
    case LOAD_WAIT:
        wait_for_load(x);
        return 0;
    case LOAD_FULL:
        exchange_fail_full(x, 0);
        return 0;
    case LOAD_LATER:
        limit_wait(x);
        exchange_try_again_soon(x);
        return 0;
    case LOAD_RESTS:
        return 0;
    }
    return 0;
}

static void go(struct exchange *x)
{
    x->ticket.is_accepted = 1;
    if (has_model(x, 1) && x->state != EXCHANGE_END && !exchange_answer_load(x))
        x->way->begin(x);
}

/* Whatever needs a model takes a slot, what only loads or unloads it too: to load is work, and to unload has its turn. */
static void take_slot(struct exchange *x)
{
    struct queue *queue = queue_of(x);
    enum queue_verdict verdict = QUEUE_GO;
    if (needs_slot(x) && x->ask.model[0])
        verdict = queue_enter(queue, &x->place, x->ask.model, x->ticket.is_accepted, loop_now_ms(x->env->loop));
    switch (verdict) {
    case QUEUE_GO:
        go(x);
        return;
    case QUEUE_WAIT:
        wait_in_line(x);
        return;
    case QUEUE_FULL:
        exchange_fail_full(x, queue_estimate_ms(queue, x->ask.model));
        return;
    case QUEUE_NO_MEMORY:
        exchange_fail(x, 500, NULL, "out of memory");
        return;
    }
}

static void wait_for_show(struct exchange *x)
{
    exchange_count_held(x, 1);
    exchange_enter(x, EXCHANGE_SHOW);
    limit_wait(x);
}

/* Of a fleet: which member, before anything that is about its model there. */
static void find_member(struct exchange *x)
{
    int has_member = exchange_take_member(x);
    if (has_member == 0)
        wait_in_line(x);
    if (has_member <= 0)
        return;
    int suits = exchange_suit_model(x);
    if (suits == 0)
        wait_for_show(x);
    else if (suits > 0)
        go(x);
}

/* First it waits for its model, loaded in whatever way: all who wait are told then where it can't be loaded. With its slot it
 * sees to it that it is loaded as it needs it. */
static void find_model_and_slot(struct exchange *x)
{
    if (exchange_is_fleets(x)) {
        find_member(x);
        return;
    }
    int suits = exchange_suit_model(x);
    if (suits == 0)
        wait_for_show(x);
    else if (suits > 0 && has_model(x, 0))
        take_slot(x);
}

/* The load that it waited for has ended. */
static void go_on_loaded(struct exchange *x)
{
    int is_gone = x->is_model_gone;
    x->is_model_gone = 0;
    if (is_gone && x->member && exchange_go_elsewhere(x, FAILURE_OF_MODEL, "it does not have its model any more"))
        return;
    if (is_gone && !x->member && exchange_miss_model(x))
        exchange_pass_gate(x);
    else if (x->state != EXCHANGE_END)
        find_model_and_slot(x);
}

void exchange_wait_for_models(struct exchange *x, void (*look_again)(struct exchange *x))
{
    x->look_again = look_again;
    exchange_count_held(x, 1);
    exchange_enter(x, EXCHANGE_PULL);
    limit_wait(x);
}

static void find_installed(struct exchange *x)
{
    switch (exchange_find_installed(x)) {
    case FOUND_MODEL:
        find_model_and_slot(x);
        return;
    case FOUND_PULL:
        exchange_wait_for_models(x, exchange_pass_gate);
        return;
    case FOUND_AT_GATE:
        exchange_pass_gate(x);
        return;
    case FOUND_NONE:
        return;
    }
}

static void obey_gate(struct exchange *x, enum gate_verdict verdict)
{
    char text[CONTRACT_REASON_BYTES + 64];
    const char *reason = x->env->gate.view.reason;
    switch (verdict) {
    case GATE_PASS:
        find_installed(x);
        return;
    case GATE_WAIT_API:
    case GATE_WAIT_MODEL:
        wait_at_gate(x);
        return;
    case GATE_FAILED:
        snprintf(text, sizeof text, "ollama has failed: %s", *reason ? reason : "see the log");
        exchange_fail_for_now(x, "backend_failed", text);
        return;
    case GATE_STOPPING:
        exchange_fail_for_now(x, "stopping", EXCHANGE_SHUTTING_DOWN);
        return;
    case GATE_FULL:
        exchange_fail_full(x, 0);
        return;
    }
}

void exchange_pass_gate(struct exchange *x)
{
    exchange_enter(x, EXCHANGE_GATE);
    x->ticket.needs_model = x->admission.route->needs_model;
    if (exchange_answer_unload(x))
        return;
    int has_engine = x->engine ? exchange_take_engine(x) : 1; /* or needs none */
    if (has_engine == 0)
        wait_for_engine(x);
    if (has_engine <= 0)
        return;
    if (x->upstream) { /* it is none of Ollama's business */
        take_slot(x);
        return;
    }
    if (exchange_is_alone(x)) {
        exchange_fail_alone(x);
        return;
    }
    gate_refresh(&x->env->gate);
    if (exchange_answer_asleep(x))
        return;
    obey_gate(x, gate_enter(&x->env->gate, &x->ticket));
}

static void on_gate(void *context, enum gate_verdict verdict)
{
    obey_gate(context, verdict);
}

/* It has a slot. Ollama may have gone meanwhile: then it waits for it with the slot. */
static void on_slot(void *context)
{
    exchange_pass_gate(context);
}

/* Whether what the backend sent says that it was all: a space behind the last line would be taken for another one. */
static int has_said_all(struct exchange *x)
{
    struct ending_facts facts;
    const struct exchange *maker = exchange_maker(x);
    if (!maker)
        return 1;
    ending_read(&maker->ending, &facts);
    return facts.is_done || facts.has_error;
}

/* In a stream it comes when the backend has been silent for so long: it is asked for then, and not moved by each token. */
static void beat(struct exchange *x, int64_t now_ms)
{
    int64_t interval_ms = x->env->conf->proxy.heartbeat_interval_ms, next_ms = now_ms + interval_ms;
    int is_relayed = x->state == EXCHANGE_RELAY || x->state == EXCHANGE_LISTEN;
    struct exchange *maker = exchange_maker(x);
    const char *progress = x->generation ? x->generation->share.progress : "";
    x->answer.comment = *progress ? progress : maker ? exchange_place_text(maker) : NULL;
    if (is_relayed && x->answer.heard_ms + interval_ms > now_ms)
        next_ms = x->answer.heard_ms + interval_ms;
    else if (is_relayed && has_said_all(x))
        next_ms = 0;
    else {
        answer_beat(&x->answer);
        observe_count(x->env->observe, COUNT_HEARTBEATS, 1);
    }
    x->beat_at_ms = answer_may_beat(&x->answer) ? next_ms : 0;
}

void exchange_expect_answer(struct exchange *x)
{
    const struct conf_proxy *conf = &x->env->conf->proxy;
    x->answer.is_fallback = x->inner || exchange_may_fall_back(x); /* what it fails with is told, and nothing passes that could not be */
    x->answer.is_why_known = x->answer.is_fallback || (!x->upstream && x->env->gate.view.is_api_watched && x->admission.route->needs_model);
    x->answer.is_key_ours = x->upstream != NULL || exchange_is_fleets(x);
    x->answer.is_one_of_many = exchange_is_fleets(x) && x->admission.route->needs_model;
    answer_expect(&x->answer, x->admission.route, x->ask.is_stream, x->ask.model, exchange_heartbeat(x));
    if (answer_may_beat(&x->answer))
        x->beat_at_ms = loop_now_ms(x->env->loop) + conf->heartbeat_after_ms;
}

static void on_timer(void *context, int64_t now_ms)
{
    struct exchange *x = context;
    if (x->end_by_ms && now_ms >= x->end_by_ms) {
        exchange_fail_late(x);
        return;
    }
    if (exchange_is_waiting(x) && x->hold_until_ms && now_ms >= x->hold_until_ms) {
        exchange_fail_for_now(x, "hold_timeout",
                              x->state == EXCHANGE_QUEUE
                                  ? "other requests were served all the time of [proxy] hold_timeout"
                                  : "what the request needs was not there within [proxy] hold_timeout");
        return;
    }
    if (x->beat_at_ms && now_ms >= x->beat_at_ms)
        beat(x, now_ms);
    if (x->state == EXCHANGE_WHY && now_ms >= x->pause_until_ms)
        exchange_look_why(x, now_ms);
    else if (x->state == EXCHANGE_PAUSE && now_ms >= x->pause_until_ms)
        exchange_pass_gate(x);
    else
        exchange_arm(x);
}

void exchange_wait_init(struct exchange *x, const struct exchange_way *way)
{
    x->way = way;
    exchange_pull_init(x, exchange_pass_gate);
    exchange_load_init(x, go_on_loaded);
    x->ticket = (struct gate_ticket){.model = x->ask.model, .fn = on_gate, .context = x};
    x->place = (struct queue_ticket){.fn = on_slot, .context = x};
    timer_init(&x->timer, on_timer, x);
}
