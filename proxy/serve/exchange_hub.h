/*
 * exchange_hub: a request that is about the models in the hub's cache, and that no engine answers: POST /pull, GET /models, DELETE /models/NAME
 * (docs/model-server.md). It waits in EXCHANGE_HUB: for the list to be fresh, for a job at the cache, for a model to be loaded.
 */
#ifndef PROXY_SERVE_EXCHANGE_HUB_H
#define PROXY_SERVE_EXCHANGE_HUB_H

#include "proxy/exchange_serve.h"
#include "proxy/serve/hub_calls.h"
#include "proxy/serve/pull_ask.h"
#include "proxy/serve/serve.h"

/* What such a request has beside an exchange. */
struct exchange_hub {
    struct pull_ask ask;              /* of POST /pull; its model is also DELETE's */
    struct hub_waiter waiter;         /* for a job */
    struct serve_lease lease;         /* for the list, and for the model to be loaded */
    void (*go_on)(struct exchange *x); /* something that `lease` waits for has changed */
    struct buf pulled;                /* the last line of the job, from it the answer is made */
    struct buf held;                  /* the first line of progress: an error right behind it has its own status */
};

/* exchange_hub_call.c. Its memory, and the functions of its lease and waiter: 0, or -1: the exchange has ended. */
int exchange_hub_make(struct exchange *x) WARN_UNUSED;
/* It waits: heartbeats come. */
void exchange_hub_wait(struct exchange *x, void (*go_on)(struct exchange *x));
/* A job that is about x->hub->ask.model: 0 and it waits; or it has ended. */
void exchange_hub_call(struct exchange *x, const char *request);
/* One object as the whole answer, also behind heartbeats and lines of progress. */
void exchange_hub_answer(struct exchange *x, int error, const struct buf *json);
/* A job has failed. */
void exchange_hub_fail(struct exchange *x, const struct hub_job_error *error);

/* exchange_hub_pull.c: POST /pull. */
void exchange_hub_pull(struct exchange *x);
/* exchange_hub_models.c: GET /models; DELETE /models/NAME. */
void exchange_hub_models(struct exchange *x);
void exchange_hub_remove(struct exchange *x);

#endif
