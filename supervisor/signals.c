/* See signals.h. One signal may stand for many deaths: whoever is told of SIGCHLD reaps until none is left. */
#include "supervisor/signals.h"

#include <signal.h>

int signals_block(struct signals *g)
{
    static const int wanted[] = {SIGCHLD, SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2};
    int is_hangup_ignored = sys_signal_is_ignored(SIGHUP);
    *g = (struct signals){.fd = sys_signalfd(wanted, sizeof wanted / sizeof *wanted)};
    g->is_hangup_final = !is_hangup_ignored && sys_controlling_tty(); /* asked now: when SIGHUP comes, it is ours no more */
    (void)sys_signal_ignore(SIGPIPE);
    (void)sys_signal_ignore(SIGXFSZ); /* a file that may not grow is an error like any other */
    (void)sys_signal_ignore(SIGTTIN);
    (void)sys_signal_ignore(SIGTTOU);
    return g->fd < 0 ? g->fd : 0;
}

static void signals_ready(void *context, short revents)
{
    struct signals *g = context;
    int number;
    (void)revents;
    while ((number = sys_signalfd_read(g->fd)) > 0)
        g->caught(g->context, number);
}

int signals_watch(struct signals *g, struct loop *loop, void (*caught)(void *, int), void *context)
{
    g->loop = loop;
    g->caught = caught;
    g->context = context;
    return loop_add(loop, g->fd, POLLIN, signals_ready, g);
}

void signals_fini(struct signals *g)
{
    if (g->loop)
        loop_remove(g->loop, g->fd);
    sys_close(g->fd);
    g->fd = -1;
}
