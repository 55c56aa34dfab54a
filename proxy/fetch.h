/*
 * fetch: one request to a backend, from the connection to the end of the answer.
 */
#ifndef PROXY_FETCH_H
#define PROXY_FETCH_H

#include "proxy/backend.h"
#include "proxy/http1.h"

enum { FETCH_OUT_BYTES = 64 * 1024, FETCH_ANSWER_HEAD_BYTES = 64 * 1024, FETCH_CONNECT_MS = 10000 };

enum fetch_end {
    FETCH_DONE,
    FETCH_REFUSED, /* no connection: nothing was sent */
    FETCH_LOST,    /* it ended before the first byte of the answer */
    FETCH_BROKEN,  /* it ended in the middle of the answer */
    FETCH_GARBAGE, /* what came is not HTTP */
};

/* What the caller is told; none of these comes from within fetch_start(). From flush() and end() the fetch may be
 * cancelled, started again or freed; from the others not. */
struct fetch_ops {
    void (*head)(void *context, const struct message *answer);
    void (*body)(void *context, const char *bytes, size_t bytes_n); /* valid until flush or end returns */
    void (*flush)(void *context);                                   /* that was all for this turn */
    void (*sent)(void *context);                                    /* room for more of a streamed body; a held one is sent */
    void (*end)(void *context, enum fetch_end end, const char *why);
};

/* All borrowed until the end, or until fetch_is_sent(). */
struct fetch_request {
    const char *head;
    size_t head_n;
    const char *body;
    size_t body_n;
    int is_streamed;   /* the body comes by fetch_send(), body is NULL */
    int is_chunked;    /* and without a known length */
    int is_head;       /* HEAD: the answer has no body */
    int is_fresh;      /* only a new connection will do */
};

struct fetch {
    struct backend *backend;     /* borrowed */
    const struct fetch_ops *ops; /* borrowed */
    void *context;
    const void *soon[2]; /* what flush() will need first: brought into the cache while the kernel copies */
    enum { FETCH_IDLE, FETCH_CONNECTING, FETCH_RUNNING } state;
    int fd; /* owned; -1 where there is none */
    struct https_call *call; /* owned; NULL where the backend is not reached by libcurl */
    struct http1 parser;     /* what a token needs is up to here */
    struct fetch_request request;
    size_t nth_address;
    size_t sent_n;           /* of head and body */
    struct buf out;          /* of a streamed body, what has not been sent */
    struct message answer;
    struct timer timer;      /* to connect */
    int has_parser;
    int is_reused;           /* the connection was a kept one */
    int is_body_over;        /* fetch_send_end() was called, or there is nothing to stream */
    int is_deaf;             /* the backend does not take the rest of the request */
    int is_paused, is_watched;
    uint64_t sent_body_bytes; /* of a streamed body: what was taken from the caller */
};

void fetch_init(struct fetch *f, struct backend *backend, const struct fetch_ops *ops, void *context);
/* Ends it without a word to the caller. */
void fetch_fini(struct fetch *f);

/* 0, and ops->end will come; or -errno where not even a connection could be begun, with a sentence in why. */
int fetch_start(struct fetch *f, const struct fetch_request *request, char *why, size_t why_n) WARN_UNUSED;
/* Whether the whole request has gone out. */
int fetch_is_sent(const struct fetch *f);
/* Closes the connection. No call comes any more. */
void fetch_cancel(struct fetch *f);

/* Backpressure of the answer. */
void fetch_pause(struct fetch *f);
void fetch_resume(struct fetch *f);

/* A streamed body: more of it, then its end. 0 or -ENOMEM. */
int fetch_send(struct fetch *f, const char *bytes, size_t bytes_n) WARN_UNUSED;
int fetch_send_end(struct fetch *f) WARN_UNUSED;
/* Whether fetch_send() should wait for ops->sent. Before there is a connection nothing is taken: what was refused may
 * be started again, and then the body must still be whole. */
static inline int fetch_is_full(const struct fetch *f)
{
    return f->state == FETCH_CONNECTING || (!f->is_deaf && buf_size(&f->out) >= FETCH_OUT_BYTES);
}

#endif
