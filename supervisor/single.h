/*
 * single: `ollama-supervisor -- COMMAND`, one command run as tini does; docs/single-command.md tells where it differs.
 * No configuration is read, and nothing is held in memory but this struct.
 */
#ifndef SUPERVISOR_SINGLE_H
#define SUPERVISOR_SINGLE_H

#include "supervisor/single_child.h"

/* Runs argv (NULL-terminated, argv[0] the command, found on PATH) and stays until it and all that it left behind have
 * ended. Signals are passed on to it. Speaks on stderr of mistakes only.
 *
 * The exit code: the command's own, or 128+n where signal n ended it; 127 where there is no such command, 126 where it can't
 * be executed; 100 for a mistake in SIDECAR_SUPERVISOR_SHUTDOWN_TIMEOUT; 111 where a system call failed.
 * https://github.com/krallin/tini */
int single_run(char **argv, char **envp);

/* Fills in the command and the grace time of what it leaves behind. 0, or our exit code, told on stderr. */
typedef int single_prepare_fn(void *context, struct single_command *command, int64_t *grace_ms);
/* The same for a command that is made while signals are kept already: what prepare allocates stays for as long as the command
 * runs. */
int single_run_prepared(single_prepare_fn *prepare, void *context);

#endif
