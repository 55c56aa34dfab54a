/*
 * keep_alive: how long a model stays in memory behind its last answer, as a request or a preset says it in JSON.
 */
#ifndef COMMON_KEEP_ALIVE_H
#define COMMON_KEEP_ALIVE_H

#include "common/sys.h"

#define KEEP_ALIVE_FOR_EVER INT64_MAX

/* As Ollama reads it (api.Duration, v0.9.5): a number of seconds, of which the part behind the point does not count, or Go's
 * duration; below 0 for ever. Milliseconds. 0, or -EINVAL where it is neither. json need not end with NUL. */
int keep_alive_read(const char *json, size_t json_n, int64_t *out_ms) WARN_UNUSED;

#endif
