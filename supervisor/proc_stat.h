/*
 * proc_stat: the line of /proc/PID/stat, proc_pid_stat(5).
 */
#ifndef SUPERVISOR_PROC_STAT_H
#define SUPERVISOR_PROC_STAT_H

#include "common/sys.h"

struct proc_stat {
    pid_t pid, parent, group;
    int is_dead;                               /* a zombie without a living thread */
    int64_t faults_n, child_faults_n;          /* that went to the disk: its own, and of children that it has waited for */
    int64_t user_ticks, system_ticks;          /* of processor time */
    int64_t child_user_ticks, child_system_ticks;
    uint64_t started_ticks;                    /* since boot */
    int64_t rss_pages;
};

/* Reads that line, NUL-terminated; a command's name may hold blanks and parentheses. Numbers are as they stand there: pids are
 * plausible, all others may be anything. 0 or -EINVAL. */
int proc_stat_parse(const char *text, struct proc_stat *out) WARN_UNUSED;
/* The same of a process; -ESRCH or another -errno where it has ended. */
int proc_stat_read(pid_t pid, struct proc_stat *out) WARN_UNUSED;

#endif
