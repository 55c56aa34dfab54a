/*
 * remove: takes a model out of the cache, whoever has put it there.
 */
#ifndef PRELOAD_HUB_REMOVE_H
#define PRELOAD_HUB_REMOVE_H

#include "preload/hub/hub.h"

/* Says {"status":"success","freed_bytes":N}. While somebody pulls it, it is not removed. 0, or -1 with the job's trouble. */
int remove_run(struct hub *h, const char *model) WARN_UNUSED;

#endif
