/*
 * command: the lines of the control socket: status, start, stop, restart NAME, reload, dump.
 */
#ifndef SUPERVISOR_COMMAND_H
#define SUPERVISOR_COMMAND_H

#include "supervisor/state.h"

/* Answers one line with one JSON object: {"ok":true, …}, or {"ok":false,"error":"…"}. context: the struct supervisor.
 * 0 or -errno. */
int command_answer(void *context, const char *line, struct buf *reply);

#endif
