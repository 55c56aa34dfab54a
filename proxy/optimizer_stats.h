/*
 * optimizer_stats: what the optimizer has done since this process began, in numbers: for /metrics, /health and nobody else. Pure.
 * They are this process's own: a proxy that is started anew begins with zeros, as Prometheus expects of a counter.
 */
#ifndef PROXY_OPTIMIZER_STATS_H
#define PROXY_OPTIMIZER_STATS_H

#include <stddef.h>
#include <stdint.h>

enum { OPTIMIZER_STATS_STRATEGIES_MAX = 16 };

/* What is only counted. */
enum optimizer_counter {
    OPTIMIZER_TOKENS_RECEIVED, /* estimated: of prompts as received, once for each answer that was made, as the next */
    OPTIMIZER_TOKENS_SAVED,  /* … less what the answering model was sent */
    OPTIMIZER_DEDUP_HITS,    /* requests that joined a generation under way */
    OPTIMIZER_TOOL_CALLS,    /* in answers, native and repaired, once for each generation */
    OPTIMIZER_TRUNCATIONS,   /* system prompts that were cut */
    OPTIMIZER_BUDGETS_EXCEEDED, /* … of which nothing but the tools' definitions is left, and is still too long */
    OPTIMIZER_TOOLS_LOST,    /* definitions in them that may be cut */
    OPTIMIZER_SCHEMA_ERRORS, /* requests and answers that are not what their API says */
    OPTIMIZER_CACHE_HITS,
    OPTIMIZER_CACHE_MISSES,
    OPTIMIZER_PARTS_DONE,    /* of map-reduce */
    OPTIMIZER_PARTS_FAILED,  /* … left out, after their retry */
    OPTIMIZER_COUNTER_COUNT
};

/* What became of a request. */
enum optimizer_result {
    OPTIMIZER_ANSWERED, /* whole, and without an error */
    OPTIMIZER_FAILED,   /* an error was told, in whatever way */
    OPTIMIZER_LEFT,     /* its client did not wait for its end */
};

struct optimizer_strategy_stats {
    const char *name; /* borrowed */
    uint64_t requests_n, errors_n;
    uint64_t answered_n, duration_ms_sum; /* of those that were answered */
};

struct optimizer_stats {
    struct optimizer_strategy_stats all; /* those that ended before a strategy was chosen, too */
    struct optimizer_strategy_stats strategies[OPTIMIZER_STATS_STRATEGIES_MAX];
    size_t strategies_n;
    uint64_t counters[OPTIMIZER_COUNTER_COUNT];
};

void optimizer_stats_init(struct optimizer_stats *s);
/* A strategy that there is, so that it is told of from the first scrape on. name: borrowed. Beyond the room: nothing. */
void optimizer_stats_add_strategy(struct optimizer_stats *s, const char *name);

/* A client's request has ended. strategy: its name; NULL, or one that was not added: it counts for all alone. duration_ms: from its
 * head to its end. */
void optimizer_count_request(struct optimizer_stats *s, const char *strategy, enum optimizer_result result, int64_t duration_ms);
void optimizer_count_add(struct optimizer_stats *s, enum optimizer_counter which, uint64_t n);

/* The mean time to a whole answer, in seconds; 0 before the first. */
double optimizer_stats_mean_s(const struct optimizer_strategy_stats *s);

#endif
