/*
 * See metrics.h. A row of the table is a name, with what its samples are made by: whoever adds one adds a row. Those of the
 * optimizer have the names that its owner's dashboards ask for; all others begin with sidecar_.
 */
#include "proxy/metrics.h"

#ifndef SIDECAR_VERSION
#define SIDECAR_VERSION "unknown"
#endif

struct metric;

struct writer {
    struct buf *out;
    const struct metrics_input *in;
    const struct metric *metric;
    int error; /* the first */
};

struct metric {
    const char *name, *type, *help; /* the latter without backslashes and line ends */
    void (*samples)(struct writer *w);
    enum optimizer_counter counter; /* of those that are only counted */
};

/* What may not stand in a label's value as it is: a backslash, a quote, a line's end. */
static int append_escaped(struct buf *out, const char *text)
{
    int error = 0;
    while (*text && !error) {
        size_t n = strcspn(text, "\\\"\n");
        error = buf_append(out, text, n);
        text += n;
        if (*text && !error)
            error = buf_text(out, *text == '\n' ? "\\n" : *text == '"' ? "\\\"" : "\\\\");
        text += *text != '\0';
    }
    return error;
}

/* label: NULL where the metric has none. Counts are exact up to 2^53. */
static void sample(struct writer *w, const char *label, const char *label_value, double value)
{
    int error = w->error ? w->error : buf_text(w->out, w->metric->name);
    if (label) {
        error = error ? error : buf_printf(w->out, "{%s=\"", label);
        error = error ? error : append_escaped(w->out, label_value);
        error = error ? error : buf_text(w->out, "\"}");
    }
    w->error = error ? error : buf_printf(w->out, " %.16g\n", value);
}

static void build(struct writer *w)
{
    sample(w, "version", SIDECAR_VERSION, 1);
}

static void up(struct writer *w)
{
    sample(w, NULL, NULL, w->in->is_up);
}

static void counter(struct writer *w)
{
    sample(w, NULL, NULL, (double)w->in->optimizer->stats.counters[w->metric->counter]);
}

static void errors(struct writer *w)
{
    sample(w, NULL, NULL, (double)w->in->optimizer->stats.all.errors_n);
}

/* Of each strategy, then of all. */
static void of_strategies(struct writer *w, double (*value)(const struct optimizer_strategy_stats *s))
{
    const struct optimizer_stats *s = &w->in->optimizer->stats;
    for (size_t i = 0; i < s->strategies_n; i++)
        sample(w, "strategy", s->strategies[i].name, value(&s->strategies[i]));
    sample(w, "strategy", s->all.name, value(&s->all));
}

static double requests_n(const struct optimizer_strategy_stats *s)
{
    return (double)s->requests_n;
}

static void requests(struct writer *w)
{
    of_strategies(w, requests_n);
}

static void durations(struct writer *w)
{
    of_strategies(w, optimizer_stats_mean_s);
}

static void cache_bytes(struct writer *w)
{
    sample(w, NULL, NULL, (double)w->in->optimizer->cache.bytes);
}

static void parts(struct writer *w)
{
    const uint64_t *counters = w->in->optimizer->stats.counters;
    sample(w, "result", "done", (double)counters[OPTIMIZER_PARTS_DONE]);
    sample(w, "result", "failed", (double)counters[OPTIMIZER_PARTS_FAILED]);
}

/* Of each model once, however many strategies have it. */
static void estimate_error(struct writer *w, const char *model, const char *const *told, size_t told_n)
{
    for (size_t i = 0; i < told_n; i++)
        if (strcmp(told[i], model) == 0)
            return;
    if (*model)
        sample(w, "model", model, token_error_ratio(&w->in->optimizer->estimates, model));
}

static void estimate_errors(struct writer *w)
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

/* Of each backend. */
static void of_backends(struct writer *w, double (*value)(const struct fleet_fact *m))
{
    for (size_t i = 0; i < w->in->fleet->members_n; i++)
        sample(w, "backend", w->in->fleet->members[i].name, value(&w->in->fleet->members[i]));
}

static double is_up_of(const struct fleet_fact *m)
{
    return m->is_up != 0;
}

static double slots_of(const struct fleet_fact *m)
{
    return (double)m->slots_n;
}

static double used_of(const struct fleet_fact *m)
{
    return (double)m->used_n;
}

static double is_drained_of(const struct fleet_fact *m)
{
    return m->is_drained != 0;
}

static void backends_up(struct writer *w)
{
    of_backends(w, is_up_of);
}

static void backends_slots(struct writer *w)
{
    of_backends(w, slots_of);
}

