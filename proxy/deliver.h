/*
 * deliver: an answer on its way to one client: framing by the client's version and method, and one writev for all
 * that a turn brought. RFC 9112 section 6.
 */
#ifndef PROXY_DELIVER_H
#define PROXY_DELIVER_H

#include "common/buf.h"

struct deliver;
struct list;

enum { DELIVER_PARTS = 32, DELIVER_ID_BYTES = 129, DELIVER_HEAD_BYTES = 256 * 1024, DELIVER_LINES_BYTES = 512 };

/* What stands behind it: a connection. None of these calls back. */
struct deliver_sink {
    void *context;
    struct iovec *parts; /* room for DELIVER_PARTS pieces of one turn, the same for all; borrowed */
    /* Sends or keeps all of it. An error is the connection's own affair: it will end the exchange. */
    void (*write)(void *context, const struct iovec *parts, int parts_n);
    /* Bytes that the client has not taken yet. */
    size_t (*pending_bytes)(void *context);
    /* Whether the connection may serve another request after this answer. Asked once, when the head is made. */
    int (*can_keep)(void *context);
    /* Takes the answer's head as what it says (status, type, extra, lines), and then its bare bytes; NULL: it is written as HTTP. */
    void (*head)(void *context, const struct deliver *d);
};

enum deliver_framing {
    DELIVER_NOTHING, /* no body: HEAD, 204, 304 */
    DELIVER_LENGTH,
    DELIVER_CHUNKED,
    DELIVER_CLOSE    /* until the connection ends, for HTTP/1.0 */
};

struct deliver {
    const struct deliver_sink *sink; /* borrowed */
    enum deliver_framing framing;
    int is_begun, is_ended, is_kept;
    size_t body_n;                   /* in parts */
    uint64_t body_bytes;             /* delivered in all */
    struct buf head;                 /* a head that has not been sent */
    char last[2];                    /* the last two bytes of the body */
    int parts_n;                     /* in sink->parts; up to here: what a token needs */
    int status;                      /* of the head; 0 before there is one */
    const char *type;                /* … its media type, where the answer is our own; borrowed for deliver_begin(); or NULL */
    unsigned minor;                  /* the client's version */
    int is_head_request;
    char request_id[DELIVER_ID_BYTES];
    struct buf extra;                /* lines for the heads of our own answers */
    const struct list *shown;        /* of a list of models, those that its key may see; borrowed; NULL: all */
    const char *vary;                /* … and for every head, a literal: whole lines; NULL: none */
    const char *encoding;            /* … and for heads of streams, likewise */
    char lines[DELIVER_LINES_BYTES]; /* … and for every head: whole lines with their ends, or "" */
};

void deliver_init(struct deliver *d, const struct deliver_sink *sink, unsigned minor, int is_head_request);
void deliver_fini(struct deliver *d);

/* Ends the head that was put into d->head: adds framing and the empty line. length_bytes: -1 where it is not known;
 * is_bodiless: by the status. The head leaves with the next flush. 0 or -errno. */
int deliver_begin(struct deliver *d, int is_bodiless, int64_t length_bytes) WARN_UNUSED;
/* A piece of the body; it must stay where it is until the next flush. */
void deliver_body(struct deliver *d, const char *bytes, size_t bytes_n);
/* Sends what was gathered in this turn, as one chunk. */
void deliver_flush(struct deliver *d);
/* The end of a good answer: with the final chunk. */
void deliver_end(struct deliver *d);
/* The end of a broken one: what there is, and no final chunk. */
void deliver_break(struct deliver *d);

#endif
