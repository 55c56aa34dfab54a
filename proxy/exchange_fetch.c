/*
 * See exchange_state.h. Until the first byte of an answer has come, a request may be sent again, as its body is held;
 * from then on it is relayed to the end, or ended with an error that can be seen as one.
 */
#include "proxy/exchange_fleet.h"
#include "proxy/observe/observe.h"
#include "proxy/splice_body.h"

#include <stdio.h>

enum {
    REFUSED_LIMIT_MS = 5000, /* a backend that is said to be ready may refuse so long */
    SLOW_MS = 1000, /* a name, or a connection, for which so long was waited is not tried once more */
    RETRIES_MAX = 1,
    LOST_LOADS_MAX = 10, /* as many as an Ollama may die within restart_window, by default */
};

static void fail_backend(struct exchange *x, const char *what, const char *why)
{
    char text[MEMBER_NAME_BYTES + 320];
    const char *host = x->relay.fetch.backend->host, *name = exchange_backend_name(x);
    exchange_judge_member(x, -1, why);
    if (name)
        snprintf(text, sizeof text, "the backend %s at %s %s: %s", name, host, what, why);
    else
        snprintf(text, sizeof text, "the backend at %s %s: %s", host, what, why);
    exchange_fail_why(x, text);
}

static int is_said_ready(const struct exchange *x)
{
    const struct gate_view *view = &x->env->gate.view;
    if (x->upstream)
        return 1;
    gate_refresh(&x->env->gate);
    return !view->is_api_watched || view->ollama == CONTRACT_READY;
}

/* No connection. Nothing was sent, so it may be tried again for as long as there is hope: where the supervisor runs
 * the backend, until it has noticed that it is gone; elsewhere once. */
static void on_refused(struct exchange *x, const char *why)
{
    int64_t now_ms = loop_now_ms(x->env->loop);
    exchange_lost_backend(x);
    if (x->member && exchange_go_elsewhere(x, FAILURE_TO_CONNECT, why))
        return;
    if (!is_said_ready(x)) {
        x->refused_since_ms = 0;
        exchange_pass_gate(x);
        return;
    }
    int is_watched = x->engine || (!x->upstream && !x->member && x->env->gate.view.is_api_watched);
    int is_slow = x->upstream && loop_monotonic_ms(x->env->loop) - x->asked_at_ms > SLOW_MS;
    if (!x->refused_since_ms && !is_slow && !x->member)
        x->refused_since_ms = now_ms;
    else if (!is_watched || now_ms - x->refused_since_ms >= REFUSED_LIMIT_MS) {
        fail_backend(x, "takes no connection", why);
        return;
    }
    exchange_try_again_soon(x);
}

static void begin_fetch(struct exchange *x)
{
    struct relay_request request = {.request = x->request};
    char why[128];
    x->sent_bytes = (int64_t)buf_size(&x->body);
    x->is_sent_once = x->sent_bytes > x->env->conf->proxy.retry_body_bytes;
    /* A kept connection may just be closing, which costs another try: not for who has none. */
    request.is_fresh = x->is_fresh_needed || exchange_is_streamed(x) || x->is_sent_once;
    exchange_count_held(x, 0);
    request.target = x->target;
    request.upstream = x->upstream;
    request.is_member = x->member != NULL;
    request.body = exchange_is_streamed(x) ? NULL : &x->body;
    request.is_cors_ours = exchange_is_cors_ours(x);
    request.is_limited = x->limited.per_minute[LIMIT_REQUESTS] > 0 || x->limited.per_minute[LIMIT_TOKENS] > 0;
    request.tell = &x->env->tell;
    request.sender = &x->admission.sender;
    request.is_watched = x->admission.route->needs_model; /* what infers says that it is done; a pull, or a create, ends as it likes */
    request.is_work = x->admission.route->is_activity;
    x->backend_status = 0;
    if (x->tries_n++ > 0)
        observe_count(x->env->observe, COUNT_RETRIES, 1);
    exchange_is_answered(x);
    exchange_note_asked(x);
    exchange_enter(x, EXCHANGE_FETCH);
    exchange_arm(x);
    if (relay_start(&x->relay, &request, why, sizeof why) < 0)
        on_refused(x, why);
    else if (exchange_is_streamed(x) && x->is_body_complete && fetch_send_end(&x->relay.fetch) < 0)
        exchange_break_off(x, ACCESS_FAILED, "out of memory");
    else if (exchange_is_streamed(x))
        x->sink->body_wanted(x->sink->deliver.context);
}

