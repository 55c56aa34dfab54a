/* See resolve.h. */
#include "proxy/balance/resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The thread's own, all of it. */
struct lookup {
    int fd;
    struct resolve_found found;
    char host[];
};

_Static_assert(sizeof(struct resolve_found) <= 4096, "it is written into a pipe at once: pipe(7), PIPE_BUF");

static void keep(struct resolve_found *found, const struct ip *ip)
{
    size_t at = 0;
    while (at < found->ips_n && memcmp(found->ips[at].bytes, ip->bytes, sizeof ip->bytes) < 0)
        at++;
    if (at < found->ips_n && ip_is_equal(&found->ips[at], ip))
        return;
    found->is_cut |= found->ips_n == RESOLVE_ADDRESSES;
    if (at == RESOLVE_ADDRESSES)
        return;
    size_t behind_n = (found->ips_n < RESOLVE_ADDRESSES ? found->ips_n : RESOLVE_ADDRESSES - 1) - at;
    memmove(&found->ips[at + 1], &found->ips[at], behind_n * sizeof *ip);
    found->ips[at] = *ip;
    found->ips_n = at + 1 + behind_n;
}

static void on_address(void *context, const struct sockaddr *address)
{
    struct resolve_found *found = context;
    struct sockaddr_storage at = {0};
    struct ip ip;
    memcpy(&at, address, address->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
    ip_from_sockaddr(&at, &ip);
    int is_first_v4 = ip_is_v4(&ip) && found->ips_n > 0 && !ip_is_v4(&found->ips[0]);
    if (is_first_v4)
        *found = (struct resolve_found){.ips_n = 0};
    if (ip_is_v4(&ip) || found->ips_n == 0 || !ip_is_v4(&found->ips[0]))
        keep(found, &ip);
}

static void *look_up(void *context)
{
    struct lookup *l = context;
    if (sys_each_address(l->host, on_address, &l->found, l->found.why, sizeof l->found.why) == 0 && l->found.ips_n == 0)
        snprintf(l->found.why, sizeof l->found.why, "it has no address");
    (void)!sys_write(l->fd, &l->found, sizeof l->found); /* nobody may read any more: SIGPIPE is blocked, as all signals are */
    sys_close(l->fd);
    free(l);
    return NULL;
}

static void on_found(void *context, short revents)
{
    struct resolve *r = context;
    struct resolve_found found = {.why = "the lookup broke off"};
    (void)revents;
    ssize_t n = sys_read(r->fd, &found, sizeof found);
    if (n == -EAGAIN)
        return;
    resolve_fini(r);
    r->done(r->context, &found);
}

void resolve_init(struct resolve *r, struct loop *loop, void (*done)(void *context, const struct resolve_found *found), void *context)
{
    *r = (struct resolve){.loop = loop, .fd = -1, .done = done, .context = context};
}

int resolve_is_under_way(const struct resolve *r)
{
    return r->fd >= 0;
}

/* 0 with the reading end in *fd. */
static int start_thread(const char *host, int *fd)
{
    size_t host_n = strlen(host) + 1;
    int fds[2];
    struct lookup *l = calloc(1, sizeof *l + host_n);
    if (!l)
        return -ENOMEM;
    int error = sys_pipe(fds, O_NONBLOCK);
    if (!error) {
        l->fd = fds[1];
        memcpy(l->host, host, host_n);
        *fd = fds[0];
        error = sys_start_thread(look_up, l);
        if (!error)
            return 0;
        sys_close(fds[0]);
        sys_close(fds[1]);
    }
    free(l);
    return error;
}

int resolve_start(struct resolve *r, const char *host)
{
    if (resolve_is_under_way(r))
        return 0;
    int fd, error = start_thread(host, &fd);
    if (error)
        return error;
    error = loop_add(r->loop, fd, POLLIN, on_found, r);
    if (error)
        sys_close(fd);
    else
        r->fd = fd;
    return error;
}

void resolve_fini(struct resolve *r)
{
    if (r->fd < 0)
        return;
    loop_remove(r->loop, r->fd);
    sys_close(r->fd);
    r->fd = -1;
}
