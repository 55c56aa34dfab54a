/*
 * descendants: every process below us, wherever it went: children of children, those that left their process group or
 * session, and orphans that were given to us (as PID 1, or as a subreaper).
 */
#ifndef SUPERVISOR_DESCENDANTS_H
#define SUPERVISOR_DESCENDANTS_H

#include "common/sys.h"

enum { DESCENDANTS_REMEMBERED_MAX = 1024 };

/* Sends a signal, once, to every living process below us but those in spare (what is below a spared one is not spared);
 * signal 0 only counts. A process is below us when the chain of parents in /proc/PID/stat leads to us.
 *
 * Looks again until nobody new is found, as processes come while we look, but at most 8 times, and not after more than
 * DESCENDANTS_REMEMBERED_MAX were found: who must have them all gone asks again until 0 comes back. Only a chain of
 * processes that each live shorter than a look takes (some milliseconds) may run ahead of it for long.
 *
 * How many got it (zombies do not count; nor do those whom we have no right to signal), or -errno where /proc can't be
 * read, -EXDEV where it is that of another PID namespace, and -EINVAL for a signal that there is not. Nobody who is not
 * below us is ever hit. proc(5), pidfd_send_signal(2) */
int descendants_signal(int signal_number, const pid_t *spare, size_t spare_n) WARN_UNUSED;

/* Whether descendants_signal can see anybody: 0, or its -errno or -EXDEV. */
int descendants_check(void) WARN_UNUSED;

#endif
