/*
 * See spawn.h. Between fork and exec only system calls are made. A failed exec is told over a close-on-exec pipe
 * that is read when the child's death is noticed, so that a slow disk holds up the child and not PID 1.
 */
#include "supervisor/spawn.h"

#include "common/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

_Static_assert(SPAWN_FDS_MAX + 8 < 64, "the places end below ABOVE_FDS");

enum { PATH_BYTES = SPAWN_PATH_BYTES, FIRST_FD = 3, ABOVE_FDS = 64, EXIT_NO_EXEC = 126, EXIT_NO_COMMAND = 127 };

static const char default_path[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

static int look_in(const char *dir, size_t dir_n, const char *command, char *out)
{
    int n = snprintf(out, PATH_BYTES, "%.*s/%s", (int)dir_n, dir_n ? dir : ".", command);
    return n < 0 || n >= PATH_BYTES ? -ENAMETOOLONG : sys_access_exec(out);
}

int spawn_find_command(const struct spawn_plan *plan, char out[PATH_BYTES])
{
    const char *command = plan->argv[0];
    if (strchr(command, '/')) {
        int n = snprintf(out, PATH_BYTES, "%s", command);
        return n < 0 || n >= PATH_BYTES ? -ENAMETOOLONG : plan->directory ? 0 : sys_access_exec(out);
    }
    if (plan->first_dir && look_in(plan->first_dir, strlen(plan->first_dir), command, out) == 0)
        return 0;
    const char *path = conf_variable(plan->envp, "PATH");
    int best_error = -ENOENT;
    for (path = path && *path ? path : default_path;; path++) {
        size_t dir_n = strcspn(path, ":");
        int error = look_in(path, dir_n, command, out);
        if (error == 0)
            return 0;
        if (error == -EACCES)
            best_error = error;
        path += dir_n;
        if (*path == '\0')
            return best_error;
    }
}

/* Without leading zeros, which readers may take for octal; the place is longer than any pid. */
static void write_pid(char *at)
{
    char digits[10];
    size_t n = 0;
    for (unsigned pid = (unsigned)sys_getpid(); pid > 0 && n < sizeof digits; pid /= 10)
        digits[n++] = (char)('0' + pid % 10);
    for (size_t i = 0; i < n; i++)
        at[i] = digits[n - 1 - i];
    if (n < sizeof digits)
        at[n] = '\0';
}

/* Puts each descriptor in its place. They are copied out of the way first, as places and sources overlap. */
static int place_fds(const struct spawn_plan *plan, int *exec_fd)
{
    int copies[SPAWN_FDS_MAX];
    int null_fd = sys_open("/dev/null", O_RDWR, 0);
    int error = null_fd < 0 ? null_fd : sys_dup_to(null_fd, 0);
    if (error >= 0)
        error = sys_dup_high(*exec_fd, ABOVE_FDS);
    if (error >= 0)
        *exec_fd = error; /* else what is wrong can still be told over the old one */
    for (size_t i = 0; i < plan->fds_n && error >= 0; i++)
        error = copies[i] = sys_dup_high(plan->fds[i], ABOVE_FDS);
    if (plan->output_fd >= 0 && error >= 0)
        error = sys_dup_to(plan->output_fd, 1);
    if (plan->output_fd >= 0 && error >= 0)
        error = sys_dup_to(plan->output_fd, 2);
    sys_cloexec_from(FIRST_FD);
    for (size_t i = 0; i < plan->fds_n && error >= 0; i++)
        error = sys_dup_to(copies[i], FIRST_FD + (int)i);
    return error;
}

static void become(const struct spawn_plan *plan, const char *path, int exec_fd) __attribute__((noreturn));
static void become(const struct spawn_plan *plan, const char *path, int exec_fd)
{
    int error = sys_setpgid(0, 0); /* it is signalled by its group: outside of it nobody could stop it */
    sys_die_with_parent(SIGTERM);
    if (error >= 0)
        error = place_fds(plan, &exec_fd);
    if (plan->directory && error >= 0)
        error = sys_chdir(plan->directory);
    if (plan->listen_pid_at)
        write_pid(plan->listen_pid_at);
    if (plan->main_pid_at)
        write_pid(plan->main_pid_at);
    sys_signals_reset();
    if (error >= 0)
        error = sys_execve(path, plan->argv, plan->envp);
    ssize_t told = sys_write(exec_fd, &error, sizeof error);
    (void)told;
    sys_exit_now(error == -ENOENT ? EXIT_NO_COMMAND : EXIT_NO_EXEC);
}

pid_t spawn_process(const struct spawn_plan *plan, int *exec_fd)
{
    char path[PATH_BYTES];
    int pipe_fds[2];
    *exec_fd = -1;
    int error = spawn_find_command(plan, path);
    if (!error)
        error = sys_pipe(pipe_fds, O_NONBLOCK);
    if (error < 0)
        return error;
    pid_t pid = sys_fork();
    if (pid == 0)
        become(plan, path, pipe_fds[1]);
    sys_close(pipe_fds[1]);
    if (pid < 0) {
        sys_close(pipe_fds[0]);
        return pid;
    }
    (void)sys_setpgid(pid, pid); /* both sides do it: whoever comes first, nobody finds the wrong group */
    *exec_fd = pipe_fds[0];
    return pid;
}

int spawn_exec_error(int exec_fd)
{
    int error = 0;
    if (exec_fd < 0)
        return 0;
    return sys_read(exec_fd, &error, sizeof error) == (ssize_t)sizeof error ? error : 0;
}
