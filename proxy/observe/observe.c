/* See observe.h. What the end of a request says, and where that is counted. */
#include "proxy/observe/observe.h"

#include "common/wrong.h"
#include "proxy/observe/advice.h"
#include "proxy/route.h"
#include "proxy/told.h"

#include <stdio.h>
#include <string.h>

enum { METHOD_BYTES = 20, PATH_BYTES = 96, US_A_MS = 1000, NS_A_US = 1000, US_A_S = 1000000 };

void observe_init(struct observe *o, int64_t now_ms)
{
    counts_init(&o->counts);
    series_init(&o->series, now_ms);
}

void observe_fini(struct observe *o)
{
    counts_fini(&o->counts);
}

void observe_count(struct observe *o, enum count which, uint64_t n)
{
    o->counts.counters[which] += n;
}

void observe_held(struct observe *o, int64_t now_ms, size_t held_n)
{
    series_held(&o->series, now_ms, held_n);
}

void observe_begin(struct observe *o, struct live *one, struct exchange *exchange, int64_t now_ms)
{
    live_enter(&o->live, one, exchange);
    series_in_flight(&o->series, now_ms, o->live.n);
}

void observe_leave(struct observe *o, struct live *one, int64_t now_ms)
{
    if (!one->exchange)
        return;
    live_leave(&o->live, one);
    series_in_flight(&o->series, now_ms, o->live.n);
}

/* It is a backend's, or would be: not one that this process answers by itself, as /health. */
static int is_for_others(const struct route *r)
{
    return !r || r->kind == ROUTE_BACKEND || r->kind == ROUTE_SERVE;
}

/* It lasts as long as its client likes: that says nothing. */
static int is_endless(const struct route *r)
{
    return r && (r->api == API_SIDECAR_EVENTS || r->api == API_SIDECAR_LOGS);
}

static enum outcome outcome_of(const struct access *a)
{
    switch (a->ended) {
    case ACCESS_DONE:
        if (a->status < 400)
            return OUTCOME_OK;
        return a->status < 500 ? OUTCOME_REFUSED : is_for_others(a->route) ? OUTCOME_BACKEND_ERROR : OUTCOME_FAILED;
    case ACCESS_REFUSED:
        return OUTCOME_REFUSED;
    case ACCESS_TIMEOUT:
        return OUTCOME_TIMEOUT;
    case ACCESS_CANCELLED:
        return OUTCOME_CANCELLED;
    case ACCESS_CLIENT_GONE:
    case ACCESS_CLIENT_STALLED:
        return OUTCOME_CLIENT_GONE;
    case ACCESS_BACKEND_UNREACHABLE:
    case ACCESS_BACKEND_BROKEN:
    case ACCESS_BACKEND_UNFINISHED:
    case ACCESS_BACKEND_ERROR:
        return OUTCOME_BACKEND_ERROR;
    case ACCESS_DRAINED:
    case ACCESS_FAILED:
    case ACCESS_END_COUNT:
        break;
    }
    return OUTCOME_FAILED;
}

static int is_error(enum outcome outcome)
{
    return outcome != OUTCOME_OK && outcome != OUTCOME_CLIENT_GONE && outcome != OUTCOME_CANCELLED;
}

/* How long the model took for its tokens, by its server's own clock, or as a stream shows it; -1: not known. */
static int64_t generated_us(const struct access *a, int64_t now_ms)
{
    const struct ending_facts *f = &a->facts;
    if (f->tokens_n <= 0)
        return -1;
    if (f->eval_ns > 0)
        return f->eval_ns / NS_A_US;
    return a->is_stream && a->first_byte_ms ? (now_ms - a->first_byte_ms) * US_A_MS : -1;
}

/* Of what comes from a model: a pull streams as well. */
static int64_t first_token_ms(const struct access *a)
{
    return a->is_stream && a->first_byte_ms && (!a->route || a->route->needs_model) ? a->first_byte_ms - a->began_ms : -1;
}

static void add_inference(struct observe *o, struct model_counts *m, const struct access *a, int64_t now_ms)
{
    int64_t us = generated_us(a, now_ms);
    histogram_add(&o->counts.queue, &histogram_waits, a->queue_ms);
    histogram_add(&o->counts.wait, &histogram_waits, a->wait_ms);
    histogram_add(&m->load, &histogram_waits, a->load_ms > 0 ? a->load_ms : -1);
    histogram_add(&m->first_token, &histogram_waits, first_token_ms(a));
    histogram_add(&m->token, &histogram_tokens, us > 0 ? us / a->facts.tokens_n : -1);
}

