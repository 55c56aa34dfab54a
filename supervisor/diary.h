/*
 * diary: what is kept of our sleeps (slept.h), in state_dir, over exits, suspends and stops. Where that can't be written, it is told
 * once, and all else goes on. Nothing is kept where idle_timeout is 0.
 */
#ifndef SUPERVISOR_DIARY_H
#define SUPERVISOR_DIARY_H

#include "supervisor/state.h"

#define DIARY_FILE "sleep.txt"

/* Reads what is kept; where we fell asleep by an exit, or by a suspend that nothing came back from, that sleep ends now. */
void diary_init(struct supervisor *s);
/* A sleep begins, or ends; how: it says by what it is slept. Any of both comes once; a second one counts for nothing. */
void diary_sleep_begins(struct supervisor *s, enum slept_how how);
void diary_sleep_ends(struct supervisor *s);
/* The one that has begun did not come: it was awake all the time. */
void diary_sleep_failed(struct supervisor *s);
/* This child has changed its state: where it is Ollama, and ready, a cold start may be over. */
void diary_follow(struct supervisor *s, const struct child *c);
/* This boot has come as far as it will be counted: where it was a cold start, once. */
void diary_boot(struct supervisor *s, struct boot *boot);
/* Everything ends. */
void diary_end(struct supervisor *s);
/* A process has been reaped. 1 where it was one of ours. */
int diary_reaped(struct supervisor *s, pid_t pid, int status);

/* idle_timeout as it is now: longer where we were woken soon after we had fallen asleep. */
int64_t diary_timeout_ms(const struct supervisor *s);
/* Until now, the time since the last change included. */
void diary_sum(const struct supervisor *s, struct slept *out);

#endif
