/*
 * relay: one try to have a request answered: its head for the backend, the fetch, and the answer on its way to the
 * client as it comes.
 */
#ifndef PROXY_RELAY_H
#define PROXY_RELAY_H

#include "common/contract.h"
#include "proxy/answer.h"
#include "proxy/ending.h"
#include "proxy/fetch.h"
#include "proxy/forward.h"
#include "proxy/upstream.h"

enum {
    RELAY_HIGH_BYTES = 64 * 1024, /* a client that has not taken so much: the backend is not read any more */
    RELAY_LOW_BYTES = 32 * 1024,  /* … until it has only so much left */
};

enum relay_end {
    RELAY_DONE,
    RELAY_REFUSED,    /* no connection: nothing was sent */
    RELAY_LOST,       /* it ended before the first byte of the answer */
    RELAY_BROKEN,     /* it ended in the middle of the answer */
    RELAY_GARBAGE,    /* what came can't be relayed */
    RELAY_UNFINISHED, /* a stream ended, and never said that it is done */
    RELAY_ERROR,      /* its last words, which are relayed, are an error */
    RELAY_TOLD,       /* it answered with an error, which is still to be told: answer_error() */
};

/* None comes from within relay_start(). */
struct relay_ops {
    void (*begun)(void *context); /* the answer's head is there: from now on it can't be taken back */
    void (*room)(void *context);  /* more of a streamed body may come; a held one may have been sent whole */
    void (*paused)(void *context, int is_paused); /* the client does not take what there is; or it does again */
    /* The last call; on RELAY_DONE the answer is delivered whole. The relay may be started again, or freed, in it. */
    void (*end)(void *context, enum relay_end end, const char *why);
};

struct relay_request {
    const struct message *request; /* borrowed */
    const struct upstream *upstream; /* which the fetch leads to; borrowed; NULL: Ollama */
    const char *target;            /* borrowed; NULL: the request's own */
    const struct buf *body;        /* the held body; borrowed; NULL where it is streamed */
    const struct tell *tell;       /* borrowed until the end, as is sender */
    const struct sender *sender;
    int is_member;                 /* one of several Ollamas answers, which has lines of its own in the head */
    int is_cors_ours;              /* Origin stays here, the backend's CORS lines too; the answer has ours */
    int is_limited;                /* limits of ours are in force: the backend's own are not told */
    int is_fresh;                  /* not over a kept connection */
    int is_watched;                /* what it ends with is looked at: its counts, and whether a stream says that it is done */
    int is_work;                   /* its bytes are progress */
};

struct relay {
    const struct relay_ops *ops;  /* borrowed */
    void *context;
    struct answer *answer;        /* borrowed */
    struct contract_line *line;   /* borrowed: counts progress */
    int is_work;
    struct fetch fetch;           /* its beginning and what is above are all that a token needs */
    struct buf head;              /* for the backend */
    const struct tell *tell;      /* borrowed */
    int is_cors_ours, is_hosted, is_limited, is_member;
    enum forward_stream stream; /* the backend's */
    int is_watched;
    struct ending *ending;        /* borrowed */
};

void relay_init(struct relay *r, struct backend *backend, struct answer *answer, struct ending *ending,
                struct contract_line *line, const struct relay_ops *ops, void *context);
void relay_fini(struct relay *r);

/* 0, or -errno with a sentence in why: no connection could be begun (nothing was sent). */
int relay_start(struct relay *r, const struct relay_request *request, char *why, size_t why_n) WARN_UNUSED;

/* The client has taken what it had not. */
void relay_drained(struct relay *r);

#endif
