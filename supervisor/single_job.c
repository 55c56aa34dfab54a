/* See single_job.h. The command has a process group of its own, so a shell's job (we, and who shares our group) and the
 * terminal's foreground (the command's group) are two. Here they are kept in step. */
#include "supervisor/single_job.h"

#include <signal.h>

void single_job_init(struct single_job *j, pid_t child, int has_terminal)
{
    *j = (struct single_job){.child = child, .has_terminal = has_terminal};
}

void single_job_fini(struct single_job *j)
{
    if (j->has_terminal && sys_terminal_group() == j->child)
        sys_terminal_give(sys_getpgrp());
}

/* A shell's `fg` makes our group the foreground: it is the command that should be. 1 where it was so. */
static int hand_terminal_down(struct single_job *j)
{
    if (sys_terminal_group() != sys_getpgrp())
        return 0;
    j->has_terminal = 1;
    sys_terminal_give(j->child);
    return 1;
}

void single_job_pass_on(struct single_job *j, int signal_number)
{
    if (signal_number == SIGTSTP)
        j->has_passed_stop_on = 1;
    if (signal_number == SIGCONT) {
        (void)hand_terminal_down(j);
        if (j->is_stopped) {
            j->is_stopped = 0;
            sys_kill_group(j->child, SIGCONT);
            return;
        }
    }
    sys_kill(j->child, signal_number);
}

void single_job_follow(struct single_job *j)
{
    int by = sys_stopped_by(j->child);
    if (by != SIGTSTP && by != SIGTTIN && by != SIGTTOU) /* SIGSTOP: whoever sent it will send SIGCONT to the same one */
        return;
    if (by != SIGTSTP && hand_terminal_down(j)) { /* `fg` of a job that was never stopped */
        sys_kill_group(j->child, SIGCONT);
        return;
    }
    int is_passed_on = by == SIGTSTP && j->has_passed_stop_on;
    int is_typed = by == SIGTSTP && !is_passed_on && sys_terminal_group() == j->child;
    j->has_passed_stop_on = 0;
    j->is_stopped = 1;
    if (sys_stop_self(by, is_typed || by != SIGTSTP) <= 0 && is_typed) {
        j->is_stopped = 0; /* no shell is there that could undo a ^Z, as in a container: we do */
        sys_kill_group(j->child, SIGCONT);
    }
}
