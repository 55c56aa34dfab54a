/* See timerq.h. Place 1 is the root; a timer knows its place, so that disarming costs O(log n). */
#include "common/timerq.h"

#include <errno.h>
#include <stdlib.h>

void timerq_init(struct timerq *q)
{
    *q = (struct timerq){.earliest_ms = INT64_MIN};
}

void timerq_fini(struct timerq *q)
{
    free(q->heap);
    timerq_init(q);
}

int timerq_reserve(struct timerq *q, size_t timers_n)
{
    if (timers_n < q->room_n)
        return 0;
    size_t room_n = timers_n + 1; /* place 0 stays empty */
    struct timer **heap = realloc(q->heap, room_n * sizeof *heap);
    if (!heap)
        return -ENOMEM;
    q->heap = heap;
    q->room_n = room_n;
    return 0;
}

static void put(struct timerq *q, size_t place_n, struct timer *t)
{
    q->heap[place_n] = t;
    t->place_n = place_n;
}

static void sift_up(struct timerq *q, struct timer *t)
{
    size_t place_n = t->place_n;
    while (place_n > 1 && q->heap[place_n / 2]->at_ms > t->at_ms) {
        put(q, place_n, q->heap[place_n / 2]);
        place_n /= 2;
    }
    put(q, place_n, t);
}

static void sift_down(struct timerq *q, struct timer *t)
{
    size_t place_n = t->place_n;
    for (;;) {
        size_t child_n = place_n * 2;
        if (child_n > q->timers_n)
            break;
        if (child_n < q->timers_n && q->heap[child_n + 1]->at_ms < q->heap[child_n]->at_ms)
            child_n++;
        if (q->heap[child_n]->at_ms >= t->at_ms)
            break;
        put(q, place_n, q->heap[child_n]);
        place_n = child_n;
    }
    put(q, place_n, t);
}

int timerq_arm(struct timerq *q, struct timer *t, int64_t at_ms)
{
    if (!timer_is_armed(t)) {
        if (q->timers_n + 1 >= q->room_n) {
            int error = timerq_reserve(q, q->room_n ? q->room_n * 2 : 16);
            if (error)
                return error;
        }
        put(q, ++q->timers_n, t);
    }
    t->at_ms = at_ms > q->earliest_ms ? at_ms : q->earliest_ms;
    sift_up(q, t);
    sift_down(q, t);
    return 0;
}

void timerq_disarm(struct timerq *q, struct timer *t)
{
    if (!timer_is_armed(t))
        return;
    struct timer *last = q->heap[q->timers_n--];
    if (last != t) {
        put(q, t->place_n, last);
        sift_up(q, last);
        sift_down(q, last);
    }
    t->place_n = 0;
}

int64_t timerq_next_ms(const struct timerq *q)
{
    return q->timers_n ? q->heap[1]->at_ms : -1;
}

void timerq_run(struct timerq *q, int64_t now_ms)
{
    q->earliest_ms = now_ms + 1;
    while (q->timers_n > 0 && q->heap[1]->at_ms <= now_ms) {
        struct timer *t = q->heap[1];
        timerq_disarm(q, t);
        t->fn(t->context, now_ms);
    }
    q->earliest_ms = INT64_MIN;
}
