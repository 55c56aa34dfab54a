/*
 * See pull_request.h. Ollama sends a line each 60 ms whether bytes come or not: only what is more than there ever was is a sign of life
 * (server/download.go, v0.9.5). A large model's digest is computed without a word: common/pull_progress.c knows how long that may take.
 */
#include "proxy/pull_request.h"

#include "common/lines.h"
#include "common/text.h"
#include "proxy/fetch.h"
#include "proxy/forward.h"
#include "proxy/model_body.h"
#include "proxy/own_request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DETAIL_BYTES = 400 };

struct pull_request {
    struct fetch fetch;
    struct buf body, head; /* of the request */
    struct lines lines;
    struct progress progress;
    struct timer timer; /* of the limit, or of an end that was known at the start */
    int64_t stall_ms;
    uint64_t told_grown;
    int status, is_encoded, is_refused;
    const struct pull_request_ops *ops;
    void *context;
    char why[128]; /* it was refused */
};

static int64_t now_ms_of(const struct pull_request *r)
{
    return loop_now_ms(r->fetch.backend->loop);
}

static void stop(struct pull_request *r)
{
    loop_disarm(r->fetch.backend->loop, &r->timer);
    fetch_cancel(&r->fetch);
    buf_release(&r->head);
}

static void conclude(struct pull_request *r, enum failure kind, const char *detail)
{
    char clean[DETAIL_BYTES];
    struct pull_try end = {.kind = kind, .detail = clean, .has_moved = progress_is_worth(&r->progress)};
    text_clean(clean, sizeof clean, detail, strlen(detail));
    stop(r);
    r->ops->ended(r->context, &end);
}

static void tell_moved(struct pull_request *r)
{
    uint64_t grown_bytes = r->progress.grown - r->told_grown;
    r->told_grown = r->progress.grown;
    r->ops->moved(r->context, &r->progress, grown_bytes);
}

/* Not for each line: where nothing comes for long, it is found when the timer fires. */
static void arm(struct pull_request *r)
{
    loop_arm(r->fetch.backend->loop, &r->timer, progress_stalls_at_ms(&r->progress, r->stall_ms));
}

static void on_timer(void *context, int64_t now_ms)
{
    struct pull_request *r = context;
    if (r->is_refused)
        conclude(r, FAILURE_GONE, r->why);
    else if (progress_stalls_at_ms(&r->progress, r->stall_ms) > now_ms)
        arm(r);
    else
        conclude(r, FAILURE_STALLED, "");
}

static void on_line(void *context, const char *line, size_t line_n)
{
    struct pull_request *r = context;
    progress_line(&r->progress, line, line_n, now_ms_of(r));
}

static void on_head(void *context, const struct message *answer)
{
    struct pull_request *r = context;
    r->status = answer->status;
    r->is_encoded = forward_is_encoded(answer);
}

static void on_body(void *context, const char *bytes, size_t bytes_n)
{
    struct pull_request *r = context;
    if (!r->is_encoded)
        lines_feed(&r->lines, bytes, bytes_n);
}

static void on_flush(void *context)
{
    tell_moved(context);
}

static void on_sent(void *context)
{
    (void)context;
}

/* What was answered, as the preloader reads it (preload/pull.c). */
static void judge(struct pull_request *r, int is_whole, const char *why)
{
    const struct progress *progress = &r->progress;
    char detail[DETAIL_BYTES];
    if (progress->error[0]) {
        conclude(r, failure_classify(progress->error, r->status), progress->error);
    } else if (progress->stage == PROGRESS_SUCCESS) {
        conclude(r, FAILURE_NONE, "");
    } else if (!is_whole) {
        conclude(r, FAILURE_GONE, why);
    } else if (r->status != 200 || progress->garbage_n > 0 || r->lines.dropped_n > 0) {
        snprintf(detail, sizeof detail, "HTTP %d%s%s", r->status, progress->garbage[0] ? ": " : "", progress->garbage);
        int is_garbage = r->status == 200 || progress->garbage_n > 0;
        conclude(r, is_garbage ? FAILURE_GARBAGE : failure_classify("", r->status), detail);
    } else {
        conclude(r, FAILURE_CUT, "");
    }
}

static void on_end(void *context, enum fetch_end end, const char *why)
{
    struct pull_request *r = context;
    lines_end(&r->lines);
    tell_moved(r);
    if (end == FETCH_GARBAGE)
        conclude(r, FAILURE_GARBAGE, why);
    else if (r->is_encoded)
        conclude(r, FAILURE_GARBAGE, "it is encoded, which was not asked for");
    else
        judge(r, end == FETCH_DONE, why);
}

static const struct fetch_ops fetch_ops = {on_head, on_body, on_flush, on_sent, on_end};

int pull_request_new(struct pull_request **out, struct backend *backend, const char *model, int64_t stall_ms,
                     const struct pull_request_ops *ops, void *context)
{
    struct pull_request *r = calloc(1, sizeof *r);
    if (!r)
        return -ENOMEM;
    r->stall_ms = stall_ms;
    r->ops = ops;
    r->context = context;
    fetch_init(&r->fetch, backend, &fetch_ops, r);
    lines_init(&r->lines, PULL_REQUEST_LINE_BYTES, on_line, r);
    timer_init(&r->timer, on_timer, r);
    progress_init(&r->progress);
    buf_init(&r->head, 0);
    buf_init(&r->body, 0);
    int error = model_body_write(&r->body, model, ",\"stream\":true}");
    if (error) {
        pull_request_free(&r);
        return error;
    }
    *out = r;
    return 0;
}

void pull_request_free(struct pull_request **r)
{
    if (!*r)
        return;
    stop(*r);
    fetch_fini(&(*r)->fetch);
    lines_fini(&(*r)->lines);
    buf_fini(&(*r)->head);
    buf_fini(&(*r)->body);
    free(*r);
    *r = NULL;
}

int pull_request_start(struct pull_request *r, const struct tell *tell)
{
    stop(r);
    lines_reset(&r->lines);
    r->status = r->is_encoded = r->is_refused = 0;
    if (own_request_write(&r->head, r->fetch.backend, tell, "/api/pull", &r->body) < 0)
        return -ENOMEM;
    struct fetch_request request = {.is_fresh = 1, .head = buf_data(&r->head), .head_n = buf_size(&r->head)};
    progress_begin(&r->progress, now_ms_of(r));
    r->is_refused = fetch_start(&r->fetch, &request, r->why, sizeof r->why) < 0;
    if (r->is_refused)
        loop_arm(r->fetch.backend->loop, &r->timer, now_ms_of(r));
    else
        arm(r);
    return 0;
}
