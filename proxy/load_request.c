/*
 * See load_request.h. Over a new connection always: a kept one may just be closing, and a load is worth one. That connection
 * is kept then, and is what the request goes by that the load was for.
 */
#include "proxy/load_request.h"

#include "proxy/ask.h"
#include "proxy/fetch.h"
#include "proxy/json_scan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    BODY_MS = 5000, /* from the head of its answer to the end */
    TEXT_BYTES = LOAD_REQUEST_ANSWER_BYTES, /* the whole answer */
};

struct load_request {
    struct fetch fetch;
    struct buf head, body, answer;
    struct timer timer; /* of an end that was known at the start; then of an answer that does not end */
    int status;
    load_request_fn *fn;
    void *context;
    char why[128];
};

void load_request_free(struct load_request **r)
{
    struct load_request *it = *r;
    if (!it)
        return;
    loop_disarm(it->fetch.backend->loop, &it->timer);
    fetch_fini(&it->fetch);
    buf_fini(&it->head);
    buf_fini(&it->body);
    buf_fini(&it->answer);
    free(it);
    *r = NULL;
}

static void conclude(struct load_request *r, const struct load_result *result)
{
    fetch_cancel(&r->fetch);
    r->fn(r->context, result);
    load_request_free(&r);
}

static void on_head(void *context, const struct message *answer)
{
    struct load_request *r = context;
    r->status = answer->status;
    loop_arm(r->fetch.backend->loop, &r->timer, loop_now_ms(r->fetch.backend->loop) + BODY_MS);
}

static void on_body(void *context, const char *bytes, size_t bytes_n)
{
    struct load_request *r = context;
    size_t left_n = buf_left(&r->answer);
    if (buf_append(&r->answer, bytes, bytes_n < left_n ? bytes_n : left_n) < 0)
        r->answer.limit_bytes = buf_size(&r->answer); /* no memory: it ends as one that is too long */
}

/* No model is loaded by an answer without end: whatever this backend is, it is asked by who waits. */
static void on_flush(void *context)
{
    struct load_request *r = context;
    static const struct load_result untold = {.end = LOAD_ENDED_UNTOLD};
    if (buf_left(&r->answer) == 0)
        conclude(r, &untold);
}

static void on_sent(void *context)
{
    (void)context;
}

/* 500 and 503 are what Ollama answers where a load fails. All else is not about the load, and has other words for each of those
 * who wait (as 404, a model that is not there, or 400): they get them by asking. */
static enum load_end judge(const struct load_request *r, enum fetch_end end)
{
    switch (end) {
    case FETCH_REFUSED:
        return LOAD_ENDED_REFUSED;
    case FETCH_LOST:
    case FETCH_BROKEN:
        return LOAD_ENDED_LOST;
    case FETCH_GARBAGE:
        return LOAD_ENDED_UNTOLD;
    case FETCH_DONE:
        break;
    }
    if (r->status == 200)
        return LOAD_ENDED_WELL;
    return r->status == 500 || r->status == 503 ? LOAD_ENDED_FAILED : LOAD_ENDED_UNTOLD;
}

static void on_end(void *context, enum fetch_end end, const char *why)
{
    struct load_request *r = context;
    struct load_result result = {.end = judge(r, end), .status = r->status, .text = why};
    char text[TEXT_BYTES];
    if (result.end == LOAD_ENDED_FAILED) {
        result.text = text;
        if (json_scan_string(buf_data(&r->answer), buf_size(&r->answer), "error", text, sizeof text) <= 0)
            snprintf(text, sizeof text, "the model can't be loaded: the backend gave status %d", r->status);
    }
    conclude(r, &result);
}

static const struct fetch_ops ops = {on_head, on_body, on_flush, on_sent, on_end};

static void on_timer(void *context, int64_t now_ms)
{
    struct load_request *r = context;
    struct load_result result = {.end = r->status ? LOAD_ENDED_UNTOLD : LOAD_ENDED_REFUSED, .text = r->why};
    (void)now_ms;
    conclude(r, &result);
}

void load_keep_alive_json(int64_t keep_alive_ms, char out[KEEP_ALIVE_JSON_BYTES])
{
    if (keep_alive_ms == ASK_KEEP_FOR_EVER)
        snprintf(out, KEEP_ALIVE_JSON_BYTES, "-1");
    else
        snprintf(out, KEEP_ALIVE_JSON_BYTES, "\"%lldms\"", (long long)keep_alive_ms);
}

int load_body_write(const char *model, const char *more, const struct load_options *options, int64_t keep_alive_ms, struct buf *out)
{
    char keep_alive[KEEP_ALIVE_JSON_BYTES];
    int error = buf_text(out, "{\"model\":");
    error = error ? error : buf_json_string(out, model, strlen(model));
    error = error ? error : buf_text(out, more);
    if (!error && options) {
        error = buf_text(out, ",\"options\":");
        error = error ? error : load_options_write(options, out);
    }
    if (!error && keep_alive_ms != ASK_KEEP_UNSAID) {
        load_keep_alive_json(keep_alive_ms, keep_alive);
        error = buf_printf(out, ",\"keep_alive\":%s", keep_alive);
    }
    return error ? error : buf_text(out, "}");
}

/* Via: a backend that leads back to us is found out by it, as with any request. */
static int write_head(struct load_request *r, const struct load_request_to *to)
{
    return buf_printf(&r->head, "POST /api/embed HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n%s\r\n",
                      to->backend->host, buf_size(&r->body), to->tell->via[1]);
}

int load_request_new(struct load_request **out, const struct load_request_to *to, load_request_fn *fn, void *context)
{
    struct load_request *r = calloc(1, sizeof *r);
    if (!r)
        return -ENOMEM;
    r->fn = fn;
    r->context = context;
    buf_init(&r->head, 0);
    buf_init(&r->body, 0);
    buf_init(&r->answer, LOAD_REQUEST_ANSWER_BYTES);
    timer_init(&r->timer, on_timer, r);
    fetch_init(&r->fetch, to->backend, &ops, r);
    const struct load_options *options = to->options->set ? to->options : NULL;
    int error = load_body_write(to->model, ",\"input\":[]", options, to->keep_alive_ms, &r->body);
    error = error ? error : write_head(r, to);
    if (error) {
        load_request_free(&r);
        return -ENOMEM;
    }
    struct fetch_request request = {.is_fresh = 1, .head = buf_data(&r->head), .head_n = buf_size(&r->head)};
    request.body = buf_data(&r->body);
    request.body_n = buf_size(&r->body);
    if (fetch_start(&r->fetch, &request, r->why, sizeof r->why) < 0)
        loop_arm(to->backend->loop, &r->timer, loop_now_ms(to->backend->loop));
    *out = r;
    return 0;
}
