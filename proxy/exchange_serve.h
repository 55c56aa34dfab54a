/*
 * exchange_serve: requests that the model server has to do with: POST /pull, POST /chat, GET /models, DELETE /models/NAME (proxy/serve/exchange_hub.h),
 * and what other APIs show of its models. Where nobody serves any those paths answer 501, and nothing else of it is called.
 */
#ifndef PROXY_EXCHANGE_SERVE_H
#define PROXY_EXCHANGE_SERVE_H

#include "proxy/exchange_state.h"

/* POST /chat is an engine's answer; the others are no backend's at all. */
#define exchange_is_hubs(x) ((x)->admission.route->kind == ROUTE_SERVE && (x)->admission.route->api != API_SERVE_CHAT)

#ifdef WITH_MODELS

/* Whether it may be about a model of the hub's cache. */
static inline int exchange_has_shelf(const struct exchange *x)
{
    return x->env->serve != NULL;
}

/* Why nobody serves models here, and what would be different for it; NULL: somebody does. */
static inline const char *exchange_why_unserved(const struct exchange *x)
{
    if (!x->env->serve)
        return "no models of a hub are served here: [models] serve is no in supervisor.ini";
    return x->env->channel_fd >= 0 ? NULL
                                   : "this proxy runs alone: models are pulled, and engines are started, by ollama-supervisor; start that, it starts the proxy";
}

/* serve/exchange_shelf.c. The list of the cache is fresh: 1; 0: it waits, in EXCHANGE_CHOOSE, and look_again comes; -1: nobody serves models. */
int exchange_refresh_shelf(struct exchange *x, void (*look_again)(void *context)) WARN_UNUSED;
/* The same of what drivers tell of GPUs. */
int exchange_refresh_gpus(struct exchange *x, void (*look_again)(void *context)) WARN_UNUSED;
/* The nth model of the cache, as lists have it: 1 with *out, or 0. */
int exchange_next_shelved(const struct exchange *x, size_t nth, struct upstream_model *out);
/* That of x->ask, as far as it is known: 1 with *out, or 0. */
int exchange_find_shelved(const struct exchange *x, struct upstream_model *out);
/* 404: this model is not in the cache (R1.2); or nobody can tell, and why. */
void exchange_fail_unshelved(struct exchange *x, const char *model);
/* What GET /status tells of engines and models, put into the object that out has. 0 or -errno. */
int exchange_write_served(const struct exchange *x, struct buf *out) WARN_UNUSED;
/* GET /api/ps, where Ollama is not asked, as there is none, or it sleeps: 1 where it was answered. */
int exchange_answer_ps(struct exchange *x);
/* … where it is asked: how those of the cache that are loaded get into its answer; NULL: nobody serves any. */
const struct translate_ops *exchange_ps_ops(const struct exchange *x, const struct translate_models **loaded);

/* serve/exchange_hub.c. Its body is whole. */
void exchange_begin_hub(struct exchange *x);
/* It waits for nothing of it any more; it frees what it has of it. Harmless where it has nothing. */
void exchange_leave_hub(struct exchange *x);
void exchange_free_hub(struct exchange *x);

#else

#define exchange_has_shelf(x) 0
#define exchange_why_unserved(x) "no models of a hub are served here: this was built without (MODELS=no)"
#define exchange_refresh_shelf(x, look_again) -1
#define exchange_refresh_gpus(x, look_again) ((void)(look_again), -1)
#define exchange_next_shelved(x, nth, out) ((void)(nth), (void)(out), 0)
#define exchange_find_shelved(x, out) ((void)(out), 0)
#define exchange_write_served(x, out) 0
#define exchange_answer_ps(x) 0
#define exchange_ps_ops(x, loaded) ((void)(loaded), NULL)
#define exchange_begin_hub(x) ((void)0)
#define exchange_leave_hub(x) ((void)0)
#define exchange_free_hub(x) ((void)0)

#endif

#endif
