/*
 * See spawn.h. Between fork and exec only system calls are made. A step that fails is told over a close-on-exec pipe
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

enum { PATH_BYTES = SPAWN_PATH_BYTES, COMMANDS_MAX = 4, FIRST_FD = 3, ABOVE_FDS = 64, EXIT_NO_EXEC = 126, EXIT_NO_COMMAND = 127 };

static const char default_path[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/* Where the child will be when it executes its command: what is relative starts there. NULL: where we are. */
static const char *work_dir(const struct spawn_plan *plan)
{
    return plan->directory ? plan->directory : plan->start_dir;
}

/* Where the command may be, the first first. Another user may not be allowed to execute what we find first; then it is the
 * next one, as it would be if that user looked for it. */
struct commands {
    size_t n;
    char *paths[COMMANDS_MAX];
};

/* Seldom needed, and on the stack they would have all of it touched. Of one search at a time; a forked child has its own. */
static char the_other_paths[COMMANDS_MAX - 1][PATH_BYTES];

/* first: PATH_BYTES of the caller's. */
static struct commands commands_in(char *first)
{
    struct commands c = {.paths = {first}};
    for (size_t i = 1; i < COMMANDS_MAX; i++)
        c.paths[i] = the_other_paths[i - 1];
    return c;
}

/* An empty dir is the working directory. 0 or -errno. execvp(3) */
static int look_in(const struct spawn_plan *plan, const char *dir, size_t dir_n, struct commands *found)
{
    char *out = found->paths[found->n];
    const char *above = dir[0] == '/' ? NULL : work_dir(plan);
    int n = snprintf(out, PATH_BYTES, "%s%s%.*s/%s", above ? above : "", above ? "/" : "", dir_n ? (int)dir_n : 1,
                     dir_n ? dir : ".", plan->argv[0]);
    int error = n < 0 || n >= PATH_BYTES ? -ENAMETOOLONG : sys_access_exec(out);
    found->n += error == 0;
    return error;
}

/* A command with a slash is executed under the name that it has, which scripts see as $0. */
static int look_at(const struct spawn_plan *plan, struct commands *found)
{
    const char *command = plan->argv[0], *above = command[0] == '/' ? NULL : work_dir(plan);
    char *path = found->paths[0];
    int n = snprintf(path, PATH_BYTES, "%s%s%s", above ? above : "", above ? "/" : "", command);
    int error = n < 0 || n >= PATH_BYTES ? -ENAMETOOLONG : sys_access_exec(path);
    if (!error)
        snprintf(path, PATH_BYTES, "%s", command);
    found->n = error == 0;
    return error;
}

/* The paths of the command as execvp(3) would find it, but never through a shell. 0 where there is one, or -errno. */
static int find_command(const struct spawn_plan *plan, struct commands *found)
{
    const char *path = conf_variable(plan->envp, "PATH");
    size_t wanted_n = plan->rights && plan->rights->has_ids ? COMMANDS_MAX : 1;
    int best_error = -ENOENT;
    found->n = 0;
    if (plan->argv[0][0] == '\0')
        return -ENOENT; /* execvp(3) */
    if (strchr(plan->argv[0], '/'))
        return look_at(plan, found);
    if (plan->first_dir && look_in(plan, plan->first_dir, strlen(plan->first_dir), found) == 0)
        return 0;
    for (path = path && *path ? path : default_path; found->n < wanted_n; path++) {
        size_t dir_n = strcspn(path, ":");
        if (look_in(plan, path, dir_n, found) == -EACCES)
            best_error = -EACCES;
        path += dir_n;
        if (*path == '\0')
            break;
    }
    return found->n ? 0 : best_error;
}

int spawn_find_command(const struct spawn_plan *plan, char path[PATH_BYTES])
{
    struct commands found = commands_in(path);
    return find_command(plan, &found);
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
    for (int fd = 0; fd <= 1 && plan->stdio_fd > 0 && error >= 0; fd++)
        error = sys_dup_to(plan->stdio_fd, fd);
    sys_cloexec_from(FIRST_FD);
    for (size_t i = 0; i < plan->fds_n && error >= 0; i++)
        error = sys_dup_to(copies[i], FIRST_FD + (int)i);
    return error;
}

static int fail(struct spawn_failure *f, enum spawn_step step, int error)
{
    *f = (struct spawn_failure){.error = error, .step = (int)step, .limit_at = f->limit_at};
    return error;
}

