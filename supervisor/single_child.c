/*
 * See single_child.h. What can fail is tried before the fork; a failed exec is told by the child itself, on the stderr that
 * it shares with us.
 */
#include "supervisor/single_child.h"

#include "common/conf.h"
#include "supervisor/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_FD = 3, LISTEN_FDS_MAX = 65536, PAIR_BYTES = 32, STATUS_BYTES = 8192 };
enum { EXIT_SYSTEM = 111, EXIT_NO_EXEC = 126, EXIT_NO_COMMAND = 127, EXIT_SIGNALLED = 128 };

/* Variables that name the process that they are meant for. sd_listen_fds(3), sd_watchdog_enabled(3) */
static const char *const pid_names[] = {"LISTEN_PID", "WATCHDOG_PID"};
enum { PID_NAMES_N = sizeof pid_names / sizeof *pid_names };

static void tell(const char *command, const char *why)
{
    struct diag d;
    diag_init(&d);
    diag_add(&d, DIAG_ERROR, "ollama-supervisor", 0, "can't start \"%.400s\": %s", command, why);
    diag_print(&d);
    diag_fini(&d);
}

/* Says why a command can't be started, and what to do. path: where it was found, NULL where it was not. */
static int refuse(const char *command, const char *path, int error)
{
    const char *advice = strerror(-error);
    if (error == -ENOENT && path)
        advice = "the interpreter that its first line names, or its loader, is not there";
    else if (error == -ENOENT)
        advice = strchr(command, '/') ? "no such file; check the path" : "not found on PATH; check the name, or give its path";
    else if (error == -EACCES)
        advice = "it is no file that may be executed; chmod +x it, and see whether a folder or a noexec mount forbids it";
    else if (error == -ENOEXEC)
        advice = "exec format error: a program for another machine, or a script without a first line such as #!/bin/sh";
    tell(command, advice);
    return error == -ENOENT ? EXIT_NO_COMMAND : EXIT_NO_EXEC;
}

static int is_meant_for(char *const *envp, const char *name, pid_t pid)
{
    char why[PARSE_WHY_BYTES];
    int64_t value;
    const char *text = conf_variable(envp, name);
    return text && parse_integer(text, 1, INT32_MAX, &value, why) == 0 && value == pid;
}

static int handed_fds(char *const *envp)
{
    char why[PARSE_WHY_BYTES];
    int64_t fds_n;
    const char *text = conf_variable(envp, "LISTEN_FDS");
    if (!text || !is_meant_for(envp, "LISTEN_PID", sys_getpid()) || parse_integer(text, 1, LISTEN_FDS_MAX, &fds_n, why) < 0)
        return 0;
    return (int)fds_n;
}

static void readdress(char **envp, pid_t from, char pairs[PID_NAMES_N][PAIR_BYTES])
{
    for (size_t i = 0; i < PID_NAMES_N; i++) {
        const char *value = conf_variable(envp, pid_names[i]);
        if (!value || !is_meant_for(envp, pid_names[i], from))
            continue;
        snprintf(pairs[i], PAIR_BYTES, "%s=%d", pid_names[i], (int)sys_getpid());
        for (char **e = envp; *e; e++)
            if (*e + strlen(pid_names[i]) + 1 == value)
                *e = pairs[i];
    }
}

/* As the rights of the command say, where it has any. */
static void take_place(const struct single_command *command, pid_t supervisor)
{
    const struct spawn_plan plan = {.argv = command->argv, .envp = command->envp, .rights = command->rights,
                                    .directory = command->directory, .output_fd = -1};
    struct spawn_failure f = {0};
    char why[512];
    if ((!command->rights && !command->directory) || spawn_take_place(&plan, supervisor, &f) == 0)
        return;
    spawn_failure_text(&f, &plan, why, sizeof why);
    sys_signals_mask(~UINT64_C(0), NULL);
    tell(command->argv[0], why);
    sys_exit_now(EXIT_NO_EXEC);
}

