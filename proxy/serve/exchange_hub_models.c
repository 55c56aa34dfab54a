/* See exchange_hub.h. GET /models, the models that are in the cache (R1.4), and DELETE /models/NAME, which removes one. */
#include "common/json_read.h"
#include "common/parse.h"
#include "proxy/json_write.h"
#include "proxy/serve/exchange_hub.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { LIST_BYTES = 4 << 20, REQUEST_BYTES = CONTRACT_NAME_BYTES + 40 };

/* "" is what nobody knows. */
static void write_known(struct json_write *w, const char *before, const char *text)
{
    json_write_named_text(w, before, *text ? text : NULL);
}

/* What runs is told as it runs; else as it did last. */
static void write_model(struct json_write *w, const struct serve *s, const struct shelf_model *m)
{
    struct serve_running running;
    int is_running = serve_running(s, m->name, &running);
    json_write_named_text(w, "{\"model\":", m->name);
    write_known(w, ",\"description\":", m->description);
    json_write_named_bool(w, ",\"loaded\":", is_running && running.is_ready);
    write_known(w, ",\"backend\":", is_running ? running.engine : m->backend);
    json_write_named_number(w, ",\"size_bytes\":", m->size_bytes);
    json_write_named_number(w, ",\"load_duration\":", is_running && running.load_ns > 0 ? running.load_ns : m->load_ns);
    json_write_text(w, "}");
}

static void list(struct exchange *x)
{
    const struct serve *s = x->env->serve;
    const struct shelf_model *m;
    struct buf out;
    if (!serve_refresh(x->env->serve, &x->hub->lease))
        return;
    if (!shelf_at(serve_shelf(s), 0) && *serve_list_why(s)) {
        exchange_fail_for_now(x, "list_failed", serve_list_why(s));
        return;
    }
    buf_init(&out, LIST_BYTES);
    struct json_write w = json_write_begin(&out);
    json_write_text(&w, "{\"models\":[");
    for (size_t i = 0; (m = shelf_at(serve_shelf(s), i)) != NULL; i++) {
        json_write_text(&w, i ? "," : "");
        write_model(&w, s, m);
    }
    json_write_text(&w, "]}\n");
    exchange_hub_answer(x, json_write_end(&w), &out);
    buf_fini(&out);
}

void exchange_hub_models(struct exchange *x)
{
    exchange_hub_wait(x, list);
    list(x);
}

static void on_line(void *context, const char *json, size_t json_n)
{
    (void)context;
    (void)json;
    (void)json_n;
}

static void on_removed(void *context, const struct hub_job_error *error, const char *last, size_t last_n)
{
    static const char *const names[] = {"freed_bytes"};
    struct exchange *x = context;
    struct json_walk walk = {last, last + last_n};
    struct json_value freed;
    struct buf out;
    if (error && error->status == 404) {
        exchange_fail_unshelved(x, x->hub->ask.model);
        return;
    }
    if (error) {
        exchange_hub_fail(x, error);
        return;
    }
    if (json_read_members(&walk, names, 1, JSON_EXACT, &freed) < 0)
        freed = (struct json_value){.kind = JSON_NULL};
    buf_init(&out, 0);
    struct json_write w = json_write_begin(&out);
    json_write_named_text(&w, "{\"status\":\"ok\",\"model\":", x->hub->ask.model);
    json_write_member(&w, "freed_bytes", &freed);
    json_write_text(&w, "}\n");
    exchange_hub_answer(x, json_write_end(&w), &out);
    buf_fini(&out);
}

static void fail_used(struct exchange *x, const char *why)
{
    char text[CONTRACT_NAME_BYTES + 100];
    snprintf(text, sizeof text, "Model '%s' can't be removed now: %s", x->hub->ask.model, why);
    exchange_fail(x, 409, "model_in_use", text);
}

/* One that runs, and that nobody uses, is stopped first: its files are not taken from it before it knows. What is not on the shelf may be there in part:
 * a pull that was interrupted has left it. */
static void remove_model(struct exchange *x)
{
    struct exchange_hub *hub = x->hub;
    const struct shelf_model *model;
    char request[REQUEST_BYTES];
    if (!serve_refresh(x->env->serve, &hub->lease))
        return;
    model = shelf_find(serve_shelf(x->env->serve), hub->ask.model);
    if (model) /* it may have been written in another case */
        snprintf(hub->ask.model, sizeof hub->ask.model, "%s", model->name);
    if (hub_calls_has(x->env->hub_calls, hub->ask.model)) {
        fail_used(x, "it is being pulled, or removed");
    } else if (serve_stop(x->env->serve, hub->ask.model) == -EBUSY) {
        fail_used(x, "it is answering, or being loaded for who waits for it");
    } else {
        snprintf(request, sizeof request, "{\"do\":\"remove\",\"model\":\"%s\"}", hub->ask.model);
        exchange_hub_call(x, request);
    }
}

void exchange_hub_remove(struct exchange *x)
{
    struct exchange_hub *hub = x->hub;
    char name[2 * CONTRACT_NAME_BYTES], why[PARSE_WHY_BYTES];
    if (exchange_read_path(x, name, sizeof name) < 0) {
        exchange_fail(x, 400, "invalid_request", "the model's name in the path is none: it is too long, or has what no name has");
    } else if (pull_ask_name(name, hub->ask.model, why) < 0) {
        exchange_fail(x, 400, "invalid_request", why);
    } else {
        snprintf(x->ask.model, sizeof x->ask.model, "%s", hub->ask.model);
        hub->waiter.on_line = on_line;
        hub->waiter.on_end = on_removed;
        exchange_hub_wait(x, remove_model);
        remove_model(x);
    }
}
