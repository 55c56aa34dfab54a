/*
 * asleep: while Ollama sleeps (page->sleep), or is on its way up, requests that only read are answered from what is known of it
 * (known.h). This is whose answers may be told, and when; kept in state_dir over restarts of the proxy. Where Ollama never sleeps
 * nothing is kept at all.
 */
#ifndef PROXY_ASLEEP_H
#define PROXY_ASLEEP_H

#include "common/conf.h"
#include "proxy/gate.h"
#include "proxy/known_ask.h"

struct asleep {
    const struct conf *conf; /* borrowed, as are those below, up to tell */
    const struct contract_page *page; /* NULL: the backend is none that the supervisor could put to sleep */
    struct backend *backend;
    const struct tell *tell;
    struct known *known;     /* owned; NULL: nothing is kept */
    uint64_t of;             /* the Ollama that it is known of: token_of() then */
    struct known_ask ask;
    int is_failure_told;     /* that it can't be written */
    known_ask_fn *fn;        /* of asleep_prepare */
    void *context;
};

/* All is borrowed. */
void asleep_init(struct asleep *a, const struct conf *conf, const struct gate *gate, struct backend *backend, const struct tell *tell);
void asleep_fini(struct asleep *a);

/* ASLEEP or WAKING where what is known is to be told instead of asking Ollama; else AWAKE. view: as it is now. */
enum contract_sleep asleep_state(const struct asleep *a, const struct gate_view *view);
/* Its word in headers, JSON and logs. */
const char *asleep_name(enum contract_sleep state);

/* Somebody else may be asked before the next sleep, as we drain, or was before we began: where Ollama is awake now, nothing that is
 * known will do for that. */
void asleep_doubt(struct asleep *a);

/* Ollama has answered this well. */
void asleep_note(struct asleep *a, const struct known_key *key);
/* What it would answer; NULL: nobody knows. */
const struct known_entry *asleep_answer(struct asleep *a, const struct known_key *key);

/* Ollama is to sleep: asks it for what is not known, within limit_ms, and keeps that. fn comes in any case, possibly at once, unless
 * asleep_fini comes first. Called again it begins anew. */
void asleep_prepare(struct asleep *a, int64_t limit_ms, known_ask_fn *fn, void *context);

#endif
