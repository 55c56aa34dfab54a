/* See exchange_engine.h. What a request has of its engine is given back. */
#include "proxy/exchange_engine.h"

void exchange_end_wait(struct exchange *x)
{
    if (x->engine->is_waiting)
        x->env->waiting.now_n--;
    x->engine->is_waiting = 0;
}

void exchange_leave_gone(struct exchange *x)
{
    struct exchange_engine *e = x->engine;
    exchange_leave_queue(x);
    x->relay.fetch.backend = x->env->backend;
    e->upstream.backend = NULL;
    e->upstream.queue = NULL;
}

void exchange_leave_engine(struct exchange *x)
{
    if (!x->engine)
        return;
    exchange_end_wait(x);
    exchange_leave_gone(x);
    serve_leave(x->env->serve, &x->engine->lease);
}
