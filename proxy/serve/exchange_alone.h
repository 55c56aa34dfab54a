/*
 * exchange_alone: requests where the model server is alone: [models] serve = yes, and no Ollama beside it ([program:ollama] autostart = no). What is neither
 * an engine's nor another backend's ends at once: nothing is waited for that does not come.
 */
#ifndef PROXY_SERVE_EXCHANGE_ALONE_H
#define PROXY_SERVE_EXCHANGE_ALONE_H

#include "proxy/exchange_state.h"

#ifdef WITH_MODELS

/* Whether this is one of those requests. */
static inline int exchange_is_alone(const struct exchange *x)
{
    return x->env->conf->is_alone;
}

/* It would go to Ollama: it ends, with 404 where it names a model, else with what is wrong. */
void exchange_fail_alone(struct exchange *x);

#else

#define exchange_is_alone(x) 0
#define exchange_fail_alone(x) ((void)0)

#endif

#endif
