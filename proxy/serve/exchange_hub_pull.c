/*
 * See exchange_hub.h. POST /pull: one object when the model is there (R1.1), or, asked for, lines of progress as Ollama's /api/pull has them. The job goes
 * on when the client leaves.
 */
#include "common/json_read.h"
#include "proxy/json_write.h"
#include "proxy/reply.h"
#include "proxy/serve/exchange_hub.h"

#include <stdio.h>
#include <string.h>

enum { PENDING_BYTES = 64 * 1024 };

static void write_answer(struct exchange *x, int is_loaded)
{
    static const char *const names[] = {"local_path", "preferred_quantized", "size_bytes"};
    const struct exchange_hub *hub = x->hub;
    struct json_walk walk = {buf_data(&hub->pulled), buf_data(&hub->pulled) + buf_size(&hub->pulled)};
    struct json_value v[3];
    struct buf out;
    if (json_read_members(&walk, names, 3, JSON_EXACT, v) < 0)
        memset(v, 0, sizeof v);
    buf_init(&out, 0);
    struct json_write w = json_write_begin(&out);
    json_write_text(&w, hub->ask.is_stream ? "{\"status\":\"success\",\"model\":" : "{\"status\":\"ok\",\"model\":");
    json_write_string(&w, hub->ask.model, strlen(hub->ask.model));
    json_write_text(&w, ",\"cached\":true,\"backend\":{\"local_path\":");
    json_write_value(&w, &v[0]);
    json_write_member(&w, names[1], &v[1]);
    json_write_member(&w, names[2], &v[2]);
    json_write_text(&w, is_loaded ? "},\"loaded\":true}\n" : "}}\n");
    exchange_hub_answer(x, json_write_end(&w), &out);
    buf_fini(&out);
}

static void tell_lines(struct exchange *x, const char *lines, size_t lines_n)
{
    struct deliver *d = &x->deliver;
    if (!d->is_begun && reply_begin(d, "application/x-ndjson") < 0)
        return; /* the connection ends */
    deliver_body(d, lines, lines_n);
    deliver_flush(d);
}

/* The first line is sent with the second one: most pulls that can't be are refused by then, with a status that says so. */
static void tell(struct exchange *x, const char *json, size_t json_n)
{
    const struct deliver_sink *sink = x->deliver.sink;
    struct buf *held = &x->hub->held;
    int is_first = !x->deliver.is_begun && buf_size(held) == 0;
    if (sink->pending_bytes(sink->context) > PENDING_BYTES)
        return; /* it is slow: another line of progress will come */
    if (buf_append(held, json, json_n) < 0 || buf_append(held, "\n", 1) < 0 || is_first)
        return;
    tell_lines(x, buf_data(held), buf_size(held));
    buf_consume(held, buf_size(held));
}

/* What the job says at its end is told otherwise. */
static void on_line(void *context, const char *json, size_t json_n)
{
    static const char *const names[] = {"status", "error"};
    struct exchange *x = context;
    struct json_walk walk = {json, json + json_n};
    struct json_value v[2];
    if (x->hub->ask.is_stream && json_read_members(&walk, names, 2, JSON_EXACT, v) == 0 && v[0].kind == JSON_STRING && v[1].kind == JSON_NULL &&
        !json_read_is(&v[0], "success"))
        tell(x, json, json_n);
}

static void fail_load(struct exchange *x)
{
    const struct serve_lease *lease = &x->hub->lease;
    char text[SERVE_WHY_BYTES + 100];
    snprintf(text, sizeof text, "it was pulled, but could not be loaded: %s", lease->why);
    exchange_fail_until(x, 503, "load_failed", text, lease->retry_s);
}

/* `init`: it is pulled, and is to be loaded. */
static void load(struct exchange *x)
{
    struct exchange_hub *hub = x->hub;
    switch (serve_want(x->env->serve, &hub->lease, hub->ask.model)) {
    case SERVE_READY:
        write_answer(x, 1);
        return;
    case SERVE_WAIT:
        return;
    case SERVE_FAILED:
        fail_load(x);
        return;
    case SERVE_NOT_OURS:
        exchange_fail(x, 503, "load_failed", "it was pulled, but is not in the cache any more: somebody has removed it");
    }
}

/* The shelf has it when it has been read again: once, as who is told that its model is READY, and waits for a list then, may lose it to others. */
static void find_and_load(struct exchange *x)
{
    if (!serve_refresh(x->env->serve, &x->hub->lease))
        return;
    exchange_hub_wait(x, load);
    load(x);
}

static void on_end(void *context, const struct hub_job_error *error, const char *last, size_t last_n)
{
    static const char loading[] = "{\"status\":\"loading\"}";
    struct exchange *x = context;
    if (error) {
        exchange_hub_fail(x, error);
        return;
    }
    if (buf_size(&x->hub->held) > 0)
        tell_lines(x, buf_data(&x->hub->held), buf_size(&x->hub->held));
    if (buf_append(&x->hub->pulled, last, last_n) < 0) {
        exchange_break_off(x, ACCESS_FAILED, "out of memory");
    } else if (x->hub->ask.init) {
        if (x->hub->ask.is_stream)
            tell_lines(x, loading, sizeof loading - 1), tell_lines(x, "\n", 1);
        exchange_hub_wait(x, find_and_load);
        find_and_load(x);
    } else {
        write_answer(x, 0);
    }
}

void exchange_hub_pull(struct exchange *x)
{
    struct exchange_hub *hub = x->hub;
    char why[PULL_ASK_WHY_BYTES];
    if (pull_ask_read(&hub->ask, buf_data(&x->body), buf_size(&x->body), why) < 0) {
        exchange_fail(x, 400, "invalid_request", why);
        return;
    }
    snprintf(x->ask.model, sizeof x->ask.model, "%s", hub->ask.model);
    hub->waiter.on_line = on_line;
    hub->waiter.on_end = on_end;
    exchange_drop_body(x);
    exchange_expect_answer(x);
    exchange_hub_call(x, hub->ask.request);
}
