/*
 * resume: what the proxy does when it did not run for a while (stopped, frozen, suspended with the machine): nothing that it kept
 * or knew from before is relied on.
 */
#ifndef PROXY_RESUME_H
#define PROXY_RESUME_H

#include "common/gap.h"
#include "proxy/env.h"

struct resume {
    struct env *env; /* borrowed */
    struct gap gap;
};

/* Looks from now on in each turn of env's loop, before what has happened is told: what comes first behind a gap, as the request
 * for which the machine was woken, already finds things right. */
void resume_init(struct resume *r, struct env *env);
/* The supervisor has seen a gap: CONTRACT_RESUMED. */
void resume_told(struct resume *r);
/* How long the loop may wait, -1 for ever: while a client is there, or a model is being loaded, a limit runs for somebody, and a
 * freeze must be seen although nothing else wakes us. */
int64_t resume_longest_wait_ms(const struct resume *r, size_t clients_n);

#endif