/* The path of the command. 0, or -errno. */
static int find(const struct single_command *command, char path[SPAWN_PATH_BYTES])
{
    const struct spawn_plan plan = {.argv = command->argv, .envp = command->envp, .directory = command->directory, .output_fd = -1};
    return spawn_find_command(&plan, path);
}

static void become(const struct single_child *c, char *path, const struct single_command *command, pid_t supervisor)
    __attribute__((noreturn));
static void become(const struct single_child *c, char *path, const struct single_command *command, pid_t supervisor)
{
    char pairs[PID_NAMES_N][PAIR_BYTES];
    sys_setpgid(0, 0);
    if (c->has_terminal)
        sys_terminal_give(sys_getpid());
    sys_die_with_parent(SIGTERM);
    if (sys_getppid() != supervisor) /* it died before we could ask to be told of it */
        sys_exit_now(EXIT_SIGNALLED + SIGTERM);
    for (int i = 0; i < c->fds_n; i++)
        if (sys_is_open(FIRST_FD + i))
            (void)!sys_set_cloexec(FIRST_FD + i, 0);
    take_place(command, supervisor);
    readdress(command->envp, supervisor, pairs);
    if (c->ignored & SYS_SIGNAL_BIT(SIGCHLD))
        sys_signal_ignore(SIGCHLD);
    sys_signals_mask(c->blocked, NULL);
    int error = command->rights ? find(command, path) : 0; /* once more: another user may execute another one */
    int is_found = error == 0;
    error = is_found ? sys_execve(path, command->argv, command->envp) : error;
    sys_signals_mask(~UINT64_C(0), NULL); /* a stderr that nobody reads must not change the exit code */
    sys_exit_now(refuse(command->argv[0], is_found ? path : NULL, error));
}

/* Who is told of deaths must not have asked the kernel to forget them. */
static void note_ignored(struct single_child *c)
{
    static const int asked[] = {SIGTERM, SIGINT, SIGQUIT, SIGCHLD};
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++)
        if (sys_signal_is_ignored(asked[i]))
            c->ignored |= SYS_SIGNAL_BIT(asked[i]);
    if (c->ignored & SYS_SIGNAL_BIT(SIGCHLD))
        sys_signal_default(SIGCHLD);
}

int single_child_start(struct single_child *c, const struct single_command *command)
{
    char path[SPAWN_PATH_BYTES];
    int error = find(command, path);
    if (error < 0)
        return refuse(command->argv[0], NULL, error);
    note_ignored(c);
    c->fds_n = handed_fds(command->envp);
    sys_close_from(FIRST_FD + c->fds_n, -1);
    c->has_terminal = sys_terminal_group() == sys_getpgrp(); /* in the background it would be stolen from who has it */
    pid_t supervisor = sys_getpid();
    c->pid = sys_fork();
    if (c->pid == 0)
        become(c, path, command, supervisor);
    if (c->pid < 0) {
        fprintf(stderr, "ollama-supervisor: error: no process can be made: %s; see ulimit -u and the limits of the "
                        "container\n", strerror(-c->pid));
        return EXIT_SYSTEM;
    }
    sys_setpgid(c->pid, c->pid); /* both sides do it: whoever comes first, nobody finds the wrong group */
    sys_close_from(FIRST_FD, -1);
    (void)!sys_chdir("/"); /* the folder is the command's: we keep nobody from unmounting it */
    return 0;
}

int single_child_ignores(const struct single_child *c, int signal_number)
{
    char path[32], text[STATUS_BYTES];
    snprintf(path, sizeof path, "/proc/%d/status", (int)c->pid);
    int fd = sys_open(path, O_RDONLY, 0);
    ssize_t n = fd < 0 ? fd : sys_read(fd, text, sizeof text - 1);
    sys_close(fd);
    text[n > 0 ? n : 0] = '\0';
    const char *line = strstr(text, "\nSigIgn:");
    uint64_t ignored = line ? strtoull(line + strlen("\nSigIgn:"), NULL, 16) : c->ignored;
    return (ignored & SYS_SIGNAL_BIT(signal_number)) != 0;
}
