/* See metrics_families.h. What the optimizer does, by the names that its owner's dashboards ask for. */
#include "proxy/metrics.h"
#include "proxy/observe/metrics_families.h"

static void up(struct metrics_writer *w)
{
    metrics_plain(w, w->in->is_up);
}

static void counter(struct metrics_writer *w)
{
    metrics_plain(w, (double)w->in->optimizer->stats.counters[w->metric->which]);
}

static void errors(struct metrics_writer *w)
{
    metrics_plain(w, (double)w->in->optimizer->stats.all.errors_n);
}

/* Of each strategy, then of all. */
static void of_strategies(struct metrics_writer *w, double (*value)(const struct optimizer_strategy_stats *s))
{
    const struct optimizer_stats *s = &w->in->optimizer->stats;
    for (size_t i = 0; i < s->strategies_n; i++)
        metrics_labelled(w, "strategy", s->strategies[i].name, value(&s->strategies[i]));
    metrics_labelled(w, "strategy", s->all.name, value(&s->all));
}

static double requests_n(const struct optimizer_strategy_stats *s)
{
    return (double)s->requests_n;
}

static void requests(struct metrics_writer *w)
{
    of_strategies(w, requests_n);
}

static void durations(struct metrics_writer *w)
{
    of_strategies(w, optimizer_stats_mean_s);
}

static void cache_bytes(struct metrics_writer *w)
{
    metrics_plain(w, (double)w->in->optimizer->cache.bytes);
}

static void parts(struct metrics_writer *w)
{
    const uint64_t *counters = w->in->optimizer->stats.counters;
    metrics_labelled(w, "result", "done", (double)counters[OPTIMIZER_PARTS_DONE]);
    metrics_labelled(w, "result", "failed", (double)counters[OPTIMIZER_PARTS_FAILED]);
}

/* Of each model once, however many strategies have it. */
static void estimate_error(struct metrics_writer *w, const char *model, const char *const *told, size_t told_n)
{
    for (size_t i = 0; i < told_n; i++)
        if (strcmp(told[i], model) == 0)
            return;
    if (*model)
        metrics_labelled(w, "model", model, token_error_ratio(&w->in->optimizer->estimates, model));
}

static void estimate_errors(struct metrics_writer *w)
{
    const struct conf *conf = w->in->optimizer->conf;
    const char *models[2 * CONF_STRATEGIES_MAX];
    for (size_t i = 0; i < conf->strategies_n; i++) {
        models[2 * i] = conf->strategies[i].model;
        models[2 * i + 1] = conf->strategies[i].map_model;
        estimate_error(w, models[2 * i], models, 2 * i);
        estimate_error(w, models[2 * i + 1], models, 2 * i + 1);
    }
}

static const struct metric rows[] = {
    {"llm_optimizer_up gauge 1 while the model server answers, or sleeps on purpose; else 0.", up, 0},
    {"llm_optimizer_requests_total counter Requests that have ended, by strategy.", requests, 0},
    {"llm_optimizer_errors_total counter Requests whose client was told an error.", errors, 0},
    {"llm_optimizer_duration_seconds gauge Mean time to a whole answer, by strategy.", durations, 0},
    {"sidecar_optimizer_tokens_received_total counter Prompt tokens as they were received (estimated).", counter, OPTIMIZER_TOKENS_RECEIVED},
    {"llm_optimizer_tokens_saved_total counter Prompt tokens that the answering model did not have to read (estimated).", counter, OPTIMIZER_TOKENS_SAVED},
    {"llm_optimizer_dedup_hits_total counter Requests that shared the answer of an identical one under way.", counter, OPTIMIZER_DEDUP_HITS},
    {"llm_optimizer_tool_call_detected_total counter Calls of tools in answers.", counter, OPTIMIZER_TOOL_CALLS},
    {"llm_optimizer_smart_truncations_total counter System prompts that were cut.", counter, OPTIMIZER_TRUNCATIONS},
    {"sidecar_optimizer_budgets_exceeded_total counter System prompts whose tools alone are longer than they may be.", counter, OPTIMIZER_BUDGETS_EXCEEDED},
    {"sidecar_optimizer_tools_lost_total counter Definitions of tools that may have been cut.", counter, OPTIMIZER_TOOLS_LOST},
    {"llm_optimizer_schema_errors_total counter Requests and answers that are not what their API says.", counter, OPTIMIZER_SCHEMA_ERRORS},
    {"sidecar_optimizer_cache_hits_total counter Requests that were answered from the cache.", counter, OPTIMIZER_CACHE_HITS},
    {"sidecar_optimizer_cache_misses_total counter Requests that could have been, had it been there.", counter, OPTIMIZER_CACHE_MISSES},
    {"sidecar_optimizer_cache_bytes gauge What the cache holds, in bytes of memory.", cache_bytes, 0},
    {"sidecar_optimizer_estimate_error_ratio gauge How far estimates of prompts' tokens were from the counts that answers brought, as a part of these.", estimate_errors, 0},
    {"sidecar_optimizer_map_parts_total counter Parts of conversations that were mapped, or left out.", parts, 0},
};

static int is_told(const struct metrics_input *in)
{
    return in->optimizer != NULL;
}

const struct metrics_family metrics_optimizer = METRICS_FAMILY(rows, is_told);
