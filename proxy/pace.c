/* See pace.h. A bucket for what comes, a mark for what goes. */
#include "proxy/pace.h"

#include <stddef.h>

void pace_in_begin(struct pace_in *p, int64_t rate, int64_t grace_ms, int64_t now_ms)
{
    *p = (struct pace_in){.credit = rate * grace_ms, .at_ms = now_ms};
}

void pace_in_wait(struct pace_in *p, int64_t rate, int is_waited_for, int64_t now_ms)
{
    if (p->is_waited_for && p->credit > 0) {
        int64_t waited_ms = now_ms - p->at_ms;
        p->credit -= waited_ms < PACE_GRACE_MAX_MS ? waited_ms * rate : p->credit;
    }
    p->at_ms = now_ms;
    p->is_waited_for = is_waited_for;
}

void pace_in_came(struct pace_in *p, int64_t rate, int64_t grace_ms, uint64_t bytes_n)
{
    int64_t most = rate * grace_ms;
    if (bytes_n > INT64_MAX / 4000 || p->credit > most - (int64_t)bytes_n * 1000)
        p->credit = most;
    else
        p->credit += (int64_t)bytes_n * 1000;
}

int64_t pace_in_left_ms(const struct pace_in *p, int64_t rate)
{
    if (rate == 0)
        return -1;
    return p->credit > 0 ? (p->credit + rate - 1) / rate : 0;
}

void pace_out_begin(struct pace_out *p, int64_t now_ms)
{
    *p = (struct pace_out){.since_ms = now_ms, .left_bytes = -1};
}

int pace_out_is_stalled(struct pace_out *p, int64_t left_bytes, int64_t limit_ms, int64_t now_ms)
{
    if (left_bytes >= 0 && p->left_bytes >= 0 && left_bytes < p->left_bytes)
        p->since_ms = now_ms;
    p->left_bytes = left_bytes;
    return now_ms - p->since_ms >= limit_ms;
}
