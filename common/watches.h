/*
 * watches: which descriptors are watched for what, and who is told; by poll(2) or by epoll(7), level-triggered both.
 *
 * poll is what it starts with; watches_use_epoll() is for those that watch hundreds. By epoll a regular file can't be
 * watched (-EPERM; poll takes it for always ready), and removing before close(2) is no mere courtesy: a socket that
 * another process or descriptor has open too would go on telling.
 */
#ifndef COMMON_WATCHES_H
#define COMMON_WATCHES_H

#include "common/sys.h"

typedef void loop_fd_fn(void *context, short revents);

enum { WATCHES_READY_N = 256 }; /* events that one wait by epoll may bring; the rest comes with the next */

struct watch;

struct watches {
    struct watch *watches;     /* by descriptor: all that an event needs is in one place */
    size_t watches_room_n;
    size_t fds_n;              /* how many are watched */
    struct pollfd *fds;        /* for poll(2): dense */
    size_t fds_room_n;
    int has_gaps;              /* poll: entries were removed while events are told */
    int is_epoll;              /* 0: poll(2) */
    int epoll_fd;
    struct epoll_event *ready; /* WATCHES_READY_N, where epoll is used */
    uint32_t serial;           /* of the latest watch: tells it from another of the same descriptor */
};

void watches_init(struct watches *w);
void watches_fini(struct watches *w);
/* By epoll(7) from now on; to be called before anything is watched. 0, or -errno: then poll(2) goes on. */
int watches_use_epoll(struct watches *w) WARN_UNUSED;

/* Room for descriptors up to this number, so that adding never has to allocate. 0 or -ENOMEM. */
int watches_reserve(struct watches *w, size_t fds_n) WARN_UNUSED;

/* As loop_add() and its neighbours. */
int watches_add(struct watches *w, int fd, short events, loop_fd_fn *fn, void *context) WARN_UNUSED;
void watches_set_events(struct watches *w, int fd, short events);
void watches_hand_over(struct watches *w, int fd, short events, loop_fd_fn *fn, void *context);
void watches_remove(struct watches *w, int fd);

/* Closes the gaps that removing left; waiting does it too. */
void watches_settle(struct watches *w);
/* Waits; how many are ready, or -errno. Nothing may be added or removed until watches_tell(). */
int watches_wait(struct watches *w, int timeout_ms);
/* Calls who is concerned, with what watches_wait() gave. What they add is told after the next wait, what they remove is
 * not told. */
void watches_tell(struct watches *w, int ready_n);

#endif
