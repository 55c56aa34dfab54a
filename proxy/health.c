/*
 * See health.h. Turns facts into words and numbers; it asks nobody and decides nothing. 200 means that a request
 * for a model of the list would be served at once: the API answers and the preload list has ended, failed
 * optional models included.
 */
#include "proxy/health.h"

#include "common/pull_progress.h"

#include <stdio.h>
#include <string.h>

#ifndef SIDECAR_VERSION
#define SIDECAR_VERSION "unknown"
#endif

enum { WAITING_BYTES = CONTRACT_NAME_BYTES + 64 };

struct health {
    const char *status, *state;
    char error[CONTRACT_REASON_BYTES + 64];
    enum contract_phase phase;
    size_t models_n;
    struct contract_model_view models[CONTRACT_MODELS];
};

enum health_api health_api_of_page(const struct contract_page *page, char reason[CONTRACT_REASON_BYTES])
{
    const struct contract_program *ollama = contract_find_program(page, "ollama");
    reason[0] = '\0';
    if (!ollama)
        return HEALTH_API_READY;
    uint32_t state = atomic_load_explicit(&ollama->state, memory_order_acquire);
    if (state == CONTRACT_READY)
        return HEALTH_API_READY;
    contract_program_read_reason(ollama, reason);
    if (state == CONTRACT_FAILED)
        return HEALTH_API_FAILED;
    switch (atomic_load_explicit(&page->sleep, memory_order_relaxed)) {
    case CONTRACT_ASLEEP:
        return HEALTH_API_ASLEEP;
    case CONTRACT_WAKING:
        return HEALTH_API_WAKING;
    default:
        return HEALTH_API_STARTING;
    }
}

/* Those that should be given requests, and are not. */
static int is_missed(const struct fleet_fact *m)
{
    return !m->is_up && !m->is_drained;
}

/* `a: why; b: why` of those; as many as have room. */
static void write_missed(const struct fleet_facts *f, char *out, size_t out_n)
{
    size_t used_n = 0;
    *out = '\0';
    for (size_t i = 0; i < f->members_n; i++) {
        const struct fleet_fact *m = &f->members[i];
        if (!is_missed(m) || used_n >= out_n)
            continue;
        int n = snprintf(out + used_n, out_n - used_n, "%s%s: %s", used_n ? "; " : "", m->name, *m->why ? m->why : m->state);
        used_n += n > 0 ? (size_t)n : 0;
    }
}

enum health_api health_api_of_fleet(const struct fleet_facts *f, char reason[CONTRACT_REASON_BYTES])
{
    size_t up_n = 0, missed_n = 0, asked_n = 0;
    *reason = '\0';
    for (size_t i = 0; i < f->members_n; i++) {
        up_n += f->members[i].is_up != 0;
        missed_n += (size_t)is_missed(&f->members[i]);
        asked_n += is_missed(&f->members[i]) && f->members[i].is_asked;
    }
    if (up_n > 0)
        return HEALTH_API_READY;
    if (missed_n == 0) {
        snprintf(reason, CONTRACT_REASON_BYTES, "all backends are drained");
        return HEALTH_API_SILENT;
    }
    write_missed(f, reason, CONTRACT_REASON_BYTES);
    return asked_n > 0 ? HEALTH_API_SILENT : HEALTH_API_STARTING;
}

static void read_models(struct health *h, const struct contract_page *page)
{
    h->phase = CONTRACT_PHASE_NONE;
    if (!page)
        return;
    uint32_t phase = atomic_load_explicit(&page->phase, memory_order_acquire);
    h->phase = phase <= CONTRACT_PHASE_DONE ? (enum contract_phase)phase : CONTRACT_PHASE_NONE;
    if (h->phase == CONTRACT_PHASE_WAITING)
        return;
    for (size_t i = 0; i < CONTRACT_MODELS; i++) {
        struct contract_model_view *view = &h->models[h->models_n];
        if (atomic_load_explicit(&page->models[i].state, memory_order_relaxed) == CONTRACT_MODEL_EMPTY)
            continue;
        contract_model_read(&page->models[i], view);
        if (view->state != CONTRACT_MODEL_EMPTY)
            h->models_n++;
    }
}

