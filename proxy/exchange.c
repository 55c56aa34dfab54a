/*
 * See exchange.h. Brings the rooms together: admit, gate, fetch, deliver. It knows neither the client's
 * socket nor the backend's. Until the first byte of an answer has come, a request may be sent again, as its body
 * is held; from then on it is relayed to the end, or ended with an error that can be seen as one. Whatever ends
 * it goes through finish(), once.
 */
#include "proxy/exchange.h"

#include "proxy/admit.h"
#include "proxy/check.h"
#include "proxy/json_scan.h"
#include "proxy/relay.h"
#include "proxy/reply.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PAUSE_MS = 100,            /* before a refused connection is tried again */
    REFUSED_LIMIT_MS = 5000,   /* a backend that is said to be ready may refuse so long */
    RETRIES_MAX = 1,
    RETRY_AFTER_S = 5,
};

static const char shutting_down[] = "the server is shutting down";

enum exchange_state {
    EXCHANGE_BODY,
    EXCHANGE_GATE,
    EXCHANGE_PAUSE,
    EXCHANGE_FETCH,
    EXCHANGE_RELAY,
    EXCHANGE_CHECK,
    EXCHANGE_END,
    EXCHANGE_STATE_COUNT
};

static const char *const state_names[] = {"body", "gate", "pause", "fetch", "relay", "check", "end"};
_Static_assert(sizeof state_names / sizeof *state_names == EXCHANGE_STATE_COUNT, "a name for each state");

struct exchange {
    struct env *env;
    const struct message *request;
    const struct exchange_sink *sink;
    enum exchange_state state;
    struct admission admission;
    struct deliver deliver;
    struct buf body; /* held */
    struct gate_ticket ticket;
    char model[CONTRACT_NAME_BYTES];
    struct relay relay;
    struct timer timer;        /* hold or pause */
    int64_t hold_until_ms;     /* 0: without limit */
    int64_t refused_since_ms;  /* 0: connections are not refused */
    unsigned retries_n;
    int is_fresh_needed;       /* a kept connection has failed us */
    int is_counted;            /* in in_flight_n */
    int is_held;               /* in held_n */
    int is_body_complete;
    struct check *check;       /* owned; NULL where the backend answers */
};

static void pass_gate(struct exchange *x);
static void on_timer(void *context, int64_t now_ms);
static void on_gate(void *context, enum gate_verdict verdict);
static const struct relay_ops relay_ops;

static void enter(struct exchange *x, enum exchange_state state)
{
    if (log_is_on(LOG_DEBUG))
        log_event(LOG_DEBUG, "exchange", "id=%s from=%s to=%s", x->deliver.request_id, state_names[x->state],
                  state_names[state]);
    x->state = state;
}

static void count_activity(struct exchange *x, int is_under_way)
{
    const struct route *route = x->admission.route;
    if (!route || !route->is_activity || x->request->method == METHOD_OPTIONS || x->is_counted == is_under_way)
        return;
    x->is_counted = is_under_way;
    env_count_activity(x->env, is_under_way);
}

static void count_held(struct exchange *x, int is_held)
{
    if (x->is_held == is_held)
        return;
    x->is_held = is_held;
    env_count_held(x->env, is_held);
}

static int is_streamed(const struct exchange *x)
{
    return admit_is_streamed(&x->admission, x->request);
}

/* Leaves every place where something could still come from. */
static void let_go(struct exchange *x)
{
    gate_leave(&x->env->gate, &x->ticket);
    loop_disarm(x->env->loop, &x->timer);
    fetch_cancel(&x->relay.fetch);
    if (x->check)
        check_fini(x->check);
    count_held(x, 0);
    count_activity(x, 0);
}

static void finish(struct exchange *x, enum exchange_end end)
{
    let_go(x);
    buf_release(&x->body);
    enter(x, EXCHANGE_END);
    x->sink->done(x->sink->deliver.context, end);
}

static void fail_with(struct exchange *x, int status, const char *code, const char *text, const char *lines)
{
    log_event(status >= 500 ? LOG_WARNING : LOG_DEBUG, "refused", "id=%s status=%d reason=\"%s\"",
              x->deliver.request_id, status, text);
    reply_error(&x->deliver, x->admission.dialect, status, code, text, lines);
    finish(x, EXCHANGE_CLEAN);
}

