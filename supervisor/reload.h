/*
 * reload: another configuration while everything runs.
 */
#ifndef SUPERVISOR_RELOAD_H
#define SUPERVISOR_RELOAD_H

#include "supervisor/state.h"

/* Reads the file again. Programs whose command, environment or settings did not change keep their process; the others are
 * restarted, new ones started. 0; -EINVAL with the mistakes in d, or -EBUSY while there is no place for a new program, or a bind(2) error,
 * as -EADDRINUSE, of a listener or the control socket, or -errno, as -ENOMEM or -EMFILE: then nothing has changed. */
int reload_configuration(struct supervisor *s, struct diag *d) WARN_UNUSED;

#endif
