/*
 * instances: the engines that run, each with one model (instance.h), and the jobs of the hub: [models] serve = yes. Which model is wanted, and
 * who is to go for it, is the proxy's to say (contract.h); here it is done, within what the configuration declares, and told on the page.
 *
 * A build with MODELS=no has none of it.
 */
#ifndef SUPERVISOR_INSTANCES_INSTANCES_H
#define SUPERVISOR_INSTANCES_INSTANCES_H

#include "supervisor/state.h"
#include "supervisor/usage.h"

#ifdef WITH_MODELS

/* Sees to it that there is memory for what this configuration declares. 0 or -ENOMEM. */
int instances_prepare(struct supervisor *s, const struct conf *conf) WARN_UNUSED;
void instances_fini(struct supervisor *s);
/* Of those that run, which are to go on under the configuration of `site`: those that it would start in the same way. A bit for each place in
 * *kept. 0 or -ENOMEM. */
int instances_plan(struct supervisor *s, const struct launch_site *site, unsigned *kept) WARN_UNUSED;
/* It is in force: the others are stopped. */
void instances_reloaded(struct supervisor *s, unsigned kept);
/* A proxy said it: 1 where it is ours, done or refused. fd: as channel.h's said. */
int instances_heard(struct supervisor *s, const struct contract_message *m, int fd);
/* Who has ended: another port, or FAILED with a reason. Once a turn. */
void instances_look(struct supervisor *s);
/* A process was reaped that is nobody's main process: 1 where it was a job of the hub. */
int instances_reaped(struct supervisor *s, pid_t pid, int status);
/* The kernel has killed a process for want of memory, as memory.h's killed: nobody knows whose. */
void instances_killed(struct supervisor *s, const char *limit);
/* Some job of the hub is under way: what is pulled is not to be interrupted by a sleep. */
int instances_are_pulling(const struct supervisor *s);
/* Nobody needs them, idle_action = stop: those that are ready are stopped, unless somebody comes in this very moment. */
void instances_doze(struct supervisor *s);
/* Everything stops: nobody is started any more, and jobs of the hub are asked to end. */
void instances_end(struct supervisor *s);
/* A JSON array of them for `sidecarctl status`. 0 or -ENOMEM. */
int instances_write(const struct supervisor *s, const struct usage *usage, struct buf *out) WARN_UNUSED;

#else

#define instances_prepare(s, conf) 0
#define instances_fini(s) ((void)0)
#define instances_plan(s, site, kept) ((void)(*(kept) = 0), 0)
#define instances_reloaded(s, kept) ((void)(kept))
#define instances_heard(s, m, fd) ((void)(fd), 0)
#define instances_look(s) ((void)0)
#define instances_reaped(s, pid, status) 0
#define instances_killed(s, limit) ((void)0)
#define instances_are_pulling(s) 0
#define instances_doze(s) ((void)0)
#define instances_end(s) ((void)0)
#define instances_write(s, usage, out) buf_text(out, "[]")

#endif
#endif
