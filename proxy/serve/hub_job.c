/* See hub_job.h. */
#include "proxy/serve/hub_job.h"

#include "common/contract.h"
#include "common/json_read.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { READ_BYTES = 16 * 1024, STATUS_UNKNOWN = 502 };

static void fail(struct hub_job *job, const char *code, int status, const char *text)
{
    job->has_error = 1;
    job->error = (struct hub_job_error){.status = status};
    snprintf(job->error.code, sizeof job->error.code, "%s", code);
    snprintf(job->error.text, sizeof job->error.text, "%s", text);
}

static void read_text(const struct json_value *value, char *out, size_t out_n, const char *otherwise)
{
    char text[8 * HUB_JOB_TEXT_BYTES]; /* longer ones are cut */
    ssize_t n = value->kind == JSON_STRING ? json_decode(json_read_text(value), text, sizeof text) : -EINVAL;
    snprintf(out, out_n, "%.*s", (int)out_n - 1, n > 0 ? text : otherwise);
    buf_neutralise(out);
}

enum { ERROR, CODE, STATUS, RETRY_AFTER_S, DONE, NAMES_N };

static void take_error(struct hub_job *job, const struct json_value v[NAMES_N])
{
    uint64_t status = json_read_count(&v[STATUS]), retry_after_s = json_read_count(&v[RETRY_AFTER_S]);
    job->has_error = 1;
    read_text(&v[ERROR], job->error.text, sizeof job->error.text, "it has failed, and says no more");
    read_text(&v[CODE], job->error.code, sizeof job->error.code, "system");
    job->error.status = status >= 400 && status < 600 ? (int)status : STATUS_UNKNOWN;
    job->error.retry_after_s = retry_after_s < 86400 ? (int64_t)retry_after_s : 86400;
}

static void on_line(void *context, const char *line, size_t line_n)
{
    static const char *const names[NAMES_N] = {"error", "code", "status", "retry_after_s", "done"};
    struct hub_job *job = context;
    struct json_walk w = {line, line + line_n};
    struct json_value v[NAMES_N];
    if (json_read_members(&w, names, NAMES_N, JSON_EXACT, v) < 0)
        return; /* what a library wrote there, perhaps */
    if (v[ERROR].kind == JSON_STRING)
        take_error(job, v);
    job->is_done = v[DONE].kind == JSON_TRUE || json_read_is(&v[STATUS], "success");
    job->on_line(job->context, line, line_n);
}

void hub_job_leave(struct hub_job *job)
{
    if (job->fd < 0)
        return;
    loop_disarm(job->loop, &job->timer);
    loop_remove(job->loop, job->fd);
    sys_close(job->fd);
    job->fd = -1;
    lines_fini(&job->lines);
}

static void end(struct hub_job *job)
{
    if (!job->is_done && !job->has_error)
        fail(job, "system", STATUS_UNKNOWN, "the job at the hub's cache ended before it was done: the log says why");
    hub_job_leave(job);
    job->on_end(job->context, job->has_error ? &job->error : NULL);
}

static void on_readable(void *context, short revents)
{
    struct hub_job *job = context;
    char bytes[READ_BYTES];
    (void)revents;
    ssize_t n = sys_recv(job->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n > 0) {
        lines_feed(&job->lines, bytes, (size_t)n);
    } else if (n != -EAGAIN) {
        lines_end(&job->lines);
        end(job);
    }
}

static void on_late(void *context, int64_t now_ms)
{
    struct hub_job *job = context;
    (void)now_ms;
    job->is_done = job->has_error = 0;
    fail(job, "system", HUB_JOB_LATE, "the job at the hub's cache did not end in time");
    end(job);
}

void hub_job_init(struct hub_job *job, struct loop *loop, hub_job_line_fn *fn, hub_job_end_fn *on_end, void *context)
{
    *job = (struct hub_job){.loop = loop, .fd = -1, .on_line = fn, .on_end = on_end, .context = context};
    timer_init(&job->timer, on_late, job);
}

int hub_job_start(struct hub_job *job, int channel_fd, const char *request, size_t request_n, int64_t limit_ms)
{
    char line[HUB_JOB_REQUEST_BYTES + 1];
    int fds[2];
    if (channel_fd < 0)
        return -ENOTSUP;
    if (request_n > HUB_JOB_REQUEST_BYTES)
        return -EFBIG;
    int error = sys_socketpair(AF_UNIX, SOCK_STREAM, fds);
    if (error < 0)
        return error;
    memcpy(line, request, request_n);
    line[request_n] = '\n';
    ssize_t n = sys_send(fds[0], line, request_n + 1, MSG_DONTWAIT); /* a new socket has room for it */
    error = n == (ssize_t)request_n + 1 ? contract_send_fd(channel_fd, CONTRACT_HUB, fds[1]) : n < 0 ? (int)n : -EIO;
    sys_close(fds[1]);
    error = error ? error : loop_add(job->loop, fds[0], POLLIN, on_readable, job);
    if (error) {
        sys_close(fds[0]);
        return error;
    }
    job->fd = fds[0];
    job->is_done = job->has_error = 0;
    lines_init(&job->lines, LINES_LIMIT_BYTES, on_line, job);
    if (limit_ms > 0)
        loop_arm(job->loop, &job->timer, loop_now_ms(job->loop) + limit_ms);
    return 0;
}