/* What may need the supervisor's own rights, so it comes before they are given up. */
static int take_treatment(const struct conf_rights *r, struct spawn_failure *f)
{
    int error = 0;
    if (r->oom_score_adj[0])
        error = sys_write_file("/proc/self/oom_score_adj", r->oom_score_adj, strlen(r->oom_score_adj));
    if (error < 0)
        return fail(f, SPAWN_OOM, error);
    if (r->nice)
        error = sys_set_nice(r->nice);
    if (error < 0)
        return fail(f, SPAWN_NICE, error);
    for (size_t i = 0; i < r->limits_n; i++) {
        f->limit_at = (int)i;
        error = sys_set_limit(r->limits[i].resource, r->limits[i].soft, r->limits[i].hard);
        if (error < 0)
            return fail(f, SPAWN_LIMIT, error);
    }
    return 0;
}

/* Groups first: without its user a process may no longer change them. credentials(7) */
static int take_user(const struct conf_rights *r, struct spawn_failure *f)
{
    int error = r->has_groups ? sys_set_groups(r->groups, r->groups_n) : 0;
    if (error < 0)
        return fail(f, SPAWN_GROUPS, error);
    error = r->has_ids ? sys_set_group(r->gid) : 0;
    if (error < 0)
        return fail(f, SPAWN_GROUP, error);
    error = r->has_ids ? sys_set_user(r->uid) : 0;
    if (error >= 0 && r->has_ids && !sys_is_user(r->uid, r->gid))
        error = -EPERM; /* it did not stick, whatever was said */
    if (error >= 0 && r->has_ids && r->uid != 0) /* the kernel takes them from root alone: ambient ones would go on, and with
                                                  * CAP_SETUID the program could become anybody */
        error = sys_drop_capabilities();
    return error < 0 ? fail(f, SPAWN_USER, error) : 0;
}

static int take_rights(const struct spawn_plan *plan, struct spawn_failure *f)
{
    const struct conf_rights *r = plan->rights;
    if (r->has_ids && plan->output_fd >= 0)
        (void)sys_give_fd(1, r->uid, r->gid); /* so that it may open /dev/stderr; without, it can still write */
    int error = take_treatment(r, f);
    if (!error)
        error = take_user(r, f);
    if (error < 0)
        return error;
    error = r->no_new_privileges ? sys_no_new_privileges() : 0;
    if (r->umask >= 0)
        (void)sys_umask(r->umask);
    return error < 0 ? fail(f, SPAWN_NO_NEW_PRIVILEGES, error) : 0;
}

int spawn_take_place(const struct spawn_plan *plan, pid_t parent, struct spawn_failure *f)
{
    if (!plan->is_own)
        sys_leave_core_again();
    int error = plan->rights ? take_rights(plan, f) : 0;
    if (error < 0)
        return error;
    sys_die_with_parent(SIGTERM); /* a change of user clears it: prctl(2) */
    if (sys_getppid() != parent)
        sys_exit_now(EXIT_NO_EXEC); /* it died before it was asked for */
    error = plan->directory ? sys_chdir(plan->directory) : 0;
    return error < 0 ? fail(f, SPAWN_DIRECTORY, error) : 0;
}

/* All that comes before exec. */
static int prepare(const struct spawn_plan *plan, pid_t parent, int *exec_fd, struct spawn_failure *f)
{
    int error = place_fds(plan, exec_fd);
    if (error < 0)
        return fail(f, SPAWN_DESCRIPTORS, error);
    if (!plan->directory && plan->start_dir)
        (void)!sys_chdir(plan->start_dir); /* while we still may; where it is gone, we stay in / */
    return spawn_take_place(plan, parent, f);
}

static int execute(const struct spawn_plan *plan, const struct commands *commands)
{
    int error = -ENOENT;
    for (size_t i = 0; i < commands->n && (i == 0 || error == -EACCES); i++)
        error = sys_execve(commands->paths[i], plan->argv, plan->envp);
    return error;
}

