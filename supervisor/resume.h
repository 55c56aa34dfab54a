/*
 * resume: notices that we did not run for a while (stopped, frozen, suspended) or that the calendar was set, says so once, and
 * lets nobody pay for it.
 */
#ifndef SUPERVISOR_RESUME_H
#define SUPERVISOR_RESUME_H

#include "supervisor/state.h"

/* Looks from now on in each turn, before what has happened is told: an answer that broke in a gap is judged as such. Lets the
 * kernel wake us when the calendar is set: it does so at the end of a suspend too.
 * Without that (an old kernel) it is noticed at the next event. timerfd_create(2) TFD_TIMER_CANCEL_ON_SET */
void resume_init(struct supervisor *s);
void resume_fini(struct supervisor *s);

#endif
