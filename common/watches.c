/*
 * See watches.h.
 *
 * With poll(2), removal leaves a gap (fd -1) that is closed before the next wait, so that places stay true while
 * callbacks run; an fd number that is reused meanwhile gets a new place, and the old place's events are not told to it.
 *
 * With epoll(7) nobody walks over the places, so the last one moves into the gap at once; an event carries descriptor and
 * serial. The kernel knows a superset of what is wanted: less is asked for only when it told what nobody wants. A
 * connection that goes from reading to waiting and back, as each does once a request, then costs no epoll_ctl(2).
 */
#include "common/watches.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(EPOLLIN == POLLIN && EPOLLOUT == POLLOUT && EPOLLERR == POLLERR && EPOLLHUP == POLLHUP &&
                   EPOLLRDHUP == POLLRDHUP && EPOLLPRI == POLLPRI,
               "an event has one number in both");

struct watch {
    loop_fd_fn *fn;
    void *context;
    uint32_t serial;
    short told; /* epoll: events that the kernel was asked for, those that are wanted and maybe more */
};

void watches_init(struct watches *w)
{
    *w = (struct watches){.is_epoll = 0};
}

void watches_fini(struct watches *w)
{
    free(w->fds);
    free(w->watches);
    free(w->slots);
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

static int grow(void **array, size_t item_bytes, size_t room_n)
{
    void *more = realloc(*array, item_bytes * room_n);
    if (!more)
        return -ENOMEM;
    *array = more;
    return 0;
}

static int reserve_slots(struct watches *w, size_t room_n)
{
    if (room_n <= w->slots_room_n)
        return 0;
    int error = grow((void **)&w->slots, sizeof *w->slots, room_n);
    if (error)
        return error;
    for (size_t i = w->slots_room_n; i < room_n; i++)
        w->slots[i] = -1;
    w->slots_room_n = room_n;
    return 0;
}

static int reserve_fds(struct watches *w, size_t room_n)
{
    if (room_n <= w->fds_room_n)
        return 0;
    int error = grow((void **)&w->fds, sizeof *w->fds, room_n);
    if (!error)
        error = grow((void **)&w->watches, sizeof *w->watches, room_n);
    if (!error)
        w->fds_room_n = room_n;
    return error;
}

int watches_reserve(struct watches *w, size_t fds_n)
{
    int error = reserve_slots(w, fds_n);
    return error ? error : reserve_fds(w, fds_n);
}

static int slot_of(const struct watches *w, int fd)
{
    return fd >= 0 && (size_t)fd < w->slots_room_n ? w->slots[fd] : -1;
}

/* Tells the kernel what is wanted of the descriptor at this place. */
static int control(struct watches *w, int how, int slot)
{
    const struct pollfd *fd = &w->fds[slot];
    struct epoll_event event = {.events = (uint32_t)(unsigned short)fd->events};
    event.data.u64 = (uint64_t)w->watches[slot].serial << 32 | (uint32_t)fd->fd;
    w->watches[slot].told = fd->events;
    return sys_epoll_control(w->epoll_fd, how, fd->fd, &event);
}

int watches_add(struct watches *w, int fd, short events, loop_fd_fn *fn, void *context)
{
    int error = 0;
    if (fd < 0 || slot_of(w, fd) >= 0)
        return -EINVAL;
    if ((size_t)fd >= w->slots_room_n)
        error = reserve_slots(w, (size_t)fd * 2 + 1);
    if (!error && w->fds_n == w->fds_room_n)
        error = reserve_fds(w, w->fds_n ? w->fds_n * 2 : 32);
    if (error)
        return error;
    int slot = (int)w->fds_n;
    w->fds[slot] = (struct pollfd){.fd = fd, .events = events};
    w->watches[slot] = (struct watch){.fn = fn, .context = context, .serial = ++w->serial};
    error = w->is_epoll ? control(w, EPOLL_CTL_ADD, slot) : 0;
    if (error)
        return error;
    w->slots[fd] = slot;
    w->fds_n++;
    return 0;
}

void watches_set_events(struct watches *w, int fd, short events)
{
    int slot = slot_of(w, fd);
    if (slot < 0)
        return;
    w->fds[slot].events = events;
    if (w->is_epoll && (events & ~w->watches[slot].told))
        (void)!control(w, EPOLL_CTL_MOD, slot); /* needs no memory, and the descriptor is there */
}

void watches_hand_over(struct watches *w, int fd, short events, loop_fd_fn *fn, void *context)
{
    int slot = slot_of(w, fd);
    if (slot < 0)
        return;
    w->watches[slot].fn = fn;
    w->watches[slot].context = context;
    watches_set_events(w, fd, events);
}

static void move(struct watches *w, size_t from, size_t to)
{
    w->fds[to] = w->fds[from];
    w->watches[to] = w->watches[from];
    w->slots[w->fds[to].fd] = (int)to;
}

void watches_remove(struct watches *w, int fd)
{
    int slot = slot_of(w, fd);
    if (slot < 0)
        return;
    w->slots[fd] = -1;
    if (w->is_epoll) {
        struct epoll_event none = {.events = 0};
        (void)!sys_epoll_control(w->epoll_fd, EPOLL_CTL_DEL, fd, &none);
        if ((size_t)slot != --w->fds_n)
            move(w, w->fds_n, (size_t)slot);
        return;
    }
    w->fds[slot].fd = -1;
    w->fds[slot].revents = 0;
    w->has_gaps = 1;
}

void watches_settle(struct watches *w)
{
    size_t kept_n = 0;
    if (!w->has_gaps)
        return;
    for (size_t i = 0; i < w->fds_n; i++)
        if (w->fds[i].fd >= 0)
            move(w, i, kept_n++);
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
        w->watches[i].fn(w->watches[i].context, revents);
    }
}

static void tell_event(struct watches *w, const struct epoll_event *event)
{
    int slot = slot_of(w, (int)(uint32_t)event->data.u64);
    if (slot < 0 || w->watches[slot].serial != (uint32_t)(event->data.u64 >> 32))
        return; /* removed in this turn */
    short wanted = (short)(w->fds[slot].events | POLLERR | POLLHUP);
    short revents = (short)((short)event->events & wanted);
    if (revents)
        w->watches[slot].fn(w->watches[slot].context, revents);
    else
        (void)!control(w, EPOLL_CTL_MOD, slot);
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
