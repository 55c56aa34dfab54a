/*
 * capabilities: what a model is able to, by what its backend says of it: POST /api/show, once for each model, for whoever needs to know
 * (translation.h, enum translate_need). What can't be learnt counts as being there: the backend judges for itself then.
 */
#ifndef PROXY_CAPABILITIES_H
#define PROXY_CAPABILITIES_H

#include "common/contract.h"
#include "proxy/show_request.h"
#include "proxy/translation.h"

enum {
    CAPABILITIES_MODELS = 16,          /* that are known; one more takes the place of the longest unused */
    CAPABILITIES_KEPT_MS = 600 * 1000, /* models may change behind our back */
    CAPABILITIES_UNKNOWN_MS = 2000,    /* what could not be learnt is asked for again behind so long */
    CAPABILITIES_ALL = TRANSLATE_TOOLS | TRANSLATE_IMAGES | TRANSLATE_THINKING,
};

struct capabilities;
struct capabilities_row;

/* Somebody who waits to know. fn: it is worth looking again; it may end anything. */
struct capabilities_ticket {
    void (*fn)(void *context);
    void *context;
    struct capabilities_row *row;             /* NULL: does not wait */
    struct capabilities_ticket *next, *prev;
};

struct capabilities_row {
    struct capabilities *owner;
    char model[CONTRACT_NAME_BYTES]; /* "": a free row */
    unsigned has;                    /* bits of translate_need */
    int64_t until_ms;                /* … is believed until then; 0: not known */
    uint64_t used;
    struct show_request *show;       /* owned; NULL: it is not being asked for */
    int is_stale;                    /* what comes is from before models were changed */
    struct capabilities_ticket *first, *last; /* as they came */
};

/* Whoever else has use for what a model is. json: the answer, borrowed for the call. */
typedef void capabilities_shown_fn(void *context, const char *model, const char *json, size_t json_n);

struct capabilities {
    struct backend *backend; /* borrowed, as is tell */
    const struct tell *tell;
    capabilities_shown_fn *shown; /* or NULL */
    void *context;
    uint64_t uses;
    struct capabilities_row rows[CAPABILITIES_MODELS];
};

/* *c is all zero. */
void capabilities_init(struct capabilities *c, struct backend *backend, const struct tell *tell, capabilities_shown_fn *shown, void *context);
/* Ends what is under way. Nobody may wait any more. */
void capabilities_fini(struct capabilities *c);

/* 1 and what this model is able to; or 0: t waits, fn comes. */
int capabilities_look(struct capabilities *c, struct capabilities_ticket *t, const char *model, unsigned *has);
/* Waits no more; harmless where it does not. */
void capabilities_leave(struct capabilities_ticket *t);
/* What somebody else was told of this model. json NULL: nothing. */
void capabilities_learn(struct capabilities *c, const char *model, const char *json, size_t json_n);
/* Models, or the backend, may be others by now. */
void capabilities_forget(struct capabilities *c);

/* What an answer to POST /api/show says; CAPABILITIES_ALL where this is no such answer. Source: ollama/types/model/capability.go, of 0.6.4
 * and newer; an older one is judged by the model's template, as server/images.go does, and its projector. Pure. */
unsigned capabilities_read(const char *json, size_t json_n);

#endif
