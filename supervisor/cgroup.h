/*
 * cgroup: how much memory this process may use, and how many processes the kernel has killed for want of it: from the files
 * of cgroup v2 (the kernel's admin-guide/cgroup-v2.rst), of v1 (cgroup-v1/memory.rst), or of the machine as a whole (proc(5)).
 *
 * What stands in those files is foreign text: reads are bounded, and what is no number counts as not there.
 */
#ifndef SUPERVISOR_CGROUP_H
#define SUPERVISOR_CGROUP_H

#include "common/sys.h"

enum { CGROUP_PATH_BYTES = 1024 };
#define CGROUP_NONE ((int64_t)-1) /* no limit, or not known */

enum cgroup_source { CGROUP_MACHINE, CGROUP_V1, CGROUP_V2 };

struct cgroup {
    char proc[128];                  /* "/proc", but for tests */
    enum cgroup_source source;       /* whose files there are */
    char top[CGROUP_PATH_BYTES];     /* the uppermost folder that can be seen */
    char own[CGROUP_PATH_BYTES];     /* the folder of our own group, at or below top */
    enum cgroup_source kills_source; /* who counts the kills; the machine counts those of others too */
    char kills_dir[CGROUP_PATH_BYTES];
};

struct cgroup_memory {
    enum cgroup_source source;       /* who sets the limit */
    char path[CGROUP_PATH_BYTES];    /* of the group that does; "" for the machine */
    int64_t limit_bytes, used_bytes, peak_bytes; /* or CGROUP_NONE. Used: with the page cache, but for the machine */
    int64_t cache_bytes;             /* pages of files among the used, which the kernel takes back; 0 for the machine; or CGROUP_NONE */
};

/* Finds the group of this process by PROC/self/cgroup and PROC/self/mountinfo. Never fails: at worst it is the machine. */
void cgroup_find(struct cgroup *g, const char *proc);
/* The tightest limit of our own group, of those above it and of the machine, and how much of it is used. */
void cgroup_read(const struct cgroup *g, struct cgroup_memory *m);
/* The file that counts the kills: of our own group and all below it (v2), or of our own group alone (v1). 0 or -ENAMETOOLONG. */
int cgroup_kills_path(const struct cgroup *g, char path[CGROUP_PATH_BYTES]) WARN_UNUSED;
/* Opens that file and reads how many were killed since the group, or the machine, came to be. The descriptor, from now on
 * with POLLPRI when a file of v2 changes; or -errno. */
int cgroup_open_kills(const struct cgroup *g, int64_t *kills_n) WARN_UNUSED;
/* "cgroup2", "cgroup1", "machine". */
const char *cgroup_source_name(enum cgroup_source source);

/* The parts that read foreign text; all of it NUL-terminated. */

/* A whole number below 2^60, with a line end or without; CGROUP_NONE for "max", anything else and what is beyond. */
int64_t cgroup_number(const char *text);
/* The number behind `name ` at the start of a line, or CGROUP_NONE. */
int64_t cgroup_field(const char *text, const char *name);
/* PROC/self/cgroup: our path in v2, or in v1's hierarchy of memory. 0, -ENOENT or -ENAMETOOLONG. */
int cgroup_own_path(const char *text, enum cgroup_source source, char out[CGROUP_PATH_BYTES]) WARN_UNUSED;
/* PROC/self/mountinfo: where that hierarchy is mounted, and the folder there of the group `own`; a group that can't be seen
 * is taken to be the uppermost. 0, -ENOENT or -ENAMETOOLONG. */
int cgroup_folder(const char *mountinfo, enum cgroup_source source, const char *own, char top[CGROUP_PATH_BYTES],
                  char folder[CGROUP_PATH_BYTES]) WARN_UNUSED;

#endif
