/*
 * folders: makes the folders that a file of ours needs.
 */
#ifndef COMMON_FOLDERS_H
#define COMMON_FOLDERS_H

#include "common/sys.h"

/* Makes those above path that are not there yet, for all to read (0755); what is behind the last slash is none. 0 where the last
 * one is there then, else -errno: what stood in the way first, as far as that can be told. -ENAMETOOLONG from 4096 bytes on.
 * mkdir(2) */
int folders_make_above(const char *path) WARN_UNUSED;

#endif
