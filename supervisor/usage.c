/* See usage.h. */
#include "supervisor/usage.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STAT_BYTES = 1024, FIRST_ROOM = 64, DEPTH_MAX = 64 };

/* `PID (COMMAND) STATE PPID PGRP …`: the command may hold blanks and parentheses, so the last one counts. */
/* So that those of all processes can be summed up, in milliseconds and bytes. */
#define TICKS_MAX (INT64_C(1) << 38)
#define PAGES_MAX (INT64_C(1) << 38)

static int is_plausible(int64_t number, int64_t max)
{
    return number >= 0 && number <= max;
}

int usage_parse(const char *text, struct usage_process *out)
{
    int64_t faults, child_faults, utime, stime, cutime, cstime, rss;
    int pid, parent, group;
    const char *end = strrchr(text, ')');
    if (!end || sscanf(text, "%d (", &pid) != 1)
        return -EINVAL;
    int n = sscanf(end + 1,
                   " %*c %d %d %*d %*d %*d %*u %*u %*u %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64
                   " %*d %*d %*d %*d %*u %*u %" SCNd64,
                   &parent, &group, &faults, &child_faults, &utime, &stime, &cutime, &cstime, &rss);
    if (n != 9 || pid <= 0 || parent < 0 || !is_plausible(utime, TICKS_MAX) || !is_plausible(stime, TICKS_MAX) ||
        !is_plausible(cutime, TICKS_MAX) || !is_plausible(cstime, TICKS_MAX) || !is_plausible(rss, PAGES_MAX) || !is_plausible(faults, TICKS_MAX) ||
        !is_plausible(child_faults, TICKS_MAX))
        return -EINVAL;
    *out = (struct usage_process){.pid = pid, .parent = parent, .group = group, .rss_pages = rss, .faults_n = faults + child_faults,
                                  .ticks = utime + stime + cutime + cstime};
    return 0;
}

static int read_process(const char *name, struct usage_process *out)
{
    char path[64], text[STAT_BYTES];
    snprintf(path, sizeof path, "/proc/%.16s/stat", name);
    return sys_read_text(path, text, sizeof text) > 0 ? usage_parse(text, out) : -ESRCH; /* it has ended meanwhile */
}

struct walk {
    struct usage *u;
    size_t room_n;
    int error;
};

static int visit(void *context, const char *name)
{
    struct walk *w = context;
    if (!isdigit((unsigned char)name[0]))
        return 0;
    if (w->u->processes_n == USAGE_PROCESSES_MAX)
        return 1;
    if (w->u->processes_n == w->room_n) {
        struct usage_process *more = realloc(w->u->processes, w->room_n * 2 * sizeof *more);
        if (!more) {
            w->error = -ENOMEM;
            return 1;
        }
        w->u->processes = more;
        w->room_n *= 2;
    }
    if (read_process(name, &w->u->processes[w->u->processes_n]) == 0)
        w->u->processes_n++;
    return 0;
}

static int by_pid(const void *a, const void *b)
{
    const struct usage_process *x = a, *y = b;
    return (x->pid > y->pid) - (x->pid < y->pid);
}

int usage_read(struct usage *u)
{
    *u = (struct usage){0};
    struct walk w = {.u = u, .room_n = FIRST_ROOM};
    u->processes = malloc(FIRST_ROOM * sizeof *u->processes);
    if (!u->processes)
        return -ENOMEM;
    int error = sys_each_entry("/proc", visit, &w);
    error = w.error ? w.error : error < 0 ? error : 0;
    if (error) {
        usage_fini(u);
        return error;
    }
    qsort(u->processes, u->processes_n, sizeof *u->processes, by_pid);
    return 0;
}

void usage_fini(struct usage *u)
{
    free(u->processes);
    *u = (struct usage){0};
}

static const struct usage_process *find(const struct usage *u, pid_t pid)
{
    struct usage_process key = {.pid = pid};
    return bsearch(&key, u->processes, u->processes_n, sizeof key, by_pid);
}

/* The list is no snapshot: a parent may be missing, and a number may have been given again. */
int usage_is_of(const struct usage *u, const struct usage_process *p, pid_t main)
{
    for (int i = 0; p && i < DEPTH_MAX; i++) {
        if (p->pid == main || p->group == main)
            return 1;
        p = p->parent > 1 ? find(u, p->parent) : NULL;
    }
    return 0;
}

struct usage_sum usage_of(const struct usage *u, pid_t main)
{
    struct usage_sum sum = {0};
    int64_t pages = 0, ticks = 0, second = sys_clock_ticks();
    if (main <= 0 || u->processes_n == 0)
        return sum;
    for (size_t i = 0; i < u->processes_n; i++) {
        const struct usage_process *p = &u->processes[i];
        if (!usage_is_of(u, p, main))
            continue;
        pages += p->rss_pages;
        ticks += p->ticks;
        sum.faults_n += p->faults_n;
        sum.processes_n++;
    }
    sum.rss_bytes = pages * sys_page_bytes();
    sum.cpu_ms = ticks * 1000 / (second > 0 ? second : 100);
    return sum;
}
