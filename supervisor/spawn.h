/*
 * spawn: from a prepared plan to a process. Nothing is allocated and nothing waits.
 */
#ifndef SUPERVISOR_SPAWN_H
#define SUPERVISOR_SPAWN_H

#include "common/conf.h"

enum { SPAWN_FDS_MAX = 40, SPAWN_PATH_BYTES = 4096 };

/* What is done between fork and exec, in this order. */
enum spawn_step {
    SPAWN_LEADER, SPAWN_DESCRIPTORS, SPAWN_OOM, SPAWN_NICE, SPAWN_LIMIT, SPAWN_GROUPS, SPAWN_GROUP, SPAWN_USER,
    SPAWN_NO_NEW_PRIVILEGES, SPAWN_DIRECTORY, SPAWN_EXEC,
};

/* The step that failed, so that nothing was executed. */
struct spawn_failure {
    int error;     /* -errno; 0: none has failed */
    int step;      /* enum spawn_step */
    int limit_at;  /* SPAWN_LIMIT: which of the rights' */
};

struct spawn_plan {
    char *const *argv;
    char *const *envp;
    const char *directory; /* NULL: start_dir */
    const char *start_dir; /* where the supervisor was started, as far as one may go there; NULL: where we are */
    const struct conf_rights *rights; /* NULL: all as we are */
    const char *first_dir; /* a command without a slash is looked for here first; NULL: on PATH alone */
    int is_own;            /* one of ours, which reads the secrets as we do: it leaves no core dump where we don't */
    int output_fd;         /* becomes 1 and 2; -1: ours are inherited */
    int stdio_fd;          /* becomes 0 and 1, whatever output_fd is; 0: none, as that is nobody's */
    int fds[SPAWN_FDS_MAX]; /* become 3, 4, … */
    size_t fds_n;
    char *listen_pid_at, *main_pid_at; /* ten digits in envp that the child overwrites with its own pid; NULL: none */
};

/* Starts a process in a process group of its own, with /dev/null as stdin where the plan has no stdio_fd, a clean signal mask, default dispositions and
 * only the descriptors named, as the rights say. *exec_fd: says by spawn_exec_error() whether it came to exec; the caller
 * closes it. The pid, or -errno: -ENOENT where there is no such command.
 * execve(2), credentials(7), sd_listen_fds(3) */
pid_t spawn_process(const struct spawn_plan *plan, int *exec_fd) WARN_UNUSED;

/* The path of the plan's command as execvp(3) would find it. 0; -ENOENT, -EACCES (there, and not executable) or another. */
int spawn_find_command(const struct spawn_plan *plan, char path[SPAWN_PATH_BYTES]) WARN_UNUSED;

/* In a child, before exec: becomes what the plan's rights say, SIGTERM when the parent dies, in the plan's directory. 0, or -errno
 * with the step in f. credentials(7), prctl(2) */
int spawn_take_place(const struct spawn_plan *plan, pid_t parent, struct spawn_failure *f) WARN_UNUSED;

/* After the process's death: what of it failed before the command ran. Never waits. */
struct spawn_failure spawn_exec_error(int exec_fd) WARN_UNUSED;
/* In words: "can't change to user ollama: Operation not permitted". plan: what was tried. */
void spawn_failure_text(const struct spawn_failure *f, const struct spawn_plan *plan, char *out, size_t out_n);

#endif
