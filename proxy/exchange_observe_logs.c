/* See exchange_observe.h. GET /sidecar/logs: the lines that programs have written, and those that come, as the supervisor has them. */
#include "proxy/accept.h"
#include "proxy/exchange_observe.h"
#include "proxy/observe/logs_query.h"
#include "proxy/reply.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { RETRY_S = 5 };

/* 0, or -1: it has ended, with 400. */
static int read_query(struct exchange *x, struct logs_query *out)
{
    struct span query = x->request->query;
    char why[LOGS_QUERY_WHY_BYTES];
    if (logs_query_read(out, message_at(x->request, query), query.n, why) == 0)
        return 0;
    exchange_fail(x, 400, "invalid_request", why);
    return -1;
}

/* Each line is an event. */
static void show_events(struct exchange *x, const char *lines, size_t lines_n)
{
    struct buf out;
    int error = 0;
    buf_init(&out, 0);
    for (const char *at = lines, *end = lines + lines_n; at < end && !error;) {
        const char *next = memchr(at, '\n', (size_t)(end - at));
        size_t n = next ? (size_t)(next - at) : (size_t)(end - at);
        error = buf_text(&out, "data: ");
        error = error ? error : buf_append(&out, at, n);
        error = error ? error : buf_text(&out, "\n\n");
        at += n + 1;
    }
    if (!error) {
        deliver_body(&x->deliver, buf_data(&out), buf_size(&out));
        deliver_flush(&x->deliver);
    }
    buf_fini(&out);
}

static void on_lines(void *context, const char *lines, size_t lines_n)
{
    struct exchange *x = context;
    const struct deliver_sink *sink = &x->sink->deliver;
    if (!x->deliver.is_begun && reply_begin(&x->deliver, x->look->is_events ? "text/event-stream" : "application/x-ndjson") < 0) {
        exchange_finish(x, EXCHANGE_BROKEN);
        return;
    }
    if (x->look->is_events) {
        show_events(x, lines, lines_n);
    } else {
        deliver_body(&x->deliver, lines, lines_n);
        deliver_flush(&x->deliver);
    }
    if (sink->pending_bytes(sink->context) > RELAY_HIGH_BYTES)
        overseer_tail_pause(&x->look->tail, 1);
}

static void fail_busy(struct exchange *x, const char *why)
{
    char text[OVERSEER_TAIL_WHY_BYTES + 96];
    snprintf(text, sizeof text, "%s: close a page that shows lines of programs, or use sidecarctl tail", why);
    exchange_fail_until(x, 503, "too_many_listeners", text, RETRY_S);
}

/* There were no lines yet. */
static void fail(struct exchange *x, const char *why)
{
    switch (x->look->tail.refusal) {
    case OVERSEER_BUSY:
        fail_busy(x, why);
        return;
    case OVERSEER_UNKNOWN_PROGRAM:
        exchange_fail(x, 404, "program_not_found", why);
        return;
    case OVERSEER_NO_LINES:
        exchange_fail(x, 404, "no_lines", why);
        return;
    case OVERSEER_NOT_REFUSED: /* it does not answer, or has ended */
    case OVERSEER_REFUSED:
        break;
    }
    exchange_fail(x, 502, "supervisor_failed", why ? why : "the supervisor has ended");
}

static void on_end(void *context, const char *why)
{
    struct exchange *x = context;
    x->look->is_tail = 0;
    if (x->deliver.is_begun)
        exchange_end_look(x);
    else
        fail(x, why);
}

void exchange_show_more(struct exchange *x)
{
    if (x->look && x->look->is_tail)
        overseer_tail_pause(&x->look->tail, 0);
}

void exchange_answer_logs(struct exchange *x)
{
    struct logs_query query;
    if (read_query(x, &query) < 0)
        return;
    const struct overseer_tail_ask ask = {query.lines_n, query.is_following, *query.program ? query.program : NULL};
    if (!overseer_is_there(&x->env->overseer)) {
        exchange_fail(x, 501, "no_supervisor", "this proxy runs alone: lines of programs are kept by ollama-supervisor, which starts it where it is started itself");
        return;
    }
    if (exchange_begin_look(x) < 0)
        return;
    x->look->is_events = accept_wants_events(x->request);
    overseer_tail_init(&x->look->tail, on_lines, on_end, x);
    int error = overseer_tail_begin(&x->look->tail, &x->env->overseer, &ask);
    x->look->is_tail = !error;
    if (error == -EINVAL)
        exchange_fail(x, 400, "invalid_request", "program of the query: it can't be the name of one");
    else if (error == -EBUSY)
        fail_busy(x, "too many read them already");
    else if (error)
        exchange_fail_until(x, 503, "supervisor_failed", "the supervisor can't be asked now", RETRY_S);
}
