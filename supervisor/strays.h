/*
 * strays: processes of a program whose main process is gone, and that left its process group. They were given to us (as PID
 * 1, or as a subreaper), and tell whose they are by a variable in their environment.
 */
#ifndef SUPERVISOR_STRAYS_H
#define SUPERVISOR_STRAYS_H

#include "supervisor/state.h"

void strays_init(struct supervisor *s);
/* A main process was reaped: what it left behind is asked to stop, and killed some seconds later. Not while everything
 * stops: all that is left then is stopped by stop.c. Where the kernel has no /proc/PID/task/TID/children, and for a process
 * that cleared its environment, this waits until then too. proc(5) */
void strays_look(struct supervisor *s);

#endif
