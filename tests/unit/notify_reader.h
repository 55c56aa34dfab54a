/*
 * notify_reader: a datagram socket under a name that the kernel chose, as a manager has one for sd_notify(3).
 */
#ifndef TESTS_UNIT_NOTIFY_READER_H
#define TESTS_UNIT_NOTIFY_READER_H

#include "common/notify_socket.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include <cmocka.h>

struct notify_reader {
    int fd;
    char path[128]; /* @… */
    char got[2048]; /* the last message */
};

static inline void notify_reader_init(struct notify_reader *r)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    struct sockaddr_storage bound;
    socklen_t bound_n;
    r->fd = sys_socket(AF_UNIX, SOCK_DGRAM, 0);
    assert_true(r->fd >= 0);
    assert_int_equal(sys_bind(r->fd, (struct sockaddr *)&name, offsetof(struct sockaddr_un, sun_path)), 0);
    assert_int_equal(sys_socket_name(r->fd, &bound, &bound_n), 0);
    memcpy(&name, &bound, sizeof name);
    snprintf(r->path, sizeof r->path, "@%.*s", (int)(bound_n - offsetof(struct sockaddr_un, sun_path) - 1), name.sun_path + 1);
}

/* The next message, or "" where there is none. */
static inline const char *notify_reader_next(struct notify_reader *r)
{
    ssize_t n = sys_recv(r->fd, r->got, sizeof r->got - 1, 0);
    r->got[n > 0 ? n : 0] = '\0';
    return r->got;
}

/* Fills the queue; how many went in. */
static inline unsigned notify_reader_fill(struct notify_reader *r)
{
    unsigned n = 0;
    while (notify_socket_send(r->path, "X=1") == 0)
        n++;
    return n;
}

static inline void notify_reader_fini(struct notify_reader *r)
{
    sys_close(r->fd);
    r->fd = -1;
}

#endif