static void fail(struct exchange *x, int status, const char *code, const char *text)
{
    fail_with(x, status, code, text, NULL);
}

static void fail_for_now(struct exchange *x, const char *code, const char *text)
{
    char lines[48];
    snprintf(lines, sizeof lines, "Retry-After: %d\r\n", RETRY_AFTER_S);
    fail_with(x, 503, code, text, lines);
}

/* ---- from the head to the gate ---- */

/* CORS is answered here where the origin is not one of Ollama's own. */
static int is_cors_ours(const struct exchange *x)
{
    return x->admission.trust.origin == TRUST_ORIGIN_OURS;
}

static void answer_preflight(struct exchange *x)
{
    if (admit_preflight_lines(&x->admission, x->request, &x->deliver.extra) < 0)
        fail(x, 500, NULL, "out of memory");
    else {
        reply_empty(&x->deliver, 204, NULL);
        finish(x, EXCHANGE_CLEAN);
    }
}

static void on_checked(void *context)
{
    finish(context, EXCHANGE_CLEAN);
}

static void check(struct exchange *x)
{
    const struct env *env = x->env;
    struct check_facts facts = {.page = env->page, .line = env->line, .is_draining = env->is_draining};
    facts.is_backend_ours = env->conf->is_backend_ours;
    facts.uptime_ms = loop_now_ms(env->loop) - env->started_at_ms;
    x->check = calloc(1, sizeof *x->check);
    if (!x->check) {
        fail(x, 500, NULL, "out of memory");
        return;
    }
    enter(x, EXCHANGE_CHECK);
    check_start(x->check, x->admission.route->kind, &facts, env->backend, &x->deliver, on_checked, x);
}

static void start(struct exchange *x, const struct sockaddr_storage *peer)
{
    struct admission *a = &x->admission;
    atomic_fetch_add(&x->env->line->requests_n, 1);
    admit(&x->env->trust, x->request, peer, x->env->conf->proxy.max_body_bytes, a);
    if (admit_cors_lines(a, x->request, &x->deliver.extra) < 0) {
        fail(x, 500, NULL, "out of memory");
        return;
    }
    if (a->status) {
        fail_with(x, a->status, a->code, a->text, a->lines);
        return;
    }
    if (a->route->kind != ROUTE_BACKEND) {
        check(x);
        return;
    }
    if (x->request->method == METHOD_OPTIONS && is_cors_ours(x)) {
        answer_preflight(x);
        return;
    }
    count_activity(x, 1);
    if (is_streamed(x))
        pass_gate(x);
}

int exchange_new(struct exchange **out, struct env *env, const struct message *request,
                 const struct sockaddr_storage *peer, const struct exchange_sink *sink)
{
    struct exchange *x = calloc(1, sizeof *x);
    if (!x)
        return -ENOMEM;
    x->env = env;
    x->request = request;
    x->sink = sink;
    x->ticket = (struct gate_ticket){.model = x->model, .fn = on_gate, .context = x};
    deliver_init(&x->deliver, &sink->deliver, request->minor, request->method == METHOD_HEAD);
    buf_init(&x->body, (size_t)env->conf->proxy.max_body_bytes);
    timer_init(&x->timer, on_timer, x);
    relay_init(&x->relay, env->backend, &x->deliver, env->line, &relay_ops, x);
    admit_id(request, env->next_id++, x->deliver.request_id);
    *out = x;
    start(x, peer);
    return 0;
}

void exchange_free(struct exchange **x)
{
    if (!*x)
        return;
    let_go(*x);
    relay_fini(&(*x)->relay);
    deliver_fini(&(*x)->deliver);
    buf_fini(&(*x)->body);
    free((*x)->check);
    free(*x);
    *x = NULL;
}

int exchange_wants_body(const struct exchange *x)
{
    if (x->state == EXCHANGE_END)
        return 1;
    if (!is_streamed(x))
        return x->state == EXCHANGE_BODY;
    return (x->state == EXCHANGE_FETCH || x->state == EXCHANGE_RELAY) && !fetch_is_full(&x->relay.fetch);
}

void exchange_body(struct exchange *x, const char *bytes, size_t bytes_n)
{
    if (x->state == EXCHANGE_END)
        return;
    int error = is_streamed(x) ? fetch_send(&x->relay.fetch, bytes, bytes_n)
                : x->state == EXCHANGE_BODY ? buf_append(&x->body, bytes, bytes_n) : 0;
    if (error == -EFBIG)
        fail(x, 413, "body_too_large", "the body is larger than [proxy] max_body");
    else if (error)
        exchange_abort(x, "out of memory");
}

