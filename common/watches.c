/*
 * See watches.h.
 *
 * What is known of a descriptor is at its number. For poll(2) there is a dense array beside it: removal leaves a gap (fd -1)
 * that is closed before the next wait, so that places stay true while callbacks run; an fd number that is reused meanwhile gets
 * a new place, and the old place's events are not told to it.
 *
 * With epoll(7) an event carries descriptor and serial. The kernel knows a superset of what is wanted: less is asked for only
 * when it told what nobody wants. A connection that goes from reading to waiting and back, as each does once a request, then
 * costs no epoll_ctl(2).
 */
#include "common/watches.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(EPOLLIN == POLLIN && EPOLLOUT == POLLOUT && EPOLLERR == POLLERR && EPOLLHUP == POLLHUP &&
                   EPOLLRDHUP == POLLRDHUP && EPOLLPRI == POLLPRI,
               "an event has one number in both");

struct watch {
    loop_fd_fn *fn; /* NULL: the descriptor is not watched */
    void *context;
    uint32_t serial;
    int place;      /* poll: in fds */
    short wanted;   /* events */
    short told;     /* epoll: events that the kernel was asked for, those that are wanted and maybe more */
};

void watches_init(struct watches *w)
{
    *w = (struct watches){.is_epoll = 0};
}

void watches_fini(struct watches *w)
{
    free(w->fds);
    free(w->watches);
    free(w->ready);
    if (w->is_epoll)
        sys_close(w->epoll_fd);
    watches_init(w);
}

int watches_use_epoll(struct watches *w)
{
    if (w->is_epoll || w->fds_n > 0)
        return -EINVAL;
    int fd = sys_epoll_create();
    if (fd < 0)
        return fd;
    w->ready = malloc(WATCHES_READY_N * sizeof *w->ready);
    if (!w->ready) {
        sys_close(fd);
        return -ENOMEM;
    }
    w->epoll_fd = fd;
    w->is_epoll = 1;
    return 0;
}

static int reserve_watches(struct watches *w, size_t room_n)
{
    if (room_n <= w->watches_room_n)
        return 0;
    struct watch *more = realloc(w->watches, room_n * sizeof *more);
    if (!more)
        return -ENOMEM;
    memset(more + w->watches_room_n, 0, (room_n - w->watches_room_n) * sizeof *more);
    w->watches = more;
    w->watches_room_n = room_n;
    return 0;
}

static int reserve_fds(struct watches *w, size_t room_n)
{
    if (w->is_epoll || room_n <= w->fds_room_n)
        return 0;
    struct pollfd *more = realloc(w->fds, room_n * sizeof *more);
    if (!more)
        return -ENOMEM;
    w->fds = more;
    w->fds_room_n = room_n;
    return 0;
}

int watches_reserve(struct watches *w, size_t fds_n)
{
    int error = reserve_watches(w, fds_n);
    return error ? error : reserve_fds(w, fds_n);
}

/* NULL where it is not watched. */
static struct watch *watch_of(const struct watches *w, int fd)
{
    return fd >= 0 && (size_t)fd < w->watches_room_n && w->watches[fd].fn ? &w->watches[fd] : NULL;
}

/* Tells the kernel what is wanted of the descriptor. */
static int control(struct watches *w, int how, int fd)
{
    struct watch *watch = &w->watches[fd];
    struct epoll_event event = {.events = (uint32_t)(unsigned short)watch->wanted};
    event.data.u64 = (uint64_t)watch->serial << 32 | (uint32_t)fd;
    watch->told = watch->wanted;
    return sys_epoll_control(w->epoll_fd, how, fd, &event);
}

