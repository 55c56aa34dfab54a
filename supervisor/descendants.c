/*
 * See descendants.h. Two things could make us hit a stranger, and neither can happen:
 *
 * - The pid is given to another process between the look and the signal. So a pidfd is opened first, then the process is
 *   looked at, then the signal goes to the pidfd: where it arrives, the pid has had one owner all the while. Kernels
 *   before 5.3, and sandboxes, have no pidfd: there its start time is compared just before kill(2).
 * - The pid of a parent is given to another process while we walk up the chain. A parent is never younger than its
 *   child, so whoever took its pid gives itself away by its start time.
 *
 * No table of all processes is kept: each chain is walked anew, as what was read a moment ago may be wrong by now.
 */
#include "supervisor/descendants.h"

#include "supervisor/proc_stat.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOOKS_MAX = 8, WALKS_MAX = 16, DEPTH_MAX = 4096 };

struct seen {
    pid_t pid;
    uint64_t started_ticks;
};

/* One call's work. Too large for a stack, and never allocated. */
struct search {
    int signal_number;
    const pid_t *spare;
    size_t spare_n;
    pid_t self;
    struct seen seen[DESCENDANTS_REMEMBERED_MAX];
    size_t seen_n;
    int found_n;
    int is_new, is_full;
};

static struct search the_search;

/* 1 where the chain leads to us, 0 where it ends elsewhere, -EAGAIN where it broke under our feet. */
static int walk_up(pid_t self, const struct proc_stat *from)
{
    struct proc_stat at = *from, parent;
    for (int depth = 0; depth < DEPTH_MAX; depth++) {
        if (at.parent == self)
            return 1;
        if (at.parent <= 1) /* 0: from outside of our PID namespace, or the kernel's own */
            return 0;
        if (proc_stat_read(at.parent, &parent) < 0 || parent.started_ticks > at.started_ticks)
            return -EAGAIN;
        at = parent;
    }
    return 0;
}

/* Whether a process is alive and below us. A parent that dies during the walk has its children given away: look again. */
static int is_below(pid_t self, pid_t pid, struct proc_stat *out)
{
    for (int walk = 0; walk < WALKS_MAX; walk++) {
        if (proc_stat_read(pid, out) < 0 || out->is_dead)
            return 0;
        int answer = walk_up(self, out);
        if (answer >= 0)
            return answer;
    }
    return 0;
}

static int send_to(int pidfd, const struct proc_stat *to, int signal_number)
{
    struct proc_stat now;
    int error = pidfd >= 0 ? sys_pidfd_signal(pidfd, signal_number) : -ENOSYS;
    if (error != -ENOSYS && error != -EPERM)
        return error; /* -EPERM may be a sandbox that forbids this call and not kill(2) */
    if (proc_stat_read(to->pid, &now) < 0 || now.started_ticks != to->started_ticks)
        return -ESRCH;
    return sys_kill(to->pid, signal_number);
}

static int is_seen(const struct search *s, const struct proc_stat *p)
{
    for (size_t i = 0; i < s->seen_n; i++)
        if (s->seen[i].pid == p->pid && s->seen[i].started_ticks == p->started_ticks)
            return 1;
    return 0;
}

static void remember(struct search *s, const struct proc_stat *p)
{
    s->is_new = 1;
    if (s->seen_n == DESCENDANTS_REMEMBERED_MAX)
        s->is_full = 1; /* in another look it would get the signal twice */
    else
        s->seen[s->seen_n++] = (struct seen){.pid = p->pid, .started_ticks = p->started_ticks};
}

static int is_spared(const struct search *s, pid_t pid)
{
    for (size_t i = 0; i < s->spare_n; i++)
        if (s->spare[i] == pid)
            return 1;
    return pid == s->self;
}

static int visit(void *context, const char *name)
{
    struct search *s = context;
    struct proc_stat found;
    char *end;
    long pid = strtol(name, &end, 10);
    if (*end != '\0' || pid <= 0 || pid > INT32_MAX || is_spared(s, (pid_t)pid))
        return 0;
    int pidfd = sys_pidfd_open((pid_t)pid); /* before the look; below 0: gone, or not to be had */
    if (pidfd != -ESRCH && is_below(s->self, (pid_t)pid, &found) && !is_seen(s, &found)) {
        remember(s, &found);
        s->found_n += send_to(pidfd, &found, s->signal_number) == 0;
    }
    sys_close(pidfd);
    return 0;
}

/* The pids in /proc must be those by which we signal: another PID namespace's /proc names other processes. */
int descendants_check(void)
{
    char name[16], own[16];
    int error = sys_readlink("/proc/self", name, sizeof name);
    if (error < 0)
        return error;
    snprintf(own, sizeof own, "%d", (int)sys_getpid());
    return strcmp(name, own) == 0 ? 0 : -EXDEV;
}

int descendants_signal(int signal_number, const pid_t *spare, size_t spare_n)
{
    struct search *s = &the_search;
    s->signal_number = signal_number;
    s->spare = spare;
    s->spare_n = spare_n;
    s->self = sys_getpid();
    s->seen_n = 0;
    s->found_n = 0;
    s->is_full = 0;
    s->is_new = 1;
    int error = signal_number < 0 || signal_number > SIGRTMAX ? -EINVAL : descendants_check();
    for (int look = 0; look < LOOKS_MAX && s->is_new && !s->is_full && error >= 0; look++) {
        s->is_new = 0;
        error = sys_each_entry("/proc", visit, s);
    }
    return error < 0 ? error : s->found_n;
}
