/*
 * hang: what is done about a hung Ollama (stall.h). While requests are with it and nothing comes of them, which the proxy tells, it is
 * looked at; when it has stood still for stall_timeout, the proxy ends what waits and has its models unloaded; where that does not
 * help, Ollama is restarted. Nothing is looked at, and no timer runs, while nothing is asked of it.
 */
#ifndef SUPERVISOR_HANG_H
#define SUPERVISOR_HANG_H

#include "supervisor/state.h"

void hang_init(struct supervisor *s);
/* A proxy says that something of its line has changed: it may wait for Ollama. */
void hang_look(struct supervisor *s);
/* Ollama's state has changed. */
void hang_follow(struct supervisor *s, const struct child *c);
/* A proxy has ended what waited: are its models unloaded? */
void hang_answered(struct supervisor *s, const struct child *c, int is_unloaded);
/* We did not run for a while: what was seen before says nothing. */
void hang_resumed(struct supervisor *s);
/* It is looked at: a freeze must be seen although nothing else wakes us. */
int hang_is_watching(const struct supervisor *s);
void hang_fini(struct supervisor *s);

#endif
