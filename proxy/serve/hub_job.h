/*
 * hub_job: one job of an `ollama-preload --hub`, which the supervisor starts for us: a request goes there, lines come back. The job is not ours: it
 * goes on when nobody listens any more.
 */
#ifndef PROXY_SERVE_HUB_JOB_H
#define PROXY_SERVE_HUB_JOB_H

#include "common/lines.h"
#include "common/loop.h"

enum { HUB_JOB_TEXT_BYTES = 480, HUB_JOB_CODE_BYTES = 24, HUB_JOB_REQUEST_BYTES = 4096, HUB_JOB_LATE = 504 };

/* Why a job has failed. */
struct hub_job_error {
    char text[HUB_JOB_TEXT_BYTES]; /* what, where, what to do */
    char code[HUB_JOB_CODE_BYTES]; /* "not_found", "busy", … */
    int status;                    /* for our client: 400 to 599; HUB_JOB_LATE: limit_ms is over */
    int64_t retry_after_s;         /* 0: it does not say */
};

/* A line of the job's, an object of JSON, as it came; borrowed, not terminated. */
typedef void hub_job_line_fn(void *context, const char *json, size_t json_n);
/* It has ended; error NULL: well, and its last line says so. The last call: the job may be started again, or freed. */
typedef void hub_job_end_fn(void *context, const struct hub_job_error *error);

/* Embedded in what waits for it. */
struct hub_job {
    struct loop *loop;
    int fd; /* owned; -1: nothing is under way */
    struct lines lines;
    struct timer timer;
    struct hub_job_error error;
    int has_error, is_done;
    hub_job_line_fn *on_line; /* neither may end it from within */
    hub_job_end_fn *on_end;
    void *context;
};

void hub_job_init(struct hub_job *job, struct loop *loop, hub_job_line_fn *on_line, hub_job_end_fn *on_end, void *context);
/* request: one object of JSON, of HUB_JOB_REQUEST_BYTES at the most. limit_ms: for all of it; 0: as long as it takes. 0, and on_end will come, never from
 * within; -ENOTSUP where there is no supervisor (channel_fd -1); else -errno. */
int hub_job_start(struct hub_job *job, int channel_fd, const char *request, size_t request_n, int64_t limit_ms) WARN_UNUSED;
static inline int hub_job_is_under_way(const struct hub_job *job)
{
    return job->fd >= 0;
}
/* Nobody listens any more: no call comes. Harmless where nothing is under way. */
void hub_job_leave(struct hub_job *job);

#endif
