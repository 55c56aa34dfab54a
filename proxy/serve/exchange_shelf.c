/* See exchange_serve.h. The models of the hub's cache in the lists that other APIs have. */
#include "proxy/exchange_engine.h"
#include "proxy/exchange_serve.h"
#include "proxy/reply.h"
#include "proxy/serve/serve_lists.h"

#include <stdio.h>
#include <stdlib.h>

/* 1: as fresh as it can be; 0: it waits, in EXCHANGE_CHOOSE; -1: nobody serves models. */
static int refresh(struct exchange *x, void (*look_again)(void *context), int (*refresh_it)(struct serve *, struct serve_lease *))
{
    if (!x->env->serve)
        return -1;
    if (!x->engine) /* its lease is what waits; without one what is known has to do */
        x->engine = calloc(1, sizeof *x->engine);
    if (!x->engine)
        return 1;
    x->engine->lease.context = x;
    x->engine->lease.fn = look_again;
    if (refresh_it(x->env->serve, &x->engine->lease)) {
        exchange_leave_engine(x);
        free(x->engine);
        x->engine = NULL;
        return 1;
    }
    if (x->state != EXCHANGE_CHOOSE)
        exchange_enter(x, EXCHANGE_CHOOSE);
    return 0;
}

int exchange_refresh_shelf(struct exchange *x, void (*look_again)(void *context))
{
    return refresh(x, look_again, serve_refresh);
}

int exchange_refresh_gpus(struct exchange *x, void (*look_again)(void *context))
{
    return refresh(x, look_again, serve_refresh_gpus);
}

int exchange_next_shelved(const struct exchange *x, size_t nth, struct upstream_model *out)
{
    const struct shelf_model *m = x->env->serve ? shelf_at(serve_shelf(x->env->serve), nth) : NULL;
    if (m)
        *out = serve_lists_model(m);
    return m != NULL;
}

int exchange_find_shelved(const struct exchange *x, struct upstream_model *out)
{
    const struct shelf_model *m = x->env->serve ? shelf_find(serve_shelf(x->env->serve), x->ask.model) : NULL;
    if (m)
        *out = serve_lists_model(m);
    return m != NULL;
}

void exchange_fail_unshelved(struct exchange *x, const char *model)
{
    char text[SERVE_WHY_BYTES + CONTRACT_NAME_BYTES + 128];
    const char *why = serve_list_why(x->env->serve);
    snprintf(text, sizeof text, "Model '%s' not available locally. Use the /pull endpoint%s%s", model, *why ? "; its cache can't be looked into: " : "", why);
    exchange_fail(x, 404, "model_not_found", text);
}

int exchange_write_served(const struct exchange *x, struct buf *out)
{
    static const char end[] = "}\n";
    if (!x->env->serve)
        return 0;
    buf_truncate(out, buf_size(out) - (sizeof end - 1));
    int error = buf_text(out, ",");
    error = error ? error : serve_write(x->env->serve, exchange_key_models(x), out);
    return error ? error : buf_text(out, end);
}

int exchange_answer_ps(struct exchange *x)
{
    struct buf out;
    if (!x->env->serve)
        return 0;
    buf_init(&out, 0);
    if (serve_lists_write_ps(x->env->serve, "{\"models\":[]}", 13, sys_realtime_ms() / 1000, &out) < 0) {
        exchange_fail(x, 500, NULL, "out of memory");
    } else {
        reply_bytes(&x->deliver, 200, "application/json; charset=utf-8", buf_data(&out), buf_size(&out), NULL);
        exchange_finish(x, EXCHANGE_CLEAN);
    }
    buf_fini(&out);
    return 1;
}

const struct translate_ops *exchange_ps_ops(const struct exchange *x, const struct translate_models **loaded)
{
    if (!x->env->serve)
        return NULL;
    *loaded = serve_loaded(x->env->serve);
    return &serve_ps_ops;
}
