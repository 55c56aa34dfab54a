/*
 * new_key: `sidecarctl new-key`: a key for [key:NAME], and what stands in its place in supervisor.ini.
 */
#ifndef CTL_NEW_KEY_H
#define CTL_NEW_KEY_H

#include "ctl/ctl.h"

/* Prints both; asks nobody and keeps nothing. ctl: not read. CTL_OK; CTL_NOBODY where there is no randomness, or no room for the output. */
int new_key_run(const struct ctl *ctl);

#endif
