/*
 * suspend: idle_action = suspend: the machine's own API is asked to suspend the machine, so that the model stays in memory.
 *
 *     OFF -> ASKED (suspend_begin) -> GRANTED (it said yes) -> OFF (a gap in our time: we were suspended, and go on)
 *                 \-> OFF, refused    \-> OFF, refused: nothing has happened
 *
 * Refused means that idle_action is exit for a while: the last questions are asked anew, and work that came keeps us awake.
 */
#ifndef SUPERVISOR_SUSPEND_H
#define SUPERVISOR_SUSPEND_H

#include "supervisor/state.h"

void suspend_init(struct supervisor *s);
void suspend_fini(struct supervisor *s);
/* What idle_action means at this moment: CONF_IDLE_EXIT in place of CONF_IDLE_SUSPEND where that was refused just now. */
enum conf_idle_action suspend_action(const struct supervisor *s);
/* Nobody needs us: asks. When that has ended in any way, the idle timer is due. */
void suspend_begin(struct supervisor *s);
/* It was asked, and has not ended. */
int suspend_is_under_way(const struct supervisor *s);
/* We did not run for a while: that was it. Harmless where nothing is under way. */
void suspend_resumed(struct supervisor *s, int64_t by_ms);

#endif
