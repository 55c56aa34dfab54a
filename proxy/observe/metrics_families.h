/*
 * metrics_families: what /metrics tells, each family in a file of its own. Those of the optimizer have the names that its owner's dashboards ask for;
 * all others begin with sidecar_.
 */
#ifndef PROXY_OBSERVE_METRICS_FAMILIES_H
#define PROXY_OBSERVE_METRICS_FAMILIES_H

#include "proxy/observe/metrics_write.h"

extern const struct metrics_family metrics_requests;  /* metrics_requests.c */
extern const struct metrics_family metrics_overseer;  /* metrics_supervisor.c: whether the supervisor answers */
extern const struct metrics_family metrics_supervisor; /* … what it tells */
extern const struct metrics_family metrics_preload;   /* … what is on its page of the preload list */
extern const struct metrics_family metrics_fleet;     /* metrics_fleet.c: several Ollamas */
extern const struct metrics_family metrics_served;    /* metrics_served.c: models of a hub */
extern const struct metrics_family metrics_optimizer; /* metrics_optimizer.c */

#endif
