/*
 * first_load: [preload] load: whenever Ollama has started, a model is loaded before anybody asks for one; unless somebody does,
 * who goes first. `last` is what was loaded last, over restarts of everything.
 */
#ifndef PROXY_FIRST_LOAD_H
#define PROXY_FIRST_LOAD_H

#include "common/conf.h"
#include "proxy/gate.h"
#include "proxy/last_load.h"
#include "proxy/loader.h"

struct first_load {
    const struct conf *conf;  /* borrowed, as are gate and loader */
    struct gate *gate;
    struct loader *loader;
    int32_t done_pid;         /* the Ollama for which it was decided; 0: none */
    int32_t wanted_pid;       /* … and for which `wanted` was found out; 0: none */
    struct last_load wanted;  /* model is "" where there is nothing to load */
    struct load_ticket ticket;
    struct last_load last;    /* as it is on disk, as far as we know */
    int has_failed;           /* the last one that ended by itself: Ollama may have died of it, and is not to die of it again */
    int is_failure_told;      /* that it can't be written */
};

void first_load_init(struct first_load *f, const struct conf *conf, struct gate *gate, struct loader *loader);
void first_load_fini(struct first_load *f);

/* The page has changed, and the gate has been reviewed. pid: of the Ollama that answers, 0: none does; is_used: it has loaded a
 * model already. */
void first_load_look(struct first_load *f, int32_t pid, int is_used);

/* This load has ended well: kept on disk where it is another one than that. */
void first_load_note(struct first_load *f, const struct load *load);

#endif
