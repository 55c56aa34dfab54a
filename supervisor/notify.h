/*
 * notify: what programs say of themselves by sd_notify(3): READY=1, STATUS=…
 */
#ifndef SUPERVISOR_NOTIFY_H
#define SUPERVISOR_NOTIFY_H

#include "common/loop.h"

enum { NOTIFY_PATH_BYTES = 120, NOTIFY_MESSAGE_BYTES = 2048 };

struct notify {
    struct loop *loop;
    int fd;
    char path[NOTIFY_PATH_BYTES]; /* for NOTIFY_SOCKET */
    /* One NAME=value line; pid is vouched for by the kernel. */
    void (*said)(void *context, pid_t pid, const char *name, const char *value);
    void *context;
};

/* 0 or -errno. */
int notify_init(struct notify *n, struct loop *loop, void (*said)(void *, pid_t, const char *, const char *),
                void *context) WARN_UNUSED;
void notify_fini(struct notify *n);

#endif
