/*
 * job: `ollama-preload --hub`: one request on standard input, lines on standard output (docs/hub-jobs.md).
 */
#ifndef PRELOAD_HUB_JOB_H
#define PRELOAD_HUB_JOB_H

#include "preload/hub/pull.h"

enum { JOB_REQUEST_BYTES = 64 * 1024, JOB_REQUEST_MS = 10 * 1000 };

enum job_kind { JOB_LIST, JOB_PULL, JOB_REMOVE, JOB_NOTE, JOB_GPUS };

struct job {
    enum job_kind kind;
    char model[200];
    char ref[200];
    enum pick_quantize quantize;
    int64_t load_ns;     /* -1: not told */
    int is_quantized;    /* -1 */
    char backend[64];
};

/* Pure: reads a request. 0, or -1 with the trouble. */
int job_read(struct job *job, const char *json, struct trouble *t) WARN_UNUSED;

/* Reads one, does it, says how it ended. 0 also where it has failed: that was said; else an exit code. */
int job_main(const struct conf *conf);

#endif
