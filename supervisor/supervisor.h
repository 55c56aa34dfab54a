/*
 * supervisor: the whole, as main() sees it.
 */
#ifndef SUPERVISOR_SUPERVISOR_H
#define SUPERVISOR_SUPERVISOR_H

#include "supervisor/state.h"

typedef int supervisor_command_fn(void *context, enum control_who who, const char *line, struct buf *reply);

/* Binds the sockets, makes the page and the control socket (command answers its lines, with the supervisor as context), and
 * lets start what starts at boot. began_ms: of our process, on the monotonic clock. *s is all zero, as a static one is: memory that is never used is never touched. Takes the
 * conf. 0, or an exit code after the reason was told. */
int supervisor_init(struct supervisor *s, struct conf *take_conf, supervisor_command_fn *command, int64_t began_ms);
void supervisor_fini(struct supervisor *s);
/* Runs until all is stopped; the exit code. */
int supervisor_run(struct supervisor *s);
/* Reaps whatever is dead. */
void supervisor_reap(struct supervisor *s);

#endif