static void backends_used(struct writer *w)
{
    of_backends(w, used_of);
}

static void backends_drained(struct writer *w)
{
    of_backends(w, is_drained_of);
}

static void queue_waiting(struct writer *w)
{
    sample(w, NULL, NULL, (double)w->in->fleet->waiting_n);
}

static const struct metric general[] = {
    {"sidecar_build_info", "gauge", "1; its label tells the version.", build, 0},
};

static const struct metric of_fleet[] = {
    {"sidecar_backend_up", "gauge", "1 while the backend is given requests; else 0.", backends_up, 0},
    {"sidecar_backend_slots", "gauge", "Requests that it is given at once, at the most.", backends_slots, 0},
    {"sidecar_backend_used", "gauge", "Requests that it has.", backends_used, 0},
    {"sidecar_backend_drained", "gauge", "1 while its owner wants it to get no new ones.", backends_drained, 0},
    {"sidecar_queue_waiting", "gauge", "Requests that stand in line for a backend, at this proxy.", queue_waiting, 0},
};

static const struct metric of_optimizer[] = {
    {"llm_optimizer_up", "gauge", "1 while the model server answers, or sleeps on purpose; else 0.", up, 0},
    {"llm_optimizer_requests_total", "counter", "Requests that have ended, by strategy.", requests, 0},
    {"llm_optimizer_errors_total", "counter", "Requests whose client was told an error.", errors, 0},
    {"llm_optimizer_duration_seconds", "gauge", "Mean time to a whole answer, by strategy.", durations, 0},
    {"sidecar_optimizer_tokens_received_total", "counter", "Prompt tokens as they were received (estimated).", counter, OPTIMIZER_TOKENS_RECEIVED},
    {"llm_optimizer_tokens_saved_total", "counter", "Prompt tokens that the answering model did not have to read (estimated).", counter, OPTIMIZER_TOKENS_SAVED},
    {"llm_optimizer_dedup_hits_total", "counter", "Requests that shared the answer of an identical one under way.", counter, OPTIMIZER_DEDUP_HITS},
    {"llm_optimizer_tool_call_detected_total", "counter", "Calls of tools in answers.", counter, OPTIMIZER_TOOL_CALLS},
    {"llm_optimizer_smart_truncations_total", "counter", "System prompts that were cut.", counter, OPTIMIZER_TRUNCATIONS},
    {"sidecar_optimizer_budgets_exceeded_total", "counter", "System prompts whose tools alone are longer than they may be.", counter, OPTIMIZER_BUDGETS_EXCEEDED},
    {"sidecar_optimizer_tools_lost_total", "counter", "Definitions of tools that may have been cut.", counter, OPTIMIZER_TOOLS_LOST},
    {"llm_optimizer_schema_errors_total", "counter", "Requests and answers that are not what their API says.", counter, OPTIMIZER_SCHEMA_ERRORS},
    {"sidecar_optimizer_cache_hits_total", "counter", "Requests that were answered from the cache.", counter, OPTIMIZER_CACHE_HITS},
    {"sidecar_optimizer_cache_misses_total", "counter", "Requests that could have been, had it been there.", counter, OPTIMIZER_CACHE_MISSES},
    {"sidecar_optimizer_cache_bytes", "gauge", "What the cache holds, in bytes of memory.", cache_bytes, 0},
    {"sidecar_optimizer_estimate_error_ratio", "gauge", "How far estimates of prompts' tokens were from the counts that answers brought, as a part of these.", estimate_errors, 0},
    {"sidecar_optimizer_map_parts_total", "counter", "Parts of conversations that were mapped, or left out.", parts, 0},
};

static void write_all(struct writer *w, const struct metric *rows, size_t rows_n)
{
    for (size_t i = 0; i < rows_n && !w->error; i++) {
        const struct metric *m = w->metric = &rows[i];
        w->error = buf_printf(w->out, "# HELP %s %s\n# TYPE %s %s\n", m->name, m->help, m->name, m->type);
        m->samples(w);
    }
}

int metrics_write(struct buf *out, const struct metrics_input *in)
{
    struct writer w = {.out = out, .in = in};
    size_t before_n = buf_size(out);
    write_all(&w, general, sizeof general / sizeof *general);
    if (in->fleet)
        write_all(&w, of_fleet, sizeof of_fleet / sizeof *of_fleet);
    if (in->optimizer)
        write_all(&w, of_optimizer, sizeof of_optimizer / sizeof *of_optimizer);
    if (w.error)
        buf_truncate(out, before_n);
    return w.error;
}
