/*
 * usage: what programs take of memory and processor, read from /proc when somebody asks, and never else.
 */
#ifndef SUPERVISOR_USAGE_H
#define SUPERVISOR_USAGE_H

#include "supervisor/proc_stat.h"

enum { USAGE_PROCESSES_MAX = 4096 };

/* One process, by proc_pid_stat(5). */
struct usage_process {
    pid_t pid, parent, group;
    int64_t rss_pages;
    int64_t faults_n; /* that went to the disk, counted as ticks are */
    int64_t ticks; /* of processor time: its own, and of children that it has waited for */
};

struct usage {
    struct usage_process *processes; /* sorted by pid; owned */
    size_t processes_n;
};

/* What one program takes. */
struct usage_sum {
    int64_t rss_bytes, cpu_ms, faults_n;
    unsigned processes_n; /* 0: nothing is known of it */
};

/* What counts of a process. 0, or -EINVAL where its numbers can't be true, and would not fit a sum. */
int usage_take(const struct proc_stat *stat, struct usage_process *out) WARN_UNUSED;

/* Reads /proc once, USAGE_PROCESSES_MAX processes at most. 0 or -errno; then there is nothing to sum up. */
int usage_read(struct usage *u) WARN_UNUSED;
void usage_fini(struct usage *u);

/* All processes of the group that `main` leads, and all that descend from it. Shared pages are counted in each process that
 * has them, a mapped model file included. */
/* Whether a process is one of them. */
int usage_is_of(const struct usage *u, const struct usage_process *p, pid_t main);
struct usage_sum usage_of(const struct usage *u, pid_t main);

#endif