static int is_pending(const struct contract_model_view *m)
{
    return m->state == CONTRACT_MODEL_PENDING || m->state == CONTRACT_MODEL_PULLING;
}

static void judge(struct health *h, const struct health_input *in)
{
    const char *reason = *in->api_reason ? in->api_reason : NULL;
    switch (in->api) {
    case HEALTH_API_FAILED:
        h->status = h->state = "failed";
        snprintf(h->error, sizeof h->error, "ollama has failed: %s", reason ? reason : "see the log");
        return;
    case HEALTH_API_SILENT:
        h->status = h->state = "failed";
        snprintf(h->error, sizeof h->error, "%s: %s", in->fleet ? "no backend is given requests" : "the backend does not answer", reason ? reason : "no reason known");
        return;
    case HEALTH_API_STARTING:
        h->status = h->state = "starting";
        snprintf(h->error, sizeof h->error, "ollama does not answer yet%s%s", reason ? ": " : "", reason ? reason : "");
        return;
    case HEALTH_API_ASLEEP:
        h->status = "ok";
        h->state = "asleep";
        return;
    case HEALTH_API_WAKING:
        h->status = "starting";
        h->state = "waking";
        snprintf(h->error, sizeof h->error, "ollama is being woken%s%s", reason ? ": " : "", reason ? reason : "");
        return;
    case HEALTH_API_READY:
        break;
    }
    if (h->phase == CONTRACT_PHASE_NONE || h->phase == CONTRACT_PHASE_DONE) {
        h->status = "ok";
        h->state = in->pulls && pulls_under_way_n(in->pulls) > 0   ? "pulling"
                   : in->loads && in->loads->loading_n > 0 ? "loading"
                                                           : "ready";
        return;
    }
    h->status = "starting";
    h->state = h->phase == CONTRACT_PHASE_WAITING ? "starting" : "pulling";
    snprintf(h->error, sizeof h->error, "models are not there yet");
}

/* Of several Ollamas some are there, and others not: requests are served. */
static void judge_fleet(struct health *h, const struct fleet_facts *f)
{
    char missed[sizeof h->error - 64];
    size_t missed_n = 0;
    for (size_t i = 0; i < f->members_n; i++)
        missed_n += (size_t)is_missed(&f->members[i]);
    if (missed_n == 0 || strcmp(h->status, "ok") != 0)
        return;
    h->status = "degraded";
    write_missed(f, missed, sizeof missed);
    snprintf(h->error, sizeof h->error, "%zu of %zu backends are missing: %s", missed_n, f->members_n, missed);
}

/* The next of a list: its name, and what stands before that. */
static int append_item(struct buf *out, int *is_first, const char *before, const char *name)
{
    int error = *is_first ? 0 : buf_text(out, ",");
    *is_first = 0;
    error = error ? error : buf_text(out, before);
    return error ? error : buf_json_string(out, name, strlen(name));
}

static int append_names(struct buf *out, const struct health *h)
{
    int error = 0, is_first = 1;
    for (size_t i = 0; i < h->models_n && !error; i++)
        if (h->models[i].state == CONTRACT_MODEL_READY)
            error = append_item(out, &is_first, "", h->models[i].name);
    return error;
}

static int append_pull(struct buf *out, int *is_first, const char *name, uint64_t completed_bytes, uint64_t total_bytes)
{
    int error = append_item(out, is_first, "{\"name\":", name);
    return error ? error
                 : buf_printf(out, ",\"completed\":%llu,\"total\":%llu}", (unsigned long long)completed_bytes, (unsigned long long)total_bytes);
}

/* Those of the list, and those that somebody asks for. */
static int append_pulling(struct buf *out, const struct health *h, const struct pulls *pulls)
{
    int error = 0, is_first = 1;
    for (size_t i = 0; i < h->models_n && !error; i++) {
        const struct contract_model_view *m = &h->models[i];
        if (is_pending(m))
            error = append_pull(out, &is_first, m->name, m->completed_bytes, m->total_bytes);
    }
    for (size_t i = 0; pulls && i < PULLS_MODELS && !error; i++) {
        const struct pulls_row *row = &pulls->rows[i];
        if (pulls_is_under_way(row))
            error = append_pull(out, &is_first, row->model, row->completed_bytes, row->total_bytes);
    }
    return error;
}

