/* See optimizer_stats.h. */
#include "proxy/optimizer_stats.h"

#include <string.h>

void optimizer_stats_init(struct optimizer_stats *s)
{
    *s = (struct optimizer_stats){.all = {.name = "all"}};
}

void optimizer_stats_add_strategy(struct optimizer_stats *s, const char *name)
{
    if (s->strategies_n < OPTIMIZER_STATS_STRATEGIES_MAX)
        s->strategies[s->strategies_n++] = (struct optimizer_strategy_stats){.name = name};
}

static void count(struct optimizer_strategy_stats *s, enum optimizer_result result, int64_t duration_ms)
{
    s->requests_n++;
    s->errors_n += result == OPTIMIZER_FAILED;
    if (result != OPTIMIZER_ANSWERED)
        return;
    s->answered_n++;
    s->duration_ms_sum += duration_ms > 0 ? (uint64_t)duration_ms : 0;
}

void optimizer_count_request(struct optimizer_stats *s, const char *strategy, enum optimizer_result result, int64_t duration_ms)
{
    count(&s->all, result, duration_ms);
    for (size_t i = 0; strategy && i < s->strategies_n; i++)
        if (strcmp(s->strategies[i].name, strategy) == 0)
            count(&s->strategies[i], result, duration_ms);
}

void optimizer_count_add(struct optimizer_stats *s, enum optimizer_counter which, uint64_t n)
{
    s->counters[which] += n;
}

double optimizer_stats_mean_s(const struct optimizer_strategy_stats *s)
{
    return s->answered_n ? (double)s->duration_ms_sum / 1000.0 / (double)s->answered_n : 0.0;
}
