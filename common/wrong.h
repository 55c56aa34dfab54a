/*
 * wrong: what is wrong with a program or a model, in words for who runs it, and what to do: the same from sidecarctl and from GET /sidecar/status.
 * Pure.
 */
#ifndef COMMON_WRONG_H
#define COMMON_WRONG_H

#include <stddef.h>

/* What to do about a reason that the supervisor, Ollama or a backend gives: a clause, a literal; NULL where nothing better is known than the reason. */
const char *wrong_hint(const char *text);

/* `NAME has failed: REASON`. state: a program's, as contract_state_name() has it; reason: may be "". 1; or 0: nothing is wrong, *out is as it was. */
int wrong_program(char *out, size_t out_n, const char *name, const char *state, const char *reason);
/* A model of the preload list that could not be had. */
void wrong_model(char *out, size_t out_n, const char *name, const char *reason);

#endif
