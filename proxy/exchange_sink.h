/*
 * exchange_sink: the client, as its exchange sees it.
 */
#ifndef PROXY_EXCHANGE_SINK_H
#define PROXY_EXCHANGE_SINK_H

#include "proxy/access.h"
#include "proxy/deliver.h"

enum exchange_end {
    EXCHANGE_CLEAN, /* the answer is whole */
    EXCHANGE_BROKEN /* it ended in the middle: the connection must not end it well */
};

/* Why there is no answer, or why it broke off. All is borrowed for the call. */
struct inner_failure {
    int status;            /* as it would have been told; of is_in_stream, within the answer */
    const char *code;      /* for machines, a literal; or NULL */
    const char *text;
    const char *lines;     /* more of a head, each with its CRLF; or "" */
    enum access_end ended;
    int is_told;           /* these are the backend's own words and status: exchange_tell() */
    int is_in_stream;      /* the head has been told, and perhaps a part of the body */
};

/* The client's side. Neither call calls back. */
struct exchange_sink {
    struct deliver_sink deliver;
    /* The answer is given; the exchange does nothing more. */
    void (*done)(void *context, enum exchange_end end);
    /* exchange_wants_body() may have changed. */
    void (*body_wanted)(void *context);
    /* Comes behind done(), EXCHANGE_BROKEN, in place of an error that is written into the answer; NULL: it is written. */
    void (*failed)(void *context, const struct inner_failure *f);
};

#endif
