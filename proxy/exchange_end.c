/*
 * See exchange_state.h. Whatever ends an exchange goes through exchange_finish(), once.
 */
#include "proxy/exchange_engine.h"
#include "proxy/exchange_fleet.h"
#include "proxy/exchange_observe.h"
#include "proxy/exchange_serve.h"
#include "proxy/generate.h"
#include "proxy/observe/observe.h"
#include "proxy/reply.h"
#include "proxy/told.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    RETRY_AFTER_S = 5,      /* where nobody knows */
    RETRY_AFTER_MAX_S = 60, /* a guess, and clients leave too: it need not be so long */
};

/* A backend works for nobody: whoever was to have its answer has gone, or was sent away. */
static void count_waste(struct exchange *x)
{
    if (x->relay.fetch.state == FETCH_IDLE || exchange_told_all(x))
        return;
    observe_count(x->env->observe, COUNT_CANCELLED, 1);
    observe_count(x->env->observe, COUNT_WASTED_MS, (uint64_t)(loop_monotonic_ms(x->env->loop) - x->asked_at_ms));
}

/* For who looks at what went wrong of late. Memory is short: without it. */
static void note_error(struct exchange *x, const char *text)
{
    free(x->error);
    x->error = x->inner ? NULL : strndup(text, ACCESS_ERROR_BYTES);
}

/* Leaves every place where something could still come from. */
void exchange_let_go(struct exchange *x)
{
    exchange_count_time(x);
    observe_leave(x->env->observe, &x->live, x->since_ms);
    count_waste(x);
    exchange_take_tokens(x);
    gate_leave(&x->env->gate, &x->ticket);
    loads_leave(&exchange_loader(x)->loads, &x->load);
    capabilities_leave(&x->capable);
    pulls_leave(&x->env->puller.pulls, &x->pull);
    store_leave(&x->kept);
    if (x->hub)
        exchange_leave_hub(x);
    exchange_was_answered(x, LOAD_ANSWER_LEFT);
    loop_disarm(x->env->loop, &x->timer);
    fetch_cancel(&x->relay.fetch);
    if (x->map_run)
        x->way->leave_map(x);
    exchange_leave_queue(x);
    if (x->engine)
        exchange_leave_engine(x);
    if (x->env->upstreams)
        upstreams_leave(x->env->upstreams, &x->lists);
    exchange_stop_listening(x);
    if (x->look)
        exchange_leave_look(x);
    if (x->check)
        check_fini(x->check);
    exchange_count_held(x, 0);
    exchange_count_activity(x, 0);
}

void exchange_finish(struct exchange *x, enum exchange_end end)
{
    uint64_t repaired_n = x->answer.translation.repaired_n;
    if (repaired_n > 0) {
        atomic_fetch_add(&x->env->line->repaired_n, (uint32_t)repaired_n);
        observe_count(x->env->observe, COUNT_REPAIRED_CALLS, repaired_n);
    }
    exchange_tally(x, end);
    exchange_let_go(x);
    exchange_drop_body(x);
    exchange_enter(x, EXCHANGE_END);
    x->sink->done(x->sink->deliver.context, end);
}

/* Nobody's answer breaks here: whoever takes it is told what went wrong, and tells its clients. */
static void tell_failure(struct exchange *x, struct inner_failure f)
{
    const struct exchange_sink *sink = x->sink;
    struct buf room;
    f.is_in_stream = x->deliver.is_begun;
    if (f.is_in_stream) /* what a translator has held back is part of what came */
        answer_break(&x->answer, f.status, f.code, NULL);
    f.lines = exchange_lines(&x->deliver, f.lines, &room);
    exchange_finish(x, EXCHANGE_BROKEN);
    sink->failed(sink->deliver.context, &f);
    buf_fini(&room);
}

void exchange_answer_options(struct exchange *x)
{
    if (admit_options_lines(&x->admission, x->request, &x->deliver.extra) < 0) {
        exchange_fail(x, 500, NULL, "out of memory");
        return;
    }
    reply_empty(&x->deliver, 204, NULL);
    exchange_finish(x, EXCHANGE_CLEAN);
}

void exchange_fail_with(struct exchange *x, int status, const char *code, const char *text, const char *lines)
{
    exchange_count_time(x);
    x->code = code;
    x->ended = access_end_of(status, code);
    note_error(x, text);
    if (x->inner) {
        tell_failure(x, (struct inner_failure){.status = status, .code = code, .text = text, .lines = lines, .ended = x->ended});
        return;
    }
    log_event(status >= 500 ? env_warning(x->env) : LOG_DEBUG, "refused", "id=%s client=%s status=%d reason=\"%s\"",
              x->deliver.request_id, x->admission.sender.client, status, text);
    if (exchange_fall_back(x, status, code, text)) {
        exchange_finish(x, EXCHANGE_CLEAN);
        return;
    }
    if (x->deliver.is_begun) { /* a heartbeat has promised an answer */
        answer_break(&x->answer, status, code, text);
        exchange_finish(x, EXCHANGE_BROKEN);
        return;
    }
    reply_error(&x->deliver, x->admission.dialect, status, code, text, lines);
    exchange_finish(x, EXCHANGE_CLEAN);
}

