/*
 * See loop.h. Removal during a turn leaves a gap (fd -1) that is closed after the turn, so that places
 * stay true while callbacks run; an fd number that is reused within the turn gets a new place, and the
 * old place's events are not delivered to it.
 */
#include "common/loop.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

struct loop_watch {
    loop_fd_fn *fn;
    void *context;
};

int loop_init(struct loop *l)
{
    *l = (struct loop){.now_ms = sys_monotonic_ms()};
    l->deferred_last = &l->deferred_first;
    timerq_init(&l->timers);
    int error = loop_reserve(l, 32);
    return error ? error : timerq_reserve(&l->timers, 16);
}

void loop_fini(struct loop *l)
{
    free(l->fds);
    free(l->watches);
    free(l->slots);
    timerq_fini(&l->timers);
    memset(l, 0, sizeof *l);
}

static int grow(void **array, size_t item_bytes, size_t room_n)
{
    void *more = realloc(*array, item_bytes * room_n);
    if (!more)
        return -ENOMEM;
    *array = more;
    return 0;
}

static int reserve_slots(struct loop *l, size_t room_n)
{
    if (room_n <= l->slots_room_n)
        return 0;
    int error = grow((void **)&l->slots, sizeof *l->slots, room_n);
    if (error)
        return error;
    for (size_t i = l->slots_room_n; i < room_n; i++)
        l->slots[i] = -1;
    l->slots_room_n = room_n;
    return 0;
}

static int reserve_fds(struct loop *l, size_t room_n)
{
    if (room_n <= l->fds_room_n)
        return 0;
    int error = grow((void **)&l->fds, sizeof *l->fds, room_n);
    if (!error)
        error = grow((void **)&l->watches, sizeof *l->watches, room_n);
    if (!error)
        l->fds_room_n = room_n;
    return error;
}

int loop_reserve(struct loop *l, size_t fds_n)
{
    int error = reserve_slots(l, fds_n);
    return error ? error : reserve_fds(l, fds_n);
}

static int slot_of(const struct loop *l, int fd)
{
    return fd >= 0 && (size_t)fd < l->slots_room_n ? l->slots[fd] : -1;
}

int loop_add(struct loop *l, int fd, short events, loop_fd_fn *fn, void *context)
{
    int error = 0;
    if (fd < 0 || slot_of(l, fd) >= 0)
        return -EINVAL;
    if ((size_t)fd >= l->slots_room_n)
        error = reserve_slots(l, (size_t)fd * 2 + 1);
    if (!error && l->fds_n == l->fds_room_n)
        error = reserve_fds(l, l->fds_n * 2);
    if (error)
        return error;
    l->slots[fd] = (int)l->fds_n;
    l->fds[l->fds_n] = (struct pollfd){.fd = fd, .events = events};
    l->watches[l->fds_n] = (struct loop_watch){fn, context};
    l->fds_n++;
    return 0;
}

void loop_set_events(struct loop *l, int fd, short events)
{
    int slot = slot_of(l, fd);
    if (slot >= 0)
        l->fds[slot].events = events;
}

void loop_remove(struct loop *l, int fd)
{
    int slot = slot_of(l, fd);
    if (slot < 0)
        return;
    l->slots[fd] = -1;
    l->fds[slot].fd = -1;
    l->fds[slot].revents = 0;
    l->has_gaps = 1;
}

static void close_gaps(struct loop *l)
{
    size_t kept_n = 0;
    if (!l->has_gaps)
        return;
    for (size_t i = 0; i < l->fds_n; i++) {
        if (l->fds[i].fd < 0)
            continue;
        l->fds[kept_n] = l->fds[i];
        l->watches[kept_n] = l->watches[i];
        l->slots[l->fds[kept_n].fd] = (int)kept_n;
        kept_n++;
    }
    l->fds_n = kept_n;
    l->has_gaps = 0;
}

void loop_arm(struct loop *l, struct timer *t, int64_t at_ms)
{
    if (timerq_arm(&l->timers, t, at_ms) < 0)
        t->fn(t->context, l->now_ms);
}

void loop_disarm(struct loop *l, struct timer *t)
{
    timerq_disarm(&l->timers, t);
}

void loop_defer(struct loop *l, struct deferred *d)
{
    if (d->is_queued)
        return;
    d->is_queued = 1;
    d->next = NULL;
    *l->deferred_last = d;
    l->deferred_last = &d->next;
}

static void run_deferred(struct loop *l)
{
    while (l->deferred_first) {
        struct deferred *d = l->deferred_first;
        l->deferred_first = d->next;
        if (!l->deferred_first)
            l->deferred_last = &l->deferred_first;
        d->is_queued = 0;
        d->fn(d->context); /* may free d */
    }
}

static int wait_ms(const struct loop *l, int64_t max_wait_ms)
{
    int64_t next_ms = timerq_next_ms(&l->timers);
    int64_t wait = max_wait_ms;
    if (next_ms >= 0) {
        int64_t until_ms = next_ms > l->now_ms ? next_ms - l->now_ms : 0;
        if (wait < 0 || until_ms < wait)
            wait = until_ms;
    }
    return wait > INT_MAX ? INT_MAX : (int)wait;
}

/* at_latest_ms: when we would have been back here, had we been running all the time. */
static void read_clock(struct loop *l, int64_t at_latest_ms)
{
    int64_t now_ms = sys_monotonic_ms() - l->frozen_ms;
    if (now_ms - at_latest_ms > LOOP_FREEZE_MS) {
        l->frozen_ms += now_ms - at_latest_ms;
        now_ms = at_latest_ms;
    }
    l->now_ms = now_ms;
}

int loop_turn(struct loop *l, int64_t max_wait_ms)
{
    run_deferred(l);
    close_gaps(l);
    read_clock(l, l->now_ms);
    int wait = wait_ms(l, max_wait_ms);
    int ready_n = sys_poll(l->fds, l->fds_n, wait);
    int64_t frozen_before_ms = l->frozen_ms;
    read_clock(l, wait < 0 ? INT64_MAX / 2 : l->now_ms + wait);
    int error = ready_n < 0 && ready_n != -EINTR && ready_n != -EAGAIN && ready_n != -ENOMEM ? ready_n : 0;
    size_t seen_n = l->fds_n; /* what callbacks add waits for the next turn */
    for (size_t i = 0; i < seen_n && ready_n > 0; i++) {
        short revents = l->fds[i].revents;
        if (revents == 0 || l->fds[i].fd < 0)
            continue;
        ready_n--;
        l->fds[i].revents = 0;
        l->watches[i].fn(l->watches[i].context, revents);
    }
    if (l->frozen_ms == frozen_before_ms)
        timerq_run(&l->timers, l->now_ms); /* else in the next turn: what was late for our freeze may be put off until then */
    run_deferred(l);
    close_gaps(l);
    return error;
}

int loop_run(struct loop *l)
{
    int error = 0;
    while (!l->is_stopped && !error)
        error = loop_turn(l, -1);
    return error;
}

void loop_stop(struct loop *l)
{
    l->is_stopped = 1;
}
