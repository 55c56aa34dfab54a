/*
 * ask: what of a request's body matters to us, read in one walk: as Go's encoding/json would take it, names without regard
 * to case, the last of several; in `options`, which is a map, with regard to case, and of several the union. The rest is the
 * backend's business.
 */
#ifndef PROXY_ASK_H
#define PROXY_ASK_H

#include "common/contract.h"
#include "common/keep_alive.h"
#include "proxy/load_options.h"

enum { ASK_KEEP_UNSAID = -1 };
#define ASK_KEEP_FOR_EVER KEEP_ALIVE_FOR_EVER

struct ask {
    char model[CONTRACT_NAME_BYTES]; /* "": none is named, or too long a one: the backend will say what is wrong */
    int is_stream;                   /* -1: it does not say */
    struct load_options options;     /* those that its model is loaded with */
    int64_t keep_alive_ms;           /* or ASK_KEEP_UNSAID, ASK_KEEP_FOR_EVER */
    int has_prompt, has_messages;    /* one that is not empty */
    int is_odd;                      /* something that is read here is what Ollama refuses */
};

/* Of the body's first object. 0, or -EINVAL where there is none that Ollama would take: *a says nothing then. */
int ask_read(struct ask *a, const char *json, size_t json_n) WARN_UNUSED;

#endif