void exchange_fail(struct exchange *x, int status, const char *code, const char *text)
{
    exchange_fail_with(x, status, code, text, NULL);
}

void exchange_answer_json(struct exchange *x, int error, const struct buf *json)
{
    if (error) {
        exchange_fail(x, 500, NULL, "out of memory");
        return;
    }
    reply_json(&x->deliver, 200, buf_data(json), buf_size(json), NULL);
    exchange_finish(x, EXCHANGE_CLEAN);
}

void exchange_fail_until(struct exchange *x, int status, const char *code, const char *text, int64_t retry_s)
{
    char lines[48] = "";
    if (retry_s > 0)
        snprintf(lines, sizeof lines, "Retry-After: %lld\r\n", (long long)retry_s);
    exchange_fail_with(x, status, code, text, lines);
}

void exchange_fail_for_now(struct exchange *x, const char *code, const char *text)
{
    exchange_fail_until(x, 503, code, text, RETRY_AFTER_S);
}

void exchange_fail_upload(struct exchange *x, int status, const char *why)
{
    exchange_fail(x, status, status == 413 ? "image_too_large" : status == 415 ? "image_type" : "invalid_request", why);
}

void exchange_fail_for_bodies(struct exchange *x)
{
    exchange_fail_for_now(x, "bodies_full", "too many bytes of request bodies are held at once ([proxy] max_held_bodies)");
}

void exchange_fail_full(struct exchange *x, int64_t estimate_ms)
{
    int64_t seconds = estimate_ms / 1000 + (estimate_ms % 1000 > 0);
    if (estimate_ms <= 0)
        seconds = RETRY_AFTER_S;
    else if (seconds > RETRY_AFTER_MAX_S)
        seconds = RETRY_AFTER_MAX_S;
    exchange_fail_until(x, 503, "queue_full", "too many requests are waiting ([proxy] max_queue)", seconds);
}

/* What is told is an error: a status that is none, or lets no body follow, is not passed with it. And of a prompt that is too long
 * OpenAI's clients know that it is their own affair, and nothing to try again. */
static int told_status(const struct exchange *x, int status, const char *code)
{
    if (x->admission.dialect == DIALECT_OPENAI && code && strcmp(code, "context_length_exceeded") == 0)
        return 400;
    return status < 400 ? 502 : status;
}

void exchange_tell(struct exchange *x, int status, const char *text)
{
    char room[GENERATE_WHY_BYTES];
    if (x->admission.route->api == API_PRESET && !x->env->fleet) /* of several nobody pulls by himself */
        text = generate_error(status, x->ask.model, text, room);
    if (x->deliver.is_begun) {
        exchange_break_off(x, ACCESS_BACKEND_ERROR, text);
        return;
    }
    const char *code = told_code(status, text);
    exchange_count_time(x);
    note_error(x, text);
    if (x->inner) {
        tell_failure(x, (struct inner_failure){.status = status, .code = code, .text = text, .is_told = 1});
        return;
    }
    if (!exchange_fall_back(x, told_status(x, status, code), code, text))
        reply_error(&x->deliver, x->admission.dialect, told_status(x, status, code), code, text, NULL);
    exchange_finish(x, EXCHANGE_CLEAN);
}

void exchange_break_off(struct exchange *x, enum access_end ended, const char *text)
{
    int is_told = ended == ACCESS_BACKEND_ERROR && x->answer.state == ANSWER_PASS; /* by the backend itself */
    if (x->state == EXCHANGE_END)
        return;
    if (!x->deliver.is_begun && (ended == ACCESS_BACKEND_BROKEN || ended == ACCESS_BACKEND_UNFINISHED)) {
        exchange_fail(x, 502, "backend_error", text);
        return;
    }
    if (!x->deliver.is_begun) {
        exchange_fail_for_now(x, "aborted", text);
        return;
    }
    const char *code = ended == ACCESS_BACKEND_ERROR ? told_code(500, text) : x->code;
    x->ended = ended;
    note_error(x, text);
    if (x->inner) {
        tell_failure(x, (struct inner_failure){.status = 500, .code = code, .text = text, .ended = ended});
        return;
    }
    log_event(env_warning(x->env), "answer_broken", "id=%s bytes=%llu ended=%s reason=\"%s\"", x->deliver.request_id,
              (unsigned long long)x->deliver.body_bytes, access_end_name(ended), text);
    if (!is_told && ended != ACCESS_CLIENT_GONE && ended != ACCESS_CLIENT_STALLED && exchange_fall_back(x, 500, code, text)) {
        exchange_finish(x, EXCHANGE_CLEAN);
        return;
    }
    answer_break(&x->answer, x->answer.state == ANSWER_GATHER ? told_status(x, x->answer.status, code) : 500, code, is_told ? NULL : text);
    exchange_finish(x, EXCHANGE_BROKEN);
}
