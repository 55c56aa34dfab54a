/*
 * clocks: three clocks compared, to tell a gap in our life and a step of the calendar from time that passed. Pure.
 *
 * CLOCK_MONOTONIC stands still in a suspend on Linux, goes on in a stop or a frozen cgroup; after a snapshot was restored it
 * may do either, and CLOCK_REALTIME may be all that moved. clock_gettime(2)
 */
#ifndef COMMON_CLOCKS_H
#define COMMON_CLOCKS_H

#include "common/sys.h"

enum { CLOCKS_TOLERANCE_MS = 1000 };

struct clocks {
    int64_t awake_ms;     /* the loop's time: none passes while the process does not run */
    int64_t monotonic_ms;
    int64_t boottime_ms;  /* counts suspends */
    int64_t realtime_ms;
};

enum clocks_event {
    CLOCKS_STEADY,
    CLOCKS_RESUMED, /* stopped, frozen or suspended for by_ms */
    CLOCKS_STEPPED, /* the calendar moved by by_ms, and nothing else did: somebody set it, or a snapshot was restored */
};

/* What happened between the last look and now; *last becomes now. A clock that is slewed (adjtime(3), at most 1 ms a
 * second) is steady. */
enum clocks_event clocks_look(struct clocks *last, const struct clocks *now, int64_t *by_ms);

#endif
