/*
 * loader: loads models at the backend for those who wait for them (loads.h), by requests of our own (load_request.h). A load
 * that has begun goes on whoever leaves, and is work: nothing falls asleep meanwhile.
 */
#ifndef PROXY_LOADER_H
#define PROXY_LOADER_H

#include "proxy/capabilities.h"
#include "proxy/cooldowns.h"
#include "proxy/fit.h"
#include "proxy/load_request.h"
#include "proxy/show_request.h"

struct loader_load {
    struct loader *loader;
    struct load *load;           /* NULL: a free place */
    struct load_request *request; /* owned; NULL: it is not to be sent before `show` is answered */
    struct show_request *show;    /* owned; whether it fits; NULL: that is known, or does not matter */
};

struct loader_ops {
    void (*count)(void *context, int is_begun); /* a load has begun, or ended */
    void (*loaded)(void *context, const struct load *load); /* … and the model is there */
    void *context;
};

/* Why a load may not begin (LOAD_RESTS), for who asked. */
struct loader_rest {
    int64_t until_ms; /* … before */
    const struct cooldown *row; /* borrowed for the call */
    char text[COOLDOWNS_TEXT_BYTES];
};

struct loader {
    struct loads loads;
    struct cooldowns cooldowns;
    struct fit fit;           /* all zero: each load fits */
    struct capabilities capabilities; /* of models; what is asked for them is asked once for both */
    struct loader_rest rest;  /* of the last loader_look that said so */
    struct backend *backend;  /* borrowed, as is tell */
    const struct tell *tell;
    struct loader_ops ops;
    int32_t backend_pid;      /* of the Ollama that loads knows about; 0: not known */
    uint32_t backend_deaths_n; /* its program's restarts, as far as they were seen */
    struct loader_load under_way[LOADS_MODELS];
};

/* keep_alive_ms: of the backend, where nobody says another; ASK_KEEP_UNSAID where that is not known. cooldown_ms: the longest
 * pause of a load that fails again and again; 0: none. */
void loader_init(struct loader *l, struct backend *backend, const struct tell *tell, struct waiting *waiting,
                 int64_t keep_alive_ms, int64_t cooldown_ms, const struct loader_ops *ops);
/* Ends what is under way. */
void loader_fini(struct loader *l);

/* See loads_look; what is to be loaded is loaded. RESTS: l->rest says why, and until when. */
enum load_verdict loader_look(struct loader *l, struct load_ticket *t, const char *model, int must_fit, struct load_ride *ride);

/* Ollama is hung: what is under way ends as lost. why: borrowed for the call. */
void loader_stalled(struct loader *l, const char *why);
/* pid: of the Ollama that the supervisor runs, 0 while it is not ready. What another one had loaded is gone. deaths_n: how often it
 * was started again as it had died, ever; another Ollama without one more of them was wanted, and every load is tried with it. */
void loader_see_backend(struct loader *l, int32_t pid, uint32_t deaths_n);
/* Models were changed: what has failed may not fail any more. */
void loader_models_changed(struct loader *l);

#endif
