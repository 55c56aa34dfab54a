/*
 * inner: what takes the place of a client where an exchange has none (exchange_inner.h).
 */
#ifndef PROXY_INNER_H
#define PROXY_INNER_H

#include "proxy/exchange_sink.h"
#include "proxy/message.h"
#include "proxy/peer.h"

/* Who takes the answer: head, bodies, done; or failed at any point. None may call back into the exchange, nor free it: that is for the end
 * of the turn (loop_defer). */
struct inner_sink {
    void *context;
    /* type: of the body, NULL where the answer's head is the backend's own. lines: X-Sidecar-…, each with its CRLF, or "". */
    void (*head)(void *context, int status, const char *type, const char *lines);
    void (*body)(void *context, const char *bytes, size_t bytes_n);
    /* Bytes that nobody has taken yet: beyond RELAY_HIGH_BYTES the backend is not read any more, until exchange_drained(). NULL: never any. */
    size_t (*pending_bytes)(void *context);
    void (*failed)(void *context, const struct inner_failure *f);
    void (*done)(void *context); /* it is whole */
    void (*progress)(void *context, const char *text); /* a few words of what is done, of exchange_tell_progress(); NULL: nobody waits to hear it */
};

struct inner {
    struct message request;            /* a copy, as its client may leave first; so is peer */
    struct peer peer;
    struct exchange_sink sink;
    struct inner_sink to;
    struct iovec parts[DELIVER_PARTS]; /* its own: those of clients are used while these are told */
};

#endif
