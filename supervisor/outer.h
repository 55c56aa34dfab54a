/*
 * outer: what the supervisor says of itself to the manager that started it, by sd_notify(3): systemd, podman, or another.
 *
 * Without NOTIFY_SOCKET in the environment all of it does nothing. Nothing here ever waits: what a full queue does not
 * take is kept, the newest of each kind, and sent when there is room.
 */
#ifndef SUPERVISOR_OUTER_H
#define SUPERVISOR_OUTER_H

#include "common/loop.h"

enum { OUTER_PATH_BYTES = 256, OUTER_STATUS_BYTES = 400 };

struct outer {
    struct loop *loop;
    char path[OUTER_PATH_BYTES]; /* "": nobody is to be told */
    unsigned unsaid;             /* kinds of lines (outer.c) that have not got out yet */
    char status[OUTER_STATUS_BYTES];
    int64_t extend_us, reloading_at_us;
    int exit_code, error_number;
    struct timer again;    /* the queue was full */
    int64_t again_in_ms;
    struct timer watchdog; /* armed only where the manager asked for it */
    int64_t watchdog_every_ms; /* 0: it did not */
    int is_failure_told;
};

/* Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID (sd_watchdog_enabled(3)) from the environment of the process and, where
 * asked to, says WATCHDOG=1 at half of that interval from then on, by a timer of the loop: a loop that hangs says nothing. */
void outer_init(struct outer *o, struct loop *loop);
void outer_fini(struct outer *o);
/* 1 where somebody is to be told. */
int outer_is_there(const struct outer *o);

/* We were frozen or suspended, which our timers do not count, but the manager may: WATCHDOG=1 at once where it is asked for. */
void outer_resumed(struct outer *o);
/* STATUS=: one line for people; cleaned and cut here, and sent only where it differs from the last. */
void outer_status(struct outer *o, const char *text);
/* READY=1: what was to start has started, or what was to be read again has been. */
void outer_ready(struct outer *o);
/* RELOADING=1 with the time, as Type=notify-reload wants it; outer_ready() is to follow. */
void outer_reloading(struct outer *o);
/* STOPPING=1; it will take budget_ms at the most (EXTEND_TIMEOUT_USEC=). */
void outer_stopping(struct outer *o, int64_t budget_ms);
/* EXTEND_TIMEOUT_USEC=: the start, or whatever is under way, is fine and may take so long until the next message. */
void outer_extend(struct outer *o, int64_t for_ms);
/* The last words: EXIT_STATUS=, and ERRNO= where error (-errno, else 0) says which call failed. */
void outer_end(struct outer *o, int exit_code, int error);
/* Last words where nothing is started at all, and there is no loop: STATUS= and EXIT_STATUS=. */
void outer_refuse(const char *text, int exit_code);

#endif
