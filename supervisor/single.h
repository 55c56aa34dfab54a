/*
 * single: `ollama-supervisor -- COMMAND`, one command run as tini does; docs/single-command.md tells where it differs.
 * No configuration is read, and nothing is held in memory but this struct.
 */
#ifndef SUPERVISOR_SINGLE_H
#define SUPERVISOR_SINGLE_H

/* Runs argv (NULL-terminated, argv[0] the command, found on PATH) and stays until it and all that it left behind have
 * ended. Signals are passed on to it. Speaks on stderr of mistakes only.
 *
 * The exit code: the command's own, or 128+n where signal n ended it; 127 where there is no such command, 126 where it can't
 * be executed; 100 for a mistake in SIDECAR_SUPERVISOR_SHUTDOWN_TIMEOUT; 111 where a system call failed.
 * https://github.com/krallin/tini */
int single_run(char **argv, char **envp);

#endif
