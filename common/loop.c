/* See loop.h. Descriptors are watches.c's business; here is what a turn does, and its time. */
#include "common/loop.h"

#include <errno.h>
#include <limits.h>

int loop_init(struct loop *l)
{
    *l = (struct loop){.now_ms = sys_monotonic_ms()};
    l->deferred_last = &l->deferred_first;
    watches_init(&l->watches);
    timerq_init(&l->timers);
    int error = loop_reserve(l, 32);
    return error ? error : timerq_reserve(&l->timers, 16);
}

void loop_fini(struct loop *l)
{
    watches_fini(&l->watches);
    timerq_fini(&l->timers);
}

int loop_use_epoll(struct loop *l)
{
    return watches_use_epoll(&l->watches);
}

void loop_guard(struct loop *l)
{
    l->is_guarded = sys_prepare_interrupts() == 0; /* SIGALRM can be had everywhere */
}

int loop_reserve(struct loop *l, size_t fds_n)
{
    return watches_reserve(&l->watches, fds_n);
}

int loop_add(struct loop *l, int fd, short events, loop_fd_fn *fn, void *context)
{
    return watches_add(&l->watches, fd, events, fn, context);
}

void loop_set_events(struct loop *l, int fd, short events)
{
    watches_set_events(&l->watches, fd, events);
}

void loop_hand_over(struct loop *l, int fd, short events, loop_fd_fn *fn, void *context)
{
    watches_hand_over(&l->watches, fd, events, fn, context);
}

void loop_remove(struct loop *l, int fd)
{
    watches_remove(&l->watches, fd);
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

void loop_forget(struct loop *l, struct deferred *d)
{
    struct deferred **at = &l->deferred_first;
    if (!d->is_queued)
        return;
    while (*at != d)
        at = &(*at)->next;
    *at = d->next;
    if (!*at)
        l->deferred_last = at;
    d->is_queued = 0;
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
    read_clock(l, l->now_ms);
    int wait = wait_ms(l, max_wait_ms);
    if (l->is_guarded)
        sys_interrupt_waits(0, 0);
    int ready_n = watches_wait(&l->watches, wait);
    if (l->is_guarded)
        sys_interrupt_waits(LOOP_TURN_MS, LOOP_TURN_AGAIN_MS);
    int64_t frozen_before_ms = l->frozen_ms;
    read_clock(l, wait < 0 ? INT64_MAX / 2 : l->now_ms + wait);
    int error = ready_n < 0 && ready_n != -EINTR && ready_n != -EAGAIN && ready_n != -ENOMEM ? ready_n : 0;
    if (l->woken)
        l->woken(l->woken_context);
    watches_tell(&l->watches, ready_n);
    if (l->frozen_ms == frozen_before_ms)
        timerq_run(&l->timers, l->now_ms); /* else in the next turn: what was late for our freeze may be put off until then */
    run_deferred(l);
    watches_settle(&l->watches);
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
