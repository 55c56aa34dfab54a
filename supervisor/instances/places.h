/*
 * places: the table of engines, a place for each row of the page. Who is there, and where the next one may be.
 */
#ifndef SUPERVISOR_INSTANCES_PLACES_H
#define SUPERVISOR_INSTANCES_PLACES_H

#include "supervisor/instances/hub_jobs.h"
#include "supervisor/instances/instance.h"

struct instances {
    struct child_site site;
    struct instance items[CONTRACT_INSTANCES];
    uint32_t number; /* of the last start */
    struct hub_jobs hub;
    int64_t killed_at_ms;                /* when the kernel has killed a process last; 0: never */
    char killed_limit[MEMORY_WHY_BYTES]; /* as memory.h tells it */
};

/* The nth place's child, from 0 to CONTRACT_INSTANCES - 1; NULL where it never had a process, or there is no table. */
struct child *places_child_at(struct instances *in, size_t n);
/* Somebody is there: an engine that starts, is ready or is stopped. */
int place_is_taken(const struct instance *i);
unsigned places_taken_n(const struct instances *in);
/* The one that is there for this model; NULL. */
struct instance *places_find(struct instances *in, const char *model);
/* Where the next one for this model may be: its own last place, so that a model has one row; else the one that was used the longest ago. NULL:
 * all are taken. */
struct instance *places_free(struct instances *in, const char *model);
/* port_choose()'s: somebody there has this port, or is about to. context: the struct instances. */
int places_is_spoken_for(void *context, uint16_t port);

#endif
