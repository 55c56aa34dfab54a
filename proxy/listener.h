/*
 * listener: the doors: accepts connections while there is room for them.
 */
#ifndef PROXY_LISTENER_H
#define PROXY_LISTENER_H

#include "common/conf.h"
#include "common/contract.h"
#include "proxy/clients.h"

/* LEAVE: how long those are served that are no longer in [proxy] listen; the supervisor lets nobody in any more when we are ready,
 * and its own copy is closed a second later: a handshake that had begun is over by then. */
enum { LISTENER_BATCH = 64, LISTENER_RETRY_MS = 200, LISTENER_TELL_MS = 10000, LISTENER_LEAVE_MS = 2000 };
/* A connection on which nothing came for so long is asked whether it lives, so often, so many times. */
enum { LISTENER_SILENT_S = 60, LISTENER_ASK_S = 15, LISTENER_ASK_N = 4 };

struct listeners {
    struct loop *loop;       /* borrowed */
    struct clients *clients; /* borrowed */
    size_t clients_max_n;
    int fds[2 * CONF_LISTEN_MAX]; /* owned */
    size_t fds_n, lasting_n; /* those behind lasting_n are leaving */
    int kept_fd;             /* clients of an old proxy come from there; borrowed, -1: none */
    struct timer leave;      /* closes those that are leaving */
    struct timer retry;      /* after a failure to accept, or when all were at work */
    int64_t told_at_ms;      /* when it was last said that the kernel gave no descriptor; 0: never */
    int is_paused;           /* no room: those who come wait in the kernel's queue */
};

/* Takes over fds_n sockets from first_fd on, that are bound and listening; where there are none, opens conf->listen.
 * 0, or -errno with a sentence in why. */
int listeners_init(struct listeners *l, struct loop *loop, struct clients *clients, const struct conf *conf,
                   int first_fd, int fds_n, char *why, size_t why_n) WARN_UNUSED;
/* Serves two more kinds, both of docs/contract.md: sockets that are leaving, and kept_fd (-1: none). 0 or -errno. */
int listeners_add_contract(struct listeners *l, const struct contract *c) WARN_UNUSED;
/* Closes the doors; who waits in the queue of a socket that others have open too is served by them. */
void listeners_close(struct listeners *l);
/* A client has left: there may be room again, and there is a descriptor. */
void listeners_resume(struct listeners *l);
/* Whether nobody waits to be accepted. */
int listeners_are_quiet(const struct listeners *l);

#endif
