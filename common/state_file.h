/*
 * state_file: a small file in [supervisor] state_dir, the proxy's or the supervisor's: each writes names of its own.
 * What is read is a stranger's: the caller checks it.
 */
#ifndef COMMON_STATE_FILE_H
#define COMMON_STATE_FILE_H

#include "common/sys.h"

enum { STATE_FILE_PATH_BYTES = 4096 };

/* *text is malloc'd, NUL-terminated and the caller's. 0; -ENOENT where there is none, -EFBIG beyond limit_bytes, or what
 * open(2) and read(2) say. A pipe in its place is as good as empty. */
int state_file_read(const char *folder, const char *name, size_t limit_bytes, char **text, size_t *text_n) WARN_UNUSED;

/* Makes the folder where it is not there; what root writes is given to the folder's owner. Whoever reads meanwhile finds the old file, or the new one. 0 or -errno. */
int state_file_write(const char *folder, const char *name, const char *text, size_t text_n) WARN_UNUSED;

#endif