void exchange_body_end(struct exchange *x)
{
    x->is_body_complete = 1;
    if (x->state == EXCHANGE_BODY)
        pass_gate(x);
    else if (is_streamed(x) && fetch_send_end(&x->relay.fetch) < 0)
        exchange_abort(x, "out of memory");
}

/* ---- the gate ---- */

static void find_model(struct exchange *x)
{
    x->ticket.needs_model = x->admission.route->needs_model && x->request->method != METHOD_OPTIONS;
    x->model[0] = '\0';
    if (!x->ticket.needs_model || !gate_asks_model(&x->env->gate.view))
        return;
    if (json_scan_string(buf_data(&x->body), buf_size(&x->body), "model", x->model, sizeof x->model) < 0)
        x->model[0] = '\0'; /* the backend will say what is wrong with it */
}

static void wait_at_gate(struct exchange *x)
{
    struct env *env = x->env;
    count_held(x, 1);
    if (!x->hold_until_ms && env->conf->proxy.hold_timeout_ms > 0)
        x->hold_until_ms = loop_now_ms(env->loop) + env->conf->proxy.hold_timeout_ms;
    if (x->hold_until_ms)
        loop_arm(env->loop, &x->timer, x->hold_until_ms);
    env_wait(env);
}

static void begin_fetch(struct exchange *x);

static void obey_gate(struct exchange *x, enum gate_verdict verdict)
{
    char text[CONTRACT_REASON_BYTES + 64];
    const char *reason = x->env->gate.view.reason;
    switch (verdict) {
    case GATE_PASS:
        begin_fetch(x);
        return;
    case GATE_WAIT_API:
    case GATE_WAIT_MODEL:
        wait_at_gate(x);
        return;
    case GATE_FAILED:
        snprintf(text, sizeof text, "ollama has failed: %s", *reason ? reason : "see the log");
        fail_for_now(x, "backend_failed", text);
        return;
    case GATE_STOPPING:
        fail_for_now(x, "stopping", shutting_down);
        return;
    case GATE_FULL:
        fail_for_now(x, "queue_full", "too many requests are waiting ([proxy] max_queue)");
        return;
    }
}

static void pass_gate(struct exchange *x)
{
    enter(x, EXCHANGE_GATE);
    gate_refresh(&x->env->gate);
    find_model(x);
    obey_gate(x, gate_enter(&x->env->gate, &x->ticket));
}

static void on_gate(void *context, enum gate_verdict verdict)
{
    obey_gate(context, verdict);
}

static void on_timer(void *context, int64_t now_ms)
{
    struct exchange *x = context;
    if (x->hold_until_ms && now_ms >= x->hold_until_ms)
        fail_for_now(x, "hold_timeout", "what the request needs was not there within [proxy] hold_timeout");
    else if (x->state == EXCHANGE_PAUSE)
        pass_gate(x);
}

/* ---- the backend ---- */

static void try_again_soon(struct exchange *x)
{
    int64_t at_ms = loop_now_ms(x->env->loop) + PAUSE_MS;
    count_held(x, 1);
    enter(x, EXCHANGE_PAUSE);
    loop_arm(x->env->loop, &x->timer, x->hold_until_ms && x->hold_until_ms < at_ms ? x->hold_until_ms : at_ms);
}

static void fail_backend(struct exchange *x, const char *what, const char *why)
{
    char text[320];
    snprintf(text, sizeof text, "the backend at %s %s: %s", x->env->backend->host, what, why);
    fail(x, 502, "backend_error", text);
}

static int is_said_ready(const struct exchange *x)
{
    const struct gate_view *view = &x->env->gate.view;
    gate_refresh(&x->env->gate);
    return !view->is_api_watched || view->ollama == CONTRACT_READY;
}

/* No connection. Nothing was sent, so it may be tried again for as long as there is hope: where the supervisor runs
 * the backend, until it has noticed that it is gone; elsewhere once. */
