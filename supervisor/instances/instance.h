/*
 * instance: an engine, [engine:NAME], with one model: a child as each program of ours has one (child.h), whose command, port and name are made
 * for this start, and which is never started again by itself; and what its row on the page says.
 */
#ifndef SUPERVISOR_INSTANCES_INSTANCE_H
#define SUPERVISOR_INSTANCES_INSTANCE_H

#include "common/engine_words.h"
#include "supervisor/child.h"
#include "supervisor/instances/start_request.h"

enum { INSTANCE_PORTS_MAX = 3 }; /* so many are tried where others take them before the engine does */

struct instance {
    struct child child; /* the first: a child's callbacks find us by it */
    struct child_room room;
    struct conf_program conf; /* command: owned */
    char name[CONTRACT_NAME_BYTES]; /* ENGINE:ORG/NAME, what it is called in the log */
    char ready[ENGINE_URL_BYTES];
    char nothing[1], none[8]; /* for conf */
    struct start_request request;
    struct contract_instance_view told; /* what its row says; the model and the port are here alone */
    unsigned ports_n; /* tried so far */
    int is_made;      /* child and conf are there: since its place was first used for a process */
    int has_ended;    /* by itself, and nobody has looked why */
    int is_late;      /* it took too long to become ready, and is killed: its row says starting until it has failed */
};

/* All zero before; request, told.model and told.port are set. Makes the command for this engine, and a child that can be started by its
 * program's PROGRAM_START. What of a former one is there goes; it must be dead. 0; -ENOMEM; another with words in why. */
int instance_make(struct instance *i, const struct child_site *site, const struct conf_engine *engine, char why[CONTRACT_REASON_BYTES]) WARN_UNUSED;
void instance_drop(struct instance *i);
/* It has a process. */
static inline int instance_is_alive(const struct instance *i)
{
    return i->is_made && program_is_alive(&i->child.program);
}
/* Whether this engine, as site's configuration has it, would be started with the same words and variables as the one that runs: 1, 0, or -ENOMEM. */
int instance_is_as(struct instance *i, const struct launch_site *site, const struct conf_engine *engine) WARN_UNUSED;
/* That configuration is in force: what it may take to start and to stop is taken over. */
void instance_keep(struct instance *i, const struct conf_engine *engine);
/* Why it has ended by itself, or could not be started, as words for who wanted it. killed: what is known of a process that the kernel has killed
 * lately, or "". */
void instance_why(const struct instance *i, const char *killed, char out[CONTRACT_REASON_BYTES]);

#endif
