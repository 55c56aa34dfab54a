/*
 * port: a free one for an engine. Between our choice and its own bind another program may take it: then it ends at once, and says so.
 */
#ifndef SUPERVISOR_INSTANCES_PORT_H
#define SUPERVISOR_INSTANCES_PORT_H

#include "common/sys.h"

/* One on 127.0.0.1 that nobody has, and is_spoken_for says 0 for: those that engines have not bound yet. The port, or -errno. */
int port_choose(int (*is_spoken_for)(void *context, uint16_t port), void *context) WARN_UNUSED;
/* 1 where a program's last words are that its port is taken. Pure. */
int port_is_taken_said(const char *words);

#endif
