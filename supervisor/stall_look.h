/*
 * stall_look: takes a sample of what the processes below Ollama have taken (stall.h), by a process of its own: a driver that hangs, or
 * a /proc that does, holds up nobody.
 */
#ifndef SUPERVISOR_STALL_LOOK_H
#define SUPERVISOR_STALL_LOOK_H

#include "common/loop.h"
#include "supervisor/stall.h"

struct stall_look {
    struct loop *loop;
    int fd; /* the sample comes from there; -1: nobody looks */
    struct timer timer;
    void (*told)(void *context, const struct stall_sample *sample);
    void *context;
};

/* told: comes once for each start, never from within. */
void stall_look_init(struct stall_look *l, struct loop *loop, void (*told)(void *context, const struct stall_sample *sample), void *context);
/* Looks at main and all below it. One look at a time; the sample is unknown where it can't be had within two seconds. */
void stall_look_start(struct stall_look *l, pid_t main);
/* Nothing is told any more. */
void stall_look_stop(struct stall_look *l);

/* What a look sees, in this very process. */
void stall_look_sample(pid_t main, struct stall_sample *out);
/* The text of /proc/PID/io, proc(5): bytes that it has read, through the page cache or not; 0 where it says nothing. Pure. */
int64_t stall_look_read_bytes(const char *text);

#endif
