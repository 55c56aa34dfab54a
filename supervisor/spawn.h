/*
 * spawn: from a prepared plan to a process. Nothing is allocated and nothing waits.
 */
#ifndef SUPERVISOR_SPAWN_H
#define SUPERVISOR_SPAWN_H

#include "common/sys.h"

enum { SPAWN_FDS_MAX = 24, SPAWN_PATH_BYTES = 4096 };

struct spawn_plan {
    char *const *argv;
    char *const *envp;
    const char *directory; /* NULL: where we are */
    const char *first_dir; /* a command without a slash is looked for here first; NULL: on PATH alone */
    int output_fd;         /* becomes 1 and 2; -1: ours are inherited */
    int fds[SPAWN_FDS_MAX]; /* become 3, 4, … */
    size_t fds_n;
    char *listen_pid_at, *main_pid_at; /* ten digits in envp that the child overwrites with its own pid; NULL: none */
};

/* Starts a process in a process group of its own, with /dev/null as stdin, a clean signal mask, default dispositions and
 * only the descriptors named. *exec_fd: says by spawn_exec_error() whether exec failed; the caller closes it.
 * The pid, or -errno: -ENOENT where there is no such command. execve(2), sd_listen_fds(3) */
pid_t spawn_process(const struct spawn_plan *plan, int *exec_fd) WARN_UNUSED;

/* The path of the plan's command as execvp(3) would find it. 0; -ENOENT, -EACCES (there, and not executable) or another. */
int spawn_find_command(const struct spawn_plan *plan, char path[SPAWN_PATH_BYTES]) WARN_UNUSED;

/* After the process's death: 0 when exec went well, else the -errno that it failed with. Never waits. */
int spawn_exec_error(int exec_fd) WARN_UNUSED;

#endif
