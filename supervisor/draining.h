/*
 * draining: processes that were handed over: they finish their answers while their successor serves already.
 */
#ifndef SUPERVISOR_DRAINING_H
#define SUPERVISOR_DRAINING_H

#include "supervisor/board.h"
#include "supervisor/channel.h"

/* With one proxy and one preloader they fit the lines of the page. */
enum { DRAINING_MAX = 12 };

struct draining {
    struct loop *loop;
    struct board *board;
    pid_t pid; /* 0: free */
    int line;  /* its line on the page */
    struct channel channel;
    struct timer timer;
    int stage;
    uint64_t number; /* of all that were ever handed over */
    struct draining_table *table;
};

struct draining_table {
    struct draining items[DRAINING_MAX];
    uint64_t taken_n;
    void (*stuck)(void *context); /* one says that requests of its own are with Ollama and nothing comes of them; NULL: nobody asks */
    /* It asks for an engine, or for a job of the hub, for requests that it still has; the descriptor as channel.h's said. NULL: nobody is asked. */
    void (*asked)(void *context, const struct contract_message *m, int fd);
    void *context;
};

/* Takes a process over with its channel and its line, asks it to finish (SIGTERM), and hurries it after limit_ms.
 * Where that fills the table, the oldest is hurried. 0, -EBUSY where it was full, or -errno where it can't be asked. */
int draining_take(struct draining_table *t, struct loop *loop, struct board *board, pid_t pid, struct channel *channel,
                  int line, int64_t limit_ms) WARN_UNUSED;
/* The process of this pid, or NULL. */
struct draining *draining_find(struct draining_table *t, pid_t pid);
void draining_reaped(struct draining *d);
/* Asks all again (they end their answers honestly), and kills them soon after. */
void draining_hurry(struct draining_table *t);
/* They have until then at the latest, and are hurried. */
void draining_stop_by(struct draining_table *t, int64_t at_ms);
void draining_tell(struct draining_table *t, enum contract_kind kind);
int draining_is_empty(const struct draining_table *t);

#endif
