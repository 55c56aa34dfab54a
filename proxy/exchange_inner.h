/*
 * exchange_inner: an exchange without a client of its own, which makes an answer for others: for those who listen to it
 * (exchange_listen.c), or for a step of an optimised request. It waits, loads, stands in line and asks as any other does; but it counts
 * neither as a request nor as activity, has no heartbeats, no fallback answers and no line in the access log: all that is its
 * listeners' affair.
 */
#ifndef PROXY_EXCHANGE_INNER_H
#define PROXY_EXCHANGE_INNER_H

#include "proxy/exchange.h"
#include "proxy/inner.h"
#include "proxy/route.h"

/* A request with this body to this path of Ollama's, or of ours, for whoever `of` is for (a client's exchange, or an inner one): his key, address and limits. `of` may end
 * before it. route: of route_table(). body is taken, whatever comes. *sink is copied. *out is set before anything is told, and it may have ended before
 * this returns. 0 or -ENOMEM. exchange_free() cancels it in every state. */
int exchange_new_inner(struct exchange **out, const struct exchange *of, const struct route *route, struct buf *body,
                       const struct inner_sink *sink) WARN_UNUSED;

#endif
