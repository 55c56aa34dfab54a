/*
 * See listener.h. Knows sockets and how many clients there may be. Where there is no room, or no descriptor,
 * it stops asking: the kernel's queue holds who comes, and nobody is refused. One who is only kept makes room for one who
 * asks, or idle connections could shut everybody out.
 */
#include "proxy/listener.h"

#include "common/listen.h"

#include <errno.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>

static void set_paused(struct listeners *l, int is_paused)
{
    if (l->is_paused == is_paused)
        return;
    l->is_paused = is_paused;
    for (size_t i = 0; i < l->fds_n; i++)
        loop_set_events(l->loop, l->fds[i], is_paused ? 0 : POLLIN);
    if (l->kept_fd >= 0)
        loop_set_events(l->loop, l->kept_fd, is_paused ? 0 : POLLIN);
}

void listeners_resume(struct listeners *l)
{
    if (l->clients->clients_n >= l->clients_max_n)
        return;
    loop_disarm(l->loop, &l->retry);
    set_paused(l, 0);
}

static void on_retry(void *context, int64_t now_ms)
{
    struct listeners *l = context;
    (void)now_ms;
    set_paused(l, 0);
}

static void pause_for(struct listeners *l, int error)
{
    int64_t now_ms = loop_now_ms(l->loop);
    if (!l->told_at_ms || now_ms - l->told_at_ms >= LISTENER_TELL_MS) {
        l->told_at_ms = now_ms;
        log_event(LOG_WARNING, "accept_failed", "reason=\"%s\" clients=%zu", strerror(-error), l->clients->clients_n);
    }
    set_paused(l, 1);
    loop_arm(l->loop, &l->retry, now_ms + LISTENER_RETRY_MS);
}

/* One of an old proxy's clients, on which nothing is under way; what it has sent meanwhile is in its socket. */
static int take_one(struct listeners *l, int kept_fd)
{
    struct sockaddr_storage peer = {0};
    socklen_t peer_n;
    int fd = sys_recv_fd(kept_fd);
    if (fd == -EPROTO)
        return 0;
    if (fd < 0)
        return fd;
    if (sys_peer_name(fd, &peer, &peer_n) < 0) { /* it has left meanwhile */
        sys_close(fd);
        return 0;
    }
    return clients_add(l->clients, fd, &peer);
}

static int accept_one(struct listeners *l, int listen_fd)
{
    struct sockaddr_storage peer = {0};
    socklen_t peer_n;
    int fd = sys_accept(listen_fd, &peer, &peer_n);
    if (fd == -EAGAIN)
        return -EAGAIN;
    if (fd == -ECONNABORTED || fd == -EPROTO || fd == -EPERM || fd == -ENETDOWN || fd == -EHOSTUNREACH)
        return 0; /* that one is gone; accept(2) */
    if (fd < 0)
        return fd;
    (void)!sys_setsockopt_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    return clients_add(l->clients, fd, &peer);
}

static void accept_batch(struct listeners *l, int fd, int (*one)(struct listeners *l, int fd))
{
    int error = 0;
    for (int i = 0; i < LISTENER_BATCH && !error; i++) {
        if (l->clients->clients_n >= l->clients_max_n && !clients_make_room(l->clients)) {
            set_paused(l, 1);
            loop_arm(l->loop, &l->retry, loop_now_ms(l->loop) + LISTENER_RETRY_MS); /* one may be idle by then */
            return;
        }
        error = one(l, fd);
        if ((error == -EMFILE || error == -ENFILE) && clients_make_room(l->clients))
            error = 0;
    }
    if (error && error != -EAGAIN)
        pause_for(l, error);
}

static void on_event(void *context, short revents)
{
    struct listeners *l = context;
    if (!(revents & POLLIN))
        return;
    for (size_t i = 0; i < l->fds_n && !l->is_paused; i++) /* any of them; asking costs little */
        accept_batch(l, l->fds[i], accept_one);
}

static void on_kept(void *context, short revents)
{
    struct listeners *l = context;
    if ((revents & POLLIN) && !l->is_paused)
        accept_batch(l, l->kept_fd, take_one);
}

/* Who has come to them is taken, whatever the room: to wait in the queue of a socket that is closed would mean a reset. */
static void on_leave(void *context, int64_t now_ms)
{
    struct listeners *l = context;
    (void)now_ms;
    while (l->fds_n > l->lasting_n) {
        int fd = l->fds[--l->fds_n], error;
        do
            error = accept_one(l, fd);
        while (!error);
        loop_remove(l->loop, fd);
        sys_close(fd);
    }
}

