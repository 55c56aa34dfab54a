/*
 * single_job: what the one command of `ollama-supervisor -- COMMAND` and a shell above us expect of each other: signals,
 * stops (^Z, fg, bg), the terminal. credentials(7), setpgid(2), tcsetpgrp(3)
 */
#ifndef SUPERVISOR_SINGLE_JOB_H
#define SUPERVISOR_SINGLE_JOB_H

#include "common/sys.h"

struct single_job {
    pid_t child;            /* the command, and its process group */
    int has_terminal;       /* the group was made the foreground by us */
    int is_stopped;         /* we stopped with it */
    int has_passed_stop_on; /* SIGTSTP came to us, not from the keyboard */
};

void single_job_init(struct single_job *j, pid_t child, int has_terminal);
/* To be called when the command has ended: the terminal comes back to our group, so that ^C reaches us, and after us whoever
 * shares it. */
void single_job_fini(struct single_job *j);

/* Passes a signal on to the command; SIGCONT to all that was stopped with it, with the terminal where it is ours. */
void single_job_pass_on(struct single_job *j, int signal_number);
/* To be called at SIGCHLD: where SIGTSTP, SIGTTIN or SIGTTOU has stopped the command, we stop too, as a shell sees only us.
 * Comes back when we are continued. */
void single_job_follow(struct single_job *j);

#endif
