/*
 * sleep: nothing to do for idle_timeout: asks whether that is really so, and does what idle_action says.
 */
#ifndef SUPERVISOR_SLEEP_H
#define SUPERVISOR_SLEEP_H

#include "supervisor/state.h"

/* Arms the first look, or takes it away, as the configuration says. */
void sleep_init(struct supervisor *s);
/* A proxy's answer to CONTRACT_MAY_I_SLEEP. */
void sleep_answered(struct supervisor *s, int may_sleep);

#endif
