/*
 * See exchange_state.h. A request waits here until what it needs is there: the API, its own model; and a moment, where
 * its last try was refused.
 */
#include "proxy/exchange_state.h"
#include "proxy/json_scan.h"

#include <stdio.h>

enum { PAUSE_MS = 100 }; /* before a refused connection is tried again */

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
    exchange_count_held(x, 1);
    if (!x->hold_until_ms && env->conf->proxy.hold_timeout_ms > 0)
        x->hold_until_ms = loop_now_ms(env->loop) + env->conf->proxy.hold_timeout_ms;
    if (x->hold_until_ms)
        loop_arm(env->loop, &x->timer, x->hold_until_ms);
    env_wait(env);
}

static void obey_gate(struct exchange *x, enum gate_verdict verdict)
{
    char text[CONTRACT_REASON_BYTES + 64];
    const char *reason = x->env->gate.view.reason;
    switch (verdict) {
    case GATE_PASS:
        x->go(x);
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
        exchange_fail_for_now(x, "queue_full", "too many requests are waiting ([proxy] max_queue)");
        return;
    }
}

void exchange_pass_gate(struct exchange *x)
{
    exchange_enter(x, EXCHANGE_GATE);
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
        exchange_fail_for_now(x, "hold_timeout", "what the request needs was not there within [proxy] hold_timeout");
    else if (x->state == EXCHANGE_PAUSE)
        exchange_pass_gate(x);
}

void exchange_try_again_soon(struct exchange *x)
{
    int64_t at_ms = loop_now_ms(x->env->loop) + PAUSE_MS;
    exchange_count_held(x, 1);
    exchange_enter(x, EXCHANGE_PAUSE);
    loop_arm(x->env->loop, &x->timer, x->hold_until_ms && x->hold_until_ms < at_ms ? x->hold_until_ms : at_ms);
}

void exchange_wait_init(struct exchange *x, void (*go)(struct exchange *x))
{
    x->go = go;
    x->ticket = (struct gate_ticket){.model = x->model, .fn = on_gate, .context = x};
    timer_init(&x->timer, on_timer, x);
}
