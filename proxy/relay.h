/*
 * relay: one try to have a request answered: its head for the backend, the fetch, and the answer on its way to the
 * client as it comes.
 */
#ifndef PROXY_RELAY_H
#define PROXY_RELAY_H

#include "common/contract.h"
#include "proxy/deliver.h"
#include "proxy/fetch.h"
#include "proxy/forward.h"

enum {
    RELAY_HIGH_BYTES = 64 * 1024, /* a client that has not taken so much: the backend is not read any more */
    RELAY_LOW_BYTES = 32 * 1024,  /* … until it has only so much left */
};

/* None comes from within relay_start(). */
struct relay_ops {
    void (*begun)(void *context); /* the answer's head is there: from now on it can't be taken back */
    void (*room)(void *context);  /* more of a streamed body may come */
    /* The last call; on FETCH_DONE the answer is delivered whole. The relay may be started again, or freed, in it. */
    void (*end)(void *context, enum fetch_end end, const char *why);
};

struct relay_request {
    const struct message *request; /* borrowed */
    const struct buf *body;        /* the held body; borrowed; NULL where it is streamed */
    const struct tell *tell;       /* borrowed until the end, as is sender */
    const struct sender *sender;
    int is_cors_ours;              /* Origin stays here, the backend's CORS lines too; deliver->extra has ours */
    int is_fresh;                  /* not over a kept connection */
};

struct relay {
    const struct relay_ops *ops;  /* borrowed */
    void *context;
    struct deliver *deliver;      /* borrowed */
    struct contract_line *line;   /* borrowed: counts progress */
    const char *fault;            /* why the answer can't be relayed; NULL while it can */
    struct fetch fetch;           /* its beginning and what is above are all that a token needs */
    struct buf head;              /* for the backend */
    const struct tell *tell;      /* borrowed */
    int is_cors_ours;
    enum forward_stream stream;
};

void relay_init(struct relay *r, struct backend *backend, struct deliver *deliver, struct contract_line *line,
                const struct relay_ops *ops, void *context);
void relay_fini(struct relay *r);

/* 0, or -errno with a sentence in why: no connection could be begun (nothing was sent). */
int relay_start(struct relay *r, const struct relay_request *request, char *why, size_t why_n) WARN_UNUSED;

/* The client has taken what it had not. */
void relay_drained(struct relay *r);

#endif