/* Another member may answer: 404 is a model that was deleted there behind our back. */
static int fails_elsewhere(int status)
{
    return status == 404 || status >= 500 || answer_is_about_key(status);
}

/* The error that its answer is. */
static void tell_answer(struct exchange *x)
{
    char text[ANSWER_TEXT_BYTES];
    if (exchange_lacks_path(x))
        return;
    answer_error(&x->answer, text);
    if (x->member && fails_elsewhere(x->answer.status) && exchange_go_elsewhere(x, x->answer.status == 404 ? FAILURE_OF_MODEL : FAILURE_OF_ANSWER, text))
        return;
    exchange_judge_member(x, x->answer.status < 500 ? 0 : -1, text);
    if (exchange_miss_strategys_model(x))
        return;
    if (x->answer.is_key_ours && answer_is_about_key(x->answer.status)) { /* it is about ours: the client is not to look for a mistake in its own */
        snprintf(text, sizeof text, "status %d", x->answer.status); /* its words may have a part of the key in them */
        fail_backend(x, "does not take the key of its section", text);
        return;
    }
    exchange_tell_why(x, x->answer.status, text);
}

/* reasoning_effort is a hint: Ollama's own /v1 passes over it where it can't be followed, and its API refuses it. So are options that not
 * all backends know. */
static int may_ask_less(const struct exchange *x)
{
    const struct translation *t = &x->answer.translation;
    int is_refused = x->backend_status == 400 || (t->hints && x->backend_status == 422); /* as some servers written with FastAPI */
    return (t->is_think_asked || t->hints) && is_refused && !x->is_sent_once;
}

static void ask_less(struct exchange *x)
{
    static const char *const think[] = {"think", NULL, NULL};
    struct translation *t = &x->answer.translation;
    size_t before_n = buf_size(&x->body);
    const char *const *name = t->is_think_asked ? think : t->hints;
    int error = 0;
    while (!error && name && buf_size(&x->body) == before_n) {
        struct json_edit items[JSON_EDITS_MAX];
        struct json_edits all = {.items = items};
        while (*name)
            items[all.items_n++] = (struct json_edit){0, *name++, NULL, JSON_REMOVE};
        error = splice_body(&x->body, &all);
        name = name[1] ? name + 1 : NULL;
    }
    t->is_think_asked = 0;
    t->hints = name;
    if (error || buf_size(&x->body) == before_n)
        tell_answer(x);
    else
        exchange_pass_gate(x);
}

static void on_begun(void *context)
{
    struct exchange *x = context;
    exchange_enter(x, EXCHANGE_RELAY);
    x->backend_status = x->relay.fetch.answer.status;
    if (x->admission.route->needs_model && !x->upstream && x->model != MODEL_UNLOADS && x->backend_status == 200) /* the backend's: ours may have been promised */
        env_note_first_token(x->env);
    if (x->admission.route->needs_model && !x->upstream && x->backend_status == 404)
        puller_forget(&x->env->puller, x->ask.model);
    if (x->admission.route->asleep != ASLEEP_WAKES && x->backend_status == 200)
        exchange_note_read(x);
    int may_go_elsewhere = x->member && fails_elsewhere(x->backend_status);
    if (!may_go_elsewhere)
        exchange_keep_member(x);
    if (fetch_is_sent(&x->relay.fetch) && !may_ask_less(x) && !may_go_elsewhere) { /* it can't be sent again from here on */
        exchange_drop_body(x);
        buf_release(&x->relay.head);
    }
}

static void on_room(void *context)
{
    struct exchange *x = context;
    if (exchange_is_streamed(x))
        x->sink->body_wanted(x->sink->deliver.context);
    else if (x->is_sent_once && fetch_is_sent(&x->relay.fetch))
        exchange_drop_body(x);
}

static void on_paused(void *context, int is_paused)
{
    struct exchange *x = context;
    if (is_paused || !x->admission.route->needs_model || x->upstream)
        asked_leave(&x->env->asked, &x->asked);
    else
        asked_enter(&x->env->asked, &x->asked);
}

/* No byte of an answer has come: the request may be sent again where its body is still held. */
static void on_lost(struct exchange *x, const char *why, int is_reused)
{
    int is_held = x->relay.fetch.sent_body_bytes == 0 && !x->is_sent_once;
    x->hold_until_ms = x->refused_since_ms = 0; /* what was waited for came; it is waited for anew */
    if (is_held && is_reused && !x->is_fresh_needed) {
        x->is_fresh_needed = 1; /* it was closed while it was kept: as good as never tried */
        exchange_was_answered(x, LOAD_ANSWER_LEFT);
        exchange_pass_gate(x);
        return;
    }
    exchange_lost_backend(x);
    if (x->member && exchange_go_elsewhere(x, FAILURE_OF_ANSWER, why))
        return;
    if (is_held && !x->member && x->retries_n < RETRIES_MAX) {
        x->retries_n++;
        x->is_fresh_needed = 1;
        log_event(LOG_INFO, "retry", "id=%s cause=\"%s\"", x->deliver.request_id, why);
        exchange_try_again_soon(x);
    } else {
        fail_backend(x, "did not answer", why);
    }
}

