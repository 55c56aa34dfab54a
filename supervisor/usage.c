/* See usage.h. */
#include "supervisor/usage.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

enum { FIRST_ROOM = 64, DEPTH_MAX = 64 };

/* So that those of all processes can be summed up, in milliseconds and bytes. */
#define TICKS_MAX (INT64_C(1) << 38)
#define PAGES_MAX (INT64_C(1) << 38)

static int is_plausible(int64_t number, int64_t max)
{
    return number >= 0 && number <= max;
}

int usage_take(const struct proc_stat *s, struct usage_process *out)
{
    const int64_t ticks[] = {s->user_ticks, s->system_ticks, s->child_user_ticks, s->child_system_ticks, s->faults_n, s->child_faults_n};
    for (size_t i = 0; i < sizeof ticks / sizeof *ticks; i++)
        if (!is_plausible(ticks[i], TICKS_MAX))
            return -EINVAL;
    if (!is_plausible(s->rss_pages, PAGES_MAX))
        return -EINVAL;
    *out = (struct usage_process){.pid = s->pid, .parent = s->parent, .group = s->group, .rss_pages = s->rss_pages,
                                  .faults_n = s->faults_n + s->child_faults_n,
                                  .ticks = s->user_ticks + s->system_ticks + s->child_user_ticks + s->child_system_ticks};
    return 0;
}

static int read_process(const char *name, struct usage_process *out)
{
    struct proc_stat stat;
    int error = proc_stat_read((pid_t)strtol(name, NULL, 10), &stat);
    return error ? error : usage_take(&stat, out);
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
