/*
 * requests: who is served and who waits, how the last ones ended, and the end of one by its operator.
 */
#ifndef CTL_REQUESTS_H
#define CTL_REQUESTS_H

#include "ctl/ctl.h"

#include "common/buf.h"

#include <cjson/cJSON.h>

/* The verbs. Each returns the exit code. */
int requests_run(const struct ctl *ctl) WARN_UNUSED;
int requests_cancel(const struct ctl *ctl) WARN_UNUSED;

/* GET /sidecar/requests as lines for a person. 0 or -errno. */
int requests_describe(const cJSON *answer, int has_colours, struct buf *out) WARN_UNUSED;
/* … its first part alone, from the object "requests": how many, and a row for each that is under way. */
int requests_describe_live(const cJSON *requests, int has_colours, struct buf *out) WARN_UNUSED;

#endif
