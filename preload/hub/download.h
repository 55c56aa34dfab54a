/*
 * download: the files of a tree that are wanted, some side by side, into the cache; then the snapshot that links to them.
 */
#ifndef PRELOAD_HUB_DOWNLOAD_H
#define PRELOAD_HUB_DOWNLOAD_H

#include "preload/hub/blob.h"

/* How many bytes are still to come. */
uint64_t download_missing(const struct place *place, const struct tree *tree);
/* All blobs. 0, or -1 with the job's trouble; what came stays. */
int download_blobs(struct hub *h, const struct place *place, const struct tree *tree) WARN_UNUSED;
/* snapshots/REVISION: the links of weights are made last, so that a snapshot without all of them is none of a model, whatever ends us. The same. */
int download_link(struct hub *h, const struct place *place, const struct tree *tree) WARN_UNUSED;

#endif
