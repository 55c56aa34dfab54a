/* See idle.h. */
#include "supervisor/idle.h"

enum idle_verdict idle_judge(const struct idle_view *v, int64_t now_ms, int64_t *again_at_ms)
{
    if (v->timeout_ms == 0)
        return IDLE_NEVER;
    if (v->is_busy) { /* the end of the work will be the last activity */
        *again_at_ms = now_ms + v->timeout_ms;
        return IDLE_LATER;
    }
    *again_at_ms = v->last_active_ms + v->timeout_ms;
    return now_ms >= *again_at_ms ? IDLE_NOW : IDLE_LATER;
}
