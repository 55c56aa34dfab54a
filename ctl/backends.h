/*
 * backends: the Ollamas that the proxy is in front of: how each is, and that one gets no new requests, or gets them again.
 */
#ifndef CTL_BACKENDS_H
#define CTL_BACKENDS_H

#include "ctl/ctl.h"

#include "common/buf.h"

#include <cjson/cJSON.h>

/* The verbs. Each returns the exit code. */
int backends_run(const struct ctl *ctl) WARN_UNUSED;
int backends_drain(const struct ctl *ctl) WARN_UNUSED;
int backends_undrain(const struct ctl *ctl) WARN_UNUSED;

/* GET /status as lines for a person. 0 or -errno. */
int backends_describe(const cJSON *status, int has_colours, struct buf *out) WARN_UNUSED;

#endif
