/*
 * status: what runs, and since when.
 */
#ifndef CTL_STATUS_H
#define CTL_STATUS_H

#include "ctl/ctl.h"

#include "common/buf.h"

#include <cjson/cJSON.h>

/* The verb. Returns the exit code. */
int status_run(const struct ctl *ctl) WARN_UNUSED;

/* The reply as a head and a table. 0 or -errno. */
int status_describe(const cJSON *answer, int has_colours, struct buf *out) WARN_UNUSED;

#endif
