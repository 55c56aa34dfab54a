/*
 * single_child: the one command of `ollama-supervisor -- COMMAND`, from its name to its process.
 */
#ifndef SUPERVISOR_SINGLE_CHILD_H
#define SUPERVISOR_SINGLE_CHILD_H

#include "common/conf.h"

/* What is run, and as whom. */
struct single_command {
    char **argv;           /* NULL-terminated; argv[0] is found on PATH */
    char **envp;           /* its own to write to */
    const struct conf_rights *rights; /* NULL: all as we are */
    const char *directory; /* NULL: ours */
};

struct single_child {
    pid_t pid;
    uint64_t blocked;  /* the mask that we were started with, and so the command (SYS_SIGNAL_BIT) */
    uint64_t ignored;  /* of TERM, INT, QUIT and CHLD: those that we were started with as ignored */
    int has_terminal;  /* its group is the terminal's foreground */
    int fds_n;         /* from 3 on: sockets that were handed to us, and so to it. sd_listen_fds(3) */
};

/* Starts the command, as the rights say: in a process group of its own, in the terminal's foreground where we are there, with our
 * standard descriptors, in its directory, with its environment, with the signals blocked (c->blocked, filled in by the caller) and ignored that we
 * were started with. LISTEN_PID and WATCHDOG_PID become its own pid where they were ours. Descriptors above 2 are closed
 * here, and there unless LISTEN_FDS names them. It gets SIGTERM when we die; we ourselves move to `/`.
 * 0, or our exit code (126, 127, 111) after a line on stderr; also told by the child's own exit code and line. */
int single_child_start(struct single_child *c, const struct single_command *command);

/* Whether the living command ignores a signal. Where /proc does not tell: whether it was started so. proc(5) SigIgn */
int single_child_ignores(const struct single_child *c, int signal_number);

#endif
