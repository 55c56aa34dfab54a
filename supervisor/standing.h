/*
 * standing: how it stands with the whole, in words, and when the outer manager hears of it.
 */
#ifndef SUPERVISOR_STANDING_H
#define SUPERVISOR_STANDING_H

#include "supervisor/state.h"

enum { STANDING_BYTES = OUTER_STATUS_BYTES };

/* "waiting for Ollama", "pulling models: 1 of 3 there, llama3.2:1b at 45 %", "running", "stopping: waiting for proxy". */
void standing_words(const struct supervisor *s, char out[STANDING_BYTES]);

/* Looks once, and while the start goes on every ten seconds: each time something has moved since the last look, the manager
 * is asked for more time. */
void standing_init(struct supervisor *s);
/* Something may have changed: the manager is told what is new. */
void standing_tell(struct supervisor *s);

#endif
