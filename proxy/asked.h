/*
 * asked: who waits for a byte of Ollama's now: requests that need a model, and loads. Their number stands on the page; where no byte
 * comes for a while, the supervisor is told, who looks whether Ollama does anything at all (supervisor/hang.h). A client that does
 * not take what there is waits for nobody.
 */
#ifndef PROXY_ASKED_H
#define PROXY_ASKED_H

#include "common/contract.h"
#include "common/loop.h"

/* A request's place; embedded in it, all zero but for fn and context. */
struct asked {
    struct asked *previous, *next;
    int is_in;
    void (*stalled)(void *context, const char *why); /* Ollama is hung: end, or ask again; from asked_stalled */
    void *context;
};

struct asked_list {
    struct loop *loop;
    struct contract_line *line; /* borrowed */
    int channel_fd;             /* -1: nobody is told */
    int64_t interval_ms;
    uint64_t progress_seen;
    struct timer timer;
    struct asked *first;
};

/* limit_ms: stall_timeout of the Ollama that answers; 0: nobody looks, and nothing is counted. */
void asked_init(struct asked_list *l, struct loop *loop, struct contract_line *line, int channel_fd, int64_t limit_ms);
/* After the last request. */
void asked_fini(struct asked_list *l);
/* Both are harmless where it is as it is to be. */
void asked_enter(struct asked_list *l, struct asked *a);
void asked_leave(struct asked_list *l, struct asked *a);
/* A load has begun, or ended. */
void asked_count(struct asked_list *l, int is_begun);
/* Tells each that Ollama is hung; from there it may leave. why: borrowed for the call. */
void asked_stalled(struct asked_list *l, const char *why);

#endif
