/*
 * why: what went wrong last, and what to do.
 */
#ifndef CTL_WHY_H
#define CTL_WHY_H

#include "ctl/ctl.h"

#include "common/buf.h"

#include <cjson/cJSON.h>

/* The verb. Returns the exit code. */
int why_run(const struct ctl *ctl) WARN_UNUSED;

/* Adds to a list what is wrong by the control socket's `status`, by GET /health, and by the requests and errors of GET /sidecar/status: objects {"now" (false:
 * it was), "from", "what", "do" (text or null), "ago_s" or "at", "id" of a request, where they are known}. Requests are told of that have waited for long. What
 * can't be read, or is told already, is left out. */
void why_of_supervisor(const cJSON *status, cJSON *list);
void why_of_health(const cJSON *health, cJSON *list);
void why_of_requests(const cJSON *requests, cJSON *list);
void why_of_errors(const cJSON *errors, cJSON *list);

/* Such a list as text. 0 or -errno. */
int why_describe(const cJSON *list, int has_colours, struct buf *out) WARN_UNUSED;

#endif
