/*
 * notify_socket: the sender's half of sd_notify(3): a datagram of NAME=value lines to the path in NOTIFY_SOCKET.
 */
#ifndef COMMON_NOTIFY_SOCKET_H
#define COMMON_NOTIFY_SOCKET_H

#include "common/sys.h"

/* Sends without ever waiting. path: `/…`, or `@…` for the abstract namespace of unix(7). 0, or -errno: -EAGAIN where
 * the reader's queue is full, -ENOENT or -ECONNREFUSED where there is none, -EINVAL for a path of another form. */
int notify_socket_send(const char *path, const char *text) WARN_UNUSED;

/* Whether such a datagram would be taken at once: 0, or -errno as above. */
int notify_socket_has_room(const char *path) WARN_UNUSED;

#endif
