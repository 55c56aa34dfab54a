/*
 * health: asks the public door how things are, as a load balancer would.
 */
#ifndef CTL_HEALTH_H
#define CTL_HEALTH_H

#include "ctl/ctl.h"

#include "common/buf.h"

/* The verb. Returns the exit code: CTL_OK for an answer 200 only. */
int health_run(const struct ctl *ctl) WARN_UNUSED;

/* One line for an answer of /health or /ready. body: what came, of any kind. 0 or -errno. */
int health_describe(long http_status, const char *body, size_t body_n, int has_colours, struct buf *out) WARN_UNUSED;

#endif
