/*
 * pull: the job that brings a model into the cache.
 */
#ifndef PRELOAD_HUB_PULL_H
#define PRELOAD_HUB_PULL_H

#include "preload/hub/hub.h"
#include "preload/hub/pick.h"

struct pull_request {
    const char *model; /* ORG/NAME */
    const char *ref;   /* a branch, a tag, a revision */
    enum pick_quantize quantize;
};

/* Says how it goes on, and at last {"status":"success",…} with the members of the model's line (cached.h). 0, or -1 with the job's trouble. */
int pull_run(struct hub *h, const struct pull_request *request) WARN_UNUSED;

#endif
