/*
 * models: which there are, what takes one into memory and out of it, and what brings one here.
 */
#ifndef CTL_MODELS_H
#define CTL_MODELS_H

#include "ctl/ctl.h"

#include "common/buf.h"

#include <cjson/cJSON.h>

/* The verbs. Each returns the exit code. */
int models_run(const struct ctl *ctl) WARN_UNUSED;
int models_load(const struct ctl *ctl) WARN_UNUSED;
int models_unload(const struct ctl *ctl) WARN_UNUSED;
int models_pull(const struct ctl *ctl) WARN_UNUSED;

/* GET /sidecar/models as a table, and the room on the disk. 0 or -errno. */
int models_describe(const cJSON *answer, int has_colours, struct buf *out) WARN_UNUSED;

/* {"model":NAME} and what else stands behind it, such as `,"stream":true`. 0 or -ENOMEM. NUL-terminated. */
int models_body(const char *name, const char *more, struct buf *out) WARN_UNUSED;

#endif
