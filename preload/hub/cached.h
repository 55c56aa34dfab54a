/*
 * cached: the models of the cache that are whole.
 */
#ifndef PRELOAD_HUB_CACHED_H
#define PRELOAD_HUB_CACHED_H

#include "preload/hub/hub.h"
#include "preload/hub/look.h"

enum { CACHED_MODELS_MAX = 1000 };

/* A model as it stands in the cache. */
struct cached {
    struct place place;
    struct note note;
    char revision[PLACE_REVISION_N + 1];
    struct look look;
};

/* The revision that stands for the model: the one that was pulled last, else that of main, else the newest that is whole. 0, and then cached_fini is due;
 * -ENOENT where none is whole: look.why says what is missing of the last one that was looked at. */
int cached_find(struct cached *m, const char *cache, const char *model, const struct settings *settings) WARN_UNUSED;
void cached_fini(struct cached *m);
/* `"model":…,"revision":…`, the members of its line. 0 or -errno. */
int cached_write(const struct cached *m, const struct settings *settings, struct buf *out) WARN_UNUSED;

/* The job: a line for each model, then {"done":true,…}. 0, or -1 with the job's trouble. */
int cached_list(struct hub *h) WARN_UNUSED;

#endif