static void become(const struct spawn_plan *plan, const struct commands *commands, pid_t parent, int exec_fd) __attribute__((noreturn));
static void become(const struct spawn_plan *plan, const struct commands *commands, pid_t parent, int exec_fd)
{
    struct spawn_failure f = {0};
    int error = sys_setpgid(0, 0); /* it is signalled by its group: outside of it nobody could stop it */
    error = error < 0 ? fail(&f, SPAWN_LEADER, error) : prepare(plan, parent, &exec_fd, &f);
    if (plan->listen_pid_at)
        write_pid(plan->listen_pid_at);
    if (plan->main_pid_at)
        write_pid(plan->main_pid_at);
    sys_signals_reset(0);
    if (!error)
        (void)fail(&f, SPAWN_EXEC, execute(plan, commands));
    ssize_t told = sys_write(exec_fd, &f, sizeof f);
    (void)told;
    sys_exit_now(f.step == SPAWN_EXEC && f.error == -ENOENT ? EXIT_NO_COMMAND : EXIT_NO_EXEC);
}

pid_t spawn_process(const struct spawn_plan *plan, int *exec_fd)
{
    char path[PATH_BYTES];
    struct commands commands = commands_in(path);
    int pipe_fds[2];
    *exec_fd = -1;
    int error = find_command(plan, &commands);
    if (!error)
        error = sys_pipe(pipe_fds, O_NONBLOCK);
    if (error < 0)
        return error;
    pid_t parent = sys_getpid(), pid = sys_fork();
    if (pid == 0)
        become(plan, &commands, parent, pipe_fds[1]);
    sys_close(pipe_fds[1]);
    if (pid < 0) {
        sys_close(pipe_fds[0]);
        return pid;
    }
    (void)sys_setpgid(pid, pid); /* both sides do it: whoever comes first, nobody finds the wrong group */
    *exec_fd = pipe_fds[0];
    return pid;
}

struct spawn_failure spawn_exec_error(int exec_fd)
{
    struct spawn_failure f = {0};
    if (exec_fd < 0 || sys_read(exec_fd, &f, sizeof f) != (ssize_t)sizeof f)
        f = (struct spawn_failure){0};
    return f;
}

void spawn_failure_text(const struct spawn_failure *f, const struct spawn_plan *plan, char *out, size_t out_n)
{
    const struct conf_rights *r = plan->rights;
    char limit[64] = "a limit";
    if (r && f->step == SPAWN_LIMIT && (size_t)f->limit_at < r->limits_n)
        snprintf(limit, sizeof limit, "the limit %s", r->limits[f->limit_at].name);
    const char *error = strerror(-f->error);
    switch ((enum spawn_step)f->step) {
    case SPAWN_LEADER:
        snprintf(out, out_n, "can't lead a process group: %s", error);
        break;
    case SPAWN_DESCRIPTORS:
        if (f->error == -EINVAL || f->error == -EMFILE) /* fcntl(2): above the limit, or all below it are taken */
            snprintf(out, out_n, "can't arrange its descriptors: the limit on open files is too low; ulimit -n of 1024 or more");
        else
            snprintf(out, out_n, "can't arrange its descriptors: %s", error);
        break;
    case SPAWN_OOM:
        snprintf(out, out_n, "can't set oom_score_adj to %s: %s", r ? r->oom_score_adj : "", error);
        break;
    case SPAWN_NICE:
        snprintf(out, out_n, "can't set nice to %d: %s", r ? r->nice : 0, error);
        break;
    case SPAWN_LIMIT:
        snprintf(out, out_n, "can't set %s: %s", limit, error);
        break;
    case SPAWN_GROUPS:
        snprintf(out, out_n, "can't set its supplementary groups: %s", error);
        break;
    case SPAWN_GROUP:
        snprintf(out, out_n, "can't change to group %u: %s", r ? r->gid : 0, error);
        break;
    case SPAWN_USER:
        if (r && r->user && r->user[0])
            snprintf(out, out_n, "can't change to user %.60s: %s", r->user, error);
        else
            snprintf(out, out_n, "can't change to user %u: %s", r ? r->uid : 0, error);
        break;
    case SPAWN_NO_NEW_PRIVILEGES:
        snprintf(out, out_n, "can't set no_new_privileges: %s", error);
        break;
    case SPAWN_DIRECTORY:
        snprintf(out, out_n, "can't change to directory %.120s: %s", plan->directory ? plan->directory : "", error);
        break;
    case SPAWN_EXEC:
        snprintf(out, out_n, "%.120s can't be executed: %s", plan->argv[0], error);
        break;
    }
}
