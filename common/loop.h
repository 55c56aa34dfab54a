/*
 * loop: one thread, level-triggered poll(2) or epoll(7), absolute deadlines, the clock read once a turn.
 *
 * Its time is monotonic and stands still while the process does: what a stop, a frozen cgroup or a suspended machine took
 * (seen as a wait that ended more than LOOP_FREEZE_MS after its time) is not counted. So a deadline that passed
 * meanwhile is not missed, it is still to come, and everything that is measured in the loop's time keeps its meaning.
 */
#ifndef COMMON_LOOP_H
#define COMMON_LOOP_H

#include "common/timerq.h"
#include "common/watches.h"

/* Work put off to the end of the turn, such as freeing an object that is still on the stack. */
struct deferred {
    struct deferred *next;
    void (*fn)(void *context);
    void *context;
    int is_queued;
};

enum { LOOP_FREEZE_MS = 1000, LOOP_TURN_MS = 100, LOOP_TURN_AGAIN_MS = 10 };

struct loop {
    struct watches watches;
    struct timerq timers;
    struct deferred *deferred_first, **deferred_last;
    int64_t now_ms;
    int64_t frozen_ms; /* how much of the monotonic clock was not counted, ever growing */
    void (*woken)(void *context); /* each wait is over, and nothing of what has happened told yet; for the owner to set, or NULL */
    void *woken_context;
    int is_stopped;
    int is_guarded;
};

int loop_init(struct loop *l) WARN_UNUSED;
void loop_fini(struct loop *l);

/* Waits by epoll(7) from now on, whose cost does not grow with the number of descriptors; see watches.h for what
 * differs. To be called before anything is watched. 0, or -errno: then poll(2) goes on. */
int loop_use_epoll(struct loop *l) WARN_UNUSED;

/* From now on only its own wait is long: once a turn has taken LOOP_TURN_MS, whatever it waits for in the kernel is interrupted,
 * again and again. For one loop of a process. Who can hand us a descriptor chooses how long close(2) takes: that of a TCP socket
 * with SO_LINGER waits for the other end (socket(7)). It need not even be received: the kernel closes what comes with a message
 * that was read without it, or lies unread in a socket that is closed, and lets the reader wait. */
void loop_guard(struct loop *l);

/* Room for descriptors up to this number, so that adding never has to allocate. 0 or -ENOMEM. */
int loop_reserve(struct loop *l, size_t fds_n) WARN_UNUSED;

/* The loop's time in this turn. */
static inline int64_t loop_now_ms(const struct loop *l)
{
    return l->now_ms;
}

/* The same moment on the monotonic clock, which other processes read too. */
static inline int64_t loop_monotonic_ms(const struct loop *l)
{
    return l->now_ms + l->frozen_ms;
}

/* Watches fd for events (POLLIN…; errors and hang-ups always come). One watch a descriptor. 0, -ENOMEM, or what
 * epoll_ctl(2) says. */
int loop_add(struct loop *l, int fd, short events, loop_fd_fn *fn, void *context) WARN_UNUSED;
void loop_set_events(struct loop *l, int fd, short events);
/* A watched descriptor changes hands: another is called from now on, also with what has happened in this turn and was not told
 * yet. Cheaper than to remove and to add. */
void loop_hand_over(struct loop *l, int fd, short events, loop_fd_fn *fn, void *context);
/* Must come before close(2). Harmless for a descriptor that is not watched. */
void loop_remove(struct loop *l, int fd);

/* Arms without an error to handle: where memory fails, the timer fires in this very turn instead of never. */
void loop_arm(struct loop *l, struct timer *t, int64_t at_ms);
void loop_disarm(struct loop *l, struct timer *t);

/* Runs d->fn at the end of this turn; once, however often it is asked. */
void loop_defer(struct loop *l, struct deferred *d);
/* … or not at all: it may be freed. Harmless for what is not to run. */
void loop_forget(struct loop *l, struct deferred *d);

/* One turn: waits at most max_wait_ms (-1: until something happens), then runs what is due. 0 or -errno: then
 * descriptors were not looked at, and timers were run all the same. */
int loop_turn(struct loop *l, int64_t max_wait_ms);
/* Turns until loop_stop(). 0 or -errno. */
int loop_run(struct loop *l);
void loop_stop(struct loop *l);

#endif
