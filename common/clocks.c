/* See clocks.h. */
#include "common/clocks.h"

enum clocks_event clocks_look(struct clocks *last, const struct clocks *now, int64_t *by_ms)
{
    int64_t awake_ms = now->awake_ms - last->awake_ms;
    int64_t monotonic_ms = now->monotonic_ms - last->monotonic_ms;
    int64_t boottime_ms = now->boottime_ms - last->boottime_ms;
    int64_t realtime_ms = now->realtime_ms - last->realtime_ms;
    int64_t passed_ms = boottime_ms > monotonic_ms ? boottime_ms : monotonic_ms;
    int64_t step_ms = realtime_ms - passed_ms;
    int64_t slew_ms = passed_ms / 1000;
    *last = *now;
    *by_ms = passed_ms - awake_ms;
    if (*by_ms > CLOCKS_TOLERANCE_MS)
        return CLOCKS_RESUMED;
    *by_ms = step_ms;
    if (step_ms > CLOCKS_TOLERANCE_MS + slew_ms || step_ms < -CLOCKS_TOLERANCE_MS - slew_ms)
        return CLOCKS_STEPPED;
    *by_ms = 0;
    return CLOCKS_STEADY;
}
