/*
 * signals: signals as events of the loop.
 */
#ifndef SUPERVISOR_SIGNALS_H
#define SUPERVISOR_SIGNALS_H

#include "common/loop.h"

struct signals {
    struct loop *loop;
    int fd;
    int is_hangup_final; /* SIGHUP means that our terminal is gone: there was one at the start, and no nohup(1) */
    void (*caught)(void *context, int signal_number);
    void *context;
};

/* From here on SIGCHLD, SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1 and SIGUSR2 arrive as calls, even where they were inherited as
 * ignored; SIGPIPE, SIGTTIN and SIGTTOU are ignored. To be called before anything slow. 0 or -errno. signalfd(2) */
int signals_block(struct signals *g) WARN_UNUSED;
int signals_watch(struct signals *g, struct loop *loop, void (*caught)(void *, int), void *context) WARN_UNUSED;
void signals_fini(struct signals *g);

#endif
