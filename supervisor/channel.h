/*
 * channel: the supervisor's ends of the pairs by which it talks with its built-in children (contract.h).
 */
#ifndef SUPERVISOR_CHANNEL_H
#define SUPERVISOR_CHANNEL_H

#include "common/contract.h"
#include "common/loop.h"

struct channel {
    struct loop *loop;
    int fd; /* -1: closed */
    void (*said)(void *context, const struct contract_message *m, int fd); /* fd: what came with it, ours until this returns; -1: none */
    void *context;
    const char *name; /* for the log; borrowed */
    int has_refused;  /* a message was refused, and told */
};

void channel_init(struct channel *c, struct loop *loop, const char *name,
                  void (*said)(void *, const struct contract_message *, int fd), void *context);
/* A fresh pair for a new process: the child's end, which the caller closes after the fork, or -errno. */
int channel_open(struct channel *c) WARN_UNUSED;
void channel_close(struct channel *c);
/* Its child is dead: what it had said before is heard, then it is closed. */
void channel_end(struct channel *c);
/* The pair goes on under another owner: `to` (initialised, closed) takes it over. */
void channel_move(struct channel *from, struct channel *to);
/* Tells the child; a full or closed channel is no error: what it carries can be read from the page again. */
void channel_tell(struct channel *c, enum contract_kind kind, uint32_t value);

#endif