int watches_add(struct watches *w, int fd, short events, loop_fd_fn *fn, void *context)
{
    int error = 0;
    if (fd < 0 || watch_of(w, fd))
        return -EINVAL;
    if ((size_t)fd >= w->watches_room_n)
        error = reserve_watches(w, (size_t)fd * 2 + 1);
    if (!error && w->fds_n == w->fds_room_n)
        error = reserve_fds(w, w->fds_n ? w->fds_n * 2 : 32);
    if (error)
        return error;
    struct watch *watch = &w->watches[fd];
    *watch = (struct watch){.context = context, .serial = ++w->serial, .wanted = events};
    if (w->is_epoll)
        error = control(w, EPOLL_CTL_ADD, fd);
    else
        w->fds[watch->place = (int)w->fds_n] = (struct pollfd){.fd = fd, .events = events};
    if (error)
        return error;
    watch->fn = fn;
    w->fds_n++;
    return 0;
}

void watches_set_events(struct watches *w, int fd, short events)
{
    struct watch *watch = watch_of(w, fd);
    if (!watch)
        return;
    watch->wanted = events;
    if (!w->is_epoll)
        w->fds[watch->place].events = events;
    else if (events & ~watch->told)
        (void)!control(w, EPOLL_CTL_MOD, fd); /* needs no memory, and the descriptor is there */
}

void watches_hand_over(struct watches *w, int fd, short events, loop_fd_fn *fn, void *context)
{
    struct watch *watch = watch_of(w, fd);
    if (!watch)
        return;
    watch->fn = fn;
    watch->context = context;
    watches_set_events(w, fd, events);
}

void watches_remove(struct watches *w, int fd)
{
    struct watch *watch = watch_of(w, fd);
    if (!watch)
        return;
    watch->fn = NULL;
    if (w->is_epoll) {
        struct epoll_event none = {.events = 0};
        (void)!sys_epoll_control(w->epoll_fd, EPOLL_CTL_DEL, fd, &none);
        w->fds_n--;
        return;
    }
    w->fds[watch->place].fd = -1;
    w->fds[watch->place].revents = 0;
    w->has_gaps = 1;
}

void watches_settle(struct watches *w)
{
    size_t kept_n = 0;
    if (!w->has_gaps)
        return;
    for (size_t i = 0; i < w->fds_n; i++) {
        if (w->fds[i].fd < 0)
            continue;
        w->fds[kept_n] = w->fds[i];
        w->watches[w->fds[i].fd].place = (int)kept_n++;
    }
    w->fds_n = kept_n;
    w->has_gaps = 0;
}

int watches_wait(struct watches *w, int timeout_ms)
{
    watches_settle(w);
    if (w->is_epoll)
        return sys_epoll_wait(w->epoll_fd, w->ready, WATCHES_READY_N, timeout_ms);
    return sys_poll(w->fds, w->fds_n, timeout_ms);
}

static void tell_polled(struct watches *w, int ready_n)
{
    size_t seen_n = w->fds_n; /* what callbacks add waits for the next turn */
    for (size_t i = 0; i < seen_n && ready_n > 0; i++) {
        short revents = w->fds[i].revents;
        if (revents == 0 || w->fds[i].fd < 0)
            continue;
        ready_n--;
        w->fds[i].revents = 0;
        const struct watch *watch = &w->watches[w->fds[i].fd];
        watch->fn(watch->context, revents);
    }
}

static void tell_event(struct watches *w, const struct epoll_event *event)
{
    int fd = (int)(uint32_t)event->data.u64;
    const struct watch *watch = watch_of(w, fd);
    if (!watch || watch->serial != (uint32_t)(event->data.u64 >> 32))
        return; /* removed in this turn */
    short revents = (short)((short)event->events & (short)(watch->wanted | POLLERR | POLLHUP));
    if (revents)
        watch->fn(watch->context, revents);
    else
        (void)!control(w, EPOLL_CTL_MOD, fd);
}

void watches_tell(struct watches *w, int ready_n)
{
    if (!w->is_epoll) {
        tell_polled(w, ready_n);
        return;
    }
    for (int i = 0; i < ready_n; i++)
        tell_event(w, &w->ready[i]);
}
