/*
 * command: the lines of the control socket: status, start, stop, restart NAME, reload, dump, tail.
 */
#ifndef SUPERVISOR_COMMAND_H
#define SUPERVISOR_COMMAND_H

#include "supervisor/state.h"

/* Answers one line with one JSON object: {"ok":true, …}, or {"ok":false,"error":"…"}. context: the struct supervisor.
 * A proxy is refused where anything would change.
 * 0 or -errno. */
int command_answer(void *context, enum control_who who, const char *line, struct buf *reply);

#endif
