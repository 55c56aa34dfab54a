/*
 * listen: listening TCP sockets, for whoever is the public door: the supervisor, or a proxy that runs alone.
 */
#ifndef COMMON_LISTEN_H
#define COMMON_LISTEN_H

#include "common/parse.h"

enum { LISTEN_WHY_BYTES = 512, LISTEN_BACKLOG = 4096 };

/* A bound and listening socket, non-blocking and close-on-exec. "" and :: take IPv4 as well, and fall back to
 * 0.0.0.0 where there is no IPv6. Returns the descriptor, or -errno with a sentence in `why` (at most why_n bytes);
 * for -EADDRINUSE it names the holder, where /proc lets us see it. */
int listen_open(const struct address *a, int backlog, char *why, size_t why_n) WARN_UNUSED;

/* The first half of it, for whoever must know of all that they can be bound before any is listened on (sys_listen). is_shared:
 * also beside sockets of the same user that have SO_REUSEPORT set, as 0.0.0.0:P beside a 127.0.0.1:P that is about to go; whoever
 * sets it there takes it away again. socket(7) */
int listen_bind(const struct address *a, int is_shared, char *why, size_t why_n) WARN_UNUSED;

/* Who listens on a TCP port: `COMMAND (pid N)`. 0, or -ENOENT where nobody is found or we may not look. */
int listen_find_holder(uint16_t port, char *holder, size_t holder_n) WARN_UNUSED;

#endif
