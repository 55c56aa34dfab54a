/*
 * together: what several Ollamas have come to with the list, as one: a model is there when all of them have it.
 */
#ifndef PRELOAD_TOGETHER_H
#define PRELOAD_TOGETHER_H

#include "preload/site.h"

/* Brings the rows that all see up to date with those of the sites, of which there are two or more, and their progress. */
void together_tell(struct models *all, struct site *sites, size_t sites_n, int64_t now_ms);

#endif
