/*
 * peer: the other end of a connection, judged once, when it comes.
 */
#ifndef PROXY_PEER_H
#define PROXY_PEER_H

#include "common/network.h"

struct peer {
    struct ip ip;
    char text[IP_TEXT_BYTES]; /* the address without a port */
    unsigned char text_n;
    unsigned char is_loopback, is_private;
    unsigned char is_trusted; /* one of [proxy] trusted_proxies */
};

/* trusted: whose headers are believed; borrowed for the call. */
void peer_init(struct peer *peer, const struct sockaddr_storage *from, const struct networks *trusted);

#endif