void observe_tokens(struct observe *o, const char *model, const struct ending_facts *f, int64_t from_ms, int64_t now_ms)
{
    struct model_counts *m = counts_model(&o->counts, model, f->is_done);
    m->prompt_tokens_n += f->prompt_tokens_n > 0 ? (uint64_t)f->prompt_tokens_n : 0;
    if (f->tokens_n <= 0)
        return;
    m->output_tokens_n += (uint64_t)f->tokens_n;
    series_tokens(&o->series, now_ms, from_ms, now_ms, (double)f->tokens_n);
}

static void add_to_series(struct observe *o, const struct access *a, enum outcome outcome, int64_t now_ms)
{
    struct series_step *s = series_now(&o->series, now_ms);
    s->requests_n++;
    if (is_error(outcome))
        s->errors_n++;
    if (first_token_ms(a) < 0)
        return;
    s->first_tokens_n++;
    s->first_token_ms_sum += (uint64_t)first_token_ms(a);
}

/* The bytes, as far as there is room, as a string. */
static const char *text_of(char *out, size_t out_n, const struct message *m, struct span s)
{
    size_t n = s.n < out_n ? s.n : out_n - 1;
    memcpy(out, message_at(m, s), n);
    out[n] = '\0';
    return out;
}

static void note_end(struct observe *o, const struct access *a, const struct message *m, int64_t now_ms, int64_t realtime_ms)
{
    char method[METHOD_BYTES], path[PATH_BYTES];
    int64_t us = generated_us(a, now_ms);
    const char *const texts[] = {
        [ENDED_ID] = a->id, [ENDED_METHOD] = text_of(method, sizeof method, m, m->method_name), [ENDED_PATH] = text_of(path, sizeof path, m, m->path),
        [ENDED_MODEL] = a->model, [ENDED_CLIENT] = a->client, [ENDED_BACKEND] = a->backend, [ENDED_KEY] = a->key, [ENDED_ERROR] = a->error,
    };
    struct ended e = {
        .at_ms = realtime_ms, .how = a->ended, .status = a->status, .code = a->code, .wait_ms = a->wait_ms, .queue_ms = a->queue_ms, .load_ms = a->load_ms,
        .first_token_ms = first_token_ms(a), .total_ms = now_ms - a->began_ms, .prompt_tokens_n = a->facts.prompt_tokens_n, .tokens_n = a->facts.tokens_n,
        .tokens_per_s = us > 0 ? (double)a->facts.tokens_n * US_A_S / (double)us : -1,
    };
    recent_end(&o->recent, &e, texts);
}

static void note_error(struct observe *o, const struct access *a, const struct message *m, int64_t realtime_ms)
{
    char own[RECENT_TEXT_BYTES], path[PATH_BYTES];
    const char *where = text_of(path, sizeof path, m, m->path), *what = a->error ? a->error : own;
    const char *code = a->code || !a->error ? a->code : told_code(a->status, a->error);
    if (a->status)
        snprintf(own, sizeof own, "%s was answered with status %d", *where ? where : "a request", a->status);
    else
        snprintf(own, sizeof own, "%s ended without an answer: %s", *where ? where : "a request", access_end_name(a->ended));
    const char *what_to_do = advice_for(code);
    recent_error(&o->recent, ERROR_OF_REQUEST, realtime_ms, what, what_to_do ? what_to_do : wrong_hint(what), a->id);
}

void observe_end(struct observe *o, const struct access *a, const struct message *m, int64_t now_ms, int64_t realtime_ms, uint64_t out_bytes)
{
    const struct route *r = a->route;
    enum outcome outcome = outcome_of(a);
    int infers = r && r->needs_model;
    struct model_counts *of_model = counts_model(&o->counts, a->model, infers && (outcome == OUTCOME_OK || a->facts.is_done));
    size_t route = counts_route(r);
    of_model->requests[route][outcome]++;
    if (!is_endless(r))
        histogram_add(&o->counts.requests[route], &histogram_waits, now_ms - a->began_ms);
    observe_count(o, COUNT_RECEIVED_BYTES, a->in_bytes);
    observe_count(o, COUNT_SENT_BYTES, out_bytes);
    if (infers && outcome != OUTCOME_REFUSED)
        add_inference(o, of_model, a, now_ms);
    if (infers && !a->is_made_inside)
        observe_tokens(o, a->model, &a->facts, a->first_byte_ms && a->is_stream ? a->first_byte_ms : a->began_ms, now_ms);
    if (!is_for_others(r))
        return;
    if (r && r->is_activity)
        add_to_series(o, a, outcome, now_ms);
    if (is_error(outcome) && (r || outcome != OUTCOME_REFUSED)) /* who looks for paths that are not there hides no other errors */
        note_error(o, a, m, realtime_ms);
    if (outcome != OUTCOME_OK || (r && r->is_activity))
        note_end(o, a, m, now_ms, realtime_ms);
}
