/*
 * stalled: the supervisor says that Ollama is hung. Who waits for a byte of it is ended, or kept to ask again; then the models that
 * they had asked are unloaded by requests of our own, which ends a runner that stands still. Until that is done, or Ollama is
 * another one, nobody who needs a model is let go.
 */
#ifndef PROXY_STALLED_H
#define PROXY_STALLED_H

#include "proxy/env.h"
#include "proxy/own_request.h"

struct stalled {
    struct env *env;
    struct own_request request;
    struct buf body;
    struct timer timer;      /* the next look, or the end of all patience */
    int64_t until_ms;
    enum { STALLED_NOT, STALLED_UNLOADING, STALLED_LOOKING, STALLED_GIVEN_UP } state;
    size_t models_n, unloaded_n;
    char models[LOADS_MODELS][CONTRACT_NAME_BYTES];
};

void stalled_init(struct stalled *s, struct env *env);
void stalled_fini(struct stalled *s);
/* CONTRACT_STALLED has come: it is answered by CONTRACT_UNLOADED. */
void stalled_begin(struct stalled *s);
/* The page has changed: what was given up may be another Ollama by now. To be called before env_review(). */
void stalled_look(struct stalled *s);

/* Whether an answer of /api/ps lists one of these models, by whatever spelling; 1 where it can't be read. Pure. */
int stalled_is_listed(const char *json, size_t json_n, char (*models)[CONTRACT_NAME_BYTES], size_t models_n);

#endif
