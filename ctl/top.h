/*
 * top: what goes on, each second anew.
 */
#ifndef CTL_TOP_H
#define CTL_TOP_H

#include "ctl/ctl.h"

#include "common/buf.h"

#include <cjson/cJSON.h>

/* The verb. Returns the exit code. */
int top_run(const struct ctl *ctl) WARN_UNUSED;

/* GET /sidecar/status as a picture of lines. 0 or -errno. */
int top_describe(const cJSON *status, int has_colours, struct buf *out) WARN_UNUSED;

/* The picture as a terminal gets it: over the one before, and no more lines than it has (0: all). 0 or -errno. */
int top_draw(const struct buf *picture, int rows_n, struct buf *out) WARN_UNUSED;

#endif
