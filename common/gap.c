/* See gap.h. */
#include "common/gap.h"

static struct clocks read_clocks(const struct loop *l)
{
    int64_t monotonic_ms = sys_monotonic_ms(), since_ms = monotonic_ms - loop_monotonic_ms(l); /* one moment for all */
    return (struct clocks){.awake_ms = loop_now_ms(l) + since_ms, .monotonic_ms = monotonic_ms,
                           .boottime_ms = sys_boottime_ms(), .realtime_ms = sys_realtime_ms()};
}

void gap_init(struct gap *g, const struct loop *l)
{
    g->clocks = read_clocks(l);
}

enum clocks_event gap_look(struct gap *g, const struct loop *l, int64_t *by_ms)
{
    struct clocks now = read_clocks(l);
    return clocks_look(&g->clocks, &now, by_ms);
}
