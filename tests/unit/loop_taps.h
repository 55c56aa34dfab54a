/* Pipes whose reading ends a loop watches, by poll(2) or by epoll(7). Behind cmocka.h. */
#ifndef TESTS_UNIT_LOOP_TAPS_H
#define TESTS_UNIT_LOOP_TAPS_H

#include "common/loop.h"

#include <fcntl.h>

enum { PIPES = 8 };

/* Every test runs over both. */
static int is_epoll;

static void start(struct loop *loop)
{
    assert_int_equal(loop_init(loop), 0);
    if (is_epoll)
        assert_int_equal(loop_use_epoll(loop), 0);
}

/* A pipe whose reading end is watched. */
struct tap {
    struct loop *loop;
    int fds[2];
    unsigned calls_n;
    short revents;
    void (*then)(struct tap *t);
    struct tap *other;
};

static void tapped(void *context, short revents)
{
    struct tap *t = context;
    t->calls_n++;
    t->revents = revents;
    if (t->then)
        t->then(t);
}

static void tap_open(struct tap *t, struct loop *loop)
{
    *t = (struct tap){.loop = loop};
    assert_int_equal(sys_pipe(t->fds, O_NONBLOCK), 0);
    assert_int_equal(loop_add(loop, t->fds[0], POLLIN, tapped, t), 0);
}

static void tap_fill(struct tap *t)
{
    assert_int_equal(sys_write(t->fds[1], "x", 1), 1);
}

static void tap_drain(struct tap *t)
{
    char bytes[64];
    while (sys_read(t->fds[0], bytes, sizeof bytes) > 0)
        continue;
}

static void tap_close(struct tap *t)
{
    if (t->fds[0] >= 0) {
        loop_remove(t->loop, t->fds[0]);
        sys_close(t->fds[0]);
    }
    sys_close(t->fds[1]);
    t->fds[0] = t->fds[1] = -1;
}

static void open_all(struct loop *loop, struct tap taps[PIPES])
{
    start(loop);
    for (int i = 0; i < PIPES; i++)
        tap_open(&taps[i], loop);
}

static void close_all(struct loop *loop, struct tap taps[PIPES])
{
    for (int i = 0; i < PIPES; i++)
        tap_close(&taps[i]);
    loop_fini(loop);
}

#endif
