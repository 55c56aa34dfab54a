/*
 * idle: is there anything to stay awake for? Pure.
 */
#ifndef SUPERVISOR_IDLE_H
#define SUPERVISOR_IDLE_H

#include "common/sys.h"

struct idle_view {
    int64_t timeout_ms;     /* 0: never idle */
    int64_t last_active_ms; /* the latest of boot, work, pulls and starts */
    int is_busy;            /* work is under way, or a program is on its way up */
};

enum idle_verdict { IDLE_NEVER, IDLE_LATER, IDLE_NOW };

/* IDLE_LATER: *again_at_ms says when to look again. Doubt means awake. */
enum idle_verdict idle_judge(const struct idle_view *v, int64_t now_ms, int64_t *again_at_ms);

#endif
