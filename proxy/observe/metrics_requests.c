/* See metrics_families.h. What was counted of requests (counts.h), and what is under way. Of paths and models only those are told that were asked for. */
#include "proxy/metrics.h"
#include "proxy/observe/metrics_families.h"
#include "proxy/route.h"

/* How many models there are to be told of: none, those with a name, all others. */
static size_t models_n(const struct metrics_writer *w)
{
    return w->in->observe->counts.models_n + 2;
}

static const struct model_counts *model_at(const struct metrics_writer *w, size_t i)
{
    const struct counts *c = &w->in->observe->counts;
    return i == 0 ? &c->none : i <= c->models_n ? c->models[i - 1] : &c->other;
}

/* A route's path, by its place in tables. */
static const char *path_of(size_t route)
{
    size_t n;
    const struct route *table = route_table(&n);
    return route < n ? table[route].path : "other";
}

static void outcomes(struct metrics_writer *w, const char *model, size_t route, const uint64_t counts[OUTCOME_COUNT])
{
    uint64_t all = 0;
    for (size_t i = 0; i < OUTCOME_COUNT; i++)
        all += counts[i];
    for (size_t i = 0; i < OUTCOME_COUNT && all > 0; i++) {
        struct metrics_label labels[] = {{"route", path_of(route)}, {"model", model}, {"outcome", outcome_name((enum outcome)i)}};
        metrics_sample(w, labels, 3, (double)counts[i]);
    }
}

static void requests(struct metrics_writer *w)
{
    for (size_t i = 0; i < models_n(w); i++)
        for (size_t route = 0; route < COUNTS_ROUTES_MAX; route++)
            outcomes(w, model_at(w, i)->name, route, model_at(w, i)->requests[route]);
}

static void in_flight(struct metrics_writer *w)
{
    metrics_plain(w, (double)w->in->observe->live.n);
}

static void held(struct metrics_writer *w)
{
    metrics_plain(w, (double)w->in->observe->series.held_n);
}

static void queued(struct metrics_writer *w)
{
    for (size_t i = 0; i < LIVE_PRIORITIES; i++)
        metrics_labelled(w, "priority", (char[]){(char)('0' + i), '\0'}, (double)w->in->queued_n[i]);
}

static void durations(struct metrics_writer *w)
{
    for (size_t i = 0; i < COUNTS_ROUTES_MAX; i++)
        if (w->in->observe->counts.requests[i].n > 0)
            metrics_histogram(w, "route", path_of(i), &w->in->observe->counts.requests[i], &histogram_waits);
}

/* Of each model that has any. */
static void of_models(struct metrics_writer *w, const struct histogram *(*histogram)(const struct model_counts *m), const struct histogram_bounds *by)
{
    for (size_t i = 0; i < models_n(w); i++)
        if (histogram(model_at(w, i))->n > 0)
            metrics_histogram(w, "model", model_at(w, i)->name, histogram(model_at(w, i)), by);
}

static const struct histogram *first_token_of(const struct model_counts *m)
{
    return &m->first_token;
}

static const struct histogram *token_of(const struct model_counts *m)
{
    return &m->token;
}

static const struct histogram *load_of(const struct model_counts *m)
{
    return &m->load;
}

static void first_tokens(struct metrics_writer *w)
{
    of_models(w, first_token_of, &histogram_waits);
}

static void tokens(struct metrics_writer *w)
{
    of_models(w, token_of, &histogram_tokens);
}

static void loads(struct metrics_writer *w)
{
    of_models(w, load_of, &histogram_waits);
}

static void queue_times(struct metrics_writer *w)
{
    metrics_histogram(w, NULL, NULL, &w->in->observe->counts.queue, &histogram_waits);
}

static void wait_times(struct metrics_writer *w)
{
    metrics_histogram(w, NULL, NULL, &w->in->observe->counts.wait, &histogram_waits);
}

static void prompt_tokens(struct metrics_writer *w)
{
    for (size_t i = 0; i < models_n(w); i++)
        if (model_at(w, i)->prompt_tokens_n > 0)
            metrics_labelled(w, "model", model_at(w, i)->name, (double)model_at(w, i)->prompt_tokens_n);
}

static void output_tokens(struct metrics_writer *w)
{
    for (size_t i = 0; i < models_n(w); i++)
        if (model_at(w, i)->output_tokens_n > 0)
            metrics_labelled(w, "model", model_at(w, i)->name, (double)model_at(w, i)->output_tokens_n);
}

static void counter(struct metrics_writer *w)
{
    metrics_plain(w, (double)w->in->observe->counts.counters[w->metric->which]);
}

static void wasted(struct metrics_writer *w)
{
    metrics_plain(w, (double)w->in->observe->counts.counters[COUNT_WASTED_MS] / 1000);
}

static const struct metric rows[] = {
    {"sidecar_requests_total counter Requests that have ended, by path, model and what became of them.", requests, 0},
    {"sidecar_requests_in_flight gauge Requests whose answer is not whole.", in_flight, 0},
    {"sidecar_requests_held gauge Requests that wait for Ollama or a model.", held, 0},
    {"sidecar_requests_queued gauge Requests that stand in line for a slot, by priority.", queued, 0},
    {"sidecar_request_seconds histogram From a request's first byte to the end of its answer, by path.", durations, 0},
    {"sidecar_first_token_seconds histogram From a request's first byte to the first of its streamed answer.", first_tokens, 0},
    {"sidecar_token_seconds histogram Mean time for a token of an answer, once for each answer.", tokens, 0},
    {"sidecar_queue_seconds histogram How long requests for models stood in line for a slot.", queue_times, 0},
    {"sidecar_wait_seconds histogram How long requests for models were held for Ollama, for their model, or between tries.", wait_times, 0},
    {"sidecar_load_seconds histogram How long requests waited while their model was loaded, of those that did.", loads, 0},
    {"sidecar_prompt_tokens_total counter Tokens of prompts, as answers tell them.", prompt_tokens, 0},
    {"sidecar_output_tokens_total counter Tokens that were generated, as answers tell them.", output_tokens, 0},
    {"sidecar_heartbeats_sent_total counter Heartbeats that kept waiting clients' connections alive.", counter, COUNT_HEARTBEATS},
    {"sidecar_retries_total counter Times that a request was sent to a backend once more.", counter, COUNT_RETRIES},
    {"sidecar_cancelled_total counter Answers that were ended at their backend before they were whole, as nobody was to get them.", counter, COUNT_CANCELLED},
    {"sidecar_wasted_seconds_total counter How long backends had worked on those.", wasted, 0},
    {"sidecar_received_bytes_total counter Bytes of requests that have ended, heads included.", counter, COUNT_RECEIVED_BYTES},
    {"sidecar_sent_bytes_total counter Bytes of answers that have ended, heads included, as clients took them.", counter, COUNT_SENT_BYTES},
    {"sidecar_repaired_calls_total counter Tool calls that models wrote as text, and clients got as calls.", counter, COUNT_REPAIRED_CALLS},
};

static int is_told(const struct metrics_input *in)
{
    return in->observe != NULL;
}

const struct metrics_family metrics_requests = METRICS_FAMILY(rows, is_told);
