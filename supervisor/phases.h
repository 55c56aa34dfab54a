/*
 * phases: follows Ollama and the page, and tells each boot (boots.h) once: when its first token is there, or another begins.
 */
#ifndef SUPERVISOR_PHASES_H
#define SUPERVISOR_PHASES_H

#include "supervisor/state.h"

/* began_ms: when our own process did, of the monotonic clock; 0: now. */
void phases_init(struct supervisor *s, int64_t began_ms);
/* The state of this child has changed. */
void phases_follow(struct supervisor *s, const struct child *c);
/* The page may have changed. */
void phases_look(struct supervisor *s);

#endif
