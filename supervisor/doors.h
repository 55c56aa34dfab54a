/*
 * doors: the listening sockets for clients, from boot on; and what becomes of them when a reload changes the list.
 *
 * A door that a reload removes leaves in three steps, so that nobody who came to it is reset: the new proxy gets it too and
 * takes who waits; when that proxy is ready, who is not yet on his way is no longer let in; a moment later it is closed.
 */
#ifndef SUPERVISOR_DOORS_H
#define SUPERVISOR_DOORS_H

#include "common/conf.h"
#include "common/contract.h"
#include "common/loop.h"

/* A handshake that has begun when the door leaves is over by then, even where one packet was lost: TCP sends it again after a
 * second. The proxy closes its copy before (proxy/listener.h), ours is the last. RFC 6298 section 2 */
enum { DOORS_LEAVE_MS = 3000 };

/* Sockets, and beside each where it listens. */
struct door_list {
    struct address addresses[CONF_LISTEN_MAX];
    int fds[CONF_LISTEN_MAX];
    size_t n;
};

struct doors {
    struct loop *loop;        /* borrowed */
    struct door_list open;    /* in the order of [proxy] listen */
    struct door_list leaving; /* removed, and not closed yet */
    struct timer timer;       /* closes those that leave */
    int kept_fds[2];          /* connections on which nothing is under way, from an old proxy [1] to the next one [0]; -1: none */
    void (*left)(void *context); /* those that were leaving are closed */
    void *context;
};

/* What a reload would make of them. */
struct doors_plan {
    struct door_list next;
    int is_new[CONF_LISTEN_MAX]; /* beside next: bound for this plan */
    size_t shared_n;             /* sockets of ours that let others bind beside them until the plan is done or dropped */
};

void doors_init(struct doors *d, struct loop *loop, void (*left)(void *context), void *context);
void doors_fini(struct doors *d);
/* One more, at boot. 0, or -errno with a sentence in why (LISTEN_WHY_BYTES). */
int doors_open(struct doors *d, const struct address *a, char *why) WARN_UNUSED;

/* Binds what is new in this list, and nothing is changed yet. 0; or -errno with a sentence in why, and nothing to drop. */
int doors_plan(struct doors *d, const struct address *list, size_t list_n, struct doors_plan *plan, char *why) WARN_UNUSED;
/* The last step that can fail: from here on they take connections. 0, or -errno with a sentence in why. */
int doors_plan_listen(struct doors *d, struct doors_plan *plan, char *why) WARN_UNUSED;
void doors_plan_drop(struct doors *d, struct doors_plan *plan);
/* Puts it in force; what is no longer in the list is leaving. */
void doors_commit(struct doors *d, struct doors_plan *plan);

/* A proxy is started with copies of those that leave, and closes them only a while after it is ready: ours, which is to be the last, waits
 * for that, though an earlier proxy was ready before. */
void doors_are_given(struct doors *d);
/* A proxy is ready that has all of them: those that leave have a moment more. */
void doors_are_served(struct doors *d);
/* No proxy will come: what leaves is closed now, and so is who was kept for it. */
void doors_are_forsaken(struct doors *d);
/* Whether one that is leaving would be in the way of somebody who binds this address. */
int doors_hold(const struct doors *d, const struct address *a);
/* Closes those at once. */
void doors_make_way(struct doors *d, const struct address *a);
/* Whether somebody waits whom no proxy has taken yet; also where that can't be told. */
int doors_are_asked(const struct doors *d);
/* Lets nobody in any more, as for those that leave; who is half in still comes in. 0, or -errno where that can't be had: then
 * all are as they were. */
int doors_shut(struct doors *d) WARN_UNUSED;
/* Lets everybody in again. */
void doors_open_again(struct doors *d);

#endif
