/*
 * child: a program and all that its process needs: pipe, channel, probe, line on the page.
 */
#ifndef SUPERVISOR_CHILD_H
#define SUPERVISOR_CHILD_H

#include "supervisor/board.h"
#include "supervisor/channel.h"
#include "supervisor/draining.h"
#include "supervisor/launch.h"
#include "supervisor/live.h"
#include "supervisor/memory.h"
#include "supervisor/output.h"
#include "supervisor/probe.h"
#include "supervisor/program.h"

enum { CHILD_STATUS_BYTES = 160 };

struct child;

/* What all children share, and whom they tell. */
struct child_site {
    struct loop *loop;
    struct board *board;
    struct draining_table *draining;
    struct ring *ring; /* the programs' last lines */
    const struct launch_site *launch;
    struct memory *memory;
    void (*changed)(void *context, struct child *c);
    void (*heard)(void *context, struct child *c, const struct contract_message *m, int fd); /* as channel.h's said */
    void (*complained)(void *context, const struct child *c, const char *line, enum log_level level); /* in its log */
    void *context;
};

/* What a child seldom needs, apart from it and never cleared: one that is idle touches no page of it. */
struct child_room {
    struct output_room output;
    struct probe_room probe;
    struct conf_program retired_conf; /* gone from the configuration: what is still needed of it, to stop it */
    char retired_name[CONTRACT_NAME_BYTES], retired_none[8];
};

struct child {
    const struct child_site *site;
    struct child_room *room; /* borrowed */
    struct program program;
    struct launch launch;
    struct timer timer; /* the program's deadline */
    struct output output;
    struct channel channel;
    struct probe probe; /* for readiness while it starts, then live's */
    struct live live;   /* while it is ready */
    int line;    /* on the page; -1: none */
    int exec_fd; /* tells whether exec failed; -1: none */
    pid_t refused_pid; /* the process that we may not signal, as was told; 0: none */
    char status[CHILD_STATUS_BYTES]; /* what it says of itself, STATUS= */
    int is_retired; /* gone from the configuration */
};

/* What of a child needs memory: made for all of a configuration before the first child hears of it. */
struct child_plan {
    struct launch launch;
    struct backoff backoff;
};

/* 0, or -ENOMEM with nothing to free. */
int child_plan_init(struct child_plan *p, const struct launch_site *site, const struct conf_program *conf) WARN_UNUSED;
void child_plan_fini(struct child_plan *p);
/* site, room (its own, with anything in it) and conf are borrowed, the plan is taken. */
void child_init(struct child *c, const struct child_site *site, struct child_room *room, const struct conf_program *conf,
                struct child_plan *take_plan);
void child_fini(struct child *c);
/* The same program by a new configuration: the process goes on. The caller restarts it where the signature differs. */
void child_reconfigure(struct child *c, const struct conf_program *conf, struct child_plan *take_plan);
/* The program is gone from the configuration: it is stopped, and not started again. child_reconfigure takes it back. */
void child_retire(struct child *c);
/* 1 where it is retired and nothing of it is left: another program may have its place. */
int child_is_vacant(const struct child *c);
/* What its process says by sd_notify(3). */
void child_notified(struct child *c, const char *name, const char *value);
/* The process has died and been reaped, with this status. */
void child_reaped(struct child *c, int status);

#endif
