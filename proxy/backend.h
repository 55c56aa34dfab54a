/*
 * backend: one server that answers for us: where it is, and the connections to it that are kept.
 */
#ifndef PROXY_BACKEND_H
#define PROXY_BACKEND_H

#include "common/loop.h"
#include "common/parse.h"
#include "proxy/https.h"
#include "proxy/message.h"

enum { BACKEND_ADDRESSES = 4, BACKEND_IDLE_MAX = 64, BACKEND_READ_BYTES = 64 * 1024 };

struct backend;

/* A place for a kept connection: in the list of those that are kept, or of those that are free. */
struct backend_idle {
    struct backend *backend;
    struct backend_idle *next, *previous;
    int fd; /* owned; -1: a free place */
};

struct backend {
    struct loop *loop; /* borrowed */
    char host[ADDRESS_TEXT_BYTES]; /* HOST:PORT, for the Host field */
    struct sockaddr_storage addresses[BACKEND_ADDRESSES];
    socklen_t addresses_bytes[BACKEND_ADDRESSES];
    size_t addresses_n;
    size_t preferred; /* the address that answered last */
    struct backend_idle idle[BACKEND_IDLE_MAX];
    struct backend_idle *kept, *free; /* the latest first */
    int is_keeping;   /* 0: connections are not kept any more */
    struct https *https;       /* borrowed; NULL: by sockets of our own */
    const char *origin;        /* … and then `https://HOST:PORT`; borrowed */
    const char *authorization; /* the value of that field, for our own requests, and those of clients in the place of theirs; borrowed; NULL: none */
    const char *path; /* where Ollama's API begins there, before /api: "/llm"; borrowed; NULL: at its root */
    int is_hosted;             /* by https: it is not told through whom it is asked */
    char *scratch;    /* BACKEND_READ_BYTES, into which every answer is read; owned */
    struct message spare; /* memory for an answer's head, which most need within one turn only */
};

/* Resolves the name, once. 0, or -errno with a sentence in why. */
int backend_init(struct backend *b, struct loop *loop, const struct address *at, char *why, size_t why_n) WARN_UNUSED;
/* One that is reached by libcurl: nothing is resolved, nothing kept. host: for the Host field. */
void backend_init_https(struct backend *b, struct loop *loop, struct https *https, const char *origin, const char *host);
void backend_fini(struct backend *b);

/* The descriptor of a kept connection, now the caller's, and still watched: to be handed over (loop_hand_over) or removed at
 * once. -EAGAIN where there is none. */
int backend_take(struct backend *b);
/* A new connection is made though one may be kept: it will be kept in that one's place, or what looks each few seconds would leave one each time. */
void backend_make_room(struct backend *b);
/* Starts a connection to the nth address, counted from the preferred one; the descriptor may still be connecting, and
 * is the caller's. -ENOENT behind the last address, else -errno. */
int backend_connect(struct backend *b, size_t nth);
/* The nth address answered. */
void backend_prefer(struct backend *b, size_t nth);
/* Gives back a connection on which nothing is under way, and which is watched; it is kept or closed. */
void backend_give(struct backend *b, int fd);
/* Closes what is kept. */
void backend_drop_idle(struct backend *b);

#endif
