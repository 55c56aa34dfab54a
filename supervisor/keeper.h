/*
 * keeper: writes a small file of state_dir. A disk may be slow, or hang, and PID 1 must not wait for one: so a process of its own
 * writes, and what is to be written meanwhile is written when that has ended.
 */
#ifndef SUPERVISOR_KEEPER_H
#define SUPERVISOR_KEEPER_H

#include "common/sys.h"

struct keeper {
    pid_t pid;      /* who writes; 0: nobody */
    int is_dirty;   /* something has changed since he began */
    int has_failed; /* the last one */
    int is_another; /* it writes as uid and gid, as the folder is theirs (state_folder.h) */
    unsigned uid, gid;
};

/* Has it written. 0; -EBUSY: it is told when the one that writes has ended (keeper_reaped); or -errno. */
int keeper_write(struct keeper *k, const char *folder, const char *name, const char *text, size_t text_n) WARN_UNUSED;
/* This process was reaped. 1 where it is the one that wrote: *error is 0, or says why it has not, -errno. */
int keeper_reaped(struct keeper *k, pid_t pid, int status, int *error) WARN_UNUSED;

#endif
