/*
 * handshakes: whether somebody's connection to a port of ours has begun, and is not there yet. The kernel is asked for those alone
 * (sock_diag(7)); where it does not answer, /proc/net/tcp and tcp6 are read, which tell of every connection. Both tell of our own
 * network namespace.
 */
#ifndef SUPERVISOR_HANDSHAKES_H
#define SUPERVISOR_HANDSHAKES_H

#include "common/sys.h"

/* What is longer than READ_BYTES (some 3,500 connections in /proc) is not read: it would hold the loop up. A handshake whose
 * answer was sent for the third time, three seconds after the first, is nobody's any more: a scanner's, or of one who has left.
 * RFC 6298 section 2 */
enum { HANDSHAKES_PORTS_MAX = 64, HANDSHAKES_READ_BYTES = 512 * 1024, HANDSHAKES_GIVEN_UP_N = 2 };

struct handshakes_ports {
    uint16_t ports[HANDSHAKES_PORTS_MAX]; /* in the machine's byte order */
    size_t n;
};

/* 1 where one of these ports has such a connection, 0 where none has, -errno where that can't be told. folder: /proc/net */
int handshakes_look(const char *folder, const struct handshakes_ports *ports) WARN_UNUSED;

/* One line of such a file, NUL-terminated: 1 where it tells of one, else 0; whatever it is. Pure. */
int handshakes_line(const char *line, const struct handshakes_ports *ports);

enum handshakes_said { HANDSHAKES_MORE, HANDSHAKES_FOUND, HANDSHAKES_END, HANDSHAKES_BAD };
/* What the kernel answered with one message of the netlink kind, whatever it is: one was found, that was all, or more is to come.
 * Pure. netlink(7) */
enum handshakes_said handshakes_answer(const char *bytes, size_t bytes_n, const struct handshakes_ports *ports);

#endif
