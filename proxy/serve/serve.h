/*
 * serve: the models of a Hugging Face hub that are in the cache, and the engines that serve them: [models] serve = yes. A model that is asked
 * for is started if need be, at most [models] max_cache_models at once; all who want it wait for one start. It decides who is started and
 * who is stopped; the supervisor does it (contract.h). In a build with MODELS=no nothing of it is there, and env->serve is NULL.
 */
#ifndef PROXY_SERVE_SERVE_H
#define PROXY_SERVE_SERVE_H

#include "proxy/serve/engines.h"
#include "proxy/serve/shelf.h"
#include "proxy/serve_facts.h"
#include "proxy/upstream.h"

enum { SERVE_WHY_BYTES = 480 };

struct env;
struct serve;
struct serve_instance;

enum serve_verdict {
    SERVE_NOT_OURS, /* no model of the shelf */
    SERVE_READY,    /* lease->upstream answers for it; it is not stopped before serve_leave */
    SERVE_WAIT,     /* lease->fn comes when that has changed, never from within */
    SERVE_FAILED,   /* lease->why, in words; again in lease->retry_s seconds (0: not by waiting) */
};

/* A request's hold on a model; embedded in it, all zero but for fn and context. */
struct serve_lease {
    struct engines_lease hold;
    struct serve_lease *previous, *next; /* of those who wait for a job */
    struct serve_lease **waits_in;       /* the first of them; NULL: it does not */
    struct serve_instance *instance;     /* serve's */
    const struct upstream *upstream;     /* borrowed, while it is READY */
    char why[SERVE_WHY_BYTES];
    int64_t retry_s;
    void (*fn)(void *context);
    void *context;
};

/* Its loaded models, for serve_ps_ops; as long as it is there. */
const struct translate_models *serve_loaded(const struct serve *s);

/* Stops it: 0; -EBUSY while it answers; -ENOENT where it does not run. */
int serve_stop(struct serve *s, const char *model);
/* What of a model is running: 1 with *out; 0: nothing. */
struct serve_running {
    const char *engine; /* its name */
    int is_ready, is_quantized;
    unsigned leases_n;
    int64_t load_ns; /* 0: not known yet */
    int64_t left_ms; /* until it is stopped, where nobody asks for it; -1: never */
};
int serve_running(const struct serve *s, const char *model, struct serve_running *out);

/* What becomes of a request for this model, now; called again from fn. model: copied. */
enum serve_verdict serve_want(struct serve *s, struct serve_lease *lease, const char *model);
/* It has ended, or will not wait any more. Harmless for who has nothing. */
void serve_leave(struct serve *s, struct serve_lease *lease);
/* The instance that it has is READY still. */
int serve_holds(const struct serve_lease *lease);

/* A model by its name: 1 with *out, borrowed for this turn (NULL: it is not there); or 0: the list is asked for once more, as it is not in the one that
 * is known, and fn of `lease` comes. lease NULL: what is known has to do. */
int serve_find(struct serve *s, struct serve_lease *lease, const char *model, const struct shelf_model **out);
/* What is known of the cache; 1 where it is as fresh as it can be, else it will be soon, and fn of `lease` comes. */
int serve_refresh(struct serve *s, struct serve_lease *lease);
/* The same of GPUs: what drivers tell of them. */
int serve_refresh_gpus(struct serve *s, struct serve_lease *lease);
const struct shelf *serve_shelf(const struct serve *s);
/* Why there is no list; "": there is one. */
const char *serve_list_why(const struct serve *s);
/* Something in the cache has changed: the list is asked for again. */
void serve_changed(struct serve *s);
/* `"engines":[…],"instances":[…],"failed":[…],"cache":{…},"settings":{…},"gpus":[…]` for GET /status. shown: the models that may be named; NULL: all. 0 or
 * -errno. */
int serve_write(const struct serve *s, const struct list *shown, struct buf *out) WARN_UNUSED;

#ifdef WITH_MODELS
/* All is borrowed from env. 0 with *out, NULL where [models] serve = no; -ENOMEM. */
int serve_new(struct serve **out, struct env *env) WARN_UNUSED;
/* Nobody may hold a lease. Instances go on: the next proxy finds them on the page. */
void serve_free(struct serve **s);
/* The page has changed, or we are to end. */
void serve_see_page(struct serve *s);
/* For /health and /metrics: 1 with *out, or 0 where s is NULL. */
int serve_gather(const struct serve *s, struct serve_facts *out);
#else
#define serve_new(out, env) 0 /* who wants it was refused when the configuration was read */
#define serve_free(s) ((void)0)
#define serve_see_page(s) ((void)0)
#define serve_gather(s, out) 0
#endif

#endif
