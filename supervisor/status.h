/*
 * status: the supervisor's state as one JSON object, for sidecarctl.
 */
#ifndef SUPERVISOR_STATUS_H
#define SUPERVISOR_STATUS_H

#include "supervisor/state.h"

/* Appends the object. 0 or -errno. docs/contract.md describes it. */
int status_write(const struct supervisor *s, struct buf *out) WARN_UNUSED;

#endif
