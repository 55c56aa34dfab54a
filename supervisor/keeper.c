/* See keeper.h. The process says by its exit code what went wrong. */
#include "supervisor/keeper.h"

#include "common/state_file.h"
#include "supervisor/errand.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

enum { WRITE_LIMIT_S = 3, EXIT_CODE_MOST = 255 };

/* Groups first: without its user a process may no longer change them. credentials(7) */
static int become_owner(const struct keeper *k)
{
    int error = k->is_another ? sys_set_groups(&k->gid, 1) : 0;
    if (error >= 0 && k->is_another)
        error = sys_set_group(k->gid);
    if (error >= 0 && k->is_another)
        error = sys_set_user(k->uid);
    return error < 0 ? error : 0;
}

/* In a process of its own. */
static void write_it(const struct keeper *k, const char *folder, const char *name, const char *text, size_t text_n) __attribute__((noreturn));
static void write_it(const struct keeper *k, const char *folder, const char *name, const char *text, size_t text_n)
{
    int error = become_owner(k);
    error = error ? error : state_file_write(folder, name, text, text_n);
    sys_exit_now(error == 0 ? 0 : -error < EXIT_CODE_MOST ? -error : EXIT_CODE_MOST);
}

int keeper_write(struct keeper *k, const char *folder, const char *name, const char *text, size_t text_n)
{
    if (k->pid > 0) {
        k->is_dirty = 1;
        return -EBUSY;
    }
    pid_t pid = errand_begin(WRITE_LIMIT_S, -1);
    if (pid == 0)
        write_it(k, folder, name, text, text_n);
    k->is_dirty = 0;
    if (pid > 0)
        k->pid = pid;
    return pid < 0 ? pid : 0;
}

int keeper_reaped(struct keeper *k, pid_t pid, int status, int *error)
{
    if (pid != k->pid || pid <= 0)
        return 0;
    k->pid = 0;
    if (WIFEXITED(status))
        *error = -WEXITSTATUS(status);
    else
        *error = WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM ? -ETIMEDOUT : -EINTR;
    return 1;
}
