/* See exchange_fleet.h. POST /sidecar/models/unload before several Ollamas. It takes no slot; who leaves ends what is under way. */
#include "proxy/balance/unload.h"
#include "proxy/exchange_fleet.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static void fail(struct exchange *x, int error)
{
    char text[CONTRACT_NAME_BYTES + 120];
    switch (error) {
    case -ENOENT:
        snprintf(text, sizeof text, "model \"%s\" not found: none of the backends that are meant has it", x->ask.model);
        exchange_fail(x, 404, "model_not_found", text);
        return;
    case -EHOSTDOWN:
        exchange_fail_for_now(x, "backend_failed", "no backend that has this model answers: see GET /status");
        return;
    default:
        exchange_fail(x, 500, NULL, "out of memory");
    }
}

static void on_unloaded(void *context, int status, const char *why)
{
    struct exchange *x = context;
    if (status == 200)
        x->fleet->unloaded(x);
    else if (status == 404)
        fail(x, -ENOENT);
    else
        exchange_fail(x, status, "backend_error", why);
}

void exchange_unload_everywhere(struct exchange *x, void (*done)(struct exchange *x))
{
    struct unload_of of = {.all = fleet_members(x->env->fleet), .tell = &x->env->tell, .model = x->ask.model, .body = &x->body, .now_ms = loop_now_ms(x->env->loop)};
    x->fleet = x->fleet ? x->fleet : calloc(1, sizeof *x->fleet);
    if (!x->fleet) {
        fail(x, -ENOMEM);
        return;
    }
    (void)exchange_named_backend(x, &of.backend, &of.backend_n);
    x->fleet->unloaded = done;
    int error = unload_new(&x->fleet->unload, &of, on_unloaded, x);
    if (error) {
        fail(x, error);
        return;
    }
    exchange_enter(x, EXCHANGE_LOAD);
    exchange_arm(x);
}
