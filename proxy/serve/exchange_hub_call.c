/* See exchange_hub.h. What such requests have in common: how they wait, and how they end. */
#include "proxy/serve/exchange_hub.h"

#include "proxy/reply.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RETRY_BUSY_S = 5 };

static void on_lease(void *context)
{
    struct exchange *x = context;
    x->hub->go_on(x);
}

static void on_job_begun(void *context)
{
    env_count_activity(context, 1);
}

static void on_job_ended(void *context)
{
    struct env *env = context;
    env_count_activity(env, 0);
    serve_changed(env->serve);
}

int exchange_hub_make(struct exchange *x)
{
    struct env *env = x->env;
    const struct hub_calls_ops ops = {on_job_begun, on_job_ended, env};
    x->hub = calloc(1, sizeof *x->hub);
    if (!x->hub || (!env->hub_calls && hub_calls_new(&env->hub_calls, env->loop, env->channel_fd, &ops) < 0)) {
        exchange_fail(x, 500, NULL, "out of memory");
        return -1;
    }
    x->hub->waiter.context = x->hub->lease.context = x;
    x->hub->lease.fn = on_lease;
    buf_init(&x->hub->pulled, 0);
    buf_init(&x->hub->held, 0);
    return 0;
}

void exchange_hub_wait(struct exchange *x, void (*go_on)(struct exchange *x))
{
    x->hub->go_on = go_on;
    if (x->state == EXCHANGE_HUB)
        return;
    exchange_enter(x, EXCHANGE_HUB);
    exchange_arm(x);
}

void exchange_hub_call(struct exchange *x, const char *request)
{
    serve_leave(x->env->serve, &x->hub->lease);
    switch (hub_calls_ask(x->env->hub_calls, &x->hub->waiter, x->hub->ask.model, request)) {
    case 0:
        exchange_hub_wait(x, NULL);
        return;
    case -EBUSY:
        exchange_fail_until(x, 503, "busy", "too many other models are being pulled: ask again when some of them are there", RETRY_BUSY_S);
        return;
    case -ENOMEM:
        exchange_fail(x, 500, NULL, "out of memory");
        return;
    default:
        exchange_fail(x, 502, "hub_failed", "the job at the hub's cache could not be started: the supervisor does not take it; its log says why");
    }
}

void exchange_hub_answer(struct exchange *x, int error, const struct buf *json)
{
    if (error) {
        exchange_break_off(x, ACCESS_FAILED, "out of memory");
        return;
    }
    if (x->deliver.is_begun) { /* by a heartbeat, or as a stream */
        deliver_body(&x->deliver, buf_data(json), buf_size(json));
        deliver_end(&x->deliver);
    } else {
        reply_json(&x->deliver, 200, buf_data(json), buf_size(json), NULL);
    }
    exchange_finish(x, EXCHANGE_CLEAN);
}

/* A job's word for what is wrong (docs/hub-jobs.md), as a literal: the access log has it when the job is gone. */
static const char *code_of(const char *code)
{
    static const char *const codes[] = {"not_found", "gated", "unauthorized", "forbidden", "no_space", "read_only", "network", "rate_limited",
                                        "mismatch", "bad_name", "bad_file", "busy", "cancelled", "system"};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (strcmp(code, codes[i]) == 0)
            return codes[i];
    return "hub_failed";
}

void exchange_hub_fail(struct exchange *x, const struct hub_job_error *error)
{
    int64_t retry_s = error->retry_after_s ? error->retry_after_s : error->status == 503 ? RETRY_BUSY_S : 0;
    exchange_fail_until(x, error->status, code_of(error->code), error->text, retry_s);
}