static int open_all(struct listeners *l, const struct conf *conf, char *why, size_t why_n)
{
    for (size_t i = 0; i < conf->listen_n; i++) {
        int fd = listen_open(&conf->listen[i], LISTEN_BACKLOG, why, why_n);
        if (fd < 0)
            return fd;
        l->fds[l->fds_n++] = fd;
    }
    return 0;
}

static int take_over(struct listeners *l, int first_fd, int fds_n, char *why, size_t why_n)
{
    for (int i = 0; i < fds_n && i < CONF_LISTEN_MAX; i++) {
        l->fds[l->fds_n++] = first_fd + i;
        int error = sys_set_nonblock(first_fd + i);
        if (error < 0) {
            snprintf(why, why_n, "descriptor %d from the supervisor: %s", first_fd + i, strerror(-error));
            return error;
        }
    }
    return 0;
}

/* A client whose machine or network is gone says nothing: it is asked, and has to take what it is sent. What a door has set,
 * the connections that come through it have too. Where it can't be set, nothing is lost. tcp(7) */
static void ask_after_the_silent(int listen_fd, int64_t write_timeout_ms)
{
    int64_t limit_ms = 2 * write_timeout_ms; /* later than our own judgement, which is logged */
    (void)!sys_setsockopt_int(listen_fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    (void)!sys_setsockopt_int(listen_fd, IPPROTO_TCP, TCP_KEEPIDLE, LISTENER_SILENT_S);
    (void)!sys_setsockopt_int(listen_fd, IPPROTO_TCP, TCP_KEEPINTVL, LISTENER_ASK_S);
    (void)!sys_setsockopt_int(listen_fd, IPPROTO_TCP, TCP_KEEPCNT, LISTENER_ASK_N);
    (void)!sys_setsockopt_int(listen_fd, IPPROTO_TCP, TCP_USER_TIMEOUT, limit_ms < INT_MAX ? (int)limit_ms : INT_MAX);
}

int listeners_init(struct listeners *l, struct loop *loop, struct clients *clients, const struct conf *conf,
                   int first_fd, int fds_n, char *why, size_t why_n)
{
    *l = (struct listeners){.loop = loop, .clients = clients};
    l->clients_max_n = (size_t)conf->proxy.max_clients;
    l->kept_fd = -1;
    timer_init(&l->retry, on_retry, l);
    timer_init(&l->leave, on_leave, l);
    int error = fds_n > 0 ? take_over(l, first_fd, fds_n, why, why_n) : open_all(l, conf, why, why_n);
    for (size_t i = 0; i < l->fds_n && !error; i++) {
        ask_after_the_silent(l->fds[i], conf->proxy.write_timeout_ms);
        error = loop_add(loop, l->fds[i], POLLIN, on_event, l);
        if (error)
            snprintf(why, why_n, "%s", strerror(-error));
    }
    l->lasting_n = l->fds_n;
    if (error)
        listeners_close(l);
    return error;
}

int listeners_add_contract(struct listeners *l, const struct contract *c)
{
    int error = 0;
    for (int i = 0; i < c->leaving_fds_n && i < CONF_LISTEN_MAX && !error; i++) {
        error = loop_add(l->loop, c->leaving_fds_first + i, POLLIN, on_event, l);
        if (!error)
            l->fds[l->fds_n++] = c->leaving_fds_first + i;
    }
    if (l->fds_n > l->lasting_n)
        loop_arm(l->loop, &l->leave, loop_now_ms(l->loop) + LISTENER_LEAVE_MS);
    if (!error && c->kept_fds[0] >= 0)
        error = loop_add(l->loop, c->kept_fds[0], POLLIN, on_kept, l);
    if (!error)
        l->kept_fd = c->kept_fds[0];
    return error;
}

void listeners_close(struct listeners *l)
{
    loop_disarm(l->loop, &l->retry);
    loop_disarm(l->loop, &l->leave);
    if (l->kept_fd >= 0)
        loop_remove(l->loop, l->kept_fd);
    l->kept_fd = -1;
    for (size_t i = 0; i < l->fds_n; i++) {
        loop_remove(l->loop, l->fds[i]);
        sys_close(l->fds[i]);
    }
    l->fds_n = l->lasting_n = 0;
}

int listeners_are_quiet(const struct listeners *l)
{
    struct pollfd fds[2 * CONF_LISTEN_MAX + 1];
    for (size_t i = 0; i < l->fds_n; i++)
        fds[i] = (struct pollfd){.fd = l->fds[i], .events = POLLIN};
    fds[l->fds_n] = (struct pollfd){.fd = l->kept_fd, .events = POLLIN}; /* -1: not looked at */
    return sys_poll(fds, l->fds_n + 1, 0) == 0;
}
