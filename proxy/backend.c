/*
 * See backend.h. Knows addresses and idle connections, nothing of HTTP. A kept connection is watched: whatever
 * comes on it, an end or bytes that nobody asked for, closes it.
 */
#include "proxy/backend.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SILENT_S = 60, ASK_S = 15, ASK_N = 4 };

static void add_address(struct backend *b, const struct sockaddr *at, socklen_t at_n)
{
    if (b->addresses_n == BACKEND_ADDRESSES || at_n > sizeof b->addresses[0])
        return;
    memcpy(&b->addresses[b->addresses_n], at, at_n);
    b->addresses_bytes[b->addresses_n++] = at_n;
}

static int resolve(struct backend *b, const struct address *at, char *why, size_t why_n)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    char port[8];
    snprintf(port, sizeof port, "%u", at->port);
    int error = getaddrinfo(at->host, port, &hints, &found);
    if (error) {
        snprintf(why, why_n, "%s: %s", at->host, error == EAI_SYSTEM ? strerror(errno) : gai_strerror(error));
        return -EHOSTUNREACH;
    }
    for (struct addrinfo *a = found; a; a = a->ai_next)
        add_address(b, a->ai_addr, a->ai_addrlen);
    freeaddrinfo(found);
    return b->addresses_n ? 0 : -EHOSTUNREACH;
}

static void put_first(struct backend_idle **list, struct backend_idle *idle)
{
    idle->previous = NULL;
    idle->next = *list;
    if (*list)
        (*list)->previous = idle;
    *list = idle;
}

static void take_out(struct backend_idle **list, struct backend_idle *idle)
{
    *(idle->previous ? &idle->previous->next : list) = idle->next;
    if (idle->next)
        idle->next->previous = idle->previous;
}

/* A place that is not kept any more; returns its descriptor. */
static int vacate(struct backend_idle *idle)
{
    int fd = idle->fd;
    idle->fd = -1;
    take_out(&idle->backend->kept, idle);
    put_first(&idle->backend->free, idle);
    return fd;
}

int backend_init(struct backend *b, struct loop *loop, const struct address *at, char *why, size_t why_n)
{
    *b = (struct backend){.loop = loop, .is_keeping = 1};
    for (size_t i = 0; i < BACKEND_IDLE_MAX; i++) {
        b->idle[i] = (struct backend_idle){.backend = b, .fd = -1};
        put_first(&b->free, &b->idle[i]);
    }
    address_text(at, b->host);
    b->scratch = malloc(BACKEND_READ_BYTES);
    if (!b->scratch) {
        snprintf(why, why_n, "out of memory");
        return -ENOMEM;
    }
    return resolve(b, at, why, why_n);
}

void backend_init_https(struct backend *b, struct loop *loop, struct https *https, const char *origin, const char *host)
{
    *b = (struct backend){.loop = loop, .https = https, .origin = origin};
    snprintf(b->host, sizeof b->host, "%s", host);
}

void backend_fini(struct backend *b)
{
    backend_drop_idle(b);
    message_fini(&b->spare);
    free(b->scratch);
    b->scratch = NULL;
}

static void drop(struct backend_idle *idle)
{
    int fd = vacate(idle);
    loop_remove(idle->backend->loop, fd);
    sys_close(fd);
}

static void on_idle_event(void *context, short revents)
{
    (void)revents;
    drop(context);
}

/* Nothing has come on it, not even its end. What came behind an answer would be taken for the answer to the next request,
 * and that one may be somebody else's. */
static int is_silent(int fd)
{
    char byte;
    return sys_recv(fd, &byte, 1, MSG_PEEK) == -EAGAIN;
}

int backend_take(struct backend *b)
{
    while (b->kept && !is_silent(b->kept->fd))
        drop(b->kept); /* its event has not been looked at yet */
    return b->kept ? vacate(b->kept) : -EAGAIN;
}

void backend_make_room(struct backend *b)
{
    if (b->kept)
        drop(b->kept);
}

/* A backend whose machine or network is gone says nothing, and a load, which belongs to nobody, would wait for it for ever, with
 * all who come for that model. Where it can't be set, nothing is lost. tcp(7) */
static void ask_after_the_silent(int fd)
{
    (void)!sys_setsockopt_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    (void)!sys_setsockopt_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, SILENT_S);
    (void)!sys_setsockopt_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, ASK_S);
    (void)!sys_setsockopt_int(fd, IPPROTO_TCP, TCP_KEEPCNT, ASK_N);
}

int backend_connect(struct backend *b, size_t nth)
{
    if (nth >= b->addresses_n)
        return -ENOENT;
    size_t place = (b->preferred + nth) % b->addresses_n;
    int fd = sys_socket(b->addresses[place].ss_family, SOCK_STREAM, 0);
    if (fd < 0)
        return fd;
    (void)!sys_setsockopt_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    ask_after_the_silent(fd);
    int error = sys_connect(fd, (const struct sockaddr *)&b->addresses[place], b->addresses_bytes[place]);
    if (error < 0 && error != -EINPROGRESS) {
        sys_close(fd);
        return error;
    }
    return fd;
}

void backend_prefer(struct backend *b, size_t nth)
{
    b->preferred = (b->preferred + nth) % b->addresses_n;
}

void backend_give(struct backend *b, int fd)
{
    struct backend_idle *idle = b->is_keeping ? b->free : NULL;
    if (!idle) {
        loop_remove(b->loop, fd);
        sys_close(fd);
        return;
    }
    take_out(&b->free, idle);
    put_first(&b->kept, idle);
    idle->fd = fd;
    loop_hand_over(b->loop, fd, POLLIN, on_idle_event, idle);
}

void backend_drop_idle(struct backend *b)
{
    while (b->kept)
        drop(b->kept);
}