static void on_refused(struct exchange *x, const char *why)
{
    int64_t now_ms = loop_now_ms(x->env->loop);
    if (!is_said_ready(x)) {
        x->refused_since_ms = 0;
        pass_gate(x);
        return;
    }
    if (!x->refused_since_ms)
        x->refused_since_ms = now_ms;
    else if (!x->env->gate.view.is_api_watched || now_ms - x->refused_since_ms >= REFUSED_LIMIT_MS) {
        fail_backend(x, "takes no connection", why);
        return;
    }
    try_again_soon(x);
}

static void begin_fetch(struct exchange *x)
{
    struct relay_request request = {.request = x->request, .is_fresh = x->is_fresh_needed || is_streamed(x)};
    char why[128];
    count_held(x, 0);
    loop_disarm(x->env->loop, &x->timer);
    request.body = is_streamed(x) ? NULL : &x->body;
    request.is_cors_ours = is_cors_ours(x);
    enter(x, EXCHANGE_FETCH);
    if (relay_start(&x->relay, &request, why, sizeof why) < 0)
        on_refused(x, why);
    else if (is_streamed(x) && x->is_body_complete && fetch_send_end(&x->relay.fetch) < 0)
        exchange_abort(x, "out of memory");
    else if (is_streamed(x))
        x->sink->body_wanted(x->sink->deliver.context);
}

static void on_begun(void *context)
{
    struct exchange *x = context;
    enter(x, EXCHANGE_RELAY);
    if (fetch_is_sent(&x->relay.fetch))
        buf_release(&x->body); /* it can't be sent again from here on */
}

static void on_room(void *context)
{
    struct exchange *x = context;
    if (is_streamed(x))
        x->sink->body_wanted(x->sink->deliver.context);
}

/* No byte of an answer has come: the request may be sent again where its body is still held. */
static void on_lost(struct exchange *x, const char *why)
{
    int is_held = x->relay.fetch.sent_body_bytes == 0;
    x->hold_until_ms = x->refused_since_ms = 0; /* what was waited for came; it is waited for anew */
    if (is_held && x->relay.fetch.is_reused && !x->is_fresh_needed) {
        x->is_fresh_needed = 1; /* it was closed while it was kept: as good as never tried */
        pass_gate(x);
    } else if (is_held && x->retries_n < RETRIES_MAX) {
        x->retries_n++;
        x->is_fresh_needed = 1;
        log_event(LOG_INFO, "retry", "id=%s cause=\"%s\"", x->deliver.request_id, why);
        try_again_soon(x);
    } else {
        fail_backend(x, "did not answer", why);
    }
}

static void on_broken(struct exchange *x, const char *what, const char *why)
{
    char text[320];
    if (x->state == EXCHANGE_FETCH) {
        fail_backend(x, what, why);
        return;
    }
    snprintf(text, sizeof text, "the backend %s: %s", what, why);
    exchange_abort(x, text);
}

static void on_end(void *context, enum fetch_end end, const char *why)
{
    struct exchange *x = context;
    switch (end) {
    case FETCH_DONE:
        finish(x, EXCHANGE_CLEAN);
        return;
    case FETCH_REFUSED:
        on_refused(x, why);
        return;
    case FETCH_LOST:
        on_lost(x, why);
        return;
    case FETCH_BROKEN:
        on_broken(x, "broke off in the middle of its answer", why);
        return;
    case FETCH_GARBAGE:
        on_broken(x, "sent what can't be relayed", why);
        return;
    }
}

static const struct relay_ops relay_ops = {on_begun, on_room, on_end};

void exchange_drained(struct exchange *x)
{
    if (x->state == EXCHANGE_RELAY)
        relay_drained(&x->relay);
}

void exchange_abort(struct exchange *x, const char *text)
{
    if (x->state == EXCHANGE_END)
        return;
    if (!x->deliver.is_begun) {
        fail_for_now(x, "aborted", text);
        return;
    }
    log_event(LOG_WARNING, "answer_broken", "id=%s bytes=%llu reason=\"%s\"", x->deliver.request_id,
              (unsigned long long)x->deliver.body_bytes, text);
    reply_break(&x->deliver, x->relay.stream, x->admission.dialect, text);
    finish(x, EXCHANGE_BROKEN);
}

int exchange_is_begun(const struct exchange *x)
{
    return x->deliver.is_begun;
}

int exchange_is_kept(const struct exchange *x)
{
    return x->deliver.is_kept;
}

enum deliver_framing exchange_framing(const struct exchange *x)
{
    return x->deliver.framing;
}
