/*
 * exchange_sink: the client, as its exchange sees it.
 */
#ifndef PROXY_EXCHANGE_SINK_H
#define PROXY_EXCHANGE_SINK_H

#include "proxy/deliver.h"

enum exchange_end {
    EXCHANGE_CLEAN, /* the answer is whole */
    EXCHANGE_BROKEN /* it ended in the middle: the connection must not end it well */
};

/* The client's side. Neither call calls back. */
struct exchange_sink {
    struct deliver_sink deliver;
    /* The answer is given; the exchange does nothing more. */
    void (*done)(void *context, enum exchange_end end);
    /* exchange_wants_body() may have changed. */
    void (*body_wanted)(void *context);
};

#endif
