/*
 * ask: what of a request's body matters to us, read in one walk: as Go's encoding/json would take it, names without regard
 * to case, the last of several. The rest is the backend's business.
 */
#ifndef PROXY_ASK_H
#define PROXY_ASK_H

#include "common/contract.h"

struct ask {
    char model[CONTRACT_NAME_BYTES]; /* "": none is named, or too long a one: the backend will say what is wrong */
    int is_stream;                   /* -1: it does not say */
};

/* Of the body's first object. 0, or -EINVAL where there is none that Ollama would take: *a says nothing then. */
int ask_read(struct ask *a, const char *json, size_t json_n) WARN_UNUSED;

#endif
