/*
 * errand: a process of its own for what could hold us up, as a disk or a driver that hangs. It ends itself by alarm(2), so that nobody
 * has to kill a pid that may be another's by then; it ends with us, a SIGTERM for all lets it finish, and it is reaped like any orphan.
 */
#ifndef SUPERVISOR_ERRAND_H
#define SUPERVISOR_ERRAND_H

#include "common/loop.h"

enum { ERRAND_FD = 3 }; /* where it writes its word */

/* Begins one that lives limit_s at the most. 0: this is that process, with standard streams, with word_fd (-1: none) as ERRAND_FD, and
 * no other descriptor, as no listener or channel must live on in it; it ends by sys_exit_now(). Else its pid, or -errno. */
pid_t errand_begin(unsigned limit_s, int word_fd) WARN_UNUSED;
/* The same with a pipe for its word: *fd is the end that it comes from, not blocking, and in the loop with ready and context; the
 * caller removes and closes it. What it writes at once, up to PIPE_BUF bytes, comes as a whole. pipe(7) */
pid_t errand_ask(struct loop *loop, unsigned limit_s, loop_fd_fn *ready, void *context, int *fd) WARN_UNUSED;

#endif
