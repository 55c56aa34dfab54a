/*
 * tail: what the programs wrote last, and what they write.
 */
#ifndef CTL_TAIL_H
#define CTL_TAIL_H

#include "ctl/ctl.h"

#include "common/buf.h"

#include <cjson/cJSON.h>

/* The verb. Returns the exit code. */
int tail_run(const struct ctl *ctl) WARN_UNUSED;

/* The question for the supervisor. CTL_OK, or CTL_USAGE after the mistake was told. */
int tail_question(const struct ctl *ctl, struct buf *out) WARN_UNUSED;

/* One object of the answer as a line for people: `NAME | text`. 0, or -errno; -EPROTO where it is no such object. */
int tail_describe(const cJSON *record, int has_colours, struct buf *out) WARN_UNUSED;

#endif