static int append_failure(struct buf *out, int *is_first, const char *name, const char *reason)
{
    int error = append_item(out, is_first, "{\"name\":", name);
    error = error ? error : buf_text(out, ",\"reason\":");
    error = error ? error : buf_json_string(out, reason, strlen(reason));
    return error ? error : buf_text(out, "}");
}

/* Those that can't be had, and those whose loads, or pulls, have failed so that they rest. */
static int append_failed(struct buf *out, const struct health *h, const struct health_input *in)
{
    char text[COOLDOWNS_TEXT_BYTES];
    int error = 0, is_first = 1;
    for (size_t i = 0; i < h->models_n && !error; i++) {
        const struct contract_model_view *m = &h->models[i];
        if (m->state != CONTRACT_MODEL_FAILED)
            continue;
        error = append_failure(out, &is_first, m->name, m->reason);
    }
    for (size_t i = 0; in->cooldowns && i < COOLDOWNS_ROWS && !error; i++) {
        const struct cooldown *row = &in->cooldowns->rows[i];
        if (!cooldowns_look(in->cooldowns, row->model, &row->options, in->now_ms))
            continue;
        cooldown_text(row, in->now_ms, text);
        error = append_failure(out, &is_first, row->model, text);
    }
    for (size_t i = 0; in->pulls && i < PULLS_MODELS && !error; i++) {
        const struct pulls_row *row = &in->pulls->rows[i];
        if (row->state == PULLS_RESTS && in->now_ms < row->until_ms)
            error = append_failure(out, &is_first, row->model, row->reason);
    }
    return error;
}

static int append_loading(struct buf *out, const struct loads *loads)
{
    int error = 0, is_first = 1;
    for (size_t i = 0; loads && i < LOADS_MODELS && !error; i++)
        if (loads->rows[i].state == LOAD_LOADING)
            error = append_item(out, &is_first, "", loads->rows[i].model);
    return error;
}

static void waiting_text(const char *name, int is_pulling, uint64_t completed_bytes, uint64_t total_bytes, char text[WAITING_BYTES])
{
    int percent = total_bytes ? progress_percent_of(completed_bytes, total_bytes) : 0;
    if (is_pulling)
        snprintf(text, WAITING_BYTES, "model %s: %d %%", name, percent);
    else
        snprintf(text, WAITING_BYTES, "model %s", name);
}

/* One thing at a time: without the API nothing can be said of the models. */
static int append_waiting_for(struct buf *out, const struct health *h, const struct health_input *in)
{
    char text[WAITING_BYTES];
    int error = 0, is_first = 1;
    if (in->api == HEALTH_API_FAILED || in->api == HEALTH_API_ASLEEP)
        return 0;
    if (in->api != HEALTH_API_READY)
        return buf_text(out, "\"ollama: GET /api/tags\"");
    if (h->phase == CONTRACT_PHASE_WAITING)
        return buf_text(out, "\"the preload list\"");
    for (size_t i = 0; i < h->models_n && !error && h->phase == CONTRACT_PHASE_LISTED; i++) {
        const struct contract_model_view *m = &h->models[i];
        if (!is_pending(m))
            continue;
        waiting_text(m->name, m->state == CONTRACT_MODEL_PULLING, m->completed_bytes, m->total_bytes, text);
        error = append_item(out, &is_first, "", text);
    }
    for (size_t i = 0; in->pulls && i < PULLS_MODELS && !error; i++) {
        const struct pulls_row *row = &in->pulls->rows[i];
        if (!pulls_is_under_way(row))
            continue;
        waiting_text(row->model, row->state != PULLS_QUEUED, row->completed_bytes, row->total_bytes, text);
        error = append_item(out, &is_first, "", text);
    }
    return error;
}

