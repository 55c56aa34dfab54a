/*
 * stop: the orderly end of everything: one budget, programs in reverse order of their start.
 */
#ifndef SUPERVISOR_STOP_H
#define SUPERVISOR_STOP_H

#include "supervisor/state.h"

/* Begins the stop; a second call shortens it. cause: for the log. */
void stop_begin(struct supervisor *s, int exit_code, const char *cause);
/* The next step, after something changed while stopping. Ends the loop when the last process is gone. */
void stop_step(struct supervisor *s);

#endif
