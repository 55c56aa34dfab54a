/*
 * forward: heads on their way through: a client's request as the backend gets it, an answer as the client gets it.
 * Nothing is relayed as bytes that decides where a message ends. RFC 9110 section 7.6, RFC 9112.
 */
#ifndef PROXY_FORWARD_H
#define PROXY_FORWARD_H

#include "proxy/tell.h"

struct forward_request {
    const struct message *request;
    const char *target;     /* NULL: the request's own; else its body was written here, and is JSON */
    const char *host;       /* the backend's, for Host */
    const char *path;       /* … before the target; NULL: nothing */
    const char *authorization; /* in the place of the client's; NULL: that one */
    const char *request_id;
    int64_t body_bytes;     /* -1: not known, chunked */
    int is_origin_dropped;  /* CORS is our own business */
    int is_member;          /* one of several Ollamas: that it was named for this is none of its business, it may name others so itself */
    const struct tell *tell;
    const struct sender *sender;
};

/* Appends the backend's head, with its empty line. 0 or -errno. */
int forward_request_head(struct buf *out, const struct forward_request *f) WARN_UNUSED;

/* What kind of stream an answer is: how an error is told in the middle of it. */
enum forward_stream { STREAM_NONE, STREAM_NDJSON, STREAM_SSE };

struct forward_answer {
    const struct message *answer;
    enum forward_stream stream; /* forward_stream_kind() of it */
    const char *request_id;
    const struct tell *tell;
    const char *extra;      /* further lines, each with its CRLF */
    size_t extra_n;
    int is_cors_dropped;    /* the backend's own CORS fields are left out */
    int is_hosted;          /* a hosted API: what it says to its customer, or to a browser of its own site, is left out */
    int is_member;          /* one of several Ollamas: what a proxy before it says of its line is left out, as this is said of ours */
    int is_limited;         /* what the backend says of its rate limits is left out, as there are ours */
    int is_stream;          /* of unknown length: ask those in between not to gather */
    const char *encoding;   /* a line that says so, for a stream without Content-Encoding; NULL: none */
};

/* Appends the client's head without framing (Content-Length, Transfer-Encoding, Connection) and without its empty
 * line. 0 or -errno. */
int forward_answer_head(struct buf *out, const struct forward_answer *f) WARN_UNUSED;

/* Whether its bytes are packed (Content-Encoding: other than identity, or none, as another sidecar may say), as a backend may do that was not asked to: nobody here reads them then. */
int forward_is_encoded(const struct message *answer);
/* What the answer's Content-Type says of it: lines of JSON, events, or neither; what is packed is neither. */
enum forward_stream forward_stream_kind(const struct message *answer);
/* No API answers with a page: something else listens there. */
int forward_is_html(const struct message *answer);

#endif
