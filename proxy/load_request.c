/*
 * See load_request.h. Over a new connection, as a load is worth one; it is kept then, and is what the request goes by that the
 * load was for.
 */
#include "proxy/load_request.h"

#include "proxy/ask.h"
#include "proxy/json_scan.h"
#include "proxy/model_body.h"
#include "proxy/own_request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BODY_MS = 5000 }; /* from the head of its answer to the end */

struct load_request {
    struct own_request own;
    load_request_fn *fn;
    void *context;
};

void load_request_free(struct load_request **r)
{
    if (!*r)
        return;
    own_request_fini(&(*r)->own);
    free(*r);
    *r = NULL;
}

/* 500 and 503 are what Ollama answers where a load fails. All else is not about the load, and has other words for each of those
 * who wait (as 404, a model that is not there, or 400): they get them by asking. No model is loaded by an answer without end:
 * whatever this backend is, it is asked by who waits. */
static enum load_end judge(const struct own_answer *got)
{
    switch (got->end) {
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
    if (got->is_unread)
        return LOAD_ENDED_UNTOLD;
    if (got->status == 200)
        return LOAD_ENDED_WELL;
    return got->status == 500 || got->status == 503 ? LOAD_ENDED_FAILED : LOAD_ENDED_UNTOLD;
}

static void on_done(void *context, const struct own_answer *got)
{
    struct load_request *r = context;
    struct load_result result = {.end = judge(got), .status = got->status, .text = got->why};
    char text[LOAD_REQUEST_ANSWER_BYTES];
    if (result.end == LOAD_ENDED_FAILED) {
        result.text = text;
        if (json_scan_string(got->bytes, got->bytes_n, "error", text, sizeof text) <= 0)
            snprintf(text, sizeof text, "the model can't be loaded: the backend gave status %d", got->status);
    }
    r->fn(r->context, &result);
    load_request_free(&r);
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
    int error = model_body_write(out, model, more);
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

/* 0 or -ENOMEM. */
static int start(struct load_request *r, const struct load_request_to *to)
{
    const struct load_options *options = to->options->set ? to->options : NULL;
    struct buf body;
    buf_init(&body, 0);
    int error = load_body_write(to->model, ",\"input\":[]", options, to->keep_alive_ms, &body);
    error = error ? error : own_request_start(&r->own, to->tell, "/api/embed", &body);
    buf_fini(&body);
    return error;
}

int load_request_new(struct load_request **out, const struct load_request_to *to, load_request_fn *fn, void *context)
{
    static const struct own_rules rules = {.answer_bytes = LOAD_REQUEST_ANSWER_BYTES, .body_ms = BODY_MS};
    struct load_request *r = calloc(1, sizeof *r);
    if (!r)
        return -ENOMEM;
    r->fn = fn;
    r->context = context;
    own_request_init(&r->own, to->backend, &rules, on_done, r);
    if (start(r, to) < 0) {
        load_request_free(&r);
        return -ENOMEM;
    }
    *out = r;
    return 0;
}