static void on_broken(struct exchange *x, enum access_end ended, const char *what, const char *why)
{
    char text[320];
    if (x->state == EXCHANGE_FETCH) { /* it is no answer of Ollama's: often the page of a server before it, which does not reach it */
        if (!x->member || !exchange_go_elsewhere(x, FAILURE_OF_ANSWER, why))
            fail_backend(x, what, why);
        return;
    }
    exchange_judge_member(x, -1, *why ? why : what);
    snprintf(text, sizeof text, *why ? "the backend %s: %s" : "the backend %s", what, why);
    exchange_break_off_why(x, ended, text);
}

/* What an answer that has ended as it should says of its model's load. One of 4xx was refused before any model was looked for. */
static enum load_answer answer_of(const struct exchange *x, enum relay_end end)
{
    if (x->backend_status < 300 && end == RELAY_DONE)
        return LOAD_ANSWER_WELL;
    return x->backend_status / 100 == 4 ? LOAD_ANSWER_NONE : LOAD_ANSWER_BAD;
}

static void on_end(void *context, enum relay_end end, const char *why)
{
    struct exchange *x = context;
    switch (end) {
    case RELAY_DONE:
        exchange_was_answered(x, answer_of(x, end));
        exchange_learn_tokens(x);
        exchange_judge_member(x, x->backend_status < 400, NULL);
        exchange_finish(x, EXCHANGE_CLEAN);
        return;
    case RELAY_REFUSED:
        on_refused(x, why);
        return;
    case RELAY_LOST:
        on_lost(x, why, x->relay.fetch.is_reused);
        return;
    case RELAY_BROKEN:
        exchange_lost_backend(x);
        on_broken(x, ACCESS_BACKEND_BROKEN, "broke off in the middle of its answer", why);
        return;
    case RELAY_GARBAGE:
        exchange_tally_fault(x);
        exchange_was_answered(x, LOAD_ANSWER_BAD);
        on_broken(x, ACCESS_BACKEND_BROKEN, "sent what can't be relayed", why);
        return;
    case RELAY_UNFINISHED:
        exchange_was_answered(x, LOAD_ANSWER_BAD);
        on_broken(x, ACCESS_BACKEND_UNFINISHED, "ended its answer without saying that it is done",
                  "it gave up, as where a model repeats itself, or lost its runner");
        return;
    case RELAY_TOLD:
        exchange_was_answered(x, answer_of(x, end));
        if (may_ask_less(x))
            ask_less(x);
        else
            tell_answer(x);
        return;
    case RELAY_ERROR:
        exchange_was_answered(x, LOAD_ANSWER_BAD);
        on_broken(x, ACCESS_BACKEND_ERROR, "told an error in the middle of its answer", "");
        return;
    }
}

/* Nothing of the request was sent: it may wait for another Ollama as long as the supervisor starts one. Elsewhere it is as if it
 * had asked itself. */
static void on_load_lost(struct exchange *x, const char *why)
{
    if (x->member || !x->env->gate.view.is_api_watched || x->lost_loads_n == LOST_LOADS_MAX || x->env->gate.is_stalled) {
        on_lost(x, why, 0);
        return;
    }
    x->lost_loads_n++;
    exchange_lost_backend(x);
    log_event(LOG_INFO, "retry", "id=%s cause=\"its model's load: %s\"", x->deliver.request_id, why);
    exchange_try_again_soon(x);
}

/* Ollama is hung. Whoever has no byte of his answer asks again, once; who has is told. */
void exchange_stalled(void *context, const char *why)
{
    struct exchange *x = context;
    fetch_cancel(&x->relay.fetch);
    if (x->state == EXCHANGE_FETCH) {
        on_lost(x, why, 0);
        return;
    }
    exchange_lost_backend(x);
    exchange_break_off(x, ACCESS_BACKEND_BROKEN, why);
}

const struct exchange_way exchange_way = {exchange_prepare, exchange_leave_map, begin_fetch, on_refused, on_load_lost, exchange_pass_gate, exchange_try_again_soon};
const struct relay_ops exchange_relay_ops = {on_begun, on_room, on_paused, on_end};
