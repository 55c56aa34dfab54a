/* See errand.h. */
#include "supervisor/errand.h"

#include <fcntl.h>
#include <signal.h>

/* Signals last: a stop that is sent to us all, however early, lets it finish. */
static void leave_us(unsigned limit_s, int word_fd)
{
    sys_die_with_parent(SIGKILL);
    sys_alarm(limit_s);
    if (word_fd >= 0 && sys_dup_to(word_fd, ERRAND_FD) < 0)
        sys_exit_now(1);
    sys_close_from(word_fd >= 0 ? ERRAND_FD + 1 : ERRAND_FD, -1);
    sys_signals_reset(SIGTERM);
}

pid_t errand_begin(unsigned limit_s, int word_fd)
{
    pid_t pid = sys_fork();
    if (pid == 0)
        leave_us(limit_s, word_fd);
    return pid;
}

pid_t errand_ask(struct loop *loop, unsigned limit_s, loop_fd_fn *ready, void *context, int *fd)
{
    int fds[2];
    int error = sys_pipe(fds, O_NONBLOCK);
    if (error < 0)
        return error;
    error = loop_add(loop, fds[0], POLLIN, ready, context);
    pid_t pid = error < 0 ? error : errand_begin(limit_s, fds[1]);
    if (pid == 0)
        return 0;
    if (error >= 0 && pid < 0)
        loop_remove(loop, fds[0]);
    sys_close(fds[1]);
    if (pid > 0)
        *fd = fds[0];
    else
        sys_close(fds[0]);
    return pid;
}
