/* See optimizer.h. */
#include "proxy/optimizer.h"

#include "common/sys.h"
#include "proxy/json_write.h"

#include <string.h>

_Static_assert((int)OPTIMIZER_STATS_STRATEGIES_MAX >= (int)CONF_STRATEGIES_MAX, "room for each strategy");

void optimizer_init(struct optimizer *o, const struct conf *conf)
{
    const struct conf_optimizer *of = &conf->optimizer;
    int is_cached = of->enabled && of->cache != CONF_CACHE_OFF;
    memset(o, 0, sizeof *o); /* large */
    o->conf = conf;
    sys_random(o->secret, sizeof o->secret);
    optimizer_stats_init(&o->stats);
    for (size_t i = 0; of->enabled && i < conf->strategies_n; i++)
        optimizer_stats_add_strategy(&o->stats, conf->strategies[i].name);
    cache_init(&o->cache, is_cached ? (size_t)of->cache_bytes : 0, of->cache_ttl_ms);
}

void optimizer_fini(struct optimizer *o)
{
    cache_fini(&o->cache);
}

static void write_requests(struct json_write *w, const struct optimizer_strategy_stats *s)
{
    json_write_number(w, s->requests_n);
}

static void write_mean(struct json_write *w, const struct optimizer_strategy_stats *s)
{
    if (!w->error)
        w->error = buf_printf(w->out, "%.3f", optimizer_stats_mean_s(s));
}

/* `{"A":…,"all":…}` */
static void write_strategies(struct json_write *w, const struct optimizer_stats *s,
                             void (*write_one)(struct json_write *w, const struct optimizer_strategy_stats *s))
{
    json_write_text(w, "{");
    for (size_t i = 0; i <= s->strategies_n; i++) {
        const struct optimizer_strategy_stats *row = i < s->strategies_n ? &s->strategies[i] : &s->all;
        json_write_text(w, i ? "," : "");
        json_write_string(w, row->name, strlen(row->name));
        json_write_text(w, ":");
        write_one(w, row);
    }
    json_write_text(w, "}");
}

static void write_counters(struct json_write *w, const struct optimizer_stats *s, enum optimizer_counter from, enum optimizer_counter to)
{
    static const char *const members[OPTIMIZER_COUNTER_COUNT] = {
        [OPTIMIZER_TOKENS_RECEIVED] = ",\"tokens_received\":",
        [OPTIMIZER_TOKENS_SAVED] = ",\"tokens_saved\":",
        [OPTIMIZER_DEDUP_HITS] = ",\"dedup_hits\":",
        [OPTIMIZER_TOOL_CALLS] = ",\"tool_calls\":",
        [OPTIMIZER_TRUNCATIONS] = ",\"truncations\":",
        [OPTIMIZER_BUDGETS_EXCEEDED] = ",\"budgets_exceeded\":",
        [OPTIMIZER_TOOLS_LOST] = ",\"tools_lost\":",
        [OPTIMIZER_SCHEMA_ERRORS] = ",\"schema_errors\":",
        [OPTIMIZER_CACHE_HITS] = ",\"hits\":",
        [OPTIMIZER_CACHE_MISSES] = ",\"misses\":",
        [OPTIMIZER_PARTS_DONE] = "},\"parts\":{\"done\":",
        [OPTIMIZER_PARTS_FAILED] = ",\"failed\":",
    };
    for (size_t i = from; i < to; i++) {
        json_write_text(w, members[i]);
        json_write_number(w, s->counters[i]);
    }
}

int optimizer_write(const struct optimizer *o, struct buf *out)
{
    const struct optimizer_stats *s = &o->stats;
    struct json_write w = json_write_begin(out);
    json_write_text(&w, ",\"optimizer\":{\"requests\":");
    write_strategies(&w, s, write_requests);
    json_write_text(&w, ",\"mean_s\":");
    write_strategies(&w, s, write_mean);
    json_write_text(&w, ",\"errors\":");
    json_write_number(&w, s->all.errors_n);
    write_counters(&w, s, OPTIMIZER_TOKENS_RECEIVED, OPTIMIZER_CACHE_HITS);
    json_write_text(&w, ",\"cache\":{\"bytes\":");
    json_write_number(&w, o->cache.bytes);
    write_counters(&w, s, OPTIMIZER_CACHE_HITS, OPTIMIZER_COUNTER_COUNT);
    json_write_text(&w, "}}");
    return json_write_end(&w);
}