static int append_fact(struct buf *out, int *is_first, const struct fleet_fact *m)
{
    int error = append_item(out, is_first, "{\"name\":", m->name);
    error = error ? error
                  : buf_printf(out, ",\"state\":\"%s\",\"drained\":%s,\"slots\":%zu,\"used\":%zu,\"models_n\":%zu", m->state,
                               m->is_drained ? "true" : "false", m->slots_n, m->used_n, m->models_n);
    if (!error && *m->why) {
        error = buf_text(out, ",\"error\":");
        error = error ? error : buf_json_string(out, m->why, strlen(m->why));
    }
    return error ? error : buf_text(out, "}");
}

/* The Ollamas, where there are several, then those of other APIs. */
static int append_backends(struct buf *out, const struct health_input *in)
{
    int is_first = 1, error = buf_text(out, ",\"backends\":[");
    for (size_t i = 0; in->fleet && i < in->fleet->members_n && !error; i++)
        error = append_fact(out, &is_first, &in->fleet->members[i]);
    if (!error && in->upstreams)
        error = upstreams_write(in->upstreams, out, &is_first);
    return error ? error : buf_text(out, "]");
}

/* The models that engines serve, or that somebody waits for. */
static int append_served(struct buf *out, const struct serve_facts *f)
{
    int is_first = 1, error = buf_text(out, ",\"instances\":[");
    for (size_t i = 0; i < f->models_n && !error; i++) {
        const struct serve_fact *m = &f->models[i];
        error = append_item(out, &is_first, "{\"model\":", m->model);
        error = error ? error : buf_text(out, ",\"engine\":");
        error = error ? error : *m->engine ? buf_json_string(out, m->engine, strlen(m->engine)) : buf_text(out, "null");
        error = error ? error : buf_printf(out, ",\"state\":\"%s\",\"in_use\":%u,\"waiting\":%u}", m->state, m->in_use_n, m->waiting_n);
    }
    return error ? error : buf_text(out, "]");
}

static int write_object(struct buf *out, const struct health *h, const struct health_input *in)
{
    int error = buf_printf(out, "{\"status\":\"%s\",\"state\":\"%s\",\"waiting_for\":[", h->status, h->state);
    error = error ? error : append_waiting_for(out, h, in);
    error = error ? error : buf_text(out, "],\"models\":{\"ready\":[");
    error = error ? error : append_names(out, h);
    error = error ? error : buf_text(out, "],\"pulling\":[");
    error = error ? error : append_pulling(out, h, in->pulls);
    error = error ? error : buf_text(out, "],\"loading\":[");
    error = error ? error : append_loading(out, in->loads);
    error = error ? error : buf_text(out, "],\"failed\":[");
    error = error ? error : append_failed(out, h, in);
    error = error ? error
                  : buf_printf(out,
                               "]},\"version\":\"%s\",\"uptime_s\":%lld,"
                               "\"requests\":{\"in_flight\":%llu,\"held\":%llu,\"queued\":%llu,\"total\":%llu,\"tool_calls_repaired\":%llu}",
                               SIDECAR_VERSION, (long long)(in->uptime_ms / 1000), (unsigned long long)in->in_flight_n,
                               (unsigned long long)in->held_n, (unsigned long long)in->queued_n,
                               (unsigned long long)in->requests_n, (unsigned long long)in->repaired_n);
    if (!error && (in->fleet || in->upstreams))
        error = append_backends(out, in);
    if (!error && in->served)
        error = append_served(out, in->served);
    if (!error && in->optimizer)
        error = optimizer_write(in->optimizer, out);
    if (!error && *h->error) {
        error = buf_text(out, ",\"error\":");
        error = error ? error : buf_json_string(out, h->error, strlen(h->error));
    }
    return error ? error : buf_text(out, "}\n");
}

int health_write(struct buf *out, const struct health_input *in, int *status)
{
    struct health h = {0};
    read_models(&h, in->page);
    judge(&h, in);
    if (in->fleet)
        judge_fleet(&h, in->fleet);
    *status = strcmp(h.status, "ok") == 0 || strcmp(h.status, "degraded") == 0 ? 200 : 503;
    return write_object(out, &h, in);
}
