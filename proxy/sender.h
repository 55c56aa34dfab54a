/*
 * sender: who asks, as far as one request and its connection tell: the connection's other end, or whom a trusted proxy
 * there names.
 */
#ifndef PROXY_SENDER_H
#define PROXY_SENDER_H

#include "proxy/forwarded.h"
#include "proxy/peer.h"

struct sender {
    const struct peer *peer;     /* borrowed */
    const char *client;          /* THE client's address as text, for logs and limits; never NULL. "unknown" where a trusted
                                  * proxy does not say it. Lives as long as this struct and the peer */
    int is_known;                /* client is an address */
    int is_loopback, is_private; /* of the client */
    int is_forwarded;            /* fields that only a proxy writes, and the peer is not trusted: nobody knows who asks */
    int has_fields;              /* fields that tell the backend who asks, believed or not */
    int is_standard_kept;        /* believed and well-formed: Forwarded is passed on */
    int is_usual_kept;           /* believed: X-Forwarded-For is passed on */
    struct span host;            /* believed: what the client asked of the first proxy; n = 0: not said */
    enum forwarded_proto proto;  /* believed */
    char text[IP_TEXT_BYTES];    /* use client */
};

/* Reads the fields of one request. trusted: whose are believed. All is borrowed. */
void sender_read(struct sender *s, const struct message *m, const struct peer *peer, const struct networks *trusted);

/* Whether a field tells who asks: Forwarded, X-Forwarded-*, X-Real-IP. */
int sender_is_field(const struct message *m, struct span name);

#endif
