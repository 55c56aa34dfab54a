/* See serve_state.h. What drivers tell of GPUs, as a job of the supervisor's reads it: a driver that hangs must not keep us. It is read where GET /status asks,
 * at most each FRESH_MS; rarely where there is none. A job that did not end in time is the last one. */
#include "common/json_read.h"
#include "proxy/serve/serve_state.h"

#include <errno.h>
#include <string.h>

enum { FRESH_MS = 2000, RARELY_MS = 60000, GPUS_MS = 10000, TOLD_BYTES = 64 * 1024 };

static const char none[] = "[]";

static void on_line(void *context, const char *json, size_t json_n)
{
    static const char *const names[] = {"gpus"};
    struct serve_gpus *gpus = &((struct serve *)context)->gpus;
    struct json_walk w = {json, json + json_n};
    struct json_value v;
    if (json_read_members(&w, names, 1, JSON_EXACT, &v) < 0 || v.kind != JSON_ARRAY)
        return;
    buf_truncate(&gpus->told, 0);
    if (buf_append(&gpus->told, v.at, v.n) < 0)
        buf_truncate(&gpus->told, 0);
}

static void note_failure(struct serve_gpus *gpus, const char *why, int64_t now_ms)
{
    log_event(LOG_WARNING, "gpus_failed", "reason=\"%s\"", why);
    gpus->next_ms = now_ms + RARELY_MS;
}

static void on_end(void *context, const struct hub_job_error *error)
{
    struct serve *s = context;
    struct serve_gpus *gpus = &s->gpus;
    int64_t now_ms = loop_now_ms(s->env->loop);
    int has_any = buf_size(&gpus->told) > sizeof none - 1;
    gpus->next_ms = now_ms + (has_any ? FRESH_MS : RARELY_MS);
    if (error)
        note_failure(gpus, error->text, now_ms);
    gpus->is_silent = error && error->status == HUB_JOB_LATE;
    loop_defer(s->env->loop, &gpus->work);
}

static void ask(struct serve *s)
{
    static const char request[] = "{\"do\":\"gpus\"}";
    int error = hub_job_start(&s->gpus.job, s->env->channel_fd, request, sizeof request - 1, GPUS_MS);
    if (error)
        note_failure(&s->gpus, strerror(-error), loop_now_ms(s->env->loop));
}

static void on_told(void *context)
{
    struct serve *s = context;
    serve_wake(&s->gpus.first, &s->gpus.job);
}

int serve_refresh_gpus(struct serve *s, struct serve_lease *lease)
{
    struct serve_gpus *gpus = &s->gpus;
    if (!gpus->is_silent && !hub_job_is_under_way(&gpus->job) && loop_now_ms(s->env->loop) >= gpus->next_ms)
        ask(s);
    if (!hub_job_is_under_way(&gpus->job))
        return 1;
    serve_wait(&gpus->first, lease);
    return 0;
}

int serve_write_gpus(const struct serve *s, struct buf *out)
{
    const struct buf *told = &s->gpus.told;
    return buf_size(told) > 0 ? buf_append(out, buf_data(told), buf_size(told)) : buf_text(out, none);
}

void serve_gpus_init(struct serve *s)
{
    buf_init(&s->gpus.told, TOLD_BYTES);
    s->gpus.work = (struct deferred){.fn = on_told, .context = s};
    hub_job_init(&s->gpus.job, s->env->loop, on_line, on_end, s);
}

void serve_gpus_fini(struct serve *s)
{
    hub_job_leave(&s->gpus.job);
    loop_forget(s->env->loop, &s->gpus.work);
    buf_fini(&s->gpus.told);
}
