/*
 * https: requests to hosted APIs, and to hosts whose names are looked up when they are needed, by libcurl on our loop: no thread
 * of ours, nothing waits. It speaks HTTP/1.1, checks certificates (system's, or SSL_CERT_FILE), follows no redirect, keeps no
 * cookie; HTTPS_PROXY and NO_PROXY count as with curl. What comes is handed on as the bytes of an HTTP/1.1 answer whose body is
 * not chunked, for the one parser that reads all answers (http1.h).
 */
#ifndef PROXY_HTTPS_H
#define PROXY_HTTPS_H

#include "common/loop.h"

enum {
    HTTPS_CALLS_MAX = 1024,       /* at once */
    HTTPS_HELD_BYTES = 64 * 1024, /* of an answer that is not taken: then libcurl reads no more */
    HTTPS_ORIGIN_BYTES = 320,
};

struct https;
struct https_call;

enum https_end {
    HTTPS_DONE,    /* all that the other side wanted to send has come */
    HTTPS_REFUSED, /* no connection, or no trust in it: nothing was sent */
    HTTPS_LOST,    /* it broke off */
};

struct https_request {
    const char *origin;  /* https://HOST:PORT, or http:// */
    const char *head;    /* as it would go out: request line (GET or POST), fields, and an empty line; Host, Content-Length aside */
    size_t head_n;
    const char *body;    /* borrowed until the end, or until https_is_sent() */
    size_t body_n;
    int64_t connect_ms;  /* the limit on name, connection and handshake */
    int is_fresh;        /* only a new connection will do */
};

/* None comes from within https_start(). In either the call may be cancelled. */
struct https_ops {
    void (*bytes)(void *context, const char *bytes, size_t bytes_n); /* valid for the call */
    void (*end)(void *context, enum https_end end, const char *why); /* the last; the call is to be cancelled in it */
};

/* loop: borrowed. 0; -ENOENT with a sentence in why where libcurl can't be loaded; -ENOMEM. */
int https_new(struct https **out, struct loop *loop, char *why, size_t why_n) WARN_UNUSED;
/* No call may be under way. */
void https_free(struct https **h);

/* ops: borrowed. 0 with *out; -ENOMEM, -ENOBUFS (too many at once), -EINVAL. */
int https_start(struct https_call **out, struct https *h, const struct https_request *request, const struct https_ops *ops,
                void *context) WARN_UNUSED;
/* Ends it and forgets it; its connection is kept where the answer has come whole, else closed at once. */
void https_cancel(struct https_call **call);
/* Backpressure. */
void https_pause(struct https_call *call);
void https_resume(struct https_call *call);
/* Whether the whole body has gone out. */
int https_is_sent(const struct https_call *call);

#endif
