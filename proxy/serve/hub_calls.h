/*
 * hub_calls: jobs at the hub's cache that clients ask for. Who asks for what is under way already joins it, and who leaves ends nothing: a model that is
 * pulled is pulled to its end.
 */
#ifndef PROXY_SERVE_HUB_CALLS_H
#define PROXY_SERVE_HUB_CALLS_H

#include "proxy/serve/hub_job.h"

/* Fewer than the supervisor runs at once: the list of models, and notes of loads, have their turn beside those of two proxies. */
enum { HUB_CALLS_MAX = 3 };

struct hub_call;
struct hub_calls;

/* Who waits for a job; embedded, all zero but for the functions and context. */
struct hub_waiter {
    struct hub_waiter *previous, *next;
    struct hub_call *call; /* NULL: it waits for none */
    /* A line of the job's, borrowed, not terminated; the last one too. It may not be left from there. */
    void (*on_line)(void *context, const char *json, size_t json_n);
    /* It has ended, with this as its last line; error NULL: well. It waits no more. */
    void (*on_end)(void *context, const struct hub_job_error *error, const char *last, size_t last_n);
    void *context;
};

struct hub_calls_ops {
    void (*begun)(void *context); /* of each job */
    void (*ended)(void *context); /* … before those who wait are told: the cache may have changed */
    void *context;
};

/* channel_fd: -1 where there is no supervisor. 0 with *out, or -ENOMEM. */
int hub_calls_new(struct hub_calls **out, struct loop *loop, int channel_fd, const struct hub_calls_ops *ops) WARN_UNUSED;
/* Nobody may wait. What is under way goes on without us. */
#ifdef WITH_MODELS
void hub_calls_free(struct hub_calls **c);
#else
#define hub_calls_free(c) ((void)0)
#endif

/* model: which it is about. 0: it has begun, or was joined. -ENOTSUP: there is no supervisor; -EBUSY: too many others are under way; else -errno. */
int hub_calls_ask(struct hub_calls *c, struct hub_waiter *w, const char *model, const char *request) WARN_UNUSED;
/* Harmless for who waits for nothing. */
void hub_calls_leave(struct hub_waiter *w);
/* Whether a job that is about this model is under way. */
int hub_calls_has(const struct hub_calls *c, const char *model);

#endif
