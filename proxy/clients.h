/*
 * clients: all connections of those who ask.
 */
#ifndef PROXY_CLIENTS_H
#define PROXY_CLIENTS_H

#include "proxy/client.h"

enum { CLIENTS_TELL_MS = 60000, CLIENTS_CROWD_N = 256, CLIENTS_TRIM_MS = 1000 };

struct clients {
    struct client_host host;
    struct client_link *first, *last; /* the newest first */
    struct addresses addresses; /* how many each has */
    int64_t told_crowded_ms;    /* when one was last said to have too many; 0: never */
    size_t clients_n;
    size_t most_n;       /* at once, since memory was given back */
    struct timer trim;   /* gives it back, a moment after the crowd has left */
    void (*left)(void *context); /* one has ended */
    void *context;
};

/* max_n: how many there may be. 0 or -ENOMEM. */
int clients_init(struct clients *all, struct env *env, size_t max_n, void (*left)(void *context), void *context) WARN_UNUSED;
/* Ends all of them at once; the loop's deferred work must still run. */
void clients_fini(struct clients *all);

/* Serves a connection that was accepted; or refuses it, where its address has too many. take_fd: closed where this fails.
 * 0 or -errno. */
int clients_add(struct clients *all, int take_fd, const struct sockaddr_storage *peer) WARN_UNUSED;

/* Those on which nothing is under way leave; env->is_draining makes the others follow when they are done. */
void clients_drain(struct clients *all);
/* Ends all answers now, honestly, with this text. */
void clients_abort(struct clients *all, const char *text);
/* There is no room and somebody waits: closes the oldest connection that is spare. 1, or 0 where all are at work. */
int clients_make_room(struct clients *all);
/* Whether no request is under way, half read, or waiting in a socket, and nobody has come a moment ago. */
int clients_are_quiet(const struct clients *all);
/* … but such as can be answered without the backend, which is to be stopped. */
int clients_spare_backend(const struct clients *all);
/* Those that are only kept are told to go. 1; or 0 where one of them has asked meanwhile. */
int clients_part(struct clients *all);

#endif
