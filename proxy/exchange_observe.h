/*
 * exchange_observe: what is told below /sidecar/, of this process, its requests and what it runs (docs/status-api.md). Nothing of it wakes Ollama,
 * or keeps it awake.
 */
#ifndef PROXY_EXCHANGE_OBSERVE_H
#define PROXY_EXCHANGE_OBSERVE_H

#include "proxy/exchange_state.h"
#include "proxy/observe/catalog.h"
#include "proxy/observe/feed.h"
#include "proxy/observe/overseer_tail.h"

/* The heads of these answers: nobody keeps them, and nobody takes them for something else than they say. */
#define EXCHANGE_OBSERVE_LINES "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"

enum { EXCHANGE_ANSWER_BYTES = 8 << 20 };

/* What such a request has, in EXCHANGE_LOOK. */
struct exchange_look {
    struct catalog_ticket catalog;    /* waits for what Ollama has */
    struct overseer_waiter overseer;  /* … for what the supervisor says */
    struct feed_listener listener;    /* is told what goes on */
    struct overseer_tail tail;        /* reads lines of programs */
    int is_tail, is_events;           /* … that is begun; as server-sent events */
};

/* A request for a path whose route has an api of these, API_SIDECAR_STATUS and on: it is answered. */
void exchange_observe(struct exchange *x);
/* exchange_look.c. It waits for nothing, and is told nothing any more. Harmless where it is not. */
void exchange_leave_look(struct exchange *x);

/* Bytes for who looks on: 1; 0: it is not through with the last ones. */
int exchange_show(void *context, const char *bytes, size_t bytes_n);

/* exchange_observe_life.c. Its room: 0, or -1: it has ended. */
int exchange_begin_look(struct exchange *x) WARN_UNUSED;
/* Where it is told what goes on for as long as it likes, that ends, well. */
void exchange_end_look(struct exchange *x);

/* exchange_observe_logs.c. GET /sidecar/logs; its client takes more. */
void exchange_answer_logs(struct exchange *x);
void exchange_show_more(struct exchange *x);

#endif
