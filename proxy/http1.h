/*
 * http1: HTTP/1.1 and 1.0 messages out of bytes, for both sides. llhttp parses, strict.h refuses what it lets pass;
 * where the two do not agree on a message's end, it is refused as well. RFC 9112.
 */
#ifndef PROXY_HTTP1_H
#define PROXY_HTTP1_H

#include "proxy/message.h"
#include "proxy/strict.h"

enum { HTTP1_TARGET_BYTES = 8192, HTTP1_REQUEST_FIELDS = 100, HTTP1_ANSWER_FIELDS = 256 };

enum http1_side { HTTP1_REQUEST, HTTP1_ANSWER };

enum http1_step {
    HTTP1_MORE, /* all bytes were used, more are needed */
    HTTP1_HEAD, /* the head is complete; http1_is_complete() tells whether that was all */
    HTTP1_END,  /* the message is complete; bytes that follow it were not used */
    HTTP1_BAD   /* see refusal; the connection is of no more use */
};

/* A piece of the body, valid during the call. 0, or -errno to stop: the message then is HTTP1_BAD. */
typedef int http1_body_fn(void *context, const char *bytes, size_t bytes_n);

struct http1_parser;

struct http1 {
    enum http1_side side;
    enum { HTTP1_AT_HEAD, HTTP1_AT_LENGTH, HTTP1_AT_CHUNKS, HTTP1_AT_EOF, HTTP1_AT_END, HTTP1_AT_BAD } place;
    int is_touched;              /* a byte of the message has come */
    int body_error;              /* what body() returned */
    http1_body_fn *body;
    void *context;
    struct strict_chunks chunks; /* up to here: what a chunk needs, side by side */
    struct message *message;     /* borrowed */
    struct http1_parser *parser; /* owned */
    struct strict_head scan;
    uint64_t left_bytes;         /* of a body with a length */
    unsigned interim_n;          /* 1xx answers that were skipped */
    unsigned blank_n;            /* bytes of empty lines before a request */
    int is_bodiless;             /* the answer to a HEAD */
    int is_message_over;         /* llhttp says so */
    struct strict_refusal refusal;
    char why[160];
};

/* message: borrowed until http1_fini. 0 or -ENOMEM. */
int http1_init(struct http1 *p, enum http1_side side, struct message *message, http1_body_fn *body,
               void *context) WARN_UNUSED;
void http1_fini(struct http1 *p);
/* Starts over for the next message of the connection; the struct message is emptied. */
void http1_restart(struct http1 *p);

/* Takes bytes up to the next step: the head is complete, the message has ended, it is refused, or more is wanted. *used_n: how
 * many it took. RFC 9112 section 2 */
enum http1_step http1_feed(struct http1 *p, const char *bytes, size_t bytes_n, size_t *used_n);
/* Before a request's first byte: how many bytes are whole empty lines, which need not be fed. RFC 9112 section 2.2 */
size_t http1_skip_empty_lines(struct http1 *p, const char *bytes, size_t bytes_n);
/* The sender has ended: HTTP1_END where that ends the message, HTTP1_MORE before its first byte, else HTTP1_BAD. */
enum http1_step http1_finish(struct http1 *p);

/* 1 when the message has ended. */
static inline int http1_is_complete(const struct http1 *p)
{
    return p->place == HTTP1_AT_END;
}

#endif
