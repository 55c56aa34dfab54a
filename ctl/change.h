/*
 * change: the verbs that change what runs, and the one that shows what is in force.
 */
#ifndef CTL_CHANGE_H
#define CTL_CHANGE_H

#include "ctl/ctl.h"

#include "common/sys.h"

/* start, stop, restart NAME; reload. verb is sent as it is. Returns the exit code. */
int change_run(const struct ctl *ctl, const char *verb) WARN_UNUSED;

/* dump: the configuration in force as ini text. */
int change_dump(const struct ctl *ctl) WARN_UNUSED;

/* 1 where the name may stand in a line of the control protocol. */
int change_is_name(const char *name);

#endif
