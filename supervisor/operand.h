/*
 * operand: `ollama-supervisor pull MODEL` and the like, as an image's arguments come: one command of Ollama's under us, as
 * `ollama-supervisor -- ollama pull MODEL` would run it, and as [program:ollama] says: its program, its user, its environment.
 */
#ifndef SUPERVISOR_OPERAND_H
#define SUPERVISOR_OPERAND_H

#include "common/conf.h"

/* 1 where these words mean the sidecar itself: none, or `serve` or `start`, as Ollama has it for its own. */
int operand_is_serve(char *const *words);

/* Runs the command and stays as single_run() does. words: its arguments, NULL-terminated, the first one there. Exit codes as
 * single_run's; 100 where the configuration has mistakes. */
int operand_run(const struct conf_options *options, char **words, char **environment);

#endif
