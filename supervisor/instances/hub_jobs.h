/*
 * hub_jobs: `ollama-preload --hub`, which works for whoever sent us a socket (CONTRACT_HUB), until it has done its one job. Nobody waits for it,
 * and nobody starts it again; its words go to that socket alone.
 */
#ifndef SUPERVISOR_INSTANCES_HUB_JOBS_H
#define SUPERVISOR_INSTANCES_HUB_JOBS_H

#include "supervisor/launch.h"

enum { HUB_JOBS_MAX = 8 };

struct hub_job {
    pid_t pid; /* 0: the place is free */
    int exec_fd;
};

/* All zero: none. */
struct hub_jobs {
    struct hub_job items[HUB_JOBS_MAX];
};

/* Starts one with this socket as its standard input and output; it has a copy of it then. Where that can't be, the socket is told, in the words
 * of the jobs themselves: {"error":…,"code":"busy"|"system","status":…}. */
void hub_jobs_begin(struct hub_jobs *h, const struct launch_site *site, int socket_fd);
/* The same line for who can't have one for another reason, with status 501. */
void hub_jobs_refuse(int socket_fd, const char *why);
/* A process was reaped: 1 where it was one of them. */
int hub_jobs_reaped(struct hub_jobs *h, pid_t pid, int status);
unsigned hub_jobs_n(const struct hub_jobs *h);
/* Everything stops: they are asked to end; what they have pulled so far is kept. */
void hub_jobs_end(const struct hub_jobs *h);
/* Nobody looks after them any more. */
void hub_jobs_fini(struct hub_jobs *h);

#endif
