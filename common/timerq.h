/*
 * timerq: absolute deadlines in a binary heap. The caller owns each timer and embeds it where it belongs.
 */
#ifndef COMMON_TIMERQ_H
#define COMMON_TIMERQ_H

#include "common/sys.h"

struct timer;
typedef void timer_fn(void *context, int64_t now_ms);

struct timer {
    int64_t at_ms;  /* when, on the monotonic clock */
    size_t place_n; /* 1-based place in the heap; 0: not armed */
    timer_fn *fn;
    void *context;
};

struct timerq {
    struct timer **heap;
    size_t timers_n;
    size_t room_n;
    int64_t earliest_ms; /* what is armed while timers run is due then, or later */
};

void timerq_init(struct timerq *q);
void timerq_fini(struct timerq *q);

/* Room for this many timers at once, so that arming never has to allocate. 0 or -ENOMEM. */
int timerq_reserve(struct timerq *q, size_t timers_n) WARN_UNUSED;

static inline void timer_init(struct timer *t, timer_fn *fn, void *context)
{
    *t = (struct timer){.fn = fn, .context = context};
}

/* 1 while it waits for its time. */
static inline int timer_is_armed(const struct timer *t)
{
    return t->place_n != 0;
}

/* (Re-)arms for at_ms. 0, or -ENOMEM where the heap could not grow: the timer is then as it was. */
int timerq_arm(struct timerq *q, struct timer *t, int64_t at_ms) WARN_UNUSED;
void timerq_disarm(struct timerq *q, struct timer *t);

/* The next deadline, or -1 when there is none. */
int64_t timerq_next_ms(const struct timerq *q);

/* Runs all that is due at now_ms, each once: what a timer arms for now or the past, itself included, is due a
 * millisecond later, so that nobody is held up by it. */
void timerq_run(struct timerq *q, int64_t now_ms);

#endif
