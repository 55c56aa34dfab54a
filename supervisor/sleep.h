/*
 * sleep: nothing to do for idle_timeout: asks whether that is really so, and does what idle_action says.
 */
#ifndef SUPERVISOR_SLEEP_H
#define SUPERVISOR_SLEEP_H

#include "supervisor/state.h"

/* At boot, and when another configuration is in force: arms the first look, or takes it away. */
void sleep_init(struct supervisor *s);
/* Something has changed, or is about to: doze.h. */
void sleep_look(struct supervisor *s);
/* A proxy's answer to CONTRACT_MAY_I_SLEEP: the message's value. */
void sleep_answered(struct supervisor *s, uint32_t value);

#endif
