/* See proc_stat.h. */
#include "supervisor/proc_stat.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STAT_BYTES = 1024 };

int proc_stat_parse(const char *text, struct proc_stat *out)
{
    /* Behind the name, which ends at the last parenthesis: state(3) ppid(4) pgrp(5) … majflt(12) cmajflt utime stime cutime cstime(17)
     * … num_threads(20) itrealvalue starttime(22) vsize rss(24). */
    static const char form[] = " %c %d %d %*s %*s %*s %*s %*s %*s %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64
                               " %*s %*s %ld %*s %" SCNu64 " %*s %" SCNd64;
    struct proc_stat s = {0};
    char state;
    long threads_n;
    const char *name_end = strrchr(text, ')');
    char *pid_end;
    long pid = strtol(text, &pid_end, 10);
    if (pid <= 0 || pid > INT32_MAX || strncmp(pid_end, " (", 2) != 0 || !name_end ||
        sscanf(name_end + 1, form, &state, &s.parent, &s.group, &s.faults_n, &s.child_faults_n, &s.user_ticks, &s.system_ticks,
               &s.child_user_ticks, &s.child_system_ticks, &threads_n, &s.started_ticks, &s.rss_pages) != 12 ||
        s.parent < 0)
        return -EINVAL;
    s.pid = (pid_t)pid;
    s.is_dead = (state == 'Z' && threads_n <= 1) || state == 'X' || state == 'x';
    *out = s;
    return 0;
}

int proc_stat_read(pid_t pid, struct proc_stat *out)
{
    char path[32], text[STAT_BYTES];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    ssize_t n = sys_read_text(path, text, sizeof text);
    if (n <= 0)
        return n < 0 ? (int)n : -ESRCH;
    return proc_stat_parse(text, out);
}
