/*
 * client_host: what all clients share, and its bounds.
 */
#ifndef PROXY_CLIENT_HOST_H
#define PROXY_CLIENT_HOST_H

#include "proxy/addresses.h"
#include "proxy/deliver.h"
#include "proxy/env.h"

enum {
    CLIENT_AHEAD_DROP_BYTES = 64 << 20, /* of what comes during an answer; then it is left in the socket */
    CLIENT_DISCARD_BYTES = 64 * 1024, /* of a refused body, rather than closing the connection */
    CLIENT_LINGER_MS = 2000,          /* so long for the next byte of what nobody wants */
    CLIENT_LINGER_MAX_MS = 10000,     /* … and for all of it; longer for the rest of a refused body */
    CLIENT_LINGER_BYTES_A_MS = 32,    /* … which has time for so many */
    CLIENT_SLOW_HEAD_MS = 5000,       /* who takes longer for a header makes room for others */
    CLIENT_UNWELCOME_MS = 2000,       /* for the request of somebody who is to be told that he is one too many */
    CLIENT_FIRST_REQUEST_MS = 1000, /* so long a new connection is not closed for others */
    CLIENT_PART_MS = 1000, /* so long who is told to go has for that */
    CLIENT_LAST_REQUEST_MS = 1000, /* so long after its last request, or its beginning, a stop closes no connection */
};

struct client;

/* Where it stands among the others; its owner's. */
struct client_link {
    struct client_link *next, *previous;
    struct client *client;
    struct address_place address;
};

/* What all clients share; borrowed by each. */
struct client_host {
    struct env *env; /* borrowed */
    struct iovec parts[DELIVER_PARTS]; /* pieces of an answer on their way, one client at a time */
    char *scratch;   /* CONNECTION_READ_BYTES, into which every client is read; owned by the host's owner */
    void (*gone)(void *context, struct client_link *link); /* it has closed; its memory goes at the end of the turn */
    void *context;
    struct access *spare_access; /* most are needed for a moment; owned by the host's owner; NULL: none */
    int has_told_tls; /* once is enough */
};

#endif
