/* See exchange_engine.h. */
#include "proxy/exchange_engine.h"

#include "proxy/exchange_serve.h"
#include "proxy/ollama_turn.h"
#include "proxy/splice_body.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_BYTES = SERVE_WHY_BYTES + 48 };

static void drop(struct exchange *x)
{
    exchange_leave_engine(x);
    free(x->engine);
    x->engine = NULL;
}

static void fail_load(struct exchange *x)
{
    const struct serve_lease *lease = &x->engine->lease;
    char text[TEXT_BYTES], again[48] = "";
    if (lease->retry_s > 0)
        snprintf(again, sizeof again, "; it is tried again in %lld s", (long long)lease->retry_s);
    snprintf(text, sizeof text, "%s%s", lease->why, again);
    exchange_fail_until(x, 503, lease->retry_s > 0 ? "load_cooldown" : "load_failed", text, lease->retry_s);
}

/* The client may have written it in another case, or with `:latest` behind it: its engine knows it by one name alone. 0, or -1: it has ended. */
static int put_name(struct exchange *x, const char *name)
{
    struct json_edit edit = {0, "model", NULL, JSON_SET};
    struct json_edits all = {.items = &edit, .items_n = 1};
    struct buf json;
    if (strcmp(x->ask.model, name) == 0)
        return 0;
    buf_init(&json, 0);
    int error = buf_json_string(&json, name, strlen(name));
    error = error ? error : buf_append(&json, "", 1);
    edit.value = buf_data(&json);
    error = error ? error : splice_body(&x->body, &all);
    buf_fini(&json);
    if (error == -E2BIG)
        exchange_fail(x, 400, "too_many_names", "the body names its model again and again");
    else if (error)
        exchange_break_off(x, ACCESS_FAILED, "out of memory");
    return error ? -1 : 0;
}

static int use(struct exchange *x, const struct shelf_model *model)
{
    struct exchange_engine *e = x->engine;
    memcpy(e->asked, x->ask.model, sizeof e->asked);
    snprintf(e->model, sizeof e->model, "%s", model->name);
    if (put_name(x, e->model) < 0)
        return 0;
    snprintf(x->ask.model, sizeof x->ask.model, "%s", e->model);
    e->upstream = (struct upstream){.api = BACKEND_API_OPENAI, .path = "", .why = "", .is_hosted = 1};
    x->upstream = &e->upstream;
    if (!model->has_chat_template)
        x->answer.translation.lacks |= TRANSLATE_TEMPLATE;
    return 1;
}

static int is_others(const struct exchange *x)
{
    const struct upstream *upstream = NULL;
    return x->env->upstreams && upstreams_choose(x->env->upstreams, NULL, x->ask.model, &upstream) && upstream;
}

/* What Ollama lists is not waited for: it goes there where the cache, as it is known, does not have it. */
static int is_ollamas(const struct exchange *x)
{
    return x->admission.route->kind != ROUTE_SERVE && !x->env->conf->is_alone && upstreams_is_ollamas(x->env->upstreams, x->ask.model);
}

static int find(struct exchange *x, void (*look_again)(void *context))
{
    const struct shelf_model *found = NULL;
    struct exchange_engine *e = x->engine;
    if (!e) {
        x->engine = e = calloc(1, sizeof *e);
        if (!e) {
            exchange_fail(x, 500, NULL, "out of memory");
            return 0;
        }
        e->lease.context = x;
    }
    e->lease.fn = look_again;
    if (!serve_find(x->env->serve, is_ollamas(x) ? NULL : &e->lease, x->ask.model, &found)) {
        if (x->state != EXCHANGE_CHOOSE)
            exchange_enter(x, EXCHANGE_CHOOSE);
        return 0;
    }
    if (found)
        return use(x, found);
    drop(x);
    if (x->admission.route->kind != ROUTE_SERVE && !x->env->conf->is_alone)
        return -1;
    exchange_fail_unshelved(x, x->ask.model);
    return 0;
}

int exchange_choose_engine(struct exchange *x, void (*look_again)(void *context))
{
    const struct route *route = x->admission.route;
    if (!x->env->serve)
        return -1;
    if (ask_read(&x->ask, buf_data(&x->body), buf_size(&x->body)) == 0 && x->ask.model[0])
        return is_others(x) ? -1 : find(x, look_again);
    if (route->kind != ROUTE_SERVE && !x->env->conf->is_alone)
        return -1; /* Ollama, or its translator, will say what is wrong with it */
    exchange_fail(x, 400, "invalid_request", "it names no model: the body must be an object of JSON whose \"model\" is the name of one; GET /models lists those that are here");
    return 0;
}

static int wait_for_it(struct exchange *x)
{
    struct exchange_engine *e = x->engine;
    struct waiting *waiting = &x->env->waiting;
    if (!e->is_waiting && !x->ticket.is_accepted && waiting_is_full(waiting)) {
        exchange_fail_full(x, 0);
        return -1;
    }
    if (!e->is_waiting)
        waiting->now_n++;
    e->is_waiting = 1;
    return 0;
}

/* There is another answer by now. */
static void on_change(void *context)
{
    struct exchange *x = context;
    x->way->again(x);
}

/* Its answer begins to be made now: what is behind was the load, and is told as that. */
static int take(struct exchange *x)
{
    struct exchange_engine *e = x->engine;
    struct translation *t = &x->answer.translation;
    exchange_end_wait(x);
    e->upstream = *e->lease.upstream;
    snprintf(e->engine, sizeof e->engine, "%s", e->upstream.name);
    e->upstream.name = e->engine;
    x->relay.fetch.backend = e->upstream.backend;
    t->load_ms = x->load_ms;
    if (t->turn)
        t->turn->asked_ms = loop_now_ms(x->env->loop);
    exchange_tell_times(x);
    return 1;
}

int exchange_take_engine(struct exchange *x)
{
    struct exchange_engine *e = x->engine;
    if (e->upstream.backend && serve_holds(&e->lease))
        return 1;
    exchange_leave_gone(x);
    e->lease.fn = on_change;
    switch (serve_want(x->env->serve, &e->lease, e->model)) {
    case SERVE_READY:
        return take(x);
    case SERVE_WAIT:
        return wait_for_it(x);
    case SERVE_FAILED:
        fail_load(x);
        return -1;
    case SERVE_NOT_OURS:
        exchange_fail_unshelved(x, x->ask.model);
        return -1;
    }
    return -1;
}
