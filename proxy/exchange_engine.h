/*
 * exchange_engine: a request whose model an engine serves (serve/serve.h). It is translated for OpenAI's API as soon as its model is known to be one of
 * the hub's, then it waits until that is loaded, with heartbeats, in EXCHANGE_LOAD; and keeps its engine until it ends. In a build with MODELS=no
 * nothing of it is called.
 */
#ifndef PROXY_EXCHANGE_ENGINE_H
#define PROXY_EXCHANGE_ENGINE_H

#include "proxy/exchange_state.h"
#include "proxy/serve/serve.h"

/* What such a request has. */
struct exchange_engine {
    struct serve_lease lease;
    struct upstream upstream;        /* x->upstream: its engine's while it has one, else one that is nowhere; its name stays: */
    char engine[CONTRACT_ENGINE_BYTES]; /* … though the engine has gone */
    char model[CONTRACT_NAME_BYTES]; /* as the hub calls it */
    char asked[CONTRACT_NAME_BYTES]; /* as the client does */
    int is_waiting;                  /* counted among those that wait */
};

/* The model's name in the answer: as the client asked for it. */
static inline const char *exchange_told_model(const struct exchange *x)
{
    return x->engine ? x->engine->asked : x->ask.model;
}

#ifdef WITH_MODELS

/* Its body is whole, and can be said in the words of OpenAI's API: whether its model is one of the hub's. 1: it is, and it goes on; 0: it is to ask again when look_again comes, or has ended; -1: it
 * is not, and others are asked. */
int exchange_choose_engine(struct exchange *x, void (*look_again)(void *context)) WARN_UNUSED;
/* Where it has one: 1: its engine is READY; 0: it waits for one, and passes the gate again then; -1: it has ended. */
int exchange_take_engine(struct exchange *x) WARN_UNUSED;
/* exchange_lease.c. It is not among those that wait any more; … it had an engine that is gone, and its place in that one's line, too. */
void exchange_end_wait(struct exchange *x);
void exchange_leave_gone(struct exchange *x);
/* It needs its engine no more. Harmless where it has none. */
void exchange_leave_engine(struct exchange *x);

#else

#define exchange_choose_engine(x, look_again) ((void)(look_again), -1)
#define exchange_take_engine(x) 1
#define exchange_leave_engine(x) ((void)0)

#endif

#endif
