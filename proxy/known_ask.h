/*
 * known_ask: asks the backend, one question after the other, for what is known of it and not fresh any more, before it sleeps.
 * No activity: nobody waits for it but who wants to sleep.
 */
#ifndef PROXY_KNOWN_ASK_H
#define PROXY_KNOWN_ASK_H

#include "proxy/known.h"
#include "proxy/own_request.h"

/* is_complete: nothing was left open. What is not fresh behind it is not known. The last call. */
typedef void known_ask_fn(void *context, int is_complete);

struct known_ask {
    struct known *known;       /* borrowed, as is tell */
    const struct tell *tell;
    struct backend *backend;   /* borrowed */
    struct known_entry *entry; /* that is asked for; NULL: nothing is under way */
    struct own_request request;
    struct timer timer;        /* to the end of all; or of what could not even be begun */
    known_ask_fn *fn;
    void *context;
};

void known_ask_init(struct known_ask *a, struct known *known, struct backend *backend, const struct tell *tell);
/* Ends it without a word. */
void known_ask_fini(struct known_ask *a);

/* Asks until all is fresh, for so long at the most. fn comes later, unless known_ask_fini or another known_ask_start comes first. */
void known_ask_start(struct known_ask *a, int64_t limit_ms, known_ask_fn *fn, void *context);

#endif
