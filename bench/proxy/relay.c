/*
 * relay PORT BACKEND_PORT [poll | linger MICROSECONDS]: the floor. Moves bytes and reads none: a connection to the backend
 * for each that comes, one read and one write a piece, write first and wait for room only with what remains. Waits by
 * epoll, by poll(2), or by epoll after having slept for a moment, so that one wait brings more.
 */
#include "bench.h"

#include <poll.h>

enum { PIECE_BYTES = 65536 };

struct end {
    int fd;
    struct end *other;
    char *rest; /* what could not be written to this end */
    size_t rest_n;
    size_t place_n; /* in fds */
    int is_closed;
};

static int epoll_fd = -1, listen_fd;
static long backend_port;
static struct pollfd *fds; /* for poll(2) */
static struct end **ends;
static size_t fds_n, fds_room_n;
static struct end *closed[2 * BENCH_BATCH + 2]; /* freed after the turn */
static size_t closed_n;
static char piece[PIECE_BYTES];

static void set(struct end *e, int how)
{
    int wants_out = e->rest_n > 0, is_stopped = e->other && e->other->rest_n > 0;
    if (epoll_fd >= 0)
        watch_or_die(epoll_fd, how, e->fd, (is_stopped ? 0 : EPOLLIN) | (wants_out ? EPOLLOUT : 0), e);
    else
        fds[e->place_n].events = (short)((is_stopped ? 0 : POLLIN) | (wants_out ? POLLOUT : 0));
}

static void add(struct end *e)
{
    if (epoll_fd < 0) {
        if (fds_n == fds_room_n) {
            fds_room_n = fds_room_n ? fds_room_n * 2 : 64;
            fds = realloc(fds, fds_room_n * sizeof *fds);
            ends = realloc(ends, fds_room_n * sizeof *ends);
            if (!fds || !ends)
                die("memory");
        }
        e->place_n = fds_n++;
        fds[e->place_n] = (struct pollfd){.fd = e->fd};
        ends[e->place_n] = e;
    }
    set(e, EPOLL_CTL_ADD);
}

static void close_end(struct end *e)
{
    close(e->fd);
    e->is_closed = 1;
    if (epoll_fd < 0)
        fds[e->place_n].fd = -1;
    closed[closed_n++] = e;
}

static void close_pair(struct end *e)
{
    if (e->is_closed)
        return;
    close_end(e->other);
    close_end(e);
}

static void free_closed(void)
{
    while (closed_n > 0) {
        struct end *e = closed[--closed_n];
        if (epoll_fd < 0) {
            ends[e->place_n] = ends[--fds_n];
            ends[e->place_n]->place_n = e->place_n;
            fds[e->place_n] = fds[fds_n];
        }
        free(e->rest);
        free(e);
    }
}

static struct end *end_new(int fd)
{
    struct end *e = calloc(1, sizeof *e);
    if (!e)
        die("memory");
    e->fd = fd;
    return e;
}

static void accept_all(void)
{
    for (int fd; (fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
        send_at_once(fd);
        struct end *client = end_new(fd), *backend = end_new(connect_or_die(backend_port));
        client->other = backend;
        backend->other = client;
        add(client);
        add(backend);
    }
}

static void move(struct end *from)
{
    struct end *to = from->other;
    ssize_t n = recv(from->fd, piece, sizeof piece, 0);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        close_pair(from);
        return;
    }
    ssize_t sent_n = send(to->fd, piece, (size_t)n, MSG_NOSIGNAL);
    if (sent_n < 0 && errno != EAGAIN && errno != ENOTCONN) {
        close_pair(from);
        return;
    }
    if (sent_n == n)
        return;
    sent_n = sent_n < 0 ? 0 : sent_n;
    to->rest_n = (size_t)(n - sent_n);
    to->rest = malloc(to->rest_n);
    if (!to->rest)
        die("memory");
    memcpy(to->rest, piece + sent_n, to->rest_n);
    set(from, EPOLL_CTL_MOD);
    set(to, EPOLL_CTL_MOD);
}

static void write_rest(struct end *to)
{
    ssize_t n = send(to->fd, to->rest, to->rest_n, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN) {
        close_pair(to);
        return;
    }
    to->rest_n -= n > 0 ? (size_t)n : 0;
    memmove(to->rest, to->rest + (n > 0 ? n : 0), to->rest_n);
    if (to->rest_n > 0)
        return;
    free(to->rest);
    to->rest = NULL;
    set(to, EPOLL_CTL_MOD);
    set(to->other, EPOLL_CTL_MOD);
}

static void on_event(struct end *e, int is_out)
{
    if (!e)
        accept_all();
    else if (e->is_closed)
        return;
    else if (is_out)
        write_rest(e);
    else
        move(e);
}

static void run_poll(void)
{
    struct end listener = {.fd = listen_fd};
    add(&listener);
    for (;;) {
        int left_n = poll(fds, fds_n, -1);
        for (size_t i = 0, seen_n = fds_n; i < seen_n && left_n > 0 && closed_n < 2 * BENCH_BATCH; i++) {
            short revents = fds[i].fd >= 0 ? fds[i].revents : 0;
            left_n -= revents != 0;
            if (revents)
                on_event(i ? ends[i] : NULL, (revents & POLLOUT) != 0);
        }
        free_closed();
    }
}

static void run_epoll(long linger_us)
{
    struct epoll_event ready[BENCH_BATCH];
    struct timespec linger = {0, linger_us * 1000};
    watch_or_die(epoll_fd, EPOLL_CTL_ADD, listen_fd, EPOLLIN, NULL);
    for (;;) {
        if (linger_us > 0)
            nanosleep(&linger, NULL);
        int n = epoll_wait(epoll_fd, ready, BENCH_BATCH, -1);
        for (int i = 0; i < n; i++)
            on_event(ready[i].data.ptr, (ready[i].events & EPOLLOUT) != 0);
        free_closed();
    }
}

int main(int argc, char **argv)
{
    int is_poll = argc == 4 && strcmp(argv[3], "poll") == 0, is_linger = argc == 5 && strcmp(argv[3], "linger") == 0;
    if (argc != 3 && !is_poll && !is_linger) {
        fprintf(stderr, "usage: relay PORT BACKEND_PORT [poll | linger MICROSECONDS]\n");
        return 100;
    }
    listen_fd = listen_or_die(number_or_die(argv[1]));
    backend_port = number_or_die(argv[2]);
    if (is_poll)
        run_poll();
    epoll_fd = epoll_create1(0);
    if (epoll_fd < 0)
        die("epoll_create1");
    run_epoll(is_linger ? number_or_die(argv[4]) : 0);
}
