/*
 * doze: idle_action = stop. Ollama sleeps, supervisor and proxy stay: the page says so (contract_page.sleep) before Ollama's
 * state changes, and whoever needs Ollama has it started again.
 *
 *     AWAKE -> ASLEEP (doze_begin) -> WAKING (somebody wants it) -> AWAKE (it is ready, has failed, or was stopped by its owner)
 */
#ifndef SUPERVISOR_DOZE_H
#define SUPERVISOR_DOZE_H

#include "supervisor/state.h"

/* Whether this configuration lets Ollama sleep alone: it does by idle_action, and who asks asks us. */
int doze_is_meant(const struct conf *conf);
/* Stops Ollama, unless somebody needs it after all, it does not run, or no proxy of ours is there to wake it. 1 where it sleeps now. */
int doze_begin(struct supervisor *s);
/* Something has changed, or is about to: to be called before a new state of Ollama is published, and before programs are started.
 * 1 where it is awake from now on. */
int doze_look(struct supervisor *s);
/* This child has been started, whoever did it: a task that depends on an Ollama that sleeps would wait for it in vain. */
void doze_needed_by(struct supervisor *s, const struct child *c);
/* Another configuration is in force: an Ollama that sleeps, and would not by this one, is woken. */
void doze_reloaded(struct supervisor *s);

#endif
